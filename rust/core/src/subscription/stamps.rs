//! The timestamps that replays left with: a number must never leave with another one.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

/// After a replay its timestamps are remembered as long as its packets, and then some.
const MAX_AGE: Duration = Duration::from_secs(10);
/// Replays that are remembered.
const MAX_REPLAYS: usize = 4;

/// The timestamps of a subscription's newest replays, by the viewer's sequence numbers.
#[derive(Debug, Default)]
pub struct Stamps {
    replays: VecDeque<Replay>,
    /// Before this number of the viewer's there were replays that are forgotten.
    forgotten: u64,
}

#[derive(Debug)]
struct Replay {
    /// The viewer's numbers that it covers.
    out: Range<u64>,
    newest: Instant,
    /// Source timestamp, and what was added to it.
    frames: Vec<(u32, u32)>,
}

impl Stamps {
    /// Begins a replay with the viewer's number `out`.
    pub fn begin(&mut self, out: u64, arrival: Instant) {
        if self.replays.len() == MAX_REPLAYS {
            self.forget();
        }
        self.replays.push_back(Replay { out: out..out, newest: arrival, frames: Vec::new() });
    }

    /// The packet that is replayed next leaves as `out`, with `offset` added to its timestamp.
    pub fn note(&mut self, now: Instant, out: u64, timestamp: u32, offset: u32) {
        let Some(replay) = self.replays.back_mut() else { return };
        (replay.newest, replay.out.end) = (now, out + 1);
        if replay.frames.last().is_none_or(|&(newest, _)| newest != timestamp) {
            replay.frames.push((timestamp, offset));
        }
    }

    /// What is missing before `out` belongs to the newest replay.
    pub fn end(&mut self, out: u64) {
        if let Some(replay) = self.replays.back_mut() {
            replay.out.end = replay.out.end.max(out);
        }
    }

    /// What was added to the timestamp of a packet; `live` where it was not part of a replay. None if its frame was not
    /// sent, or is forgotten.
    pub fn offset(&self, out: u64, timestamp: u32, live: u32) -> Option<u32> {
        if out < self.forgotten {
            return None;
        }
        let Some(replay) = self.replays.iter().find(|replay| replay.out.contains(&out)) else { return Some(live) };
        replay.frames.iter().find(|(source, _)| *source == timestamp).map(|&(_, offset)| offset)
    }

    /// As `offset`, for a packet that has not been sent. If it is of a frame that a replay has passed over because none of
    /// it was there, that comes right after the frame before it.
    pub fn offset_late(&mut self, out: u64, timestamp: u32, live: u32) -> Option<u32> {
        let known = self.offset(out, timestamp, live);
        if known.is_some() {
            return known;
        }
        let replay = self.replays.iter_mut().find(|replay| replay.out.contains(&out) && out >= self.forgotten)?;
        let index = replay.frames.partition_point(|(source, _)| (source.wrapping_sub(timestamp) as i32) < 0);
        let (before, offset) = *replay.frames.get(index.checked_sub(1)?)?;
        let stamp = before.wrapping_add(offset).wrapping_add(1);
        if replay.frames.get(index).is_some_and(|&(after, offset)| after.wrapping_add(offset) == stamp) {
            return None;
        }
        let offset = stamp.wrapping_sub(timestamp);
        replay.frames.insert(index, (timestamp, offset));
        Some(offset)
    }

    /// Frees what nobody asks for any more.
    pub fn forget_old(&mut self, now: Instant) {
        let old = |replay: &Replay| now.saturating_duration_since(replay.newest) > MAX_AGE;
        while self.replays.front().is_some_and(old) {
            self.forget();
        }
    }

    fn forget(&mut self) {
        if let Some(replay) = self.replays.pop_front() {
            self.forgotten = replay.out.end;
        }
    }
}
