//! Which packets a viewer has been sent again lately.

use std::time::{Duration, Instant};

const SLOTS: usize = 256;
/// Span over which retransmissions are counted ...
const BUDGET_SPAN: Duration = Duration::from_millis(100);
/// ... and how many may leave in it: the repair of a second's outage at 25 Mbit/s within another second. Whoever asks for
/// more gets a twentieth of a gigabit, not the whole history over and over.
const BUDGET: u32 = 512;

/// Remembers retransmissions, so that a NACK repeated within a round trip is answered once. The newest number of each
/// slot wins: forgetting one costs a duplicate, never a loss. What duplicates and floods can cost is bounded by the budget.
#[derive(Debug, Default)]
pub struct Retransmissions {
    slots: Option<Box<[Slot; SLOTS]>>,
    span: Option<Instant>,
    spent: u32,
}

/// A number and when it was sent again.
type Slot = Option<(u64, Instant)>;

impl Retransmissions {
    /// Whether nothing may be sent again for now.
    pub fn is_spent(&mut self, now: Instant) -> bool {
        if self.span.is_none_or(|since| now.saturating_duration_since(since) >= BUDGET_SPAN) {
            self.span = Some(now);
            self.spent = 0;
        }
        self.spent >= BUDGET
    }

    /// The numbers that were sent again within `span`, the oldest number first.
    pub fn within(&self, now: Instant, span: Duration) -> Vec<u64> {
        let slots = self.slots.iter().flat_map(|slots| slots.iter().flatten());
        let recent = slots.filter(|(_, at)| now.saturating_duration_since(*at) <= span);
        let mut sequences: Vec<u64> = recent.map(|&(sequence, _)| sequence).collect();
        sequences.sort_unstable();
        sequences
    }

    /// Whether the packet may be sent again now; if so, this is remembered.
    pub fn admit(&mut self, now: Instant, sequence: u64, interval: Duration) -> bool {
        let slots = self.slots.get_or_insert_with(|| Box::new([None; SLOTS]));
        let slot = &mut slots[sequence as usize % SLOTS];
        if let Some((known, at)) = slot
            && *known == sequence
            && now.saturating_duration_since(*at) < interval
        {
            return false;
        }
        *slot = Some((sequence, now));
        self.spent += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_per_interval() {
        let now = Instant::now();
        let interval = Duration::from_millis(50);
        let mut log = Retransmissions::default();
        assert!(log.admit(now, 7, interval));
        assert!(!log.admit(now + Duration::from_millis(49), 7, interval));
        assert!(log.admit(now + Duration::from_millis(49), 8, interval));
        assert!(log.admit(now + Duration::from_millis(50), 7, interval));
        assert_eq!(log.within(now + Duration::from_millis(60), Duration::from_millis(10)), [7]);
        assert_eq!(log.within(now + Duration::from_millis(60), interval), [7, 8]);
    }

    #[test]
    fn no_pattern_of_requests_gets_more_than_the_budget() {
        let start = Instant::now();
        let mut log = Retransmissions::default();
        let mut sent = 0;
        for round in 0..1000 {
            let now = start + Duration::from_millis(round);
            // Numbers that share a slot push each other out of the memory.
            for sequence in [1, 257, 513, 769] {
                sent += u32::from(!log.is_spent(now) && log.admit(now, sequence, Duration::from_millis(100)));
            }
        }
        assert!((BUDGET..=10 * BUDGET).contains(&sent), "{sent}");
    }
}
