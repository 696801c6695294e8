//! Consent to send (RFC 7675), which is also the keep-alive of a full agent.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::random::Random;
use crate::event::Path;
use crate::stun::TransactionId;

/// After this long without proof of the peer's consent nothing more is sent.
pub const CONSENT_TIMEOUT: Duration = Duration::from_secs(30);

const INTERVAL: Duration = Duration::from_secs(5);
/// Checks that may still be answered: those of one timeout.
const MAX_PENDING: usize = 8;

/// The consent checks of a full agent on its selected path.
#[derive(Debug)]
pub(super) struct Consent {
    pub(super) path: Path,
    granted: Instant,
    next: Instant,
    pending: VecDeque<(TransactionId, Instant)>,
}

impl Consent {
    /// The check that selected the path was the first grant.
    pub(super) fn new(now: Instant, path: Path, random: &mut Random) -> Self {
        Self { path, granted: now, next: now + interval(random), pending: VecDeque::with_capacity(MAX_PENDING) }
    }

    pub(super) fn expires(&self) -> Instant {
        self.granted + CONSENT_TIMEOUT
    }

    pub(super) fn next_deadline(&self) -> Instant {
        self.next.min(self.expires())
    }

    /// The id of a check that is due. A check is not repeated: the next one has another id (RFC 7675 section 5.1).
    pub(super) fn poll(&mut self, now: Instant, random: &mut Random) -> Option<TransactionId> {
        if now < self.next {
            return None;
        }
        self.next = now + interval(random);
        if self.pending.len() == MAX_PENDING {
            self.pending.pop_front();
        }
        let transaction = random.transaction();
        self.pending.push_back((transaction, now));
        Some(transaction)
    }

    /// Takes another proof of the peer's presence for an answer.
    pub(super) fn renew(&mut self, now: Instant) {
        self.granted = now;
    }

    pub(super) fn expects(&self, transaction: TransactionId) -> bool {
        self.pending.iter().any(|(pending, _)| *pending == transaction)
    }

    /// Takes an authentic answer; its round trip time.
    pub(super) fn grant(&mut self, now: Instant, transaction: TransactionId) -> Option<Duration> {
        let position = self.pending.iter().position(|(pending, _)| *pending == transaction)?;
        let (_, sent) = self.pending.remove(position)?;
        self.granted = now;
        Some(now.duration_since(sent))
    }
}

/// 5 s +- 20 %, so that many transports do not ask in step (RFC 7675 section 5.1).
fn interval(random: &mut Random) -> Duration {
    INTERVAL * 4 / 5 + INTERVAL * 2 / 5 * ((random.next() >> 40) as u32 & 0xff) / 255
}
