//! Which packets of an encoding are missing, and when to ask for them (RFC 4585 section 6.2.1).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A gap of fewer packets behind the newest may be mere reordering...
const REORDER_PACKETS: u64 = 2;
/// ...for this long.
const REORDER_TIME: Duration = Duration::from_millis(10);
/// Shortest time between two requests for a packet.
const MIN_INTERVAL: Duration = Duration::from_millis(20);
/// Assumed until a round trip was measured.
const UNKNOWN_RTT: Duration = Duration::from_millis(100);
/// Requests for a packet before it is given up...
const MAX_TRIES: u32 = 10;
/// ...or this time since it was missed first.
const GIVE_UP: Duration = Duration::from_secs(1);
/// A jump over more packets than this is not loss but a new start.
const MAX_GAP: u64 = 500;
/// Packets missed at once; the oldest are given up beyond.
const MAX_MISSING: usize = 500;

/// What a packet's arrival means for the gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The next one, or one that closes no gap of ours.
    InOrder,
    /// It leaves a gap behind.
    Gap,
    /// It fills a gap that had been asked for (`true`) or not yet (`false`).
    Late {
        /// Whether a NACK brought it.
        repaired: bool,
    },
    /// It came before, or is too old to tell.
    Duplicate,
    /// So far ahead that all gaps are forgotten: only a key frame helps.
    Jump,
}

#[derive(Clone, Copy, Debug)]
struct Missing {
    sequence: u64,
    since: Instant,
    /// When it was asked for last.
    asked: Instant,
    next: Instant,
    tries: u32,
}

/// The gaps of one encoding. Sequence numbers are extended ones.
#[derive(Debug, Default)]
pub struct NackGenerator {
    highest: Option<u64>,
    /// Ascending by number, and so by age.
    missing: VecDeque<Missing>,
    /// Not later than the earliest `next`.
    due: Option<Instant>,
    /// Smoothed time from a request to its answer.
    response: Option<Duration>,
    given_up: u64,
    /// The highest of those.
    newest_given_up: Option<u64>,
}

impl NackGenerator {
    /// Notes a packet, padding-only and retransmitted ones included.
    pub fn received(&mut self, now: Instant, sequence: u64) -> Arrival {
        let Some(highest) = self.highest else {
            self.highest = Some(sequence);
            return Arrival::InOrder;
        };
        if sequence <= highest {
            return self.close(now, sequence);
        }
        self.highest = Some(sequence);
        let gap = sequence - highest - 1;
        if gap > MAX_GAP {
            self.given_up += self.missing.len() as u64;
            self.missing.clear();
            self.due = None;
            return Arrival::Jump;
        }
        let next = now + REORDER_TIME;
        self.missing.extend((highest + 1..sequence).map(|sequence| Missing {
            sequence,
            since: now,
            asked: now,
            next,
            tries: 0,
        }));
        if gap > 0 {
            self.hasten(next);
            let excess = self.missing.len().saturating_sub(MAX_MISSING);
            self.newest_given_up =
                self.missing.drain(..excess).next_back().map(|last| last.sequence).max(self.newest_given_up);
            self.given_up += excess as u64;
        }
        self.lose_patience(now, sequence);
        if gap == 0 { Arrival::InOrder } else { Arrival::Gap }
    }

    /// Appends the numbers to ask for now, in order. The next request for each is spaced by how long answers took so far,
    /// until the first by `rtt`.
    pub fn poll(&mut self, now: Instant, rtt: Option<Duration>, out: &mut Vec<u16>) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        let response = self.response.map(|response| response * 5 / 4);
        let interval = response.or(rtt).unwrap_or(UNKNOWN_RTT).max(MIN_INTERVAL);
        let (given_up, newest_given_up) = (&mut self.given_up, &mut self.newest_given_up);
        let mut due: Option<Instant> = None;
        self.missing.retain_mut(|missing| {
            if missing.next <= now {
                if missing.tries >= MAX_TRIES || now.saturating_duration_since(missing.since) >= GIVE_UP {
                    *given_up += 1;
                    *newest_given_up = Some(missing.sequence).max(*newest_given_up);
                    return false;
                }
                // Each try waits a quarter longer: a repair that is slow to come is not asked for over and over.
                missing.next = now + interval + interval * missing.tries / 4;
                missing.tries += 1;
                missing.asked = now;
                out.push(missing.sequence as u16);
            }
            due = Some(due.map_or(missing.next, |due| due.min(missing.next)));
            true
        });
        self.due = due;
    }

    /// When `poll` has something to do, or a little sooner.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Packets missed for good so far.
    pub fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Whether all packets from `first` to `last` have come. Behind one that was given up it is no longer known of those
    /// before it.
    #[inline]
    pub fn has_all(&self, first: u64, last: u64) -> bool {
        if self.newest_given_up.is_some_and(|lost| lost >= first) || self.highest.is_none_or(|highest| highest < last) {
            return false;
        }
        let next = self.missing.partition_point(|missing| missing.sequence < first);
        self.missing.get(next).is_none_or(|missing| missing.sequence > last)
    }

    /// Packets missed now.
    pub fn missing(&self) -> usize {
        self.missing.len()
    }

    fn close(&mut self, now: Instant, sequence: u64) -> Arrival {
        let index = self.missing.binary_search_by_key(&sequence, |missing| missing.sequence).ok();
        let Some(missing) = index.and_then(|index| self.missing.remove(index)) else {
            return Arrival::Duplicate;
        };
        if self.missing.is_empty() {
            self.due = None;
        }
        // After a second request nobody knows which one was answered (Karn's rule).
        if missing.tries == 1 {
            let took = now.saturating_duration_since(missing.asked);
            self.response = Some(self.response.map_or(took, |response| (response * 7 + took) / 8));
        }
        Arrival::Late { repaired: missing.tries > 0 }
    }

    /// What has fallen too far behind the newest packet is asked for at once.
    fn lose_patience(&mut self, now: Instant, newest: u64) {
        let mut hasty = false;
        // The youngest are at the back. Behind one that is due or has been asked for, all are.
        for missing in self.missing.iter_mut().rev() {
            if missing.tries > 0 || missing.next <= now {
                break;
            }
            if newest - missing.sequence > REORDER_PACKETS {
                missing.next = now;
                hasty = true;
            }
        }
        if hasty {
            self.hasten(now);
        }
    }

    fn hasten(&mut self, next: Instant) {
        self.due = Some(self.due.map_or(next, |due| due.min(next)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn polled(generator: &mut NackGenerator, now: Instant, rtt: Duration) -> Vec<u16> {
        let mut out = Vec::new();
        generator.poll(now, Some(rtt), &mut out);
        out
    }

    #[test]
    fn asks_at_once_for_a_clear_gap_and_later_for_what_may_be_reordered() {
        let start = Instant::now();
        let mut generator = NackGenerator::default();
        assert_eq!(generator.received(start, 100), Arrival::InOrder);
        assert_eq!(generator.received(start, 105), Arrival::Gap);
        assert_eq!(polled(&mut generator, start, MIN_INTERVAL), [101, 102]);
        let later = start + REORDER_TIME;
        assert_eq!(generator.poll_timeout(), Some(later));
        assert_eq!(generator.received(start, 103), Arrival::Late { repaired: false });
        assert_eq!(polled(&mut generator, later, MIN_INTERVAL), [104]);
        assert_eq!(generator.received(later, 101), Arrival::Late { repaired: true });
        assert_eq!(generator.received(later, 101), Arrival::Duplicate);
    }

    #[test]
    fn two_later_packets_end_the_patience() {
        let now = Instant::now();
        let mut generator = NackGenerator::default();
        generator.received(now, 65_535);
        assert_eq!(generator.received(now, 65_537), Arrival::Gap);
        assert_eq!(generator.received(now, 65_538), Arrival::InOrder);
        assert_eq!(polled(&mut generator, now, MIN_INTERVAL), []);
        assert_eq!(generator.received(now, 65_539), Arrival::InOrder);
        assert_eq!(generator.poll_timeout(), Some(now));
        assert_eq!(polled(&mut generator, now, MIN_INTERVAL), [0]);
        assert_eq!(polled(&mut generator, now, MIN_INTERVAL), []);
    }

    #[test]
    fn reordering_alone_asks_for_nothing() {
        let now = Instant::now();
        let mut generator = NackGenerator::default();
        for sequence in [1, 3, 2, 5, 6, 4] {
            generator.received(now, sequence);
        }
        assert_eq!((generator.poll_timeout(), generator.missing(), generator.given_up()), (None, 0, 0));
    }

    #[test]
    fn tries_are_bounded_where_the_round_trip_is_short() {
        let now = Instant::now();
        let mut generator = NackGenerator::default();
        generator.received(now, 1);
        generator.received(now, 3);
        let mut tries = 0;
        while let Some(next) = generator.poll_timeout() {
            tries += polled(&mut generator, next, Duration::ZERO).len();
        }
        assert_eq!((tries, generator.given_up()), (10, 1));
    }

    #[test]
    fn the_time_an_answer_takes_spaces_the_next_requests() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut generator = NackGenerator::default();
        let mut asked = Vec::new();
        for sequence in [1, 5] {
            generator.received(start, sequence);
        }
        generator.poll(start, None, &mut asked);
        assert_eq!((asked.as_slice(), generator.received(at(40), 2)), (&[2][..], Arrival::Late { repaired: true }));
        generator.poll(at(100), None, &mut asked);
        assert_eq!(asked, [2, 3, 4]);
        assert_eq!(generator.poll_timeout(), Some(at(150)));
        // An answer after a second request teaches nothing.
        generator.poll(at(150), None, &mut asked);
        generator.received(at(151), 3);
        generator.received(at(151), 4);
        generator.received(at(160), 9);
        generator.poll(at(160), None, &mut asked);
        generator.poll(at(170), None, &mut asked);
        assert_eq!(generator.poll_timeout(), Some(at(210)));
    }

    #[test]
    fn the_oldest_give_way() {
        let now = Instant::now();
        let mut generator = NackGenerator::default();
        for sequence in [0, 400, 800] {
            generator.received(now, sequence);
        }
        assert_eq!((generator.missing() as u64, generator.given_up()), (500, 399 * 2 - 500));
        assert_eq!(generator.received(now, 1), Arrival::Duplicate);
        assert_eq!(generator.received(now, 799), Arrival::Late { repaired: false });
    }

    proptest! {
        /// Against a list of what did not come, whatever comes when.
        #[test]
        fn asks_for_what_is_missing_and_nothing_else(
            steps in proptest::collection::vec((0u64..6, 0u64..4, 0u64..15), 1..200)
        ) {
            let mut now = Instant::now();
            let mut generator = NackGenerator::default();
            let mut came = std::collections::BTreeSet::new();
            let mut newest = 100u64;
            for (ahead, back, millis) in steps {
                now += Duration::from_millis(millis);
                newest += ahead;
                let sequence = newest - back.min(newest - 100);
                let arrival = generator.received(now, sequence);
                let known = came.contains(&sequence) || came.first().is_some_and(|&first| sequence < first);
                prop_assert_eq!(arrival == Arrival::Duplicate, known);
                if known {
                    continue;
                }
                came.insert(sequence);
                prop_assert!(generator.poll_timeout().is_some() == (generator.missing() > 0));
                let asked = polled(&mut generator, now, Duration::from_millis(30));
                prop_assert!(asked.iter().all(|&lost| !came.contains(&u64::from(lost))));
                prop_assert!(generator.poll_timeout().is_none_or(|next| next > now));
            }
            let expected = came.last().unwrap() + 1 - came.first().unwrap();
            prop_assert_eq!(generator.missing() as u64 + generator.given_up(), expected - came.len() as u64);
        }
    }

    #[test]
    fn asks_again_by_round_trip_and_gives_up() {
        let mut now = Instant::now();
        let start = now;
        let mut generator = NackGenerator::default();
        generator.received(now, 1);
        generator.received(now, 10);
        let mut tries = 0;
        while let Some(next) = generator.poll_timeout() {
            now = next;
            tries += polled(&mut generator, now, Duration::from_millis(60)).iter().filter(|&&lost| lost == 2).count();
        }
        assert!((5..=10).contains(&tries), "{tries}");
        assert!(now - start <= GIVE_UP + Duration::from_millis(300));
        assert_eq!((generator.given_up(), generator.missing()), (8, 0));
    }

    #[test]
    fn a_jump_is_a_new_start() {
        let now = Instant::now();
        let mut generator = NackGenerator::default();
        generator.received(now, 1);
        generator.received(now, 3);
        assert_eq!(generator.received(now, 5000), Arrival::Jump);
        assert_eq!((generator.missing(), generator.given_up()), (0, 1));
        assert_eq!(generator.received(now, 2), Arrival::Duplicate);
    }
}
