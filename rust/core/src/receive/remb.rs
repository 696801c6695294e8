//! A receive-side estimate for publishers that understand REMB and no transport-wide feedback: by loss and throughput.

use std::time::{Duration, Instant};

/// Never less, bit/s.
const MIN: f64 = 100_000.0;
/// Never more, bit/s.
const MAX: f64 = 100_000_000.0;
/// Where a new publisher may start, bit/s.
const START: f64 = 1_000_000.0;
/// Growth per second while little is lost.
const GROWTH: f64 = 1.5;
/// More than this and it no longer grows.
const TOLERATED_LOSS: f64 = 0.02;
/// More than this and it shrinks.
const HIGH_LOSS: f64 = 0.10;
/// It does not run away from what is really sent.
const HEADROOM: f64 = 4.0;

/// The estimate of one publisher transport.
#[derive(Debug)]
pub struct RembEstimate {
    bitrate: f64,
    bytes: u64,
    at: Option<Instant>,
}

impl Default for RembEstimate {
    fn default() -> RembEstimate {
        RembEstimate { bitrate: START, bytes: 0, at: None }
    }
}

impl RembEstimate {
    /// Notes received bytes.
    pub fn received(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The new estimate in bit/s. `fraction_lost` (0-1) is since the last call.
    pub fn update(&mut self, now: Instant, fraction_lost: f64) -> u64 {
        let Some(before) = self.at.replace(now) else {
            self.bytes = 0;
            return self.bitrate as u64;
        };
        let span = now.saturating_duration_since(before).max(Duration::from_millis(1)).as_secs_f64();
        let rate = std::mem::take(&mut self.bytes) as f64 * 8.0 / span;
        if fraction_lost > HIGH_LOSS {
            self.bitrate = (self.bitrate.min(rate * 2.0)) * (1.0 - 0.5 * fraction_lost);
        } else if fraction_lost < TOLERATED_LOSS {
            let grown = self.bitrate * GROWTH.powf(span.min(2.0));
            self.bitrate = grown.min((rate * HEADROOM).max(self.bitrate));
        }
        if fraction_lost <= HIGH_LOSS {
            self.bitrate = self.bitrate.max(rate * 0.85);
        }
        self.bitrate = self.bitrate.clamp(MIN, MAX);
        self.bitrate as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sender that sends as much as it is allowed to, up to `wanted`.
    fn after(seconds: u32, wanted: f64, loss: f64) -> f64 {
        let start = Instant::now();
        let mut estimate = RembEstimate::default();
        let mut allowed = START;
        for tick in 0..=seconds {
            estimate.received((allowed.min(wanted) / 8.0) as usize);
            allowed = estimate.update(start + Duration::from_secs(u64::from(tick)), loss) as f64;
        }
        allowed
    }

    #[test]
    fn ramps_up_to_what_is_wanted() {
        assert!(after(10, 8_000_000.0, 0.0) > 8_000_000.0);
        assert!(after(60, 2_000_000.0, 0.0) < 2_000_000.0 * HEADROOM * GROWTH);
    }

    #[test]
    fn gives_way_to_loss() {
        assert!(after(10, 8_000_000.0, 0.3) < 500_000.0);
        assert!((after(10, 8_000_000.0, 0.05) - START).abs() < 1000.0);
    }
}
