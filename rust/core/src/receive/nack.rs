//! Which packets of an encoding are missing, and when to ask for them (RFC 4585 section 6.2.1).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A gap of fewer packets behind the newest may be mere reordering...
const REORDER_PACKETS: u64 = 2;
/// ...for this long.
const REORDER_TIME: Duration = Duration::from_millis(10);
/// Shortest time between two requests for a packet.
const MIN_INTERVAL: Duration = Duration::from_millis(20);
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
    since: Instant,
    next: Instant,
    tries: u32,
}

/// The gaps of one encoding. Sequence numbers are extended ones.
#[derive(Debug, Default)]
pub struct NackGenerator {
    highest: Option<u64>,
    missing: BTreeMap<u64, Missing>,
    given_up: u64,
}

impl NackGenerator {
    /// Notes a packet, padding-only and retransmitted ones included.
    pub fn received(&mut self, now: Instant, sequence: u64) -> Arrival {
        let Some(highest) = self.highest else {
            self.highest = Some(sequence);
            return Arrival::InOrder;
        };
        if sequence <= highest {
            return match self.missing.remove(&sequence) {
                Some(missing) => Arrival::Late { repaired: missing.tries > 0 },
                None => Arrival::Duplicate,
            };
        }
        self.highest = Some(sequence);
        let gap = sequence - highest - 1;
        if gap == 0 {
            return Arrival::InOrder;
        }
        if gap > MAX_GAP {
            self.given_up += self.missing.len() as u64;
            self.missing.clear();
            return Arrival::Jump;
        }
        for lost in highest + 1..sequence {
            let patience = if sequence - lost > REORDER_PACKETS { Duration::ZERO } else { REORDER_TIME };
            self.missing.insert(lost, Missing { since: now, next: now + patience, tries: 0 });
        }
        while self.missing.len() > MAX_MISSING {
            self.missing.pop_first();
            self.given_up += 1;
        }
        Arrival::Gap
    }

    /// Appends the numbers to ask for now, in order. `rtt` spaces the next request for each.
    pub fn poll(&mut self, now: Instant, rtt: Option<Duration>, out: &mut Vec<u16>) {
        let interval = rtt.unwrap_or(Duration::from_millis(100)).max(MIN_INTERVAL);
        let given_up = &mut self.given_up;
        self.missing.retain(|&sequence, missing| {
            if missing.next > now {
                return true;
            }
            if missing.tries >= MAX_TRIES || now.saturating_duration_since(missing.since) >= GIVE_UP {
                *given_up += 1;
                return false;
            }
            missing.tries += 1;
            // Each try waits a quarter longer: a repair that is slow to come is not asked for over and over.
            missing.next = now + interval + interval * (missing.tries - 1) / 4;
            out.push(sequence as u16);
            true
        });
    }

    /// When `poll` has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.missing.values().map(|missing| missing.next).min()
    }

    /// Packets missed for good so far.
    pub fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Packets missed now.
    pub fn missing(&self) -> usize {
        self.missing.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
