//! Spreading out what a narrow link would drop: a key frame is many times the link's share of a frame.
//!
//! There is one only where the link is known to be narrow. What it holds back lies in the history of its encoding, so a
//! packet in the queue is a reference. Sound never waits, what was asked for again goes before the rest, and nothing
//! waits longer than the queue is long.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::subscription::Outgoing;

/// A little faster than the estimate, which is below what the link carries: else nothing that waits would ever leave.
const FASTER: f64 = 1.15;
/// What may leave at once: ten packets, or so much time of the link.
const BURST: i64 = 12_000;
const BURST_TIME: f64 = 0.04;
/// What waits at most. Beyond that it leaves, and the link may drop it: nothing is dropped here.
const MAX_WAIT: f64 = 0.3;
/// The same while repairs wait, and until what has waited meanwhile has left: nothing of it could be shown before them, and
/// all at once it would be lost like what they repair.
const MAX_WAIT_BEHIND_REPAIRS: f64 = 0.8;
const MAX_PACKETS: usize = 1024;
/// Repairs that wait at most; the viewer asks again for more.
pub const MAX_REPAIRS: usize = 64;
/// Seconds that are paid for later at most.
const MAX_DEBT: f64 = 0.2;
/// A queue of the link that is told of after so long has not been waited for.
const OWED: Duration = Duration::from_millis(1_000);
/// Between two turns.
const SLICE: Duration = Duration::from_millis(5);

/// A packet in the history of an encoding that leaves later than it came. It is still there then.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Slot of the subscription.
    pub subscription: usize,
    /// Slot of its track.
    pub track: usize,
    /// Index of the encoding.
    pub encoding: u8,
    /// Sequence number in the encoding's history.
    pub sequence: u64,
    /// The numbers it gets, or had.
    pub outgoing: Outgoing,
    /// It was sent before, and asked for.
    pub repair: bool,
}

/// The queue of one transport.
#[derive(Debug)]
pub struct Pacer {
    /// Bytes per second.
    rate: f64,
    /// Bytes that may leave now; less than nothing after a packet that was paid for in part.
    credit: i64,
    earned: Option<Instant>,
    /// When it began to wait for the link's own queue, which is still told of.
    owes: Option<Instant>,
    repairs: VecDeque<Waiting>,
    media: VecDeque<(Waiting, usize)>,
    /// Of the media.
    bytes: usize,
    /// More media waits than is to wait, because repairs go first.
    behind: bool,
    /// The worker knows that something waits.
    pub noted: bool,
    /// The link carries less than the least that there is: what does not fit is not sent until the next key frame.
    pub thins: bool,
}

impl Pacer {
    /// For a link of so many bit/s.
    pub fn new(bitrate: u64) -> Pacer {
        let (repairs, media) = (VecDeque::new(), VecDeque::new());
        let mut pacer = Pacer {
            rate: 0.0,
            credit: BURST,
            earned: None,
            owes: None,
            repairs,
            media,
            bytes: 0,
            behind: false,
            noted: false,
            thins: false,
        };
        pacer.set_bitrate(bitrate);
        pacer
    }

    /// The link is known better.
    pub fn set_bitrate(&mut self, bitrate: u64) {
        self.rate = bitrate as f64 / 8.0 * FASTER;
    }

    /// So many bytes stand in the link's own queue: what is sent before they are gone would be dropped, or wait there.
    /// Once, until `settle` or until it should have gone: what is told of meanwhile has grown before that.
    pub fn owe(&mut self, now: Instant, bytes: u64) {
        if self.owes.is_none_or(|since| now.saturating_duration_since(since) >= OWED) {
            self.owes = Some(now);
            self.credit = self.credit.min(-(bytes as i64));
        }
    }

    /// They are gone.
    pub fn settle(&mut self) {
        self.owes = None;
    }

    /// Time has passed.
    pub fn earn(&mut self, now: Instant) {
        let since = self.earned.replace(now).unwrap_or(now);
        let earned = self.rate * now.saturating_duration_since(since).as_secs_f64();
        let most = BURST.max((self.rate * BURST_TIME) as i64);
        self.credit = self.credit.saturating_add(earned as i64).min(most);
    }

    /// Pays for what leaves in any case, but never so much that nothing else would leave for long.
    pub fn pay(&mut self, bytes: usize) {
        let least = (-self.rate * MAX_DEBT) as i64;
        self.credit = (self.credit - bytes as i64).max(least.min(self.credit));
    }

    /// Whether something may leave.
    pub fn is_open(&self) -> bool {
        self.credit > 0
    }

    /// Whether a packet may leave at once; if so, it is paid for.
    pub fn admit(&mut self, bytes: usize) -> bool {
        let may = self.is_empty() && self.is_open();
        if may {
            self.pay(bytes);
        }
        may
    }

    /// Keeps a packet until its turn.
    pub fn hold(&mut self, packet: Waiting, bytes: usize) {
        self.bytes += bytes;
        self.media.push_back((packet, bytes));
    }

    /// Whether another repair can wait.
    pub fn has_room_for_repair(&self) -> bool {
        self.repairs.len() < MAX_REPAIRS
    }

    /// Keeps a packet that was asked for again, unless it is kept already.
    pub fn hold_repair(&mut self, packet: Waiting) {
        let same = |other: &Waiting| {
            other.subscription == packet.subscription && other.outgoing.sequence == packet.outgoing.sequence
        };
        if self.has_room_for_repair() && !self.repairs.iter().any(same) {
            self.repairs.push_back(packet);
        }
    }

    /// The next packet whose turn it is; `pay` for it.
    pub fn release(&mut self) -> Option<Waiting> {
        if self.is_open()
            && let Some(repair) = self.repairs.pop_front()
        {
            return Some(repair);
        }
        self.behind = self.is_longer_than(MAX_WAIT) && (self.behind || !self.repairs.is_empty());
        let most = if self.behind { MAX_WAIT_BEHIND_REPAIRS } else { MAX_WAIT };
        if !self.is_open() && (self.thins || !self.is_longer_than(most)) {
            return None;
        }
        let (packet, bytes) = self.media.pop_front()?;
        self.bytes -= bytes;
        Some(packet)
    }

    /// Whether more waits than leaves in so many seconds.
    fn is_longer_than(&self, seconds: f64) -> bool {
        self.bytes as f64 > self.rate * seconds || self.media.len() > MAX_PACKETS
    }

    /// Whether no other frame is to be begun before what waits has left.
    pub fn refuses(&self) -> bool {
        self.thins && self.is_longer_than(MAX_WAIT)
    }

    /// When the next packet may leave.
    pub fn deadline(&self) -> Option<Instant> {
        let owed = (1 - self.credit).max(0) as f64 / self.rate.max(1.0);
        let earned = self.earned.filter(|_| !self.is_empty())?;
        Some(earned + Duration::from_secs_f64(owed.min(1.0)).max(SLICE))
    }

    /// Forgets what waits of a subscription.
    pub fn forget(&mut self, subscription: usize) {
        self.repairs.retain(|packet| packet.subscription != subscription);
        self.media.retain(|(packet, _)| packet.subscription != subscription);
        self.bytes = self.media.iter().map(|(_, bytes)| bytes).sum();
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.repairs.is_empty() && self.media.is_empty()
    }

    /// Repairs, other packets, and bytes of these that wait, for `dump`.
    pub fn len(&self) -> (usize, usize, usize) {
        (self.repairs.len(), self.media.len(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::burst::Source;
    use crate::subscription::continuity::Segment;
    use crate::track::scalability::Filter;

    fn packet(subscription: usize, sequence: u64) -> Waiting {
        let segment = Segment {
            source: Source::default(),
            first: 0,
            end: u64::MAX,
            sequence_offset: 0,
            timestamp_offset: 0,
            picture_id_offset: 0,
            tl0_offset: 0,
            frame_offset: 0,
            filter: Filter::ALL,
            filter_from: 0,
        };
        let outgoing = Outgoing { sequence, segment, payload_type: 96, empty: false };
        Waiting { subscription, track: 0, encoding: 0, sequence, outgoing, repair: false }
    }

    /// What leaves at an instant, each of 1000 bytes.
    fn released(pacer: &mut Pacer, now: Instant) -> Vec<u64> {
        pacer.earn(now);
        let mut sequences = Vec::new();
        while let Some(packet) = pacer.release() {
            pacer.pay(1000);
            sequences.push(packet.sequence);
        }
        sequences
    }

    #[test]
    fn a_burst_is_spread_in_order_and_a_trickle_is_not_touched() {
        let start = Instant::now();
        let mut pacer = Pacer::new(800_000);
        for step in 0..100 {
            pacer.earn(start + Duration::from_millis(20 * step));
            assert!(pacer.admit(1000) && pacer.deadline().is_none());
        }
        let mut now = start + Duration::from_secs(2);
        pacer.earn(now);
        let at_once = (0..30).filter(|&sequence| {
            let may = pacer.admit(1000);
            if !may {
                pacer.hold(packet(1, sequence), 1000);
            }
            may
        });
        assert_eq!(at_once.count(), 12);
        let mut sequences = Vec::new();
        while let Some(at) = pacer.deadline() {
            assert!(at > now && at - now < Duration::from_millis(20));
            now = at;
            sequences.extend(released(&mut pacer, now));
        }
        assert_eq!(sequences, (12..30).collect::<Vec<_>>());
        let took = (now - start - Duration::from_secs(2)).as_millis();
        assert!((140..170).contains(&took), "18 kB at 115 kB/s: {took} ms");
    }

    #[test]
    fn what_does_not_fit_leaves_at_once() {
        let start = Instant::now();
        let mut pacer = Pacer::new(800_000);
        pacer.earn(start);
        pacer.owe(start, 1);
        for sequence in 0..50 {
            assert!(!pacer.admit(1000));
            pacer.hold(packet(1, sequence), 1000);
        }
        assert_eq!(released(&mut pacer, start).len(), 16, "all but 0.3 s");
        assert_eq!(pacer.len(), (0, 34, 34_000));
    }

    #[test]
    fn a_queue_on_the_way_is_waited_for() {
        let start = Instant::now();
        let mut pacer = Pacer::new(800_000);
        pacer.earn(start);
        pacer.owe(start, 11_500);
        pacer.owe(start, 99_999);
        pacer.hold(packet(1, 7), 1000);
        let at = pacer.deadline().expect("a packet waits");
        assert_eq!((at - start).as_millis(), 100);
        assert_eq!(released(&mut pacer, at), [7]);
    }

    #[test]
    fn repairs_go_first_and_once() {
        let start = Instant::now();
        let mut pacer = Pacer::new(800_000);
        pacer.earn(start);
        pacer.owe(start, 1);
        pacer.hold(packet(1, 9), 1000);
        for _ in 0..3 {
            pacer.hold_repair(Waiting { repair: true, ..packet(1, 4) });
        }
        assert!(released(&mut pacer, start).is_empty());
        assert_eq!(released(&mut pacer, start + Duration::from_millis(20)), [4, 9]);
        (0..200).for_each(|sequence| pacer.hold_repair(packet(1, sequence)));
        assert_eq!(pacer.len().0, MAX_REPAIRS);
    }

    #[test]
    fn repairs_are_not_behind_what_does_not_fit() {
        let start = Instant::now();
        let mut pacer = Pacer::new(800_000);
        pacer.earn(start);
        pacer.owe(start, 1);
        (0..60).for_each(|sequence| pacer.hold(packet(1, sequence), 1000));
        (100..103).for_each(|sequence| pacer.hold_repair(packet(1, sequence)));
        assert!(released(&mut pacer, start).is_empty(), "all of it waits for the repairs");
        let mut sequences = Vec::new();
        for step in 1..=50 {
            sequences.extend(released(&mut pacer, start + Duration::from_millis(step)));
        }
        assert_eq!(sequences, [100, 101, 102, 0, 1, 2], "at the link's pace");
        (60..200).for_each(|sequence| pacer.hold(packet(1, sequence), 1000));
        assert!(released(&mut pacer, start + Duration::from_millis(50)).len() > 100, "but not for ever");
    }

    #[test]
    fn a_subscription_that_goes_takes_its_packets_with_it() {
        let mut pacer = Pacer::new(800_000);
        for sequence in 0..10 {
            pacer.hold(packet(sequence as usize % 2, sequence), 100);
            pacer.hold_repair(packet(sequence as usize % 2, sequence));
        }
        pacer.forget(0);
        assert_eq!(pacer.len(), (5, 5, 500));
    }
}
