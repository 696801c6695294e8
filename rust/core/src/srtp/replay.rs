//! Replay window and packet index estimation (RFC 3711 sections 3.3.1 and 3.3.2).

/// How far behind the newest index a packet may be.
pub(super) const WINDOW: u64 = 128;

/// Indices already accepted from one source. Bit `n` of the mask stands for `highest - n`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReplayWindow {
    highest: u64,
    mask: u128,
}

impl ReplayWindow {
    /// The newest index accepted, or None before the first.
    pub(super) fn highest(&self) -> Option<u64> {
        (self.mask != 0).then_some(self.highest)
    }

    /// Whether a packet with this index may be new.
    pub(super) fn is_fresh(&self, index: u64) -> bool {
        if self.mask == 0 || index > self.highest {
            return true;
        }
        let age = self.highest - index;
        age < WINDOW && self.mask >> age & 1 == 0
    }

    /// Remembers an authenticated packet.
    pub(super) fn commit(&mut self, index: u64) {
        if self.mask == 0 {
            (self.highest, self.mask) = (index, 1);
        } else if index > self.highest {
            let ahead = index - self.highest;
            self.mask = if ahead < WINDOW { self.mask << ahead | 1 } else { 1 };
            self.highest = index;
        } else if self.highest - index < WINDOW {
            self.mask |= 1 << (self.highest - index);
        }
    }

    /// The 48-bit index (ROC and sequence number) nearest to the newest one accepted. None if that lies before the
    /// first packet of all.
    pub(super) fn estimate(&self, sequence: u16) -> Option<u64> {
        let Some(highest) = self.highest() else { return Some(u64::from(sequence)) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_once_within_the_window() {
        let mut window = ReplayWindow::default();
        window.commit(1000);
        assert!(!window.is_fresh(1000));
        assert!(window.is_fresh(1000 - WINDOW + 1));
        assert!(!window.is_fresh(1000 - WINDOW));
        window.commit(990);
        assert!(!window.is_fresh(990));
        window.commit(1000 + WINDOW - 1);
        assert!(!window.is_fresh(1000) && window.is_fresh(1001));
        window.commit(5000);
        assert!(window.is_fresh(4999) && !window.is_fresh(5000));
    }

    #[test]
    fn estimates_across_the_wrap_in_both_directions() {
        let mut window = ReplayWindow::default();
        assert_eq!(window.estimate(65_530), Some(65_530));
        window.commit(65_530);
        assert_eq!(window.estimate(3), Some(0x1_0003));
        window.commit(0x1_0003);
        assert_eq!(window.estimate(65_535), Some(65_535));
        assert_eq!(window.estimate(4), Some(0x1_0004));
    }

    #[test]
    fn nothing_precedes_the_first_packet() {
        let mut window = ReplayWindow::default();
        window.commit(2);
        assert_eq!(window.estimate(65_535), None);
    }
}
