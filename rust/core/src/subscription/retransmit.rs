//! Which packets a viewer has been sent again lately.

use std::time::{Duration, Instant};

const SLOTS: usize = 256;

/// Remembers retransmissions, so that a NACK repeated within a round trip is answered once. The newest number of each
/// slot wins: forgetting one costs a duplicate, never a loss.
#[derive(Debug, Default)]
pub struct Retransmissions {
    slots: Option<Box<[Slot; SLOTS]>>,
}

/// A number and when it was sent again.
type Slot = Option<(u64, Instant)>;

impl Retransmissions {
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
    }
}
