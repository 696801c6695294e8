//! When the layers of a transport change: down at once, up when the path was tested, and not to and fro.

use std::time::{Duration, Instant};

use super::Estimator;
use super::allocate::{Ladder, Plan};
use super::climb::Wanted;
use super::control::Evidence;

/// What a path of which nothing is known is trusted with, in bit/s. What fits better is found within a second or two.
const START: u64 = 2_000_000;
/// A better layer that has to be given up within this time was a mistake; then none is tried for so long, at first and at
/// most.
const PROVEN: Duration = Duration::from_secs(10);
const HOLD: Duration = Duration::from_secs(4);
const MAX_HOLD: Duration = Duration::from_secs(60);
/// A path that cannot be probed is tried out: after so long without complaint, by one layer, ...
const TRIAL_AFTER: Duration = Duration::from_secs(4);
/// ... and so long is waited for what the viewer says to it.
const TRIAL: Duration = Duration::from_secs(3);
/// An estimate that has fallen below this share of itself ends a trial.
const FELL: f64 = 0.9;

/// What there is to know beside the estimate.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// What is sent in any case, in bit/s.
    pub fixed: u64,
    /// While nothing is known of the path it may be used for anything.
    pub trusted: bool,
    /// Packets can be sent to test it.
    pub probes: bool,
}

/// A layer that is tried out.
#[derive(Clone, Copy, Debug)]
struct Trial {
    /// Bit/s with it.
    bitrate: u64,
    /// The estimate when it began.
    estimate: u64,
    since: Instant,
}

/// The state of the choice of one transport.
#[derive(Debug)]
pub struct Automatic {
    plan: Plan,
    /// When it was last raised or lowered.
    raised: Option<Instant>,
    changed: Option<Instant>,
    hold: Duration,
    held_until: Option<Instant>,
    trial: Option<Trial>,
}

impl Default for Automatic {
    fn default() -> Automatic {
        Automatic { plan: Plan::default(), raised: None, changed: None, hold: HOLD, held_until: None, trial: None }
    }
}

impl Automatic {
    /// Decides. Returns the rung of each ladder.
    pub fn decide(&mut self, now: Instant, estimator: &mut Estimator, ladders: &[Ladder], facts: Facts) -> &[usize] {
        let estimate = estimator.estimate();
        let tried = self.tried(now, estimator);
        let budget = match estimate {
            Some(estimate) => tried.map_or(estimate, |tried| tried.max(estimate)),
            None if facts.trusted => u64::MAX,
            None => START,
        };
        self.plan.make(ladders, budget, facts.fixed);
        let lowers = |plan: &Plan| {
            plan.rungs.iter().zip(ladders).any(|(rung, ladder)| ladder.current().is_some_and(|current| *rung < current))
        };
        if let Some(drain) = estimator.drain().filter(|&drain| drain < budget && lowers(&self.plan)) {
            // What has piled up has to leave too.
            self.plan.make(ladders, drain, facts.fixed);
        }
        // As long as all arrives, nothing is taken away.
        let full = estimator.is_full(now);
        self.held_until = self.held_until.filter(|&until| now < until);
        let held = self.held_until.is_some();
        let fresh =
            estimate.is_none() || estimator.evidence() != Some(Evidence::TransportCc) || estimator.is_fresh(now);
        let mut better = false;
        let (mut raised, mut lowered) = (false, false);
        for (rung, ladder) in self.plan.rungs.iter_mut().zip(ladders) {
            let Some(current) = ladder.current() else { continue };
            if *rung > current && (held || !fresh) {
                (*rung, better) = (current, true);
            }
            if *rung < current && !full {
                *rung = current;
            }
            raised |= *rung > current;
            lowered |= *rung < current;
        }
        if lowered {
            self.note_lowered(now);
        } else if raised {
            (self.raised, self.changed) = (Some(now), Some(now));
        }
        if self.raised.is_some_and(|at| now.saturating_duration_since(at) > PROVEN) {
            (self.raised, self.hold) = (None, HOLD);
        }
        let wanted = match self.plan.next {
            _ if held => None,
            None if better => Some(Wanted { next: self.plan.top, top: self.plan.top }),
            next => next.map(|next| Wanted { next, top: self.plan.top }),
        };
        estimator.want(now, wanted.filter(|_| facts.probes));
        self.begin_trial(now, estimator, wanted, facts.probes);
        &self.plan.rungs
    }

    /// Bit/s of all that is sent by the newest decision.
    pub fn bitrate(&self) -> u64 {
        self.plan.bitrate
    }

    fn note_lowered(&mut self, now: Instant) {
        if self.raised.take().is_some_and(|at| now.saturating_duration_since(at) <= PROVEN) {
            self.held_until = Some(now + self.hold);
            self.hold = (self.hold * 2).min(MAX_HOLD);
        }
        (self.changed, self.trial) = (Some(now), None);
    }

    /// What is being tried out, unless the viewer has complained.
    fn tried(&mut self, now: Instant, estimator: &Estimator) -> Option<u64> {
        let trial = self.trial?;
        let complained = estimator.complained().is_some_and(|at| at > trial.since);
        let fell = estimator.estimate().is_some_and(|now| (now as f64) < trial.estimate as f64 * FELL);
        if complained || fell || now.saturating_duration_since(trial.since) >= TRIAL {
            self.trial = None;
            return None;
        }
        Some(trial.bitrate)
    }

    fn begin_trial(&mut self, now: Instant, estimator: &Estimator, wanted: Option<Wanted>, probes: bool) {
        let (Some(wanted), Some(estimate), None) = (wanted, estimator.estimate(), self.trial) else { return };
        let quiet = now.saturating_duration_since(*self.changed.get_or_insert(now)) >= TRIAL_AFTER;
        // A receiver's estimate does not go far beyond what it gets: some room above that is all it can say.
        let room = match estimator.evidence() {
            Some(Evidence::Remb) => estimate as f64 > 1.2 * self.plan.bitrate as f64,
            Some(Evidence::Loss) => estimate >= self.plan.bitrate,
            Some(Evidence::TransportCc) => !probes && estimator.is_calm() && estimator.is_fresh(now),
            None => false,
        };
        if quiet && room {
            self.trial = Some(Trial { bitrate: wanted.next, estimate, since: now });
        }
    }

    /// When the choice is to be made anew without any news.
    pub fn deadline(&self) -> Option<Instant> {
        [self.held_until, self.trial.map(|trial| trial.since + TRIAL)].into_iter().flatten().min()
    }
}
