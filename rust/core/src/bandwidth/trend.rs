//! Whether the queue on the way grows: a regression line through its recent lengths, against a threshold that adapts
//! to how restless the path is (draft-ietf-rmcat-gcc-02 section 5.4, with a line in place of the Kalman filter).

use std::collections::VecDeque;

/// What the path is under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// The queue shrinks.
    Under,
    /// It stays as it is.
    Normal,
    /// More is sent than leaves.
    Over,
}

/// Samples in the line, and the time that they may span in milliseconds.
const SAMPLES: usize = 16;
const SPAN: f64 = 1200.0;
/// Fewer make no line.
const ENOUGH: usize = 4;
/// A slope, in ms of queue for each ms, becomes the growth over so many ms, which the threshold is in.
const GAIN: f64 = 240.0;
/// Threshold in ms: at first, and its bounds.
const THRESHOLD: f64 = 12.5;
const BOUNDS: (f64, f64) = (6.0, 600.0);
/// How fast the threshold follows, up and down, for each ms (section 5.4).
const FOLLOW_UP: f64 = 0.01;
const FOLLOW_DOWN: f64 = 0.000_18;
/// Values farther above than this are a change of the path, and do not move the threshold.
const OUTLIER: f64 = 15.0;
/// Longest pause that moves the threshold, in ms.
const MAX_PAUSE: f64 = 100.0;
/// Samples in a row that must have risen, by how much, and to what, in ms.
const RISES: u32 = 2;
const RISE: f64 = 1.0;
const LEAST_QUEUE: f64 = 10.0;

/// The line and the threshold.
#[derive(Debug)]
pub struct Trend {
    samples: VecDeque<(f64, f64)>,
    threshold: f64,
    rises: u32,
}

impl Default for Trend {
    fn default() -> Trend {
        Trend { samples: VecDeque::new(), threshold: THRESHOLD, rises: 0 }
    }
}

impl Trend {
    /// Takes the length of the queue (ms) at a time of the receiver's clock (ms).
    pub fn add(&mut self, at: f64, queue: f64) -> Usage {
        let last = self.samples.back().copied();
        self.rises = match last {
            Some((_, before)) if queue > before + RISE => self.rises + 1,
            _ => 0,
        };
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back((at, queue));
        while self.samples.front().is_some_and(|(first, _)| at - first > SPAN) {
            self.samples.pop_front();
        }
        let Some(slope) = self.slope() else { return Usage::Normal };
        let growth = slope * GAIN;
        let usage = if growth > self.threshold && self.rises >= RISES && queue > LEAST_QUEUE {
            Usage::Over
        } else if growth < -self.threshold {
            Usage::Under
        } else {
            Usage::Normal
        };
        let pause = last.map_or(0.0, |(before, _)| (at - before).clamp(0.0, MAX_PAUSE));
        self.adapt(growth.abs(), pause);
        usage
    }

    fn adapt(&mut self, growth: f64, pause: f64) {
        if growth > self.threshold + OUTLIER {
            return;
        }
        let follow = if growth < self.threshold { FOLLOW_DOWN } else { FOLLOW_UP };
        let moved = self.threshold + follow * (growth - self.threshold) * pause;
        self.threshold = moved.clamp(BOUNDS.0, BOUNDS.1);
    }

    /// Slope of the line of least squares.
    fn slope(&self) -> Option<f64> {
        if self.samples.len() < ENOUGH {
            return None;
        }
        let count = self.samples.len() as f64;
        let (sum_x, sum_y) = self.samples.iter().fold((0.0, 0.0), |(x, y), sample| (x + sample.0, y + sample.1));
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let (mut above, mut below) = (0.0, 0.0);
        for (x, y) in &self.samples {
            above += (x - mean_x) * (y - mean_y);
            below += (x - mean_x) * (x - mean_x);
        }
        (below > 0.0).then(|| above / below)
    }

    /// Forgets the samples and keeps the threshold.
    pub fn reset(&mut self) {
        self.samples.clear();
        self.rises = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Usages of a queue that is sampled every 40 ms.
    fn usages(trend: &mut Trend, from: u32, queue: impl Fn(u32) -> f64, samples: u32) -> Vec<Usage> {
        (from..from + samples).map(|step| trend.add(f64::from(step) * 40.0, queue(step))).collect()
    }

    #[test]
    fn a_queue_that_grows_is_seen_at_once_and_one_that_shrinks_is_none() {
        let mut trend = Trend::default();
        assert!(usages(&mut trend, 0, |_| 0.0, 20).iter().all(|usage| *usage == Usage::Normal));
        // Three times what the link carries.
        let grows = usages(&mut trend, 20, |step| f64::from(step - 19) * 80.0, 10);
        assert!(grows[1..].iter().all(|usage| *usage == Usage::Over), "{grows:?}");
        let shrinks = usages(&mut trend, 30, |step| 800.0 - f64::from(step - 29) * 40.0, 20);
        assert!(!shrinks.contains(&Usage::Over) && shrinks.contains(&Usage::Under), "{shrinks:?}");
    }

    #[test]
    fn a_tenth_too_much_is_seen_within_half_a_second() {
        let mut trend = Trend::default();
        usages(&mut trend, 0, |_| 0.0, 20);
        let grows = usages(&mut trend, 20, |step| f64::from(step - 19) * 4.0, 13);
        assert!(grows.contains(&Usage::Over), "{grows:?}");
    }

    #[test]
    fn one_key_frame_is_not_congestion() {
        let mut trend = Trend::default();
        usages(&mut trend, 0, |_| 0.0, 20);
        let drained = usages(&mut trend, 20, |step| (150.0 - f64::from(step - 20) * 8.0).max(0.0), 30);
        assert!(!drained.contains(&Usage::Over), "{drained:?}");
    }

    #[test]
    fn a_restless_path_raises_the_threshold_and_a_calm_one_lowers_it() {
        let mut trend = Trend::default();
        // A slow wave of the delay, as of a shared radio link.
        usages(&mut trend, 0, |step| 40.0 + 40.0 * (f64::from(step) / 12.0).sin(), 600);
        assert!(trend.threshold > 1.2 * THRESHOLD, "{}", trend.threshold);
        usages(&mut trend, 600, |_| 0.0, 3000);
        assert!(trend.threshold < 1.1 * BOUNDS.0, "{}", trend.threshold);
    }
}
