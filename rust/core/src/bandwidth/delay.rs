//! How long packets stand in queues on their way: what their one-way delay is above the least one seen.
//!
//! The receiver's clock is not ours, so only differences mean something. The least delay is a minimum over a minute
//! (RFC 8698 section 5.1.1 keeps one for the whole call, which no drift of clocks and no change of route would outlive).

use std::time::{Duration, Instant};

const BUCKETS: usize = 6;
const BUCKET: Duration = Duration::from_secs(10);

/// The least one-way delay of the last minute, in microseconds of a clock difference that nobody knows.
#[derive(Debug, Default)]
pub struct BaseDelay {
    least: [Option<i64>; BUCKETS],
    bucket: usize,
    turned: Option<Instant>,
}

impl BaseDelay {
    /// Takes a one-way delay; what of it is queue, in microseconds.
    pub fn queue(&mut self, now: Instant, one_way: i64) -> i64 {
        let turned = *self.turned.get_or_insert(now);
        if now.saturating_duration_since(turned) >= BUCKET {
            self.turned = Some(now);
            self.bucket = (self.bucket + 1) % BUCKETS;
            self.least[self.bucket] = None;
        }
        let least = &mut self.least[self.bucket];
        *least = Some(least.map_or(one_way, |least| least.min(one_way)));
        one_way - self.least.iter().flatten().min().unwrap_or(&one_way)
    }

    /// Begins anew with this delay: the clock of the receiver was set, or the route is another.
    pub fn reset(&mut self, one_way: i64) {
        self.least = [None; BUCKETS];
        self.least[self.bucket] = Some(one_way);
    }
}

/// The least queue of each slice of time (the minimum filter of RFC 8698 section 5.1.1, by time since video comes in
/// bursts): a burst that queues behind itself is not a queue that stands.
#[derive(Debug, Default)]
pub struct StandingQueue {
    /// Arrival of the first of the slice, and the least queue in it, in microseconds.
    slice: Option<(i64, i64)>,
}

/// Length of a slice: more than one frame.
const SLICE: i64 = 40_000;

impl StandingQueue {
    /// Takes the queue that a group of packets found. Returns that of the slice which ends with it.
    pub fn add(&mut self, arrival: i64, queue: i64) -> Option<i64> {
        let (since, least) = *self.slice.get_or_insert((arrival, queue));
        let least = least.min(queue);
        if arrival - since < SLICE {
            self.slice = Some((since, least));
            return None;
        }
        self.slice = None;
        Some(least)
    }

    /// Forgets the slice.
    pub fn reset(&mut self) {
        self.slice = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_what_is_above_the_least_delay_of_a_minute() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut base = BaseDelay::default();
        assert_eq!(base.queue(at(0), -5_000_000), 0);
        assert_eq!(base.queue(at(1), -4_900_000), 100_000);
        assert_eq!(base.queue(at(2), -5_010_000), 0);
        // Another route, 20 ms longer: known after a minute.
        for second in 3..60 {
            assert_eq!(base.queue(at(second), -4_990_000), 20_000);
        }
        for second in 60..80 {
            base.queue(at(second), -4_990_000);
        }
        assert_eq!(base.queue(at(80), -4_990_000), 0);
        base.reset(7);
        assert_eq!(base.queue(at(81), 1007), 1000);
    }

    #[test]
    fn a_burst_is_not_a_standing_queue() {
        let mut standing = StandingQueue::default();
        let slices: Vec<i64> =
            (0..20).filter_map(|step| standing.add(step * 10_000, if step % 4 == 0 { 0 } else { 30_000 })).collect();
        assert_eq!(slices, [0, 0, 0, 0]);
        let slices: Vec<i64> = (20..40).filter_map(|step| standing.add(step * 10_000, step * 1000)).collect();
        assert_eq!(slices, [20_000, 25_000, 30_000, 35_000]);
    }
}
