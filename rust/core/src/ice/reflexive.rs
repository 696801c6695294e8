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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SocketId;
    use crate::stun::{Builder, ErrorCode, IntegrityKey};

    const MAPPED: &str = "203.0.113.9:40000";

    fn server(host: u8) -> Path {
        Path { socket: SocketId::shared(0), remote: SocketAddr::from(([198, 51, 100, host], 3478)) }
    }

    /// The bytes of an answer to this transaction.
    fn answer(transaction: TransactionId, write: impl FnOnce(Builder<'_>) -> Builder<'_>, class: Class) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(Builder::new(&mut bytes, class, transaction)).finish_unsigned();
        bytes
    }

    fn told(discovery: &mut Discovery, path: Path, bytes: &[u8]) -> Option<SocketAddr> {
        discovery.answer(path, &Message::parse(bytes).expect("well-formed"))
    }

    #[test]
    fn a_question_is_repeated_seven_times_in_forty_seconds_and_given_up() {
        let start = Instant::now();
        let (mut discovery, mut random) = (Discovery::default(), Random::new(1));
        assert!(discovery.ask(start, server(1), &mut random));
        assert!(!discovery.ask(start, server(1), &mut random), "asked already");
        let mut sent = Vec::new();
        let mut ids = Vec::new();
        while let Some(due) = discovery.next_deadline() {
            while let Some((path, transaction)) = discovery.poll(due) {
                assert_eq!(path, server(1));
                sent.push((due - start).as_millis());
                ids.push(transaction);
            }
            if sent.len() == 7 && due > start + Duration::from_secs(35) {
                assert_eq!(due - start, Duration::from_millis(39_500));
            }
        }
        assert_eq!(sent, [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
        assert!(ids.iter().all(|id| *id == ids[0]) && !discovery.expects(ids[0]));
    }

    #[test]
    fn only_the_server_that_was_asked_is_believed_and_only_once() {
        let now = Instant::now();
        let (mut discovery, mut random) = (Discovery::default(), Random::new(1));
        discovery.ask(now, server(1), &mut random);
        let (_, transaction) = discovery.poll(now).expect("a question");
        let mapped: SocketAddr = MAPPED.parse().expect("an address");
        let success = answer(transaction, |builder| builder.mapped_address(mapped), Class::Success);
        let other = answer(TransactionId([9; 12]), |builder| builder.mapped_address(mapped), Class::Success);
        assert_eq!(told(&mut discovery, server(2), &success), None, "another sender");
        let own = Path { socket: SocketId::shared(1), ..server(1) };
        assert_eq!(told(&mut discovery, own, &success), None, "another socket");
        assert_eq!(told(&mut discovery, server(1), &other), None, "another transaction");
        assert_eq!(told(&mut discovery, server(1), &success), Some(mapped));
        assert_eq!(told(&mut discovery, server(1), &success), None, "again");
        assert_eq!(discovery.next_deadline(), None);
    }

    #[test]
    fn what_names_no_usable_address_ends_the_question() {
        let now = Instant::now();
        type Write = fn(Builder<'_>) -> Builder<'_>;
        let cases: [(Class, Write); 4] = [
            (Class::Error, |builder| builder.error(ErrorCode::BadRequest)),
            (Class::Success, |builder| builder),
            (Class::Success, |builder| builder.mapped_address("0.0.0.0:7".parse().expect("an address"))),
            (Class::Success, |builder| {
                builder.mapped_address(MAPPED.parse().expect("an address")).raw_attribute(0x7abc, &[])
            }),
        ];
        for (class, write) in cases {
            let (mut discovery, mut random) = (Discovery::default(), Random::new(1));
            discovery.ask(now, server(1), &mut random);
            let (_, transaction) = discovery.poll(now).expect("a question");
            assert_eq!(told(&mut discovery, server(1), &answer(transaction, write, class)), None);
            assert!(!discovery.expects(transaction));
        }
    }

    #[test]
    fn questions_are_bounded() {
        let now = Instant::now();
        let (mut discovery, mut random) = (Discovery::default(), Random::new(1));
        let asked = (0..=255).filter(|&host| discovery.ask(now, server(host), &mut random)).count();
        assert_eq!(asked, MAX_QUERIES);
        let nowhere = Path { socket: SocketId::shared(0), remote: SocketAddr::from(([224, 0, 0, 1], 3478)) };
        assert!(!Discovery::default().ask(now, nowhere, &mut random));
    }

    #[test]
    fn a_signed_answer_is_no_better() {
        let now = Instant::now();
        let (mut discovery, mut random) = (Discovery::default(), Random::new(1));
        discovery.ask(now, server(1), &mut random);
        let (_, transaction) = discovery.poll(now).expect("a question");
        let mapped: SocketAddr = MAPPED.parse().expect("an address");
        let mut bytes = Vec::new();
        Builder::new(&mut bytes, Class::Success, transaction)
            .mapped_address(mapped)
            .finish(&IntegrityKey::new("whatever"));
        assert_eq!(told(&mut discovery, server(1), &bytes), Some(mapped));
    }
}
