//! When which object wants to be asked next.
//!
//! An object notes for itself when it is scheduled; a heap entry that does not agree with that note is stale and is
//! dropped when it surfaces. Moving a deadline forward is one push, moving it back costs nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Something with a deadline, by its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Checks, reports and feedback of a transport.
    Transport(usize),
    /// Key frame requests and silence of a track.
    Track(usize),
}

/// The note that an object keeps: when it is scheduled.
pub type Scheduled = Option<Instant>;

/// All deadlines of a worker.
#[derive(Debug, Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Timer)>>,
}

impl Timers {
    /// Asks for a call at `at` or earlier.
    pub fn schedule(&mut self, note: &mut Scheduled, timer: Timer, at: Instant) {
        if note.is_none_or(|scheduled| at < scheduled) {
            *note = Some(at);
            self.heap.push(Reverse((at, timer)));
        }
    }

    /// The earliest entry, which may be stale.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes an entry that is due. The caller compares the time with the object's note.
    pub fn pop(&mut self, now: Instant) -> Option<(Instant, Timer)> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Number of entries, stale ones included.
    pub fn len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_earliest_comes_first_and_later_wishes_are_ignored() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut timers = Timers::default();
        let (mut first, mut second) = (None, None);
        timers.schedule(&mut first, Timer::Transport(1), at(20));
        timers.schedule(&mut first, Timer::Transport(1), at(30));
        timers.schedule(&mut second, Timer::Track(2), at(25));
        timers.schedule(&mut first, Timer::Transport(1), at(10));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.pop(at(5)), None);
        assert_eq!(timers.pop(at(50)), Some((at(10), Timer::Transport(1))));
        let (stale, _) = timers.pop(at(50)).unwrap();
        assert_ne!(Some(stale), first);
        assert_eq!(timers.pop(at(50)), Some((at(25), Timer::Track(2))));
        assert_eq!(timers.len(), 0);
    }
}
