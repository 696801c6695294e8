//! A receive-side estimate for publishers that understand REMB and no transport-wide feedback: by loss and throughput.

use std::time::{Duration, Instant};

/// Never less, bit/s.
const MIN: f64 = 100_000.0;
/// Never more, bit/s.
const MAX: f64 = 100_000_000.0;
/// Where a new publisher may start, bit/s.
const START: f64 = 1_000_000.0;
/// Growth per second while little is lost...
const GROWTH: f64 = 1.5;
/// ...and near a rate that was too much, until this long has passed since.
const CAREFUL_GROWTH: f64 = 1.08;
const CAREFUL: Duration = Duration::from_secs(20);
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
    lossy_at: Option<Instant>,
}

impl Default for RembEstimate {
    fn default() -> RembEstimate {
        RembEstimate { bitrate: START, bytes: 0, at: None, lossy_at: None }
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
            self.lossy_at = Some(now);
            self.bitrate = (self.bitrate.min(rate * 2.0)) * (1.0 - 0.5 * fraction_lost);
        } else if fraction_lost < TOLERATED_LOSS {
            let careful = self.lossy_at.is_some_and(|at| now.saturating_duration_since(at) < CAREFUL);
            let growth = if careful { CAREFUL_GROWTH } else { GROWTH };
            let grown = self.bitrate * growth.powf(span.min(2.0));
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
    fn finds_a_narrow_path_and_stays_near_it() {
        const PATH: f64 = 3_000_000.0;
        let start = Instant::now();
        let mut estimate = RembEstimate::default();
        let mut allowed = START;
        for second in 0..120 {
            estimate.received((allowed.min(PATH) / 8.0) as usize);
            let lost = (1.0 - PATH / allowed).max(0.0);
            allowed = estimate.update(start + Duration::from_secs(second), lost) as f64;
            assert!(second < 10 || (0.8 * PATH..1.4 * PATH).contains(&allowed), "{second} s: {allowed}");
        }
    }

    #[test]
    fn a_burst_of_loss_is_made_good() {
        let start = Instant::now();
        let mut estimate = RembEstimate::default();
        let mut allowed = START;
        for second in 0..40 {
            estimate.received((allowed.min(4_000_000.0) / 8.0) as usize);
            let lost = if second == 5 { 0.4 } else { 0.0 };
            allowed = estimate.update(start + Duration::from_secs(second), lost) as f64;
        }
        assert!(allowed > 4_000_000.0, "{allowed}");
    }

    #[test]
    fn gives_way_to_loss() {
        assert!(after(10, 8_000_000.0, 0.3) < 500_000.0);
        assert!((after(10, 8_000_000.0, 0.05) - START).abs() < 1000.0);
    }
}
