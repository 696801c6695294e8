//! Asking STUN servers which address our sockets have beyond the NATs (RFC 8445 section 5.1.1.2).
//!
//! Nothing authenticates such an answer but the transaction that it repeats and the address that it comes from, so it
//! names an address for the peer to try and proves nothing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::checklist::is_usable;
use super::random::Random;
use crate::event::Path;
use crate::stun::{Class, Message, TransactionId};

/// Questions of one transport that wait for an answer; more are not asked.
pub const MAX_QUERIES: usize = 16;

/// RFC 8489 section 6.2.1: the first retransmission timeout, doubled each time ...
const RTO: Duration = Duration::from_millis(500);
/// ... Rc, the number of transmissions ...
const TRANSMISSIONS: u32 = 7;
/// ... and Rm times RTO, the wait after the last.
const LAST_WAIT: Duration = Duration::from_secs(8);

#[derive(Debug)]
struct Query {
    /// Our socket and the server.
    path: Path,
    transaction: TransactionId,
    transmissions: u32,
    due: Instant,
}

/// The questions under way.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    queries: Vec<Query>,
}

impl Discovery {
    /// Begins to ask. False if this is being asked already, cannot be asked, or too much is.
    pub(super) fn ask(&mut self, now: Instant, path: Path, random: &mut Random) -> bool {
        let known = self.queries.iter().any(|query| query.path == path);
        if known || self.queries.len() == MAX_QUERIES || !is_usable(path.remote) {
            return false;
        }
        self.queries.push(Query { path, transaction: random.transaction(), transmissions: 0, due: now });
        true
    }

    /// The next request to send. Call until there is none; unanswered queries end here.
    pub(super) fn poll(&mut self, now: Instant) -> Option<(Path, TransactionId)> {
        self.queries.retain(|query| query.transmissions < TRANSMISSIONS || now < query.due);
        let query = self.queries.iter_mut().find(|query| query.due <= now)?;
        let wait = RTO * (1 << query.transmissions);
        query.transmissions += 1;
        query.due = now + if query.transmissions == TRANSMISSIONS { LAST_WAIT } else { wait };
        Some((query.path, query.transaction))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.queries.iter().map(|query| query.due).min()
    }

    pub(super) fn expects(&self, transaction: TransactionId) -> bool {
        self.queries.iter().any(|query| query.transaction == transaction)
    }

    /// Reads an answer that came over `path`. It must come from where the question went; an error ends the question.
    pub(super) fn answer(&mut self, path: Path, answer: &Message<'_>) -> Option<SocketAddr> {
        let asked = |query: &Query| query.transaction == answer.transaction() && query.path == path;
        let position = self.queries.iter().position(asked)?;
        self.queries.swap_remove(position);
        let understood = answer.class() == Class::Success && answer.unknown_attributes().is_empty();
        answer.mapped_address().filter(|address| understood && is_usable(*address))
    }

    pub(super) fn clear(&mut self) {
        self.queries.clear();
    }
}
