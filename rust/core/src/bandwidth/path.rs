//! What transport-wide feedback tells of the path to a viewer: queue, throughput, loss, round trip.

use std::time::{Duration, Instant};

use super::delay::{BaseDelay, StandingQueue};
use super::loss::{Loss, Verdict};
use super::sent::{Burst, SentLog};
use super::throughput::{Arrived, Throughput};
use super::trend::{Trend, Usage};
use crate::rtcp::TransportFeedback;

/// Bursts that left within this time are one group (draft-ietf-rmcat-gcc-02 section 5.2 has 5 ms, for a paced sender).
const GROUP: Duration = Duration::from_millis(5);
/// A group that waited so long in a queue came right behind what was before it, unless the path is that restless.
const WAITED: i64 = 8_000;
/// A queue that may be full, and how much more than what a link carries is too much.
const FULL: i64 = 80_000;
const OVERLOAD: f64 = 1.15;
/// Most that restlessness counts for.
const MAX_RESTLESS: i64 = 30_000;
/// A queue cannot be longer than the round trip; beyond that by so much, the receiver's clock was set.
const CLOCK_SET: i64 = 100_000;
/// An arrival so long before the one before it is of another clock.
const CLOCK_SET_BACK: i64 = 500_000;
/// So many packets before the newest one that was reported on, a feedback may begin: libwebrtc goes back half a second for
/// what came late. Else a few bytes would have all that was sent gone through, again and again.
const MAX_LATE: u64 = 1024;
/// Unit of arrival times, in microseconds, and of the reference time in those.
const TICK: i64 = 250;
const REFERENCE: i64 = 256;

/// Packets that left at about one instant, as far as they have arrived.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// When the first and the last of its bursts left.
    pub sent: (Instant, Instant),
    /// When the first and the last packet came, in microseconds of the receiver's clock.
    pub arrived: (i64, i64),
    /// Packets that came.
    pub packets: u32,
    /// Their size.
    pub bytes: u64,
    /// The probe that they belong to, or 0.
    pub cluster: u32,
    newest: u64,
    sent_bytes: u64,
    /// Of what came before it nothing is known: a feedback was lost.
    gap: bool,
}

/// What one feedback has brought to light.
#[derive(Clone, Copy, Debug)]
pub struct Signals {
    /// More is sent than leaves: the queue grows.
    pub over: bool,
    /// The loss.
    pub loss: Verdict,
}

/// All that is known of a path.
#[derive(Debug, Default)]
pub struct PathMonitor {
    reference: Option<i64>,
    epoch: Option<Instant>,
    group: Option<Group>,
    /// When the last packet of the group before came.
    before: Option<i64>,
    /// The number that the next feedback begins with, and whether one before it was lost.
    expected: u64,
    gap: bool,
    base: BaseDelay,
    standing: StandingQueue,
    trend: Trend,
    usage: Option<Usage>,
    throughput: Throughput,
    loss: Loss,
    /// Queue that the newest group found, and the newest slice's least, in microseconds.
    queue: i64,
    stood: i64,
    /// How much longer groups wait than the least one near them.
    restless: i64,
    round_trip: Option<Duration>,
    heard: Option<Instant>,
    /// Highest rate since the last verdict on loss, and before it.
    peak: Option<u64>,
    carried: Option<u64>,
}

impl PathMonitor {
    /// Takes a feedback; `each` gets the groups that are complete.
    pub fn feedback(
        &mut self,
        now: Instant,
        feedback: &TransportFeedback<'_>,
        log: &mut SentLog,
        mut each: impl FnMut(&Group),
    ) -> Signals {
        let mut signals = Signals { over: false, loss: Verdict::None };
        let Some((mut number, known)) = log.locate(feedback.base_sequence) else { return signals };
        if number.saturating_add(MAX_LATE) < self.expected {
            return signals;
        }
        self.heard = Some(now);
        self.gap |= number > self.expected && self.expected > 0;
        let mut arrival = self.unwrap_reference(feedback.reference_time) * REFERENCE * TICK;
        let mut index = log.index_of(number);
        let (mut received, mut lost) = (0, 0);
        let mut newest_sent = None;
        for fate in feedback.arrivals().take(usize::try_from(known).unwrap_or(usize::MAX)) {
            let this = number;
            number += 1;
            while log.get(index).is_some_and(|burst| burst.first + u64::from(burst.count) <= this) {
                index += 1;
            }
            let Some(delta) = fate.delta else {
                lost += 1;
                continue;
            };
            arrival += i64::from(delta) * TICK;
            received += 1;
            let Some(burst) = log.get(index).filter(|burst| burst.first <= this) else { continue };
            newest_sent = Some(burst.at);
            if let Some(group) = self.place(this, burst, arrival) {
                signals.over |= self.complete(now, &group);
                each(&group);
            }
        }
        self.expected = self.expected.max(number);
        if let Some(sent) = newest_sent {
            self.round_trip = Some(now.saturating_duration_since(sent));
        }
        self.peak = self.peak.max(self.rate());
        signals.loss = self.loss.add(now, received, lost);
        if signals.loss != Verdict::None {
            self.carried = std::mem::take(&mut self.peak);
        }
        signals
    }

    /// The reference time wraps after 12 days.
    fn unwrap_reference(&mut self, reference: i32) -> i64 {
        let unwrapped = self.reference.map_or(i64::from(reference), |last| {
            let ahead = (reference.wrapping_sub(last as i32) << 8) >> 8;
            last + i64::from(ahead)
        });
        self.reference = Some(unwrapped);
        unwrapped
    }

    /// Adds a packet to its group. Returns the group before, if this one begins another.
    fn place(&mut self, number: u64, burst: &Burst, arrival: i64) -> Option<Group> {
        let bytes = u64::from(burst.packet_bytes());
        match &mut self.group {
            // Of an older group, or reported once more: too late to say anything of the queue.
            Some(group) if number <= group.newest => return None,
            Some(group)
                if group.cluster == burst.cluster && burst.at.saturating_duration_since(group.sent.0) < GROUP =>
            {
                group.sent.1 = burst.at;
                group.arrived = (group.arrived.0.min(arrival), group.arrived.1.max(arrival));
                group.packets += 1;
                group.bytes += bytes;
                group.newest = number;
                return None;
            }
            _ => {}
        }
        self.group.replace(Group {
            sent: (burst.at, burst.at),
            arrived: (arrival, arrival),
            packets: 1,
            bytes,
            cluster: burst.cluster,
            newest: number,
            sent_bytes: burst.before,
            gap: std::mem::take(&mut self.gap),
        })
    }

    /// Learns from a group of which all that comes has come. Returns true if the queue grows.
    fn complete(&mut self, now: Instant, group: &Group) -> bool {
        let (first, last) = group.arrived;
        if self.before.is_some_and(|before| first < before - CLOCK_SET_BACK) {
            self.forget_clock();
        }
        let epoch = *self.epoch.get_or_insert(group.sent.0);
        let sent = group.sent.0.saturating_duration_since(epoch).as_micros() as i64;
        let one_way = first - sent;
        let mut queue = self.base.queue(now, one_way);
        if queue > now.saturating_duration_since(group.sent.0).as_micros() as i64 + CLOCK_SET {
            self.forget_clock();
            self.base.reset(one_way);
            queue = 0;
        }
        self.queue = queue;
        let mean = group.bytes / u64::from(group.packets);
        let (mut busy, mut busy_bytes) = (last - first, group.bytes - mean);
        if let Some(before) = self.before.filter(|&before| first > before) {
            if group.gap {
                self.throughput.skip(first - before);
            } else if queue > WAITED + 2 * self.restless {
                busy += first - before;
                busy_bytes += mean;
            }
        }
        let sent_bytes = group.sent_bytes;
        self.throughput.add(Arrived { at: last, bytes: group.bytes, busy, busy_bytes, sent, sent_bytes });
        self.before = Some(self.before.map_or(last, |before| before.max(last)));
        let Some(stood) = self.standing.add(first, queue) else { return false };
        self.stood = stood;
        self.restless = (self.restless * 7 + (queue - stood)) / 8;
        self.restless = self.restless.min(MAX_RESTLESS);
        let usage = self.trend.add(first as f64 / 1000.0, stood as f64 / 1000.0);
        let full = stood > FULL && self.is_overloaded();
        self.usage = Some(if full { Usage::Over } else { usage });
        self.usage == Some(Usage::Over)
    }

    /// More is offered to a link that has no pause than it delivers: a full queue does not grow.
    fn is_overloaded(&self) -> bool {
        let both = self.throughput.offered().zip(self.throughput.full());
        both.is_some_and(|(offered, capacity)| offered as f64 > capacity as f64 * OVERLOAD)
    }

    /// Nothing that was measured by the receiver's clock holds any more.
    fn forget_clock(&mut self) {
        self.before = None;
        self.throughput.reset();
        self.standing.reset();
        self.trend.reset();
    }

    /// The path is another one.
    pub fn reset(&mut self) {
        *self = PathMonitor { reference: self.reference, epoch: self.epoch, ..PathMonitor::default() };
    }

    /// Nothing speaks against sending more: no queue, no loss to speak of.
    pub fn is_calm(&self) -> bool {
        /// A queue that stands, in microseconds.
        const QUEUE: i64 = 30_000;
        self.stood < QUEUE && self.usage != Some(Usage::Over) && self.loss.is_tolerable()
    }

    /// Bit/s that arrived in the last half second.
    pub fn rate(&self) -> Option<u64> {
        self.throughput.rate()
    }

    /// The highest rate in the time that the last verdict on loss is about.
    pub fn carried(&self) -> Option<u64> {
        self.carried
    }

    /// Bit/s of the link while packets waited for each other.
    pub fn capacity(&self) -> Option<u64> {
        self.throughput.capacity()
    }

    /// The same, of a link that had hardly a pause.
    pub fn full(&self) -> Option<u64> {
        self.throughput.full()
    }

    /// The least queue of the newest slice of time.
    pub fn queue(&self) -> Duration {
        Duration::from_micros(self.stood.max(0) as u64)
    }

    /// The queue that the newest packets found, where one stands.
    pub fn newest_queue(&self) -> Duration {
        Duration::from_micros(self.stood.max(self.queue).max(0) as u64)
    }

    /// 0-1.
    pub fn fraction_lost(&self) -> f64 {
        self.loss.fraction()
    }

    /// From sending to hearing of it, queue and the viewer's pause between two feedbacks included.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// When the newest feedback came.
    pub fn heard(&self) -> Option<Instant> {
        self.heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{Arrival, Packet, Packets, write_transport_feedback};

    /// Takes a feedback on `count` packets from `first` on, all of them there or none.
    fn tell(monitor: &mut PathMonitor, log: &mut SentLog, now: Instant, first: u64, count: u64, received: bool) {
        let fate = |number: u64| Arrival { sequence: number as u16, delta: received.then_some(4) };
        let arrivals: Vec<Arrival> = (first..first + count).map(fate).collect();
        let mut bytes = Vec::new();
        write_transport_feedback(&mut bytes, 1, 2, 1000, 0, &arrivals);
        let Some(Packet::TransportFeedback(feedback)) = Packets::new(&bytes).next() else { panic!("a feedback") };
        monitor.feedback(now, &feedback, log, |_| {});
    }

    #[test]
    fn what_was_reported_on_long_ago_is_not_gone_through_again() {
        let (start, mut log, mut monitor) = (Instant::now(), SentLog::default(), PathMonitor::default());
        for step in 0..10_000 {
            log.number();
            log.sent(start + Duration::from_micros(100 * step), 1, 1000);
        }
        let now = start + Duration::from_secs(1);
        tell(&mut monitor, &mut log, now, 9_900, 101, true);
        for _ in 0..10 {
            tell(&mut monitor, &mut log, now + Duration::from_secs(1), 9_901 - MAX_LATE - 200, 200, false);
        }
        assert_eq!(monitor.fraction_lost(), 0.0);
        tell(&mut monitor, &mut log, now + Duration::from_secs(2), 10_001 - MAX_LATE, 200, false);
        assert!(monitor.fraction_lost() > 0.5, "what came late still counts");
    }
}
