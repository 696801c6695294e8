//! When the pictures of an encoding became whole, as a decoder behind a jitter buffer would get them: which is when a
//! viewer saw the first one, and when the picture froze.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::egress::burst::Packet;
use crate::receive::nack::NackGenerator;

/// A freeze is a time without a new picture of at least so many usual ones ...
const FREEZE_INTERVALS: u32 = 3;
/// ... and of at least one usual one and this (freezeCount of W3C webrtc-stats).
const FREEZE: Duration = Duration::from_millis(150);
/// Intervals to know before what is usual.
const LEARNED: u32 = 5;
/// Weight of the newest interval in what is usual.
const WEIGHT: u32 = 16;
/// Pictures that wait for a missing packet; the oldest are not waited for beyond.
const MAX_WAITING: usize = 256;

/// What is known of the pictures of one encoding. Sequence numbers are extended ones.
#[derive(Debug, Default)]
pub struct FrameMeter {
    /// First packet behind the newest picture. None: only a key frame can be shown.
    next: Option<u64>,
    /// First packet and timestamp of the newest key frame.
    key: Option<(u64, u32)>,
    /// Last packet and timestamp of those that wait for a part.
    waiting: VecDeque<(u64, u32)>,
    shown: u64,
    freezes: u64,
    frozen: Duration,
    first_key_frame: Option<Instant>,
    newest: Option<Instant>,
    usual: Duration,
    learned: u32,
}

impl FrameMeter {
    /// Takes note of a packet that `nacks` has been told of. `begins` says that it is the first of a key frame.
    #[inline]
    pub fn note(&mut self, now: Instant, packet: &Packet, begins: bool, nacks: &NackGenerator) {
        if begins {
            self.note_key_frame(packet);
        }
        if packet.marker {
            self.wait(packet.sequence, packet.timestamp);
        }
        if !self.waiting.is_empty() {
            self.show(now, nacks);
        }
    }

    /// Pictures that were whole and could be decoded.
    pub fn shown(&self) -> u64 {
        self.shown
    }

    /// When the first key frame was whole.
    pub fn first_key_frame(&self) -> Option<Instant> {
        self.first_key_frame
    }

    /// How many times, and how long in all, the picture froze; with the freeze that lasts.
    pub fn freezes(&self, now: Instant) -> (u64, Duration) {
        match self.newest.map(|newest| now.saturating_duration_since(newest)) {
            Some(gap) if self.is_freeze(gap) => (self.freezes + 1, self.frozen + gap),
            _ => (self.freezes, self.frozen),
        }
    }

    /// The numbering begins anew; the picture stands until the next key frame.
    pub fn restart(&mut self) {
        (self.next, self.key) = (None, None);
        self.waiting.clear();
    }

    fn note_key_frame(&mut self, packet: &Packet) {
        self.key = match self.key {
            Some((first, timestamp)) if timestamp == packet.timestamp => Some((first.min(packet.sequence), timestamp)),
            Some((first, timestamp)) if first > packet.sequence => Some((first, timestamp)),
            _ => Some((packet.sequence, packet.timestamp)),
        };
    }

    fn wait(&mut self, last: u64, timestamp: u32) {
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
        }
        let place = self.waiting.partition_point(|&(other, _)| other < last);
        self.waiting.insert(place, (last, timestamp));
    }

    /// Shows what has become whole, in its order; a whole key frame ends the wait for what is before it.
    fn show(&mut self, now: Instant, nacks: &NackGenerator) {
        while let Some(&(last, timestamp)) = self.waiting.front() {
            if self.next.is_some_and(|next| last < next) {
                self.waiting.pop_front();
            } else if self.next.is_some_and(|next| nacks.has_all(next, last)) {
                self.waiting.pop_front();
                self.present(now, last, timestamp);
            } else {
                break;
            }
        }
        if let Some((first, timestamp)) = self.key
            && self.next.is_none_or(|next| first >= next)
            && let Some(place) = self.waiting.iter().position(|&(_, other)| other == timestamp)
            && nacks.has_all(first, self.waiting[place].0)
        {
            let (last, _) = self.waiting[place];
            self.waiting.drain(..=place);
            self.present(now, last, timestamp);
            self.show(now, nacks);
        }
    }

    fn present(&mut self, now: Instant, last: u64, timestamp: u32) {
        self.next = Some(last + 1);
        self.shown += 1;
        if self.first_key_frame.is_none() && self.key.is_some_and(|(_, key)| key == timestamp) {
            self.first_key_frame = Some(now);
        }
        let Some(gap) = self.newest.replace(now).map(|newest| now.saturating_duration_since(newest)) else { return };
        if self.is_freeze(gap) {
            self.freezes += 1;
            self.frozen += gap;
            return;
        }
        let weight = WEIGHT.min(self.learned + 1);
        self.usual = (self.usual * (weight - 1) + gap) / weight;
        self.learned = self.learned.saturating_add(1);
    }

    fn is_freeze(&self, gap: Duration) -> bool {
        self.learned >= LEARNED && gap >= (self.usual * FREEZE_INTERVALS).max(self.usual + FREEZE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::burst::{COPIED, Element, LayerTag, Source};

    /// Two packets a picture, 40 ms apart; the timestamp of a picture is its number.
    struct Scene {
        start: Instant,
        nacks: NackGenerator,
        meter: FrameMeter,
    }

    impl Scene {
        fn new() -> Scene {
            Scene { start: Instant::now(), nacks: NackGenerator::default(), meter: FrameMeter::default() }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn packet(&mut self, ms: u64, sequence: u64, key: bool) {
            let now = self.at(ms);
            let packet = Packet {
                start: 0,
                header_len: 12,
                payload_len: 100,
                source: Source { encoding: 0, generation: 0 },
                payload_type: 96,
                marker: sequence % 2 == 1,
                key_frame: key,
                late_key_frame: false,
                sequence,
                timestamp: (sequence / 2) as u32,
                arrival: now,
                elements: [Element::default(); COPIED.len()],
                pictures: None,
                dependency_frame: None,
                layers: LayerTag::NONE,
            };
            self.nacks.received(now, sequence);
            self.meter.note(now, &packet, key, &self.nacks);
        }

        fn picture(&mut self, ms: u64, number: u64, key: bool) {
            self.packet(ms, 2 * number, key);
            self.packet(ms, 2 * number + 1, false);
        }

        fn pictures(&mut self, numbers: std::ops::Range<u64>) {
            numbers.for_each(|number| self.picture(40 * number, number, number == 0));
        }

        fn freezes(&self, ms: u64) -> (u64, u64) {
            let (count, time) = self.meter.freezes(self.at(ms));
            (count, time.as_millis() as u64)
        }

        /// Nothing that is missing now is waited for any longer.
        fn give_up(&mut self) {
            let mut now = self.at(0);
            while let Some(due) = self.nacks.poll_timeout() {
                now = now.max(due);
                self.nacks.poll(now, None, &mut Vec::new());
            }
        }
    }

    #[test]
    fn nothing_is_shown_before_a_key_frame() {
        let mut scene = Scene::new();
        scene.picture(0, 10, false);
        scene.packet(40, 22, true);
        assert_eq!((scene.meter.shown(), scene.meter.first_key_frame()), (0, None));
        scene.packet(50, 23, false);
        assert_eq!((scene.meter.shown(), scene.meter.first_key_frame()), (1, Some(scene.at(50))));
        scene.picture(80, 12, true);
        assert_eq!((scene.meter.shown(), scene.meter.first_key_frame()), (2, Some(scene.at(50))));
    }

    #[test]
    fn a_steady_picture_does_not_freeze() {
        let mut scene = Scene::new();
        scene.pictures(0..100);
        scene.picture(40 * 99 + 180, 100, false);
        assert_eq!((scene.meter.shown(), scene.freezes(40 * 99 + 200)), (101, (0, 0)));
    }

    #[test]
    fn a_freeze_counts_while_it_lasts_and_once() {
        let mut scene = Scene::new();
        scene.pictures(0..10);
        assert_eq!(scene.freezes(360 + 189), (0, 0));
        assert_eq!(scene.freezes(360 + 190), (1, 190));
        scene.picture(360 + 300, 10, false);
        assert_eq!(scene.freezes(360 + 310), (1, 300));
        assert_eq!(scene.meter.usual, Duration::from_millis(40));
    }

    #[test]
    fn what_follows_a_missing_packet_waits_for_it() {
        let mut scene = Scene::new();
        scene.pictures(0..10);
        scene.packet(400, 21, false);
        for number in 11..20 {
            scene.picture(40 * number, number, false);
        }
        assert_eq!(scene.meter.shown(), 10);
        scene.packet(790, 20, false);
        assert_eq!((scene.meter.shown(), scene.freezes(790)), (20, (1, 430)));
    }

    #[test]
    fn after_a_loss_only_a_key_frame_helps() {
        let mut scene = Scene::new();
        scene.pictures(0..10);
        scene.packet(400, 21, false);
        scene.give_up();
        scene.pictures(11..20);
        assert_eq!(scene.meter.shown(), 10);
        scene.picture(800, 20, true);
        scene.picture(840, 21, false);
        assert_eq!((scene.meter.shown(), scene.freezes(840)), (12, (1, 440)));
    }

    #[test]
    fn a_whole_key_frame_ends_the_wait() {
        let mut scene = Scene::new();
        scene.pictures(0..10);
        scene.packet(400, 21, false);
        // Its parts come in another order.
        scene.packet(440, 23, false);
        scene.packet(441, 22, true);
        scene.picture(480, 12, false);
        assert_eq!(scene.meter.shown(), 12);
        scene.packet(500, 20, false);
        assert_eq!((scene.meter.shown(), scene.freezes(500)), (12, (0, 0)));
    }

    #[test]
    fn a_new_numbering_begins_at_a_key_frame() {
        let mut scene = Scene::new();
        scene.pictures(0..10);
        scene.nacks = NackGenerator::default();
        scene.meter.restart();
        scene.picture(400, 5000, false);
        assert_eq!(scene.meter.shown(), 10);
        scene.picture(440, 5001, true);
        assert_eq!(scene.meter.shown(), 11);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut scene = Scene::new();
        for number in 1..2000 {
            scene.picture(number, number, false);
        }
        assert_eq!((scene.meter.waiting.len(), scene.meter.shown()), (MAX_WAITING, 0));
    }
}
