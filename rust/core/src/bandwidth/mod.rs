//! What the path to a viewer carries: send-side estimation from transport-wide feedback (draft-ietf-rmcat-gcc-02, with
//! ideas of RFC 8698), REMB or receiver reports as a fallback, and probes.
//!
//! Everything here is per transport. The packet path writes one line a flush into the [`sent::SentLog`]; all else
//! happens when the viewer's RTCP comes, or on a timer while a probe is under way.

pub mod allocate;
pub mod automatic;
pub mod climb;
pub mod control;
pub mod delay;
pub mod loss;
pub mod path;
pub mod sent;
pub mod throughput;
pub mod trend;

use std::time::{Duration, Instant};

use climb::{Climb, Outcome, Wanted};
use control::{Control, Evidence};
use path::PathMonitor;
use sent::SentLog;

use crate::rtcp::TransportFeedback;

/// The estimator of one transport.
#[derive(Debug, Default)]
pub struct Estimator {
    path: PathMonitor,
    control: Control,
    climb: Climb,
}

impl Estimator {
    /// Takes a transport-wide feedback. Returns true if it tells of congestion, or of the end of a probe.
    pub fn feedback(&mut self, now: Instant, feedback: &TransportFeedback<'_>, log: &mut SentLog) -> bool {
        let climb = &mut self.climb;
        let signals = self.path.feedback(now, feedback, log, |group| climb.arrived(group));
        let congested = self.control.feedback(now, &self.path, &signals);
        match self.climb.feedback(now, congested, log, &self.path) {
            Outcome::None => return congested,
            Outcome::Passed(bitrate) => self.control.passed(now, bitrate),
            Outcome::Failed => self.control.fell_short(now),
        }
        true
    }

    /// Takes the viewer's own estimate, in bit/s.
    pub fn remb(&mut self, now: Instant, bitrate: u64) {
        self.control.remb(now, bitrate);
    }

    /// Takes the loss (0-1) of a receiver report; `sent` is what leaves, in bit/s. Returns true if it tells of congestion.
    pub fn report(&mut self, now: Instant, fraction_lost: f64, sent: u64) -> bool {
        self.control.report(now, fraction_lost, sent)
    }

    /// What more bandwidth would be good for.
    pub fn want(&mut self, now: Instant, wanted: Option<Wanted>) {
        self.climb.want(now, wanted.filter(|_| self.control.evidence() == Some(Evidence::TransportCc)));
    }

    /// When `tick` is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.climb.deadline()
    }

    /// Goes on with a probe. Returns how many bytes are to be sent again now.
    pub fn tick(&mut self, now: Instant, log: &mut SentLog) -> u64 {
        self.climb.tick(now, log, &self.path)
    }

    /// Time passes; see [`Control::elapse`].
    pub fn elapse(&mut self, now: Instant, log: &SentLog) -> bool {
        self.control.elapse(now, log.newest_at(), self.path.heard())
    }

    /// The path is another one.
    pub fn reset(&mut self, log: &mut SentLog) {
        self.path.reset();
        self.control.reset();
        self.climb.reset(log);
    }

    /// What the path has been seen to carry, in bit/s, overhead of UDP and IP included.
    pub fn estimate(&self) -> Option<u64> {
        self.control.estimate()
    }

    /// What it is known not to exceed.
    pub fn limit(&self) -> Option<u64> {
        self.control.limit()
    }

    /// What may be sent until the queue that stands is gone, within a second or so; `None` where no limit is known.
    pub fn drain(&self) -> Option<u64> {
        /// Something is always sent.
        const LEAST: f64 = 0.3;
        let share = (1.0 - self.path.newest_queue().as_secs_f64()).clamp(LEAST, 1.0);
        let drain = (self.control.carried()? as f64 * share) as u64;
        Some(self.limit()?.min(drain))
    }

    /// What a link carries that was seen to be full.
    pub fn carried(&self) -> Option<u64> {
        self.control.carried()
    }

    /// Bytes that stand in the queue of a full link.
    pub fn standing(&self) -> u64 {
        (self.control.carried().unwrap_or(0) as f64 / 8.0 * self.path.newest_queue().as_secs_f64()) as u64
    }

    /// Whether what it claims was seen to arrive a moment ago.
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.control.is_fresh(now)
    }

    /// Nothing speaks against sending more.
    pub fn is_calm(&self) -> bool {
        self.path.is_calm()
    }

    /// When the viewer, or its feedback, last told of congestion.
    pub fn complained(&self) -> Option<Instant> {
        self.control.complained()
    }

    /// Whether the link was full a moment ago.
    pub fn is_full(&self, now: Instant) -> bool {
        self.control.is_full(now)
    }

    /// What the estimate is from.
    pub fn evidence(&self) -> Option<Evidence> {
        self.control.evidence()
    }

    /// How long packets stand in a queue.
    pub fn queue(&self) -> Duration {
        self.path.queue()
    }

    /// See [`PathMonitor::round_trip`].
    pub fn round_trip(&self) -> Option<Duration> {
        self.path.round_trip()
    }

    /// A line for `dump`.
    pub fn describe(&self) -> String {
        format!(
            "estimate {:?} limit {:?} by {:?} | queue {:?} round trip {:?} lost {:.3} rate {:?} capacity {:?} | climb {}",
            self.estimate(),
            self.limit(),
            self.evidence(),
            self.queue(),
            self.round_trip(),
            self.path.fraction_lost(),
            self.path.rate(),
            self.path.capacity(),
            self.climb.describe(),
        )
    }
}
