//! Packets put in order. One that is missing is waited for, since a NACK may bring it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, Instant};

use crate::egress::burst::Packet;

/// Packets and bytes of one encoding that wait; beyond, what they wait for is given up: a second of 25 Mbit/s.
const MAX_PACKETS: usize = 4096;
const MAX_BYTES: usize = 4 << 20;

/// What comes out, in order.
#[derive(Debug)]
pub enum Ordered<'a> {
    /// The next packet.
    Packet(&'a Packet, &'a [u8]),
    /// So many packets before the next one are given up.
    Lost(u64),
}

/// The packets of one encoding and generation, by extended sequence number.
#[derive(Debug, Default)]
pub struct Reorder {
    /// The number that is due; `None` before the first packet.
    next: Option<u64>,
    held: BTreeMap<u64, (Packet, Box<[u8]>)>,
    bytes: usize,
    /// Since when `next` is missing.
    since: Option<Instant>,
}

impl Reorder {
    /// Takes a packet and gives what is in order now. `patience` is how long a missing one is waited for.
    pub fn insert(&mut self, packet: &Packet, payload: &[u8], patience: Duration, out: &mut dyn FnMut(Ordered<'_>)) {
        let next = *self.next.get_or_insert(packet.sequence);
        if packet.sequence < next {
            return;
        }
        if packet.sequence == next {
            out(Ordered::Packet(packet, payload));
            self.next = Some(next + 1);
            self.release(out);
        } else if let Entry::Vacant(free) = self.held.entry(packet.sequence) {
            free.insert((*packet, payload.into()));
            self.bytes += payload.len();
            self.since.get_or_insert(packet.arrival);
        }
        while self.held.len() > MAX_PACKETS || self.bytes > MAX_BYTES {
            self.skip(out);
        }
        self.give_up(packet.arrival, patience, out);
    }

    /// Gives up what was waited for too long.
    pub fn give_up(&mut self, now: Instant, patience: Duration, out: &mut dyn FnMut(Ordered<'_>)) {
        while self.since.is_some_and(|since| since + patience <= now) {
            self.skip(out);
        }
    }

    /// Gives up everything that is missing: nothing will come any more.
    pub fn finish(&mut self, out: &mut dyn FnMut(Ordered<'_>)) {
        while !self.held.is_empty() {
            self.skip(out);
        }
    }

    /// When `give_up` has something to do.
    pub fn deadline(&self, patience: Duration) -> Option<Instant> {
        self.since.map(|since| since + patience)
    }

    /// Packets that wait.
    pub fn waiting(&self) -> usize {
        self.held.len()
    }

    fn skip(&mut self, out: &mut dyn FnMut(Ordered<'_>)) {
        if let (Some(next), Some((&first, _))) = (self.next, self.held.first_key_value()) {
            out(Ordered::Lost(first - next));
            self.next = Some(first);
        }
        self.release(out);
    }

    /// Gives the held packets that follow without a gap.
    fn release(&mut self, out: &mut dyn FnMut(Ordered<'_>)) {
        if self.since.is_none() {
            return;
        }
        while let (Some(next), Some(entry)) = (self.next, self.held.first_entry())
            && *entry.key() == next
        {
            let (packet, payload) = entry.remove();
            self.bytes -= payload.len();
            out(Ordered::Packet(&packet, &payload));
            self.next = Some(next + 1);
        }
        self.since = self.held.values().map(|(packet, _)| packet.arrival).min();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::burst::{COPIED, Element, LayerTag, Source};

    const PATIENCE: Duration = Duration::from_millis(500);

    fn packet(sequence: u64, arrival: Instant) -> Packet {
        Packet {
            start: 0,
            header_len: 12,
            payload_len: 1,
            source: Source::default(),
            payload_type: 96,
            marker: false,
            key_frame: false,
            late_key_frame: false,
            sequence,
            timestamp: 0,
            arrival,
            elements: [Element::NONE; COPIED.len()],
            pictures: None,
            dependency_frame: None,
            layers: LayerTag::NONE,
        }
    }

    /// Numbers in order; a loss of n packets is -n.
    struct Sink(Vec<i64>);

    impl Sink {
        fn out(&mut self) -> impl FnMut(Ordered<'_>) {
            |ordered| match ordered {
                Ordered::Packet(packet, _) => self.0.push(packet.sequence.cast_signed()),
                Ordered::Lost(count) => self.0.push(-count.cast_signed()),
            }
        }

        fn insert(&mut self, reorder: &mut Reorder, sequences: &[u64], now: Instant) -> Vec<i64> {
            for &sequence in sequences {
                reorder.insert(&packet(sequence, now), &[0; 1000], PATIENCE, &mut self.out());
            }
            std::mem::take(&mut self.0)
        }
    }

    #[test]
    fn what_is_late_is_waited_for() {
        let start = Instant::now();
        let (mut reorder, mut sink) = (Reorder::default(), Sink(Vec::new()));
        assert_eq!(sink.insert(&mut reorder, &[10, 12, 13, 12, 10, 9], start), [10]);
        assert_eq!((reorder.waiting(), reorder.deadline(PATIENCE)), (2, Some(start + PATIENCE)));
        assert_eq!(sink.insert(&mut reorder, &[11, 14], start), [11, 12, 13, 14]);
        assert_eq!((reorder.waiting(), reorder.bytes, reorder.deadline(PATIENCE)), (0, 0, None));
    }

    #[test]
    fn patience_ends_for_each_gap_by_itself() {
        let start = Instant::now();
        let (mut reorder, mut sink) = (Reorder::default(), Sink(Vec::new()));
        sink.insert(&mut reorder, &[10, 13], start);
        let later = start + PATIENCE / 2;
        assert_eq!(sink.insert(&mut reorder, &[16], later), []);
        assert_eq!(sink.insert(&mut reorder, &[17], start + PATIENCE), [-2, 13]);
        assert_eq!(reorder.deadline(PATIENCE), Some(later + PATIENCE));
        reorder.give_up(later + PATIENCE, PATIENCE, &mut sink.out());
        assert_eq!(sink.0, [-2, 16, 17]);
        assert_eq!(reorder.deadline(PATIENCE), None);
    }

    #[test]
    fn memory_is_bounded_and_the_end_gives_all() {
        let start = Instant::now();
        let (mut reorder, mut sink) = (Reorder::default(), Sink(Vec::new()));
        sink.insert(&mut reorder, &[1], start);
        for index in 0..MAX_PACKETS as u64 {
            assert_eq!(sink.insert(&mut reorder, &[3 + 2 * index], start), []);
        }
        assert_eq!(sink.insert(&mut reorder, &[1_000_000], start), [-1, 3]);
        assert_eq!(reorder.waiting(), MAX_PACKETS);
        reorder.finish(&mut sink.out());
        assert_eq!((reorder.waiting(), reorder.bytes, sink.0.len()), (0, 0, 2 * MAX_PACKETS));
    }
}
