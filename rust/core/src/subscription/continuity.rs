//! How the numbers of ever changing sources become the one continuous numbering that a viewer sees.
//!
//! A *segment* is a stretch of one source that leaves with constant offsets: `out = in + offset`. A padding-only packet
//! that is not forwarded ends a segment and begins one whose offset is smaller by one; a layer switch or a new
//! publisher begins one with all offsets new. Ended segments are kept for a while, because late packets and NACKs
//! refer to them. No two source packets ever get the same number: under AES-GCM that would be fatal.

use std::collections::VecDeque;
use std::time::Instant;

use super::stamps::Stamps;
use crate::egress::burst::{Packet, PictureNumbers, Source};
use crate::track::scalability::Filter;

/// Ended segments that are remembered: two seconds of a viewer who gets a part of each picture. Chromium probes with dozens
/// of padding packets, which merge into one segment.
const MAX_PAST: usize = 128;

/// A stretch of one source with constant offsets, all of them wrapping in the width of their field.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Where the packets come from.
    pub source: Source,
    /// First source sequence number.
    pub first: u64,
    /// One past the last source sequence number, `u64::MAX` while the segment is open.
    pub end: u64,
    /// Added to the source's sequence number.
    pub sequence_offset: u64,
    /// Added to the RTP timestamp.
    pub timestamp_offset: u32,
    /// Added to the picture id of VP8 or VP9.
    pub picture_id_offset: u16,
    /// Added to TL0PICIDX of VP8 or VP9.
    pub tl0_offset: u8,
    /// Added to the frame number of the dependency descriptor.
    pub frame_offset: u16,
    /// The layers that pass.
    pub filter: Filter,
    /// The first packet that did since they have changed; `u64::MAX` while there is none, 0 since the source began.
    pub filter_from: u64,
}

impl Segment {
    fn covers(&self, source: Source, sequence: u64) -> bool {
        self.source == source && (self.first..self.end).contains(&sequence)
    }

    /// The viewer's number of a source sequence number.
    pub fn out(&self, sequence: u64) -> u64 {
        sequence.wrapping_add(self.sequence_offset)
    }
}

/// The numbering of one subscription.
#[derive(Debug)]
pub struct Continuity {
    current: Option<Segment>,
    /// Source and timestamp offset of the newest segment, ended or not.
    last: Option<(Source, u32)>,
    /// Newest source sequence number of the current segment's source that was sent or skipped.
    highest: u64,
    next_out: u64,
    past: VecDeque<Segment>,
    newest: Option<Newest>,
    /// The layers that a new segment lets pass.
    filter: Filter,
    /// Newest picture that was left out, and whose number the next one gets.
    closed: Option<u16>,
    stamps: Stamps,
}

/// The newest packet sent, in the viewer's numbers.
#[derive(Clone, Copy, Debug)]
struct Newest {
    timestamp: u32,
    arrival: Instant,
    pictures: Option<(u16, u8)>,
    frame: Option<u16>,
}

impl Continuity {
    /// `first` is the sequence number of the first packet; keep it below 2^15 so that no receiver guesses a rollover.
    pub fn new(first: u16) -> Continuity {
        Continuity {
            current: None,
            last: None,
            highest: 0,
            next_out: u64::from(first),
            past: VecDeque::new(),
            newest: None,
            filter: Filter::ALL,
            closed: None,
            stamps: Stamps::default(),
        }
    }

    /// What flows now.
    pub fn source(&self) -> Option<Source> {
        self.current.map(|segment| segment.source)
    }

    /// What flows now or flowed last, and the offset from its timestamps to the viewer's.
    pub fn last(&self) -> Option<(Source, u32)> {
        self.last
    }

    /// The number that the next new packet gets.
    pub fn next_out(&self) -> u64 {
        self.next_out
    }

    /// Number of remembered segments, for `dump`.
    pub fn past_len(&self) -> usize {
        self.past.len()
    }

    /// The viewer's timestamp for a source that goes on at `arrival`, by elapsed time. None before the first packet.
    pub fn timestamp_at(&self, arrival: Instant, clock_rate: u32) -> Option<u32> {
        let newest = self.newest?;
        let elapsed = arrival.saturating_duration_since(newest.arrival).as_micros() as u64;
        let ticks = elapsed.wrapping_mul(u64::from(clock_rate)) / 1_000_000;
        Some(newest.timestamp.wrapping_add(ticks as u32))
    }

    /// Begins a segment with this packet. `timestamp` is what the viewer should see on it; it is moved past the newest
    /// one sent if it is not later.
    pub fn start(&mut self, packet: &Packet, timestamp: u32) {
        self.stop();
        let mut segment = Segment {
            source: packet.source,
            first: packet.sequence,
            end: u64::MAX,
            sequence_offset: self.next_out.wrapping_sub(packet.sequence),
            timestamp_offset: 0,
            picture_id_offset: 0,
            tl0_offset: 0,
            frame_offset: 0,
            filter: self.filter,
            filter_from: 0,
        };
        let mut timestamp = timestamp;
        if let Some(newest) = &self.newest {
            if (timestamp.wrapping_sub(newest.timestamp) as i32) <= 0 {
                timestamp = newest.timestamp.wrapping_add(1);
            }
            if let (Some((picture_id, tl0)), Some(new)) = (newest.pictures, &packet.pictures) {
                segment.picture_id_offset = picture_id.wrapping_add(1).wrapping_sub(new.picture_id);
                segment.tl0_offset = tl0.wrapping_add(1).wrapping_sub(new.tl0);
            }
            if let (Some(frame), Some(new)) = (newest.frame, packet.dependency_frame) {
                segment.frame_offset = frame.wrapping_add(1).wrapping_sub(new);
            }
        }
        self.closed = None;
        segment.timestamp_offset = timestamp.wrapping_sub(packet.timestamp);
        self.highest = packet.sequence.wrapping_sub(1);
        self.last = Some((segment.source, segment.timestamp_offset));
        self.current = Some(segment);
    }

    /// Begins a segment whose first frames are of the past. The frame at the live edge has `edge` at the source and `live`
    /// at the viewer, at least `frames` ticks after what was sent last; the frames before it get theirs by `replay`.
    pub fn begin_replay(&mut self, first: &Packet, edge: u32, live: u32, frames: u32) {
        /// For frames that may still come before this viewer has caught up, without moving the edge, and for holes.
        const ROOM: u32 = 128 + 256;
        let last = self.newest.map(|newest| newest.timestamp);
        self.start(first, live);
        let room = frames + ROOM;
        let live = match last {
            Some(last) if (live.wrapping_sub(last) as i32) < room as i32 => last.wrapping_add(room),
            _ => live,
        };
        if let Some(segment) = &mut self.current {
            segment.timestamp_offset = live.wrapping_sub(edge);
            self.last = Some((segment.source, segment.timestamp_offset));
        }
        self.stamps.begin(self.next_out, first.arrival);
    }

    /// Passes a packet of the past in its order. `stamp` is the timestamp to send, before the viewer's offset.
    pub fn replay(&mut self, now: Instant, packet: &Packet, stamp: u32) -> Option<Segment> {
        let segment = self.current.filter(|segment| segment.source == packet.source)?;
        let out = segment.out(packet.sequence);
        let timestamp_offset = stamp.wrapping_add(segment.timestamp_offset).wrapping_sub(packet.timestamp);
        self.stamps.note(now, out, packet.timestamp, timestamp_offset);
        let segment = Segment { timestamp_offset, ..segment };
        self.highest = packet.sequence;
        self.next_out = out + 1;
        self.newest = Some(Newest {
            timestamp: packet.timestamp.wrapping_add(timestamp_offset),
            arrival: now,
            pictures: packet.pictures.as_ref().map(|pictures| rewritten(pictures, &segment)),
            frame: packet.dependency_frame.map(|frame| frame.wrapping_add(segment.frame_offset)),
        });
        Some(segment)
    }

    /// The viewer is at the live edge: what is missing before the packet `edge` belongs to the replay.
    pub fn end_replay(&mut self, edge: u64) {
        if let Some(segment) = &self.current {
            self.stamps.end(segment.out(edge));
        }
    }

    /// The segment with the timestamp offset that a packet has or had, which is another for a frame that was replayed.
    /// None if that frame was not sent, or is forgotten: a number must never leave with another timestamp.
    pub fn stamped(&self, segment: Segment, packet: &Packet) -> Option<Segment> {
        let timestamp_offset =
            self.stamps.offset(segment.out(packet.sequence), packet.timestamp, segment.timestamp_offset)?;
        Some(Segment { timestamp_offset, ..segment })
    }

    /// The newest timestamp sent, in the numbers of what flows now.
    pub fn newest_in_source(&self) -> Option<u32> {
        Some(self.newest?.timestamp.wrapping_sub(self.current?.timestamp_offset))
    }

    /// Frees what nobody asks for any more.
    pub fn forget_replays(&mut self, now: Instant) {
        self.stamps.forget_old(now);
    }

    /// Ends the current segment: what flows next begins with `start`.
    pub fn stop(&mut self) {
        if let Some(mut segment) = self.current.take() {
            segment.end = self.highest.wrapping_add(1);
            self.remember(segment);
        }
    }

    /// Forgets where numbers came from (another track follows); the numbering itself goes on.
    pub fn forget(&mut self) {
        self.current = None;
        self.last = None;
        self.past.clear();
    }

    /// The segment by which to forward a packet, or None if it is not part of what the viewer gets.
    #[inline]
    pub fn pass(&mut self, packet: &Packet) -> Option<Segment> {
        if let Some(segment) = &mut self.current
            && segment.source == packet.source
            && packet.sequence >= segment.first
        {
            if packet.sequence.wrapping_sub(self.highest) as i64 > 0 {
                segment.filter_from = segment.filter_from.min(packet.sequence);
                self.highest = packet.sequence;
                self.next_out = segment.out(packet.sequence) + 1;
                self.newest = Some(Newest {
                    timestamp: packet.timestamp.wrapping_add(segment.timestamp_offset),
                    arrival: packet.arrival,
                    pictures: packet.pictures.as_ref().map(|pictures| rewritten(pictures, segment)),
                    frame: packet.dependency_frame.map(|frame| frame.wrapping_add(segment.frame_offset)),
                });
                return Some(*segment);
            }
            let segment = *segment;
            return self.pass_late(segment, packet);
        }
        let segment = *self.past.iter().rev().find(|segment| segment.covers(packet.source, packet.sequence))?;
        self.pass_late(segment, packet)
    }

    /// What came behind this packet may all have been left out: then it is the newest that was sent.
    fn pass_late(&mut self, segment: Segment, packet: &Packet) -> Option<Segment> {
        let segment = self.late(segment, packet)?;
        let timestamp = packet.timestamp.wrapping_add(segment.timestamp_offset);
        if self.newest.is_none_or(|newest| (timestamp.wrapping_sub(newest.timestamp) as i32) > 0) {
            self.newest = Some(Newest {
                timestamp,
                arrival: packet.arrival,
                pictures: packet.pictures.as_ref().map(|pictures| rewritten(pictures, &segment)),
                frame: packet.dependency_frame.map(|frame| frame.wrapping_add(segment.frame_offset)),
            });
        }
        Some(segment)
    }

    /// As `stamped`, for a packet that has not been sent. If it is of a frame that a replay has passed over because none of
    /// it was there, that comes right after the frame before it.
    fn late(&mut self, segment: Segment, packet: &Packet) -> Option<Segment> {
        let out = segment.out(packet.sequence);
        let timestamp_offset = self.stamps.offset_late(out, packet.timestamp, segment.timestamp_offset)?;
        Some(Segment { timestamp_offset, ..segment })
    }

    /// Takes a packet that the viewer need not get. Returns true if its number was closed up; false if later numbers
    /// have been given out already, so that it must be sent after all (empty) to leave no gap.
    pub fn skip(&mut self, packet: &Packet) -> bool {
        let Some(mut segment) = self.current else { return true };
        if segment.source != packet.source {
            return !self.past.iter().any(|segment| segment.covers(packet.source, packet.sequence));
        }
        if packet.sequence.wrapping_sub(self.highest) as i64 <= 0 {
            return packet.sequence < segment.first
                && !self.past.iter().any(|segment| segment.covers(packet.source, packet.sequence));
        }
        if segment.first < packet.sequence {
            self.remember(Segment { end: packet.sequence, ..segment });
        }
        segment.first = packet.sequence + 1;
        segment.sequence_offset = segment.sequence_offset.wrapping_sub(1);
        self.highest = packet.sequence;
        self.next_out = segment.out(segment.first);
        self.current = Some(segment);
        true
    }

    /// Whether a packet of what flows is newer than all before.
    #[inline]
    pub fn is_new(&self, packet: &Packet) -> bool {
        self.current.is_some_and(|segment| {
            segment.source == packet.source
                && packet.sequence >= segment.first
                && packet.sequence.wrapping_sub(self.highest) as i64 > 0
        })
    }

    /// Whether nothing is missing between the newest packet and this one.
    pub fn is_next(&self, packet: &Packet) -> bool {
        packet.sequence == self.highest.wrapping_add(1)
    }

    /// The layers that pass of the source that begins next.
    pub fn set_filter(&mut self, filter: Filter) {
        self.filter = filter;
    }

    /// From this new packet on other layers pass.
    pub fn refilter(&mut self, packet: &Packet, filter: Filter) {
        self.filter = filter;
        let Some(mut segment) = self.current else { return };
        self.remember(Segment { end: packet.sequence, ..segment });
        (segment.first, segment.filter, segment.filter_from) = (packet.sequence, filter, u64::MAX);
        self.current = Some(segment);
    }

    /// Takes a new packet of a layer that does not pass: its number goes to the next one. So does the picture id of VP8,
    /// which has no gaps (RFC 7741 section 4.2); that of VP9 is what references are counted in (RFC 9628 section 4.2, P_DIFF).
    pub fn leave_out(&mut self, packet: &Packet) {
        self.skip(packet);
        let Some(pictures) = packet.pictures.filter(|pictures| pictures.dense) else { return };
        if let Some(segment) = &mut self.current
            && self.closed != Some(pictures.picture_id)
        {
            self.closed = Some(pictures.picture_id);
            segment.picture_id_offset = segment.picture_id_offset.wrapping_sub(1);
        }
    }

    /// Where an already sent number came from: the segment and the source's sequence number.
    pub fn source_of(&self, out: u16) -> Option<(Segment, u64)> {
        let newest = self.next_out.checked_sub(1)?;
        let out = newest.checked_sub(u64::from((newest as u16).wrapping_sub(out)))?;
        self.current.iter().chain(self.past.iter().rev()).find_map(|segment| {
            let sequence = out.wrapping_sub(segment.sequence_offset);
            (segment.first..segment.end).contains(&sequence).then_some((*segment, sequence))
        })
    }

    fn remember(&mut self, segment: Segment) {
        if segment.first >= segment.end {
            return;
        }
        if self.past.len() == MAX_PAST {
            self.past.pop_front();
        }
        self.past.push_back(segment);
    }
}

/// Picture id and TL0PICIDX as the viewer sees them.
pub fn rewritten(pictures: &PictureNumbers, segment: &Segment) -> (u16, u8) {
    let mask = if pictures.long_picture_id { 0x7fff } else { 0x7f };
    (pictures.picture_id.wrapping_add(segment.picture_id_offset) & mask, pictures.tl0.wrapping_add(segment.tl0_offset))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::time::Duration;

    use super::*;
    use crate::egress::burst::{COPIED, Element, LayerTag};

    fn packet(now: Instant, encoding: u8, sequence: u64, payload_len: u16) -> Packet {
        Packet {
            start: 0,
            header_len: 12,
            payload_len,
            source: Source { encoding, generation: 0 },
            payload_type: 96,
            marker: false,
            key_frame: false,
            late_key_frame: false,
            sequence,
            timestamp: (sequence * 3000) as u32,
            arrival: now,
            elements: [Element::NONE; COPIED.len()],
            pictures: None,
            dependency_frame: None,
            layers: LayerTag::NONE,
        }
    }

    /// Forwards like a subscription does; returns the viewer's number.
    fn offer(continuity: &mut Continuity, packet: &Packet) -> Option<u64> {
        if packet.payload_len == 0 && continuity.skip(packet) {
            return None;
        }
        continuity.pass(packet).map(|segment| segment.out(packet.sequence))
    }

    #[test]
    fn padding_only_packets_leave_no_gap() {
        let now = Instant::now();
        let mut continuity = Continuity::new(100);
        continuity.start(&packet(now, 0, 10, 1), 0);
        let sizes = [1, 1, 0, 0, 0, 1, 0, 1];
        let out: Vec<_> = (10..)
            .zip(sizes)
            .filter_map(|(sequence, size)| offer(&mut continuity, &packet(now, 0, sequence, size)))
            .collect();
        assert_eq!(out, [100, 101, 102, 103]);
        assert_eq!(continuity.past_len(), 2);
        assert_eq!(continuity.next_out(), 104);
    }

    #[test]
    fn late_packets_find_the_number_that_was_left_for_them() {
        let now = Instant::now();
        let mut continuity = Continuity::new(100);
        continuity.start(&packet(now, 0, 10, 1), 0);
        assert_eq!(offer(&mut continuity, &packet(now, 0, 10, 1)), Some(100));
        assert_eq!(offer(&mut continuity, &packet(now, 0, 12, 0)), None);
        assert_eq!(offer(&mut continuity, &packet(now, 0, 14, 1)), Some(103));
        assert_eq!(offer(&mut continuity, &packet(now, 0, 11, 1)), Some(101), "before the offset change");
        assert_eq!(offer(&mut continuity, &packet(now, 0, 13, 1)), Some(102), "after the offset change");
        assert_eq!(offer(&mut continuity, &packet(now, 0, 9, 1)), None, "before the start");
    }

    #[test]
    fn a_late_padding_packet_fills_its_number() {
        let now = Instant::now();
        let mut continuity = Continuity::new(100);
        continuity.start(&packet(now, 0, 10, 1), 0);
        offer(&mut continuity, &packet(now, 0, 10, 1));
        assert_eq!(offer(&mut continuity, &packet(now, 0, 12, 1)), Some(102));
        assert_eq!(offer(&mut continuity, &packet(now, 0, 11, 0)), Some(101));
    }

    #[test]
    fn nacks_map_back_across_offset_changes_and_switches() {
        let now = Instant::now();
        let mut continuity = Continuity::new(100);
        continuity.start(&packet(now, 0, 10, 1), 0);
        for (sequence, size) in [(10, 1), (11, 0), (12, 1)] {
            offer(&mut continuity, &packet(now, 0, sequence, size));
        }
        continuity.start(&packet(now, 1, 7000, 1), 9);
        offer(&mut continuity, &packet(now, 1, 7000, 1));
        let found = |out| continuity.source_of(out).map(|(segment, sequence)| (segment.source.encoding, sequence));
        assert_eq!(found(100), Some((0, 10)));
        assert_eq!(found(101), Some((0, 12)));
        assert_eq!(found(102), Some((1, 7000)));
        assert_eq!(found(103), None);
        assert_eq!(found(99), None);
    }

    #[test]
    fn timestamps_go_on_by_elapsed_time_and_never_back() {
        let now = Instant::now();
        let mut continuity = Continuity::new(0);
        assert_eq!(continuity.timestamp_at(now, 90_000), None);
        continuity.start(&packet(now, 0, 10, 1), 30_000);
        continuity.pass(&packet(now, 0, 10, 1));
        let later = now + Duration::from_millis(100);
        assert_eq!(continuity.timestamp_at(later, 90_000), Some(39_000));
        continuity.start(&packet(later, 1, 5, 1), 29_000);
        assert_eq!(continuity.pass(&packet(later, 1, 5, 1)).unwrap().timestamp_offset, 30_001 - 15_000);
    }

    #[test]
    fn picture_numbers_continue() {
        let now = Instant::now();
        let pictures = |picture_id, tl0| {
            Some(PictureNumbers {
                picture_id_offset: 2,
                long_picture_id: true,
                picture_id,
                tl0_offset: 4,
                tl0,
                dense: false,
            })
        };
        let mut continuity = Continuity::new(0);
        let first = Packet { pictures: pictures(0x7fff, 255), ..packet(now, 0, 1, 1) };
        continuity.start(&first, 0);
        continuity.pass(&first);
        let second = Packet { pictures: pictures(77, 3), ..packet(now, 1, 1, 1) };
        continuity.start(&second, 1);
        let segment = continuity.pass(&second).unwrap();
        assert_eq!(rewritten(&second.pictures.unwrap(), &segment), (0, 0));
    }

    proptest! {
        /// Whatever comes in whatever order: a number is given once, and NACKs find the packet that had it.
        #[test]
        fn numbers_are_unique_and_map_back(
            steps in proptest::collection::vec((0u8..3, 0u64..6, prop::bool::weighted(0.3), prop::bool::weighted(0.05)), 1..300)
        ) {
            let now = Instant::now();
            let mut continuity = Continuity::new(500);
            let mut heads = [1000u64, 66_000, 131_000];
            let mut given: HashMap<u64, (u8, u64)> = HashMap::new();
            let mut seen = std::collections::HashSet::new();
            for (encoding, back, padding, switch) in steps {
                let head = &mut heads[usize::from(encoding)];
                *head += 2;
                let sequence = *head - back;
                if !seen.insert((encoding, sequence)) {
                    continue;
                }
                let packet = packet(now, encoding, sequence, u16::from(!padding));
                if !padding && (switch || continuity.source().is_none()) {
                    continuity.start(&packet, 0);
                }
                if let Some(out) = offer(&mut continuity, &packet) {
                    prop_assert!(given.insert(out, (encoding, sequence)).is_none(), "{out} given twice");
                    let (segment, found) = continuity.source_of(out as u16).expect("just sent");
                    prop_assert_eq!((segment.source.encoding, found), (encoding, sequence));
                }
            }
        }
    }
}
