//! Bytes per second over the last whole second or so.

use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_millis(1000);

/// Windows that a steady rate is the mean of: more than a group of pictures, which begins with a large one.
const STEADY: usize = 3;
/// Windows that the highest steady rate is of.
const KEPT: usize = 10;

/// A rate that costs an addition per packet.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateMeter {
    began: Option<Instant>,
    bytes: u64,
    rate: u64,
    /// Of the windows before the last one, the newest first.
    before: [Option<u64>; KEPT - 1],
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

    /// Bytes per second over the last few seconds; before the first is over, what came so far.
    pub fn steady(&mut self, now: Instant) -> u64 {
        self.roll(now);
        if self.rate == 0 {
            return self.bytes;
        }
        mean(&self.windows()[..STEADY])
    }

    /// The highest steady rate of the last ten seconds: what a publisher who stutters needs again in a moment.
    pub fn highest(&mut self, now: Instant) -> u64 {
        let steady = self.steady(now);
        let windows = self.windows();
        let filled = windows.windows(STEADY).filter(|windows| windows.iter().all(Option::is_some));
        filled.map(mean).fold(steady, u64::max)
    }

    /// The newest first.
    fn windows(&self) -> [Option<u64>; KEPT] {
        let mut windows = [Some(self.rate); KEPT];
        windows[1..].copy_from_slice(&self.before);
        windows
    }

    /// Whether the first second is over: what came before says little, it begins with a key frame.
    pub fn is_measured(&self) -> bool {
        self.rate > 0
    }

    fn roll(&mut self, now: Instant) {
        let Some(began) = self.began else { return };
        let elapsed = now.saturating_duration_since(began);
        if elapsed >= WINDOW {
            self.before.rotate_right(1);
            self.before[0] = Some(self.rate).filter(|&rate| rate > 0);
            self.rate = self.bytes * 1000 / (elapsed.as_millis() as u64).max(1);
            self.bytes = 0;
            self.began = Some(now);
        }
    }
}

fn mean(windows: &[Option<u64>]) -> u64 {
    let (windows, sum) = windows.iter().flatten().fold((0, 0), |(windows, sum), rate| (windows + 1, sum + rate));
    sum / windows.max(1)
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

    #[test]
    fn key_frames_every_other_second_do_not_move_a_steady_rate() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        let mut rates = Vec::new();
        for step in 0..1000 {
            let now = start + Duration::from_millis(step * 20);
            meter.add(now, if step % 100 == 0 { 20_000 } else { 1000 });
            rates.push(meter.steady(now));
        }
        let (least, most) =
            rates[200..].iter().fold((u64::MAX, 0), |(least, most), &rate| (least.min(rate), most.max(rate)));
        assert!(least > 53_000 && most < 66_000, "{least} to {most}");
    }

    #[test]
    fn what_was_needed_is_remembered_for_some_seconds() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        let at = |step: u64| start + Duration::from_millis(step * 20);
        for step in 0..900 {
            meter.add(at(step), if step < 300 { 1000 } else { 200 });
            if step == 500 {
                assert!(meter.steady(at(step)) < 15_000 && meter.highest(at(step)) > 45_000);
            }
        }
        assert!(meter.highest(at(900)) < 15_000);
    }
}
