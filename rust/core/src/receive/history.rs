//! Recent packets of one encoding, by sequence number, to answer NACKs from.

use std::time::{Duration, Instant};

/// Older packets are not worth sending again: the viewer has given up on their frame.
pub const MAX_AGE: Duration = Duration::from_secs(2);

/// A ring of packets with something remembered (`M`) about each. It grows up to its bound as numbers need it, and a slot
/// keeps its memory for the next packet.
#[derive(Debug)]
pub struct History<M> {
    slots: Vec<Slot<M>>,
    bound: usize,
    /// Packets from this number on do not grow old.
    kept_from: u64,
    /// Those from the first number on, up to `kept_from`, have aged since then only.
    released: Option<(u64, Instant)>,
}

#[derive(Debug)]
struct Slot<M> {
    entry: Option<(u64, Instant, M)>,
    bytes: Vec<u8>,
}

/// Slots at the start.
const INITIAL: usize = 64;
/// The memory of a slot grows in such steps, so that the next packet of about the size finds room in it.
const SLOT_STEP: usize = 256;

impl<M: Copy> History<M> {
    /// At most `bound` packets (rounded up to a power of two).
    pub fn new(bound: usize) -> History<M> {
        History {
            slots: Vec::new(),
            bound: bound.max(INITIAL).next_power_of_two(),
            kept_from: u64::MAX,
            released: None,
        }
    }

    /// Keeps a packet. A number that is kept already, or that is older than what its slot holds, changes nothing.
    pub fn insert(&mut self, now: Instant, sequence: u64, memo: M, packet: &[u8]) {
        if self.slots.is_empty() {
            self.resize(INITIAL);
        }
        let slot = self.slot(sequence);
        if let Some((known, at, _)) = self.slots[slot].entry {
            if known >= sequence {
                return;
            }
            // A packet that is still worth keeping would be pushed out: make room for a second of it.
            if self.age(now, known, at) < MAX_AGE && self.slots.len() < self.bound {
                self.resize(self.slots.len() * 2);
                return self.insert(now, sequence, memo, packet);
            }
        }
        let slot = &mut self.slots[slot];
        slot.entry = Some((sequence, now, memo));
        slot.bytes.clear();
        if slot.bytes.capacity() < packet.len() {
            slot.bytes.reserve_exact(packet.len().next_multiple_of(SLOT_STEP));
        }
        slot.bytes.extend_from_slice(packet);
    }

    /// From this packet on nothing grows old, however long ago it came; what was kept so before begins to.
    pub fn keep_from(&mut self, now: Instant, sequence: u64) {
        self.release(now);
        self.kept_from = sequence;
    }

    /// What was kept begins to grow old.
    pub fn release(&mut self, now: Instant) {
        if self.kept_from != u64::MAX {
            self.released = Some((self.kept_from, now));
            self.kept_from = u64::MAX;
        }
    }

    fn age(&self, now: Instant, sequence: u64, at: Instant) -> Duration {
        if sequence >= self.kept_from {
            return Duration::ZERO;
        }
        let since = match self.released {
            Some((from, released)) if sequence >= from => at.max(released),
            _ => at,
        };
        now.saturating_duration_since(since)
    }

    /// A packet of any age.
    pub fn peek(&self, sequence: u64) -> Option<(&M, &[u8])> {
        let slot = self.slots.get(self.slot(sequence))?;
        let (known, _, memo) = slot.entry.as_ref()?;
        (*known == sequence).then_some((memo, &slot.bytes[..]))
    }

    /// A packet that is at most [`MAX_AGE`] old.
    pub fn get(&self, now: Instant, sequence: u64) -> Option<(&M, &[u8])> {
        let slot = self.slots.get(self.slot(sequence))?;
        let (known, at, memo) = slot.entry.as_ref()?;
        (*known == sequence && self.age(now, sequence, *at) <= MAX_AGE).then_some((memo, &slot.bytes[..]))
    }

    /// Forgets all packets and keeps their memory.
    pub fn clear(&mut self) {
        for slot in &mut self.slots {
            slot.entry = None;
        }
        (self.kept_from, self.released) = (u64::MAX, None);
    }

    /// Bytes that the packets occupy, used or not.
    pub fn memory(&self) -> usize {
        self.slots.iter().map(|slot| slot.bytes.capacity() + size_of::<Slot<M>>()).sum()
    }

    fn slot(&self, sequence: u64) -> usize {
        sequence as usize & self.slots.len().wrapping_sub(1)
    }

    fn resize(&mut self, len: usize) {
        let old = std::mem::take(&mut self.slots);
        self.slots.resize_with(len, || Slot { entry: None, bytes: Vec::new() });
        for slot in old {
            if let Some((sequence, ..)) = slot.entry {
                let index = self.slot(sequence);
                self.slots[index] = slot;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_young_and_grows_for_it() {
        let start = Instant::now();
        let mut history = History::new(256);
        for sequence in 0..300u64 {
            history.insert(start, sequence, sequence * 2, &sequence.to_be_bytes());
        }
        assert!(history.get(start, 43).is_none());
        for sequence in 44..300 {
            assert_eq!(history.get(start, sequence), Some((&(sequence * 2), &sequence.to_be_bytes()[..])));
        }
        assert!(history.get(start + MAX_AGE + Duration::from_millis(1), 299).is_none());
        assert!(history.get(start, 300).is_none());
    }

    #[test]
    fn does_not_grow_for_slow_streams() {
        let start = Instant::now();
        let mut history = History::new(1024);
        for sequence in 0..1000u64 {
            history.insert(start + Duration::from_millis(50) * sequence as u32, sequence, (), &[0; 100]);
        }
        assert!(history.memory() < 2 * INITIAL * 300);
    }

    #[test]
    fn no_memory_is_taken_once_it_is_warm() {
        let mut now = Instant::now();
        let mut history = History::new(256);
        let mut warm = 0;
        for sequence in 0..2000u64 {
            now += Duration::from_millis(1);
            history.insert(now, sequence, (), &vec![7; 1100 + sequence as usize % 180]);
            if sequence == 600 {
                warm = history.memory();
            }
        }
        assert_eq!(history.memory(), warm);
        assert!(warm < 256 * 1400, "{warm}");
    }

    #[test]
    fn a_late_packet_does_not_push_out_a_newer_one() {
        let now = Instant::now();
        let mut history = History::new(64);
        history.insert(now, 100, 'n', b"new");
        history.insert(now, 36, 'o', b"old");
        history.insert(now, 100, 'x', b"again");
        assert_eq!(history.get(now, 100), Some((&'n', &b"new"[..])));
        history.clear();
        assert!(history.get(now, 100).is_none());
    }
}
