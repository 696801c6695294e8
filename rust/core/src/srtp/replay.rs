//! Replay window and packet index estimation (RFC 3711 sections 3.3.1 and 3.3.2).

/// How far behind the newest index a packet may be. A packet that is sent again as it was (no RFC 4588) comes at least a
/// round trip late, and is asked for during a second: 2600 packets at 25 Mbit/s.
pub(super) const WINDOW: u64 = 4096;
const WORDS: usize = (WINDOW / 64) as usize;

/// Indices already accepted from one source: a ring with one bit for each of the last [`WINDOW`].
#[derive(Debug)]
pub(super) struct ReplayWindow {
    highest: Option<u64>,
    seen: [u64; WORDS],
}

impl ReplayWindow {
    /// Nothing accepted yet.
    pub(super) const fn new() -> Self {
        Self { highest: None, seen: [0; WORDS] }
    }

    /// The newest index accepted, or None before the first.
    pub(super) fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Whether a packet with this index may be new.
    pub(super) fn is_fresh(&self, index: u64) -> bool {
        match self.highest {
            Some(highest) if index <= highest => {
                let (word, bit) = place(index);
                highest - index < WINDOW && self.seen[word] & bit == 0
            }
            _ => true,
        }
    }

    /// Remembers an authenticated packet that is fresh.
    pub(super) fn commit(&mut self, index: u64) {
        if let Some(highest) = self.highest
            && index > highest
        {
            if index - highest >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                for skipped in highest + 1..index {
                    let (word, bit) = place(skipped);
                    self.seen[word] &= !bit;
                }
            }
        }
        let (word, bit) = place(index);
        self.seen[word] |= bit;
        self.highest = self.highest.max(Some(index));
    }

    /// The 48-bit index (ROC and sequence number) nearest to the newest one accepted. None if that lies before the
    /// first packet of all.
    pub(super) fn estimate(&self, sequence: u16) -> Option<u64> {
        let Some(highest) = self.highest else { return Some(u64::from(sequence)) };
        let rollover = highest >> 16;
        let newest = highest as u16;
        let rollover = if newest < 0x8000 {
            if i32::from(sequence) - i32::from(newest) > 0x8000 { rollover.checked_sub(1)? } else { rollover }
        } else if i32::from(newest) - 0x8000 > i32::from(sequence) {
            rollover + 1
        } else {
            rollover
        };
        Some(rollover << 16 | u64::from(sequence))
    }
}

fn place(index: u64) -> (usize, u64) {
    ((index % WINDOW / 64) as usize, 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_once_within_the_window() {
        let mut window = ReplayWindow::new();
        window.commit(6000);
        assert!(!window.is_fresh(6000));
        assert!(window.is_fresh(6000 - WINDOW + 1));
        assert!(!window.is_fresh(6000 - WINDOW));
        window.commit(5990);
        assert!(!window.is_fresh(5990));
        window.commit(6000 + WINDOW - 1);
        assert!(!window.is_fresh(6000) && window.is_fresh(6001));
        window.commit(20_000);
        assert!(window.is_fresh(19_999) && !window.is_fresh(20_000));
    }

    #[test]
    fn estimates_across_the_wrap_in_both_directions() {
        let mut window = ReplayWindow::new();
        assert_eq!(window.estimate(65_530), Some(65_530));
        window.commit(65_530);
        assert_eq!(window.estimate(3), Some(0x1_0003));
        window.commit(0x1_0003);
        assert_eq!(window.estimate(65_535), Some(65_535));
        assert_eq!(window.estimate(4), Some(0x1_0004));
    }

    #[test]
    fn nothing_precedes_the_first_packet() {
        let mut window = ReplayWindow::new();
        window.commit(2);
        assert_eq!(window.estimate(65_535), None);
    }

    proptest! {
        /// Whatever comes in whatever order is accepted once, and only what is within the window.
        #[test]
        fn agrees_with_a_list(steps in proptest::collection::vec(-6000i64..2500, 1..400)) {
            let mut window = ReplayWindow::new();
            let mut accepted = std::collections::HashSet::new();
            let mut highest = 100_000u64;
            for (number, step) in steps.into_iter().enumerate() {
                let index = highest.saturating_add_signed(step);
                let in_reach = number == 0 || index + WINDOW > highest;
                prop_assert_eq!(window.is_fresh(index), in_reach && !accepted.contains(&index));
                if window.is_fresh(index) {
                    window.commit(index);
                    accepted.insert(index);
                    highest = if number == 0 { index } else { highest.max(index) };
                }
            }
        }
    }
}
