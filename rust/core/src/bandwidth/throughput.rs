//! How much a path delivers: over all time, and while packets waited for each other.

use std::collections::VecDeque;

/// What is kept, and what a rate is over, in microseconds of the receiver's clock.
const KEPT: i64 = 1_000_000;
const WINDOW: i64 = 500_000;
/// Most entries: the receiver's clock may stand still, or lie.
const MAX_ARRIVED: usize = 1024;
/// The rate of a busy link is wanted as of now: it may just have changed.
const BUSY_WINDOW: i64 = 300_000;
/// A busy time that says something.
const ENOUGH_BUSY: i64 = 50_000;
const ENOUGH_BYTES: u64 = 4_000;
/// So much of the time without a pause is a full link.
const FULL: f64 = 0.85;

/// Packets that have arrived, in microseconds and bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrived {
    /// When the last of them was there.
    pub at: i64,
    /// Their size.
    pub bytes: u64,
    /// Of the time before that, the link is known to have carried without a pause ...
    pub busy: i64,
    /// ... so much.
    pub busy_bytes: u64,
    /// When they left, by the clock of the sender, ...
    pub sent: i64,
    /// ... and all that had left until then.
    pub sent_bytes: u64,
}

/// What arrived lately.
#[derive(Debug, Default)]
pub struct Throughput {
    arrived: VecDeque<Arrived>,
    /// Time that no feedback tells of.
    unknown: i64,
}

impl Throughput {
    /// Notes packets.
    pub fn add(&mut self, arrived: Arrived) {
        let at = arrived.at - self.unknown;
        self.arrived.push_back(Arrived { at, ..arrived });
        let most = |arrived: &VecDeque<_>| arrived.len() > MAX_ARRIVED;
        while most(&self.arrived) || self.arrived.front().is_some_and(|arrived| at - arrived.at > KEPT) {
            self.arrived.pop_front();
        }
    }

    /// Of so long before what is added next nothing is known: a rate is over the rest of the time.
    pub fn skip(&mut self, time: i64) {
        self.unknown += time;
    }

    /// What came in the last half second, in bit/s; None before that is over.
    pub fn rate(&self) -> Option<u64> {
        self.rate_over(WINDOW)
    }

    fn rate_over(&self, window: i64) -> Option<u64> {
        let newest = self.arrived.back()?.at;
        let mut bytes = 0;
        for arrived in self.arrived.iter().rev() {
            // From arrival to arrival: what began to come before the time is not counted.
            if newest - arrived.at >= window {
                return Some(bytes * 8_000_000 / (newest - arrived.at) as u64);
            }
            bytes += arrived.bytes;
        }
        None
    }

    /// What the link carries: the rate at which packets came that had waited for each other, which is not less than the
    /// rate of all. None if they did not wait.
    pub fn capacity(&self) -> Option<u64> {
        let (busy, bytes) = self.busy()?;
        let capacity = (busy >= ENOUGH_BUSY && bytes >= ENOUGH_BYTES).then(|| bytes * 8_000_000 / busy as u64)?;
        Some(capacity.max(self.rate_over(BUSY_WINDOW).unwrap_or(0)))
    }

    /// The same, if the link had hardly a pause.
    pub fn full(&self) -> Option<u64> {
        let (busy, _) = self.busy()?;
        self.capacity().filter(|_| busy as f64 >= BUSY_WINDOW as f64 * FULL)
    }

    /// Microseconds and bytes of the time without a pause.
    fn busy(&self) -> Option<(i64, u64)> {
        let newest = self.arrived.back()?.at;
        let within = self.arrived.iter().rev().take_while(|arrived| newest - arrived.at < BUSY_WINDOW);
        Some(within.fold((0, 0), |(busy, bytes), arrived| (busy + arrived.busy, bytes + arrived.busy_bytes)))
    }

    /// What was offered to the link at that time, in bit/s, lost or not.
    pub fn offered(&self) -> Option<u64> {
        let newest = self.arrived.back()?;
        let within = self.arrived.iter().rev().take_while(|arrived| newest.at - arrived.at < BUSY_WINDOW);
        let first = within.last()?;
        let span = newest.sent - first.sent;
        (span > 0).then(|| (newest.sent_bytes - first.sent_bytes) * 8_000_000 / span as u64)
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.arrived.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(at: i64, bytes: u64, busy: i64) -> Arrived {
        Arrived { at, bytes, busy, busy_bytes: if busy > 0 { bytes } else { 0 }, ..Arrived::default() }
    }

    #[test]
    fn a_rate_is_over_half_a_second() {
        let mut throughput = Throughput::default();
        for step in 0..10 {
            throughput.add(arrived(step * 50_000, 5_000, 0));
            assert_eq!(throughput.rate(), None);
        }
        throughput.add(arrived(500_000, 5_000, 0));
        assert_eq!(throughput.rate(), Some(800_000));
        assert_eq!(throughput.capacity(), None);
        // A feedback was lost: four packets of which nothing is known.
        throughput.skip(250_000);
        throughput.add(arrived(800_000, 5_000, 0));
        assert_eq!(throughput.rate(), Some(800_000));
        throughput.reset();
        assert_eq!(throughput.rate(), None);
    }

    #[test]
    fn the_capacity_is_that_of_the_busy_time() {
        let mut throughput = Throughput::default();
        // A frame of 5000 bytes each 50 ms takes 10 ms of a link of 4 Mbit/s.
        for step in 0..10 {
            throughput.add(arrived(step * 50_000, 5_000, 10_000));
        }
        assert_eq!((throughput.capacity(), throughput.full()), (Some(4_000_000), None));
        // A tenth of that from now on: all time is busy.
        for step in 0..7 {
            throughput.add(arrived(500_000 + step * 50_000, 2_500, 50_000));
        }
        assert_eq!(throughput.capacity(), Some(400_000));
    }

    #[test]
    fn a_clock_that_stands_still_takes_no_memory() {
        let mut throughput = Throughput::default();
        (0..10 * MAX_ARRIVED).for_each(|_| throughput.add(arrived(7, 1_000, 0)));
        assert_eq!(throughput.arrived.len(), MAX_ARRIVED);
    }

    #[test]
    fn what_was_offered_counts_what_was_lost() {
        let mut throughput = Throughput::default();
        for step in 0..10 {
            let sent = step * 40_000;
            let one = Arrived { sent, sent_bytes: step as u64 * 5_000, ..arrived(step * 50_000, 2_500, 50_000) };
            throughput.add(one);
        }
        assert_eq!((throughput.offered(), throughput.full()), (Some(1_000_000), Some(400_000)));
    }
}
