//! Bytes per second over the last whole second or so.

use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_millis(1000);

/// A rate that costs an addition per packet.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateMeter {
    began: Option<Instant>,
    bytes: u64,
    rate: u64,
}

impl RateMeter {
    /// Counts a packet.
    pub fn add(&mut self, now: Instant, bytes: usize) {
        self.roll(now);
        self.began.get_or_insert(now);
        self.bytes += bytes as u64;
    }

    /// Bytes per second; before the first second is over, what came so far.
    pub fn bytes_per_second(&mut self, now: Instant) -> u64 {
        self.roll(now);
        self.rate.max(self.bytes)
    }

    fn roll(&mut self, now: Instant) {
        let Some(began) = self.began else { return };
        let elapsed = now.saturating_duration_since(began);
        if elapsed >= WINDOW {
            self.rate = self.bytes * 1000 / (elapsed.as_millis() as u64).max(1);
            self.bytes = 0;
            self.began = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_a_steady_stream_and_its_end() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        for step in 0..100 {
            meter.add(start + Duration::from_millis(step * 20), 1000);
        }
        let rate = meter.bytes_per_second(start + Duration::from_millis(2000));
        assert!((49_000..=51_000).contains(&rate), "{rate}");
        meter.bytes_per_second(start + Duration::from_millis(3001));
        assert_eq!(meter.bytes_per_second(start + Duration::from_millis(4100)), 0);
    }
}
