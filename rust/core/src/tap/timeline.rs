//! When a frame was sampled: RTP timestamps without end, on one wall clock for all tracks of a publisher.
//!
//! What a sender report says holds for a timestamp exactly, and for audio and video alike, but it changes a little with
//! each report. The wall clock of a tap follows it smoothly and never runs back: a frame's time is that of the frame before
//! plus what the timestamps say, and a small part of the error. Before the first report the quickest arrivals stand in.

use std::time::Instant;

use crate::receive::clock::NtpClock;
use crate::track::clock::ClockPoint;

const SECOND: i64 = 1_000_000;
/// A report that places a frame further from its arrival is not believed: media is not sampled after it has come ...
const MAX_AHEAD: i64 = 2 * SECOND;
/// ... and no encoder is so slow.
const MAX_BEHIND: i64 = 10 * SECOND;
/// An error of more than this is no drift; time goes on with the new truth at once, if that is later.
const MAX_ERROR: i64 = SECOND;
/// Part of the elapsed time by which errors are corrected, until the first report is followed and after.
const SETTLING: i64 = 2;
const SETTLED: i64 = 50;
/// The clock is what the report says when it is this close.
const CLOSE: i64 = SECOND / 1000;
/// How much slower than ours a publisher's clock may run: the quickest arrival ages by it.
const DRIFT: i64 = 5000;

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// In units of the clock rate, unwrapped.
    pub timestamp: i64,
    /// Microseconds of Unix time.
    pub wallclock: i64,
    /// A sender report says so.
    pub synced: bool,
    /// The timestamps before and this one have no common clock.
    pub reset: bool,
}

/// What is known of the clock of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Clock<'a> {
    /// A point of it, from a sender report.
    pub point: Option<ClockPoint>,
    /// It is our own: whatever it says is true.
    pub trusted: bool,
    /// Our clocks.
    pub ntp: &'a NtpClock,
    /// When the frame came.
    pub arrival: Instant,
}

/// The newest frame by timestamp.
#[derive(Clone, Copy, Debug)]
struct Newest {
    raw: u32,
    timestamp: i64,
    wallclock: i64,
    arrival: i64,
}

/// The clock of one tap.
#[derive(Debug, Default)]
pub struct Timeline {
    clock_rate: i64,
    newest: Option<Newest>,
    /// Least of arrival minus time by timestamp.
    quickest: Option<i64>,
    synced: bool,
    /// The next frame is of another source than those before.
    begins: bool,
}

impl Timeline {
    /// Frames of another source follow: their timestamps have nothing to do with those before.
    pub fn begin(&mut self) {
        self.begins = true;
        self.quickest = None;
    }

    /// Places the next frame, in the order of decoding.
    pub fn place(&mut self, raw: u32, clock_rate: u32, clock: &Clock<'_>) -> Place {
        let rate = i64::from(clock_rate);
        let arrival = clock.ntp.unix_micros(clock.arrival);
        let reported = reported(raw, rate, arrival, clock);
        let continues = |newest: &Newest| {
            !self.begins && rate == self.clock_rate && (clock.trusted || !jumps(newest, raw, rate, arrival))
        };
        let Some(newest) = self.newest.filter(continues) else {
            return self.anchor(raw, rate, arrival, reported);
        };
        let ahead = i64::from(raw.wrapping_sub(newest.raw).cast_signed());
        let (timestamp, elapsed) = (newest.timestamp + ahead, micros(ahead, rate));
        let linear = newest.wallclock + elapsed;
        if ahead <= 0 {
            // Shown before a frame that was decoded before it.
            return Place { timestamp, wallclock: linear, synced: self.synced, reset: false };
        }
        let quickest = self.quickest_arrival(arrival - micros(timestamp, rate), elapsed);
        let error = reported.unwrap_or(micros(timestamp, rate) + quickest) - linear;
        let step = elapsed / if self.synced || reported.is_none() { SETTLED } else { SETTLING };
        let reset = error > MAX_ERROR;
        let correction = if reset { error } else { error.clamp(-step.max(1), step.max(1)) };
        // Far behind, time goes slower until it is true again; it does not stand still.
        let correction = if error < -MAX_ERROR { -elapsed / SETTLING } else { correction };
        self.synced = reported.is_some() && (self.synced || (error - correction).abs() <= CLOSE);
        let wallclock = linear + correction;
        self.newest = Some(Newest { raw, timestamp, wallclock, arrival });
        Place { timestamp, wallclock, synced: self.synced, reset }
    }

    /// The first frame, or the first of another source. It goes on behind the frame before.
    fn anchor(&mut self, raw: u32, rate: i64, arrival: i64, reported: Option<i64>) -> Place {
        let (mut timestamp, mut wallclock) = (i64::from(raw), reported.unwrap_or(arrival));
        let reset = self.newest.is_some();
        if let Some(newest) = self.newest {
            wallclock = wallclock.max(newest.wallclock + 1000);
            if rate == self.clock_rate {
                timestamp = newest.timestamp + ticks(wallclock - newest.wallclock, rate).max(1);
            }
        }
        self.synced = reported == Some(wallclock);
        self.begins = false;
        self.clock_rate = rate;
        self.quickest = Some(arrival - micros(timestamp, rate));
        self.newest = Some(Newest { raw, timestamp, wallclock, arrival });
        Place { timestamp, wallclock, synced: self.synced, reset }
    }

    fn quickest_arrival(&mut self, this: i64, elapsed: i64) -> i64 {
        let quickest = match self.quickest {
            // The clock of the timestamps has stood still.
            Some(quickest) if this - quickest > MAX_AHEAD => this,
            Some(quickest) => this.min(quickest + elapsed / DRIFT),
            None => this,
        };
        self.quickest = Some(quickest);
        quickest
    }
}

/// Whether the timestamps have gone another way than time.
fn jumps(newest: &Newest, raw: u32, rate: i64, arrival: i64) -> bool {
    let ahead = micros(i64::from(raw.wrapping_sub(newest.raw).cast_signed()), rate);
    (ahead - (arrival - newest.arrival)).abs() > MAX_BEHIND
}

/// When a timestamp was sampled by the newest sender report, unless that cannot be.
fn reported(raw: u32, rate: i64, arrival: i64, clock: &Clock<'_>) -> Option<i64> {
    let point = clock.point?;
    let ahead = i64::from(raw.wrapping_sub(point.rtp_timestamp).cast_signed());
    let sampled = clock.ntp.unix_micros(point.instant) + micros(ahead, rate);
    let plausible = (arrival - MAX_BEHIND..=arrival + MAX_AHEAD).contains(&sampled);
    (clock.trusted || plausible).then_some(sampled)
}

fn micros(ticks: i64, rate: i64) -> i64 {
    (i128::from(ticks) * i128::from(SECOND) / i128::from(rate.max(1))) as i64
}

fn ticks(micros: i64, rate: i64) -> i64 {
    (i128::from(micros) * i128::from(rate) / i128::from(SECOND)) as i64
}
