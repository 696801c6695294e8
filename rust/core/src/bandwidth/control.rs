//! The estimate: what the path has been seen to carry.
//!
//! It grows to what arrived without a queue or loss, and a little beyond while it is used up; what nobody has tested
//! it does not claim. Congestion brings it below what the link delivered while it was busy (the multiplicative decrease of
//! draft-ietf-rmcat-gcc-02 section 5.5, by the rate at which packets left the queue).

use std::time::{Duration, Instant};

use super::loss::Verdict;
use super::path::{PathMonitor, Signals};

/// Never less, bit/s: sound and its feedback.
const MIN: u64 = 30_000;
/// Whatever a viewer claims, no more is taken for true, bit/s: faster than any link.
const MAX: u64 = 100_000_000_000;
/// Of what the congested link carries, so that its queue drains.
const BACK_OFF: f64 = 0.88;
/// An estimate this near to what the link carries is not the cause.
const NEAR: f64 = 0.95;
/// What is lost again after this time is not the burst that began it.
const AGAIN: Duration = Duration::from_millis(2500);
/// Growth for each second, while this share of the estimate is used, up to this much more than arrives.
const GROWTH: f64 = 0.08;
const USED: f64 = 0.85;
const BEYOND: f64 = 1.1;
/// Without feedback for so long, while packets leave, nothing is known any more ...
const BLIND: Duration = Duration::from_secs(3);
/// ... and the estimate falls by half for each second.
const BLIND_STEP: Duration = Duration::from_secs(1);
/// An estimate that was used within this time need not be tested again.
const FRESH: Duration = Duration::from_secs(2);
/// Congestion is followed by fewer layers for so long.
const LATELY: Duration = Duration::from_millis(1200);
/// Loss of receiver reports (draft-ietf-rmcat-gcc-02 section 6).
const REPORT_HIGH: f64 = 0.1;
const REPORT_LOW: f64 = 0.02;
/// A link that loses so much is full, and the rest is what it carries.
const REPORT_FULL: f64 = 0.25;

/// What the estimate is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// Loss in receiver reports.
    Loss,
    /// The viewer's own estimate.
    Remb,
    /// Transport-wide feedback.
    TransportCc,
}

/// The estimate of one transport.
#[derive(Debug, Default)]
pub struct Control {
    estimate: Option<u64>,
    evidence: Option<Evidence>,
    /// When the link was last seen to carry no more.
    limited: Option<Instant>,
    /// When this much was last seen to arrive.
    tested: Option<Instant>,
    lossy: Option<Instant>,
    updated: Option<Instant>,
    blind_at: Option<Instant>,
    complained: Option<Instant>,
    /// The viewer wants no more.
    remb: Option<u64>,
}

impl Control {
    /// Takes a feedback that `path` has digested. Returns true if it tells of congestion.
    pub fn feedback(&mut self, now: Instant, path: &PathMonitor, signals: &Signals) -> bool {
        self.evidence = Some(Evidence::TransportCc);
        let before = self.updated.replace(now).unwrap_or(now);
        self.blind_at = None;
        let rate = path.rate();
        if signals.over || signals.loss == Verdict::Congestion {
            self.congested(now, path, signals);
            return true;
        }
        let Some(rate) = rate.filter(|_| path.is_calm()) else { return false };
        let estimate = self.estimate.unwrap_or(0);
        if rate >= estimate {
            self.estimate = Some(rate);
        }
        if rate as f64 >= estimate as f64 * USED {
            self.tested = Some(now);
            let span = now.saturating_duration_since(before).min(BLIND_STEP).as_secs_f64();
            let grown = (estimate as f64 * (1.0 + GROWTH * span)).min(rate as f64 * BEYOND);
            self.estimate = Some(self.estimate.unwrap_or(0).max(grown as u64));
        }
        false
    }

    fn congested(&mut self, now: Instant, path: &PathMonitor, signals: &Signals) {
        // A burst overflows a queue that its link would have drained; a link that drops without a queue does so always.
        let lossy = signals.loss == Verdict::Congestion;
        let again = lossy && self.lossy.is_some_and(|at| now.saturating_duration_since(at) < AGAIN);
        if lossy {
            self.lossy = Some(now);
        }
        let carried = if again && !signals.over {
            path.full().or(path.carried()).or(path.capacity())
        } else {
            path.capacity().or(path.rate())
        };
        let Some(carried) = carried else { return };
        (self.limited, self.complained) = (Some(now), Some(now));
        if self.estimate.is_none_or(|estimate| estimate as f64 > carried as f64 * NEAR) {
            self.estimate = Some(((carried as f64 * BACK_OFF) as u64).max(MIN));
        }
        self.tested = Some(now);
    }

    /// A probe has shown that the path carries this much, ...
    pub fn passed(&mut self, now: Instant, bitrate: u64) {
        self.estimate = Some(self.estimate.unwrap_or(0).max(bitrate));
        self.tested = Some(now);
        self.limited = None;
    }

    /// ... or that it carries no more than is claimed.
    pub fn fell_short(&mut self, now: Instant) {
        self.limited.get_or_insert(now);
    }

    /// The viewer's own estimate: all there is, or a bound of ours.
    pub fn remb(&mut self, now: Instant, bitrate: u64) {
        let bitrate = bitrate.clamp(MIN, MAX);
        self.remb = Some(bitrate);
        if self.evidence <= Some(Evidence::Remb) {
            self.evidence = Some(Evidence::Remb);
            self.estimate = Some(bitrate);
            (self.tested, self.limited) = (Some(now), Some(now));
        }
    }

    /// A receiver report, of a viewer that says nothing else. `sent` is what leaves, in bit/s.
    pub fn report(&mut self, now: Instant, fraction_lost: f64, sent: u64) -> bool {
        if self.evidence > Some(Evidence::Loss) {
            if fraction_lost > REPORT_HIGH && self.evidence == Some(Evidence::Remb) {
                self.complained = Some(now);
            }
            return false;
        }
        self.evidence = Some(Evidence::Loss);
        let before = self.updated.replace(now).unwrap_or(now);
        let estimate = self.estimate.unwrap_or(sent);
        if fraction_lost > REPORT_HIGH {
            self.complained = Some(now);
            let share = if fraction_lost > REPORT_FULL { 1.0 - fraction_lost } else { 1.0 - 0.5 * fraction_lost };
            let carried = estimate.min(sent) as f64 * share;
            self.estimate = Some((carried as u64).max(MIN));
            (self.tested, self.limited) = (Some(now), Some(now));
            return true;
        }
        if fraction_lost < REPORT_LOW {
            let span = now.saturating_duration_since(before).min(2 * BLIND_STEP).as_secs_f64();
            let grown = (estimate as f64 * (1.0 + GROWTH * span)).min(sent as f64 * BEYOND);
            self.estimate = Some(estimate.max(sent).max(grown as u64));
            self.tested = Some(now);
        }
        false
    }

    /// Time passes. `sent` says when the newest packet left, `heard` when the newest feedback came. Returns true if the
    /// estimate has changed.
    pub fn elapse(&mut self, now: Instant, sent: Option<Instant>, heard: Option<Instant>) -> bool {
        let (Some(sent), Some(heard), Some(estimate)) = (sent, heard, self.estimate) else { return false };
        if self.evidence != Some(Evidence::TransportCc) || sent.saturating_duration_since(heard) < BLIND {
            return false;
        }
        if self.blind_at.is_some_and(|at| now.saturating_duration_since(at) < BLIND_STEP) {
            return false;
        }
        self.blind_at = Some(now);
        self.estimate = Some((estimate / 2).max(MIN));
        true
    }

    /// The path is another one: what it carries is as yet unknown.
    pub fn reset(&mut self) {
        *self = Control::default();
    }

    /// In bit/s, overhead of UDP and IP included.
    pub fn estimate(&self) -> Option<u64> {
        Some(self.estimate?.min(self.remb.unwrap_or(u64::MAX)))
    }

    /// The same, if the link is known to carry no more.
    pub fn limit(&self) -> Option<u64> {
        self.estimate().filter(|_| self.limited.is_some())
    }

    /// What the link carries when it is full, if that is known.
    pub fn carried(&self) -> Option<u64> {
        Some((self.limit()? as f64 / BACK_OFF) as u64)
    }

    /// When congestion was last told of.
    pub fn complained(&self) -> Option<Instant> {
        self.complained
    }

    /// Whether the link was full a moment ago, or that is what the viewer says.
    pub fn is_full(&self, now: Instant) -> bool {
        let lately = |at: Instant| now.saturating_duration_since(at) < LATELY;
        self.limited.is_some_and(lately) || self.blind_at.is_some_and(lately)
    }

    /// Whether what the estimate claims was seen to arrive a moment ago.
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.tested.is_some_and(|at| now.saturating_duration_since(at) < FRESH)
    }

    /// What it is from.
    pub fn evidence(&self) -> Option<Evidence> {
        self.evidence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_viewer_claims_is_out_of_bounds() {
        for (claimed, taken) in [(0, MIN), (1_000_000, 1_000_000), (u64::MAX, MAX)] {
            let mut control = Control::default();
            control.remb(Instant::now(), claimed);
            assert_eq!(control.estimate(), Some(taken));
            assert!(control.carried() >= Some(taken));
        }
    }
}
