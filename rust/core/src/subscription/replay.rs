//! Where a viewer stands who is shown a group of pictures that began before it came.

use std::time::{Duration, Instant};

use crate::egress::burst::Source;

/// What may leave at once whatever the rate: ten packets, as a connection of TCP does (RFC 6928).
const BURST: i64 = 12_000;
/// Longest pause that is made up for: a thread that comes late must not send all at once what it has missed.
const MAX_PAUSE: Duration = Duration::from_millis(20);
/// Packets in a millisecond.
const MAX_PACKETS_PER_MS: usize = 16;

/// Ticks that are left free for frames that may still come, at each place where some are missing.
const HOLE: u32 = 16;

/// A replay in progress.
#[derive(Debug)]
pub struct Replay {
    /// What is replayed.
    pub source: Source,
    /// Sequence number of the packet to send next.
    pub next: u64,
    /// Frames begun.
    pub frames: u32,
    /// The frame that was begun last: RTP timestamp, and the one that it leaves with.
    pub frame: Option<Frame>,
    /// The timestamp sent last, in the numbers of the source.
    pub last: Option<u32>,
    hole: bool,
    paced: Instant,
    /// Bytes that may leave; less than nothing after a frame that was paid for in part.
    credit: i64,
}

/// A frame that is being sent.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Timestamp of the publisher.
    pub timestamp: u32,
    /// Timestamp that it leaves with, without the viewer's offset.
    pub stamp: u32,
}

impl Replay {
    /// A replay that begins now.
    pub fn new(now: Instant, source: Source, first: u64, last: Option<u32>) -> Replay {
        Replay { source, next: first, frames: 0, frame: None, last, hole: false, paced: now, credit: BURST }
    }

    /// Earns what time has brought at `rate` bytes a second. Returns how many packets may leave at most.
    pub fn earn(&mut self, now: Instant, rate: u64) -> usize {
        let pause = now.saturating_duration_since(self.paced).min(MAX_PAUSE);
        self.paced = now;
        let earned = (rate * pause.as_micros() as u64 / 1_000_000) as i64;
        let most = (rate * MAX_PAUSE.as_millis() as u64 / 1000) as i64;
        self.credit = (self.credit + earned).min(BURST.max(most));
        MAX_PACKETS_PER_MS * (pause.as_millis() as usize).max(1)
    }

    /// Whether a frame may begin. It leaves as a whole, as a live one does: what it lacks is paid before the next.
    pub fn has_credit(&self) -> bool {
        self.credit > 0
    }

    /// Pays for a packet.
    pub fn pay(&mut self, bytes: usize) {
        self.credit -= bytes as i64;
    }

    /// The packet has been sent.
    pub fn advance(&mut self) {
        self.next += 1;
        self.hole = false;
    }

    /// The packet is not there. It may be a frame of its own, and come yet: there has to be a timestamp for it.
    pub fn pass_over(&mut self) {
        self.next += 1;
        if !std::mem::replace(&mut self.hole, true) {
            self.last = self.last.map(|last| last.wrapping_add(HOLE));
        }
    }

    /// Goes on with another key frame.
    pub fn jump(&mut self, first: u64) {
        (self.next, self.frames, self.frame) = (first, 0, None);
    }

    /// The timestamp for a frame that is not the newest: what a live frame leaving now would have, less one interval.
    /// `newest` is the newest frame's and `age` the ticks since it came; `after` frames follow this one.
    pub fn stamp(&self, newest: u32, age: u32, interval: u32, after: u32) -> u32 {
        /// For holes, and for frames that are not counted, because only late packets of them came.
        const SLACK: i64 = 256;
        let ahead = (i64::from(age) - i64::from(interval)).min(-i64::from(after) - SLACK);
        let stamp = newest.wrapping_add(ahead as u32);
        match self.last {
            Some(last) if (stamp.wrapping_sub(last) as i32) <= 0 => last.wrapping_add(1),
            _ => stamp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_follow_the_clock_and_never_reach_the_newest() {
        let mut replay = Replay::new(Instant::now(), Source::default(), 1, None);
        let mut last = 0_u32;
        for step in 0..100_u32 {
            let stamp = replay.stamp(1_000_000, step * 180, 3000, 100 - step);
            assert!(stamp > last && stamp < 1_000_000, "{step}: {stamp}");
            if step * 180 < 2600 {
                assert_eq!(stamp, 1_000_000 - 3000 + step * 180);
            }
            (last, replay.last) = (stamp, Some(stamp));
        }
    }

    #[test]
    fn pace_is_kept_and_a_long_pause_is_not_made_up_for() {
        let start = Instant::now();
        let mut replay = Replay::new(start, Source::default(), 1, None);
        let mut sent = 0;
        for step in 0..500 {
            replay.earn(start + Duration::from_millis(2 * step), 300_000);
            while replay.has_credit() {
                replay.pay(1200);
                sent += 1200;
            }
        }
        assert!((295_000..=315_000).contains(&sent), "{sent}");
        assert_eq!(replay.earn(start + Duration::from_secs(9), 600_000), 320);
        assert!(replay.has_credit());
        replay.pay(12_000);
        assert!(!replay.has_credit(), "20 ms of it");
    }
}
