//! How much of what was sent did not arrive, by transport-wide feedback.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Loss is judged over this time ...
const WINDOW: Duration = Duration::from_millis(400);
/// ... or until so many packets are known of: fewer say little about a few per cent.
const ENOUGH: u32 = 40;
/// So much is congestion at once, so much if it is seen twice. draft-ietf-rmcat-gcc-02 section 6 has 10 %.
const HEAVY: f64 = 0.2;
const HIGH: f64 = 0.1;
/// Links lose packets without being full: up to this, more may be tried.
const TOLERATED: f64 = 0.06;
/// Verdicts that are remembered.
const VERDICTS: usize = 3;

/// What the loss says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing new.
    None,
    /// More may be tried, or not.
    Tolerable(bool),
    /// Too much is sent.
    Congestion,
}

/// Packets since the last verdict, and the last verdicts.
#[derive(Debug, Default)]
pub struct Loss {
    since: Option<Instant>,
    received: u32,
    lost: u32,
    fractions: VecDeque<f64>,
}

impl Loss {
    /// Takes the counts of a feedback.
    pub fn add(&mut self, now: Instant, received: u32, lost: u32) -> Verdict {
        let since = *self.since.get_or_insert(now);
        self.received += received;
        self.lost += lost;
        let total = self.received + self.lost;
        if now.saturating_duration_since(since) < WINDOW || total < ENOUGH {
            return Verdict::None;
        }
        let fraction = f64::from(self.lost) / f64::from(total);
        (self.since, self.received, self.lost) = (Some(now), 0, 0);
        let before = self.fractions.back().copied().unwrap_or(0.0);
        if self.fractions.len() == VERDICTS {
            self.fractions.pop_front();
        }
        self.fractions.push_back(fraction);
        if fraction > HEAVY || fraction > HIGH && before > HIGH {
            Verdict::Congestion
        } else {
            Verdict::Tolerable(self.fraction() <= TOLERATED)
        }
    }

    /// The mean of the last verdicts, 0-1.
    pub fn fraction(&self) -> f64 {
        if self.fractions.is_empty() { 0.0 } else { self.fractions.iter().sum::<f64>() / self.fractions.len() as f64 }
    }

    /// Whether it does not forbid to send more.
    pub fn is_tolerable(&self) -> bool {
        self.fraction() <= TOLERATED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Congestions seen in a minute of 100 packets a second, of which a share is lost at random.
    fn congestions(share: u64) -> usize {
        let start = Instant::now();
        let mut loss = Loss::default();
        let mut state = 5_u64;
        let mut seen = 0;
        for step in 0..600 {
            let lost = (0..10)
                .filter(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 33) % 1000 < share
                })
                .count() as u32;
            let verdict = loss.add(start + Duration::from_millis(100 * step), 10 - lost, lost);
            seen += usize::from(verdict == Verdict::Congestion);
        }
        seen
    }

    #[test]
    fn some_loss_is_no_congestion_and_much_is() {
        assert_eq!(congestions(20), 0);
        assert_eq!(congestions(50), 0);
        assert!(congestions(150) > 50, "{}", congestions(150));
        assert!(congestions(400) > 100);
    }

    #[test]
    fn the_fraction_is_over_the_last_second_or_so() {
        let start = Instant::now();
        let mut loss = Loss::default();
        for step in 0..100 {
            loss.add(start + Duration::from_millis(100 * step), 90, if step < 50 { 10 } else { 0 });
        }
        assert_eq!(loss.fraction(), 0.0);
        assert!(loss.is_tolerable());
    }
}
