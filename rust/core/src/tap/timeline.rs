//! When a frame was sampled: RTP timestamps without end, on one wall clock for all tracks of a publisher.
//!
//! What a sender report says holds for a timestamp exactly, and for audio and video alike, but it changes a little with
//! each report. The wall clock of a tap follows it smoothly: a frame's time is that of the frame before plus what the
//! timestamps say, and a small part of the error. Before the first report the quickest arrivals stand in; what it says is
//! true at once, and only there the wall clock may run back.

use std::time::Instant;

use crate::receive::clock::NtpClock;
use crate::track::clock::ClockPoint;

const SECOND: i64 = 1_000_000;
/// A report that places a frame further from its arrival is not believed: media is not sampled after it has come ...
const MAX_AHEAD: i64 = 2 * SECOND;
/// ... and no encoder is so slow.
const MAX_BEHIND: i64 = 10 * SECOND;
/// An error of more than this is no drift: time goes on with the new truth at once, if that is later, else it hurries.
const MAX_ERROR: i64 = SECOND;
/// Part of the elapsed time by which errors are corrected: in a hurry, and always.
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
    /// Sender reports say what the time is ...
    reported: bool,
    /// ... and it is not yet what they say.
    settling: bool,
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
            return Place { timestamp, wallclock: linear, synced: self.synced(), reset: false };
        }
        let quickest = self.quickest_arrival(arrival - micros(timestamp, rate), elapsed);
        let error = reported.unwrap_or(micros(timestamp, rate) + quickest) - linear;
        let first_report = reported.is_some() && !self.reported;
        let reset = error > MAX_ERROR && !first_report;
        self.settling = error < -MAX_ERROR || self.settling && self.reported == reported.is_some();
        self.reported = reported.is_some();
        let step = (elapsed / if self.settling { SETTLING } else { SETTLED }).max(1);
        let correction = if reset || first_report { error } else { error.clamp(-step, step) };
        self.settling &= (error - correction).abs() > CLOSE;
        let wallclock = linear + correction;
        self.newest = Some(Newest { raw, timestamp, wallclock, arrival });
        Place { timestamp, wallclock, synced: self.synced(), reset }
    }

    fn synced(&self) -> bool {
        self.reported && !self.settling
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
        self.reported = reported.is_some();
        self.settling = reported.is_some_and(|reported| reported != wallclock);
        self.begins = false;
        self.clock_rate = rate;
        self.quickest = Some(arrival - micros(timestamp, rate));
        self.newest = Some(Newest { raw, timestamp, wallclock, arrival });
        Place { timestamp, wallclock, synced: self.synced(), reset }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATE: u32 = 90_000;
    /// Ticks of a frame at 30 Hz.
    const FRAME: u32 = 3000;

    struct Scene {
        start: Instant,
        ntp: NtpClock,
        timeline: Timeline,
        point: Option<ClockPoint>,
        raw: u32,
    }

    impl Scene {
        fn new() -> Scene {
            let start = Instant::now() + Duration::from_secs(100);
            let ntp = NtpClock::new(start, 1_000_000_000_000);
            Scene { start, ntp, timeline: Timeline::default(), point: None, raw: u32::MAX - 4 * FRAME }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn frame_at(&mut self, raw: u32, arrival: Instant, trusted: bool) -> Place {
            let clock = Clock { point: self.point, trusted, ntp: &self.ntp, arrival };
            self.timeline.place(raw, RATE, &clock)
        }

        /// The next frame at 30 Hz, `late` ms after its time; its place in microseconds from its time.
        fn next(&mut self, index: u64, late: u64) -> (Place, i64) {
            let sampled = self.start + Duration::from_micros(index * 100_000 / 3);
            let place = self.frame_at(self.raw, sampled + Duration::from_millis(late), false);
            self.raw = self.raw.wrapping_add(FRAME);
            (place, place.wallclock - self.ntp.unix_micros(sampled))
        }

        /// A report that says that the next frame will be sampled `micros` from its time.
        fn report(&mut self, index: u64, micros: i64) {
            let sampled = self.start + Duration::from_micros((index as i64 * 100_000 / 3 + micros).cast_unsigned());
            self.point = Some(ClockPoint { instant: sampled, rtp_timestamp: self.raw });
        }
    }

    #[test]
    fn timestamps_do_not_wrap_and_arrival_stands_in_for_reports() {
        let mut scene = Scene::new();
        let (first, offset) = scene.next(0, 20);
        assert_eq!((first.timestamp, offset, first.synced), (i64::from(u32::MAX - 4 * FRAME), 20_000, false));
        for index in 1..300 {
            let (place, offset) = scene.next(index, 20 + index % 7 * 10);
            assert_eq!(place.timestamp, first.timestamp + i64::from(FRAME) * index.cast_signed());
            assert!(!place.synced && !place.reset && (20_000..21_000).contains(&offset), "{offset}");
        }
    }

    #[test]
    fn the_first_report_is_followed_at_once_and_later_ones_smoothly() {
        let mut scene = Scene::new();
        let mut last = i64::MIN;
        for index in 0..200 {
            match index {
                10 => scene.report(index, 0),
                // The next one was quicker on its way, and places everything 5 ms sooner.
                100 => scene.report(index, -5000),
                _ => {}
            }
            let (place, offset) = scene.next(index, 60);
            assert!((place.wallclock > last || index == 10) && !place.reset, "time goes on");
            last = place.wallclock;
            match index {
                0..10 => assert!(!place.synced),
                10..100 => assert!(place.synced && offset.abs() < 10, "{index}: {offset}"),
                100..108 => assert!(place.synced && (-5000..0).contains(&offset)),
                108.. => assert!((offset + 5000).abs() < 10, "{index}: {offset}"),
            }
        }
    }

    #[test]
    fn a_report_at_the_start_is_true_at_once_and_an_impossible_one_is_not_believed() {
        for (micros, synced) in [(-80_000, true), (3_000_000, false), (-20_000_000, false)] {
            let mut scene = Scene::new();
            scene.report(300, micros);
            let (place, offset) = scene.next(300, 50);
            assert_eq!((place.synced, offset), (synced, if synced { micros } else { 50_000 }));
        }
    }

    #[test]
    fn frames_that_are_shown_earlier_lie_between() {
        let mut scene = Scene::new();
        scene.report(0, 0);
        let now = scene.at(0);
        let base = scene.raw;
        let places: Vec<Place> =
            [0, 3, 1, 2, 4].iter().map(|step| scene.frame_at(base.wrapping_add(step * FRAME), now, true)).collect();
        let from_first: Vec<i64> = places.iter().map(|place| (place.wallclock - places[0].wallclock) / 1000).collect();
        assert_eq!(from_first, [0, 100, 33, 66, 133]);
        assert!(places.iter().all(|place| place.synced && !place.reset));
    }

    #[test]
    fn another_source_goes_on_behind_the_one_before() {
        let mut scene = Scene::new();
        scene.report(0, 0);
        let (first, _) = scene.next(0, 50);
        scene.timeline.begin();
        (scene.raw, scene.point) = (77, None);
        let (second, _) = scene.next(3, 50);
        assert_eq!((second.wallclock - first.wallclock, second.timestamp - first.timestamp), (150_000, 13_500));
        assert!(second.reset && !second.synced);
        // What was sampled before is moved behind what was shown, and time is true again within a few frames.
        scene.timeline.begin();
        scene.raw = 5_000_000;
        scene.report(3, 0);
        let (third, _) = scene.next(3, 50);
        assert_eq!((third.wallclock - second.wallclock, third.synced), (1000, false));
        let (last, offset) = (4..12).map(|index| scene.next(index, 50)).last().unwrap();
        assert!(last.synced && offset.abs() < 10, "{offset}");
    }

    #[test]
    fn a_clock_that_stood_still_or_jumps() {
        let mut scene = Scene::new();
        let (first, _) = scene.next(0, 0);
        // Five seconds pass that the timestamps do not know of: time goes on, and says so.
        let raw = scene.raw;
        let paused = scene.frame_at(raw, scene.at(5033), false);
        assert!(paused.reset && (5_000_000..5_100_000).contains(&(paused.wallclock - first.wallclock)));
        assert_eq!(paused.timestamp - first.timestamp, 3000);
        // An hour that only the timestamps know of.
        let jumped = scene.frame_at(raw.wrapping_add(3600 * RATE), scene.at(5066), false);
        assert!(jumped.reset && jumped.wallclock - paused.wallclock < 100_000);
        // Our own sources may be written ahead of time.
        scene.point = Some(ClockPoint { instant: scene.at(60_000), rtp_timestamp: 9 });
        scene.timeline.begin();
        assert_eq!(scene.frame_at(9, scene.at(6000), true).wallclock, scene.ntp.unix_micros(scene.at(60_000)));
        let later = scene.frame_at(9 + 20 * RATE, scene.at(6000), true);
        assert!(later.synced && !later.reset);
    }

    #[test]
    fn far_behind_time_slows_down_and_never_turns_round() {
        let mut scene = Scene::new();
        scene.report(0, 0);
        let mut last = scene.next(0, 0).0.wallclock;
        scene.report(1, -3_000_000);
        for index in 1..400 {
            let (place, _) = scene.next(index, 0);
            assert!(place.wallclock > last);
            last = place.wallclock;
        }
        let (_, offset) = scene.next(400, 0);
        assert!((offset + 3_000_000).abs() < 10, "{offset}");
    }
}
