//! Which instant an RTP timestamp stands for.

use std::time::{Duration, Instant};

/// One point of an RTP clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockPoint {
    /// When the media was sampled (or, without a sender report, came), on our clock.
    pub instant: Instant,
    /// What its timestamp is.
    pub rtp_timestamp: u32,
}

impl ClockPoint {
    /// The timestamp at another instant.
    pub fn at(&self, instant: Instant, clock_rate: u32) -> u32 {
        let ticks = |span: Duration| (span.as_micros() * u128::from(clock_rate) / 1_000_000) as u32;
        match instant.checked_duration_since(self.instant) {
            Some(later) => self.rtp_timestamp.wrapping_add(ticks(later)),
            None => self.rtp_timestamp.wrapping_sub(ticks(self.instant.duration_since(instant))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extrapolates_in_both_directions() {
        let instant = Instant::now() + Duration::from_secs(10);
        let point = ClockPoint { instant, rtp_timestamp: 100 };
        assert_eq!(point.at(instant + Duration::from_millis(10), 90_000), 1000);
        assert_eq!(point.at(instant - Duration::from_millis(10), 90_000), 100_u32.wrapping_sub(900));
    }
}
