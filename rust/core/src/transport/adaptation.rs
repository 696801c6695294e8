//! What is known of the path to a viewer, and what was made of it.

use std::time::{Duration, Instant};

use crate::bandwidth::Estimator;
use crate::bandwidth::allocate::Ladder;
use crate::bandwidth::automatic::Automatic;
use crate::bandwidth::sent::SentLog;

/// Time over which the sent rate is measured, for receiver reports.
const SPAN: Duration = Duration::from_millis(900);

/// The state of one transport that has viewers' subscriptions.
#[derive(Debug, Default)]
pub struct Adaptation {
    /// The estimate.
    pub estimator: Estimator,
    /// The choice of layers.
    pub automatic: Automatic,
    /// Slots of the subscriptions that it chooses for, ...
    pub members: Vec<usize>,
    /// ... and what they can get.
    pub ladders: Vec<Ladder>,
    /// When media could leave.
    pub began: Option<Instant>,
    /// When it was last chosen.
    pub reviewed: Option<Instant>,
    sent: Option<(Instant, u64)>,
    rate: Option<u64>,
}

impl Adaptation {
    /// The viewer is on another network.
    pub fn forget_path(&mut self, now: Instant, log: &mut SentLog) {
        self.estimator.reset(log);
        self.began = Some(now);
    }

    /// Bit/s that left between the receiver reports, from the bytes sent so far. None before the second report.
    pub fn sent_rate(&mut self, now: Instant, bytes: u64) -> Option<u64> {
        let (at, before) = *self.sent.get_or_insert((now, bytes));
        let span = now.saturating_duration_since(at);
        if span >= SPAN {
            self.sent = Some((now, bytes));
            self.rate = Some((bytes.saturating_sub(before) as f64 * 8.0 / span.as_secs_f64()) as u64);
        }
        self.rate
    }
}
