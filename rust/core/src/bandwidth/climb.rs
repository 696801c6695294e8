//! Finding out whether a path carries more than it has to: probes.
//!
//! What is sent does not fill the link, so nothing that arrives says what would. A *cluster* of packets at a higher rate
//! for some tens of milliseconds tells what the link is; where that suffices, a *rehearsal* keeps that rate up for half a
//! second, since a token bucket lets a cluster pass. Both are packets sent again, by RTX. They stop as soon as a queue
//! grows, and are only sent where a better layer would be had for it.

use std::time::{Duration, Instant};

use super::path::{Group, PathMonitor};
use super::sent::SentLog;

/// A cluster lasts so long, and is so many bytes at least: enough for a rate.
const CLUSTER: Duration = Duration::from_millis(20);
const CLUSTER_BYTES: u64 = 5_000;
/// Above what is wanted: what arrives may be a little less than what leaves.
const CLUSTER_ABOVE: f64 = 1.1;
/// From one cluster to the next of one climb.
const STEP: u64 = 4;
/// A cluster has passed if so much of its rate arrives, or it came so little later than it left (in microseconds): less
/// tells nothing where packets are late at random.
const PASSED: f64 = 0.9;
const RANDOM: u64 = 12_000;
/// So much of its rate has to leave.
const LEFT: f64 = 0.7;
/// So much of a cluster has to come.
const COMPLETE: f64 = 0.8;
/// Of what a cluster measured, so much is rehearsed.
const SAFE: f64 = 0.9;
/// What is wanted may be a little more by the time that it is rehearsed.
const ROOM: f64 = 1.03;
/// Time after which a cluster's fate is known.
const FATE: Duration = Duration::from_millis(800);
/// A rehearsal that does not reach its rate by then has failed.
const REHEARSAL: Duration = Duration::from_millis(2_000);
/// So much of the rate has to arrive, over half a second.
const REHEARSED: f64 = 0.93;
/// A queue beyond this ends a rehearsal.
const QUEUE: Duration = Duration::from_millis(60);
/// So does loss beyond this.
const LOSSY: f64 = 0.15;
/// Between two packets of a probe at least.
const TICK: Duration = Duration::from_millis(2);
/// From a climb that failed to the next one, at first and at most: ten seconds are to be enough to follow a link.
const PAUSE: Duration = Duration::from_secs(3);
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// The same where nothing speaks against it but the moment.
const AGAIN: Duration = Duration::from_millis(400);
/// Without feedback for so long none is tried.
const HEARD: Duration = Duration::from_millis(800);
/// Most bytes of one tick: after a pause of the thread no burst makes up for it.
const MAX_TICK: u64 = 40_000;
/// A receiver's clock that does not move between packets: they were read at once, however fast the link is.
const LEAST_SPAN: i64 = 1_000;

/// What a climb is for, in bit/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What the next better layer takes, with all else.
    pub next: u64,
    /// What the best of all takes.
    pub top: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Idle,
    /// Packets leave until there are `bytes` of them.
    Cluster {
        rate: u64,
        since: Instant,
        sent: u64,
        bytes: u64,
    },
    /// All `bytes` of them have left.
    Wait {
        rate: u64,
        until: Instant,
        bytes: u64,
    },
    Rehearsal {
        rate: u64,
        since: Instant,
        sent: u64,
    },
}

/// How a cluster left and came.
#[derive(Clone, Copy, Debug)]
struct Seen {
    first: Group,
    last: Group,
    bytes: u64,
    packets: u32,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet.
    None,
    /// The path carries this much.
    Passed(u64),
    /// It does not carry what is wanted.
    Failed,
}

/// The climb of one transport.
#[derive(Debug)]
pub struct Climb {
    state: State,
    cluster: u32,
    seen: Option<Seen>,
    wanted: Option<Wanted>,
    next_at: Option<Instant>,
    pause: Duration,
    ticked: Option<Instant>,
}

impl Default for Climb {
    fn default() -> Climb {
        Climb { state: State::Idle, cluster: 0, seen: None, wanted: None, next_at: None, pause: PAUSE, ticked: None }
    }
}

impl Climb {
    /// What would be of use; None if there is nothing to climb for.
    pub fn want(&mut self, now: Instant, wanted: Option<Wanted>) {
        self.wanted = wanted;
        match wanted {
            None => self.pause = PAUSE,
            Some(_) => _ = self.next_at.get_or_insert(now),
        }
    }

    /// When `tick` is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Idle => self.wanted.and(self.next_at),
            State::Wait { until, .. } => Some(until),
            State::Cluster { since, .. } | State::Rehearsal { since, .. } => {
                Some(self.ticked.map_or(since, |ticked| ticked + TICK))
            }
        }
    }

    /// What it does, for `dump`.
    pub fn describe(&self) -> String {
        format!("wants {:?}, {:?}", self.wanted.map(|wanted| (wanted.next, wanted.top)), self.state)
    }

    /// Goes on. Returns how many bytes are to be sent again now.
    pub fn tick(&mut self, now: Instant, log: &mut SentLog, path: &PathMonitor) -> u64 {
        self.ticked = Some(now);
        match self.state {
            State::Idle => {
                let Some(wanted) = self.wanted else { return 0 };
                if self.next_at.is_some_and(|at| now < at) {
                    return 0;
                }
                let heard = path.heard().is_some_and(|heard| now.saturating_duration_since(heard) < HEARD);
                if !heard || !path.is_calm() {
                    self.next_at = Some(now + AGAIN);
                    return 0;
                }
                self.send_cluster(now, (wanted.next as f64 * CLUSTER_ABOVE) as u64, log);
                0
            }
            State::Cluster { rate, since, sent, bytes } => {
                let gone = log.total() - sent;
                if gone >= bytes {
                    log.cluster = 0;
                    self.state = State::Wait { rate, until: now + FATE, bytes: gone };
                    return 0;
                }
                if now.saturating_duration_since(since) > REHEARSAL {
                    // There is nothing that could be sent again: the publisher is silent, or gone.
                    self.fail(now, log);
                    return 0;
                }
                due(now, rate, since, gone).min(bytes - gone)
            }
            State::Wait { until, .. } => {
                if now >= until {
                    if path.fraction_lost() > LOSSY {
                        self.fail(now, log);
                    } else {
                        // The feedback was lost: nothing is known.
                        self.state = State::Idle;
                        self.next_at = Some(now + AGAIN);
                    }
                }
                0
            }
            State::Rehearsal { rate, since, sent } => {
                if now.saturating_duration_since(since) > REHEARSAL {
                    self.fail(now, log);
                    return 0;
                }
                due(now, rate, since, log.total() - sent)
            }
        }
    }

    fn send_cluster(&mut self, now: Instant, rate: u64, log: &mut SentLog) {
        self.cluster = self.cluster.wrapping_add(1).max(1);
        self.seen = None;
        log.cluster = self.cluster;
        let bytes = (rate / 8 * CLUSTER.as_millis() as u64 / 1000).max(CLUSTER_BYTES);
        self.state = State::Cluster { rate, since: now, sent: log.total(), bytes };
    }

    /// Takes a group that has arrived.
    pub fn arrived(&mut self, group: &Group) {
        if group.cluster != self.cluster || group.cluster == 0 {
            return;
        }
        let seen = self.seen.get_or_insert(Seen { first: *group, last: *group, bytes: 0, packets: 0 });
        seen.last = *group;
        seen.bytes += group.bytes;
        seen.packets += group.packets;
    }

    /// Judges by a feedback whose groups `arrived` has taken; `congested` says that it tells of congestion.
    pub fn feedback(&mut self, now: Instant, congested: bool, log: &mut SentLog, path: &PathMonitor) -> Outcome {
        match self.state {
            State::Idle => {
                if congested {
                    self.delay(now);
                }
                Outcome::None
            }
            State::Cluster { .. } => Outcome::None,
            State::Wait { rate, bytes, .. } => self.judge_cluster(now, rate, bytes, log),
            State::Rehearsal { rate, .. } => {
                if congested || path.queue() > QUEUE || path.fraction_lost() > LOSSY {
                    self.fail(now, log);
                    return Outcome::Failed;
                }
                if path.rate().is_some_and(|arrived| arrived as f64 >= rate as f64 * REHEARSED) {
                    self.state = State::Idle;
                    (self.next_at, self.pause) = (Some(now), PAUSE);
                    return Outcome::Passed(rate);
                }
                Outcome::None
            }
        }
    }

    fn judge_cluster(&mut self, now: Instant, rate: u64, bytes: u64, log: &mut SentLog) -> Outcome {
        let (Some(seen), Some(wanted)) = (self.seen, self.wanted) else { return Outcome::None };
        let left = seen.last.sent.1.saturating_duration_since(seen.first.sent.0).as_micros() as u64;
        let came = (seen.last.arrived.1 - seen.first.arrived.0).max(LEAST_SPAN) as u64;
        if left == 0 || (seen.bytes as f64) < bytes as f64 * COMPLETE {
            return Outcome::None;
        }
        let mean = |group: &Group| group.bytes / u64::from(group.packets);
        let sent_rate = (seen.bytes - seen.last.bytes) * 8_000_000 / left;
        let arrived_rate = (seen.bytes - mean(&seen.first)) * 8_000_000 / came;
        if (sent_rate as f64) < rate as f64 * LEFT {
            // Our thread stood still, and the packets have not left at the rate.
            self.state = State::Idle;
            self.next_at = Some(now + AGAIN);
            return Outcome::None;
        }
        let passed = arrived_rate as f64 >= sent_rate as f64 * PASSED || came <= left + RANDOM;
        let carried = if passed { rate } else { arrived_rate };
        self.seen = None;
        if passed && wanted.top > carried {
            let rate = ((wanted.top as f64 * CLUSTER_ABOVE) as u64).min(rate * STEP);
            self.send_cluster(now, rate, log);
            return Outcome::None;
        }
        if carried < wanted.next {
            self.fail(now, log);
            return Outcome::Failed;
        }
        let safe = if passed { carried } else { (carried as f64 * SAFE) as u64 };
        let rehearsed = (safe.clamp(wanted.next, wanted.top) as f64 * ROOM) as u64;
        self.state = State::Rehearsal { rate: rehearsed, since: now, sent: log.total() };
        Outcome::None
    }

    fn fail(&mut self, now: Instant, log: &mut SentLog) {
        log.cluster = 0;
        self.state = State::Idle;
        self.delay(now);
        self.pause = (self.pause * 3 / 2).min(MAX_PAUSE);
    }

    /// Tries nothing for a while.
    pub fn delay(&mut self, now: Instant) {
        self.next_at = Some(now + self.pause);
    }

    /// Stops what is under way: the path is another one.
    pub fn reset(&mut self, log: &mut SentLog) {
        log.cluster = 0;
        *self = Climb { cluster: self.cluster, wanted: self.wanted, ..Climb::default() };
    }
}

/// Bytes that are missing to a rate.
fn due(now: Instant, rate: u64, since: Instant, gone: u64) -> u64 {
    let elapsed = (now.saturating_duration_since(since) + TICK).as_micros() as u64;
    (rate / 8 * elapsed / 1_000_000).saturating_sub(gone).min(MAX_TICK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_can_be_sent_again_no_probe_goes_on() {
        let (start, mut log, mut climb) = (Instant::now(), SentLog::default(), Climb::default());
        climb.want(start, Some(Wanted { next: 1_000_000, top: 1_000_000 }));
        climb.send_cluster(start, 1_000_000, &mut log);
        let mut now = start;
        while let Some(at) = climb.deadline().filter(|&at| at < start + REHEARSAL + PAUSE / 2) {
            assert!(at > now || now == start);
            now = at;
            climb.tick(now, &mut log, &PathMonitor::default());
        }
        assert!(climb.deadline() >= Some(start + REHEARSAL + PAUSE) && log.cluster == 0);
    }
}
