//! One agent message by message, then two agents on a virtual clock over a network that delays and loses.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::random::Random;
use super::*;
use crate::command::{IceParameters, IceRole};
use crate::event::{Path, SocketId};
use crate::stun::{Builder, Class, ErrorCode, IntegrityKey, Message, TransactionId};

const SERVER: &str = "198.51.100.1:7777";
const CLIENT: &str = "203.0.113.9:40000";
const SECOND: Duration = Duration::from_secs(1);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn path(text: &str) -> Path {
    Path { socket: SocketId::shared(0), remote: address(text) }
}

/// Parameters of the side named `ours`, which knows or does not know the other.
fn parameters(role: IceRole, ours: &str, theirs: Option<&str>) -> IceParameters {
    IceParameters {
        role,
        local_ufrag: ours.into(),
        local_pwd: format!("{ours}-password"),
        remote_ufrag: theirs.map(Into::into),
        remote_pwd: theirs.map(|theirs| format!("{theirs}-password")),
    }
}

fn key(side: &str) -> IntegrityKey {
    IntegrityKey::new(&format!("{side}-password"))
}

/// A check as a browser sends it to the server "s".
struct Check {
    username: (&'static str, &'static str),
    key: &'static str,
    nominates: bool,
    controlled: bool,
    priority: u32,
    id: u8,
}

impl Default for Check {
    fn default() -> Self {
        Self { username: ("s", "c"), key: "s", nominates: false, controlled: false, priority: 1000, id: 1 }
    }
}

impl Check {
    fn nominating() -> Self {
        Self { nominates: true, ..Self::default() }
    }

    /// Each path has its own.
    fn transaction(&self, from: Path) -> TransactionId {
        let mut id = [self.id; 12];
        id[..2].copy_from_slice(&from.remote.port().to_be_bytes());
        if let std::net::IpAddr::V4(ip) = from.remote.ip() {
            id[2..6].copy_from_slice(&ip.octets());
        }
        TransactionId(id)
    }

    fn bytes(&self, transaction: TransactionId) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut builder = Builder::new(&mut bytes, Class::Request, transaction)
            .username(self.username.0, self.username.1)
            .priority(self.priority);
        builder = if self.controlled { builder.controlled(1) } else { builder.controlling(1) };
        if self.nominates {
            builder = builder.use_candidate();
        }
        builder.finish(&key(self.key));
        bytes
    }

    fn send(&self, agent: &mut Agent, now: Instant, from: Path) -> (Outcome, Vec<u8>) {
        self.repeat(agent, now, from, self.transaction(from))
    }

    /// The check of another transaction.
    fn repeat(&self, agent: &mut Agent, now: Instant, from: Path, transaction: TransactionId) -> (Outcome, Vec<u8>) {
        let bytes = self.bytes(transaction);
        let mut reply = vec![0xff];
        let outcome = agent.handle_stun(now, from, &Message::parse(&bytes).unwrap(), &mut reply);
        (outcome, reply)
    }
}

fn lite() -> (Agent, Instant) {
    let now = Instant::now();
    (Agent::new(&parameters(IceRole::Lite, "s", Some("c")), 1, now), now)
}

#[test]
fn lite_answers_an_authentic_check_with_the_mapped_address() {
    for client in [CLIENT, "[2001:db8::7]:9"] {
        let (mut agent, now) = lite();
        assert_eq!(agent.poll_timeout(), None);
        let (outcome, reply) = Check::default().send(&mut agent, now, path(client));
        assert_eq!(outcome, Outcome { authenticated: true, learned: Some(path(client)), ..Outcome::default() });
        let reply = Message::parse(&reply).unwrap();
        assert_eq!(reply.class(), Class::Success);
        assert_eq!(reply.transaction(), Check::default().transaction(path(client)));
        assert_eq!(reply.mapped_address(), Some(address(client)));
        assert!(reply.verify(&key("s")));
        assert!(agent.authenticated(path(client)));
        assert_eq!((agent.selected(), agent.send_path()), (None, Some(path(client))));
        assert!(agent.poll_transmit().is_none());
    }
}

#[test]
fn nobody_without_credentials_gets_an_answer() {
    let strangers = [
        Check { username: ("x", "c"), ..Check::nominating() },
        Check { username: ("s", "x"), ..Check::nominating() },
        Check { username: ("", ""), ..Check::nominating() },
        Check { key: "c", ..Check::nominating() },
        Check { key: "c", controlled: true, ..Check::nominating() },
    ];
    for (role, stranger) in
        [IceRole::Lite, IceRole::Controlling, IceRole::Controlled].into_iter().zip(std::iter::repeat(&strangers))
    {
        for stranger in stranger {
            let now = Instant::now();
            let mut agent = Agent::new(&parameters(role, "s", Some("c")), 1, now);
            let (outcome, reply) = stranger.send(&mut agent, now, path(CLIENT));
            assert_eq!(outcome, Outcome::default());
            assert!(reply.is_empty());
            assert!(!agent.authenticated(path(CLIENT)) && agent.send_path().is_none());
            assert!(agent.poll_transmit().is_none() && agent.poll_timeout().is_none());
        }
    }
    let (mut agent, now) = lite();
    for signed in [false, true] {
        let mut bytes = Vec::new();
        let anonymous = Builder::new(&mut bytes, Class::Request, TransactionId([1; 12]));
        if signed {
            anonymous.finish(&key("s"))
        } else {
            anonymous.finish_unsigned()
        }
        let mut reply = Vec::new();
        agent.handle_stun(now, path(CLIENT), &Message::parse(&bytes).unwrap(), &mut reply);
        assert!(reply.is_empty());
    }
}

#[test]
fn the_peers_ufrag_may_be_unknown() {
    let now = Instant::now();
    let mut agent = Agent::new(&parameters(IceRole::Lite, "s", None), 1, now);
    assert!(
        Check { username: ("s", "anything"), ..Check::default() }.send(&mut agent, now, path(CLIENT)).0.authenticated
    );
    agent.set_remote_credentials("c", "c-password");
    assert!(
        !Check { username: ("s", "anything"), ..Check::default() }.send(&mut agent, now, path(CLIENT)).0.authenticated
    );
    assert!(Check::default().send(&mut agent, now, path(CLIENT)).0.authenticated);
}

#[test]
fn lite_is_always_controlled() {
    let (mut agent, now) = lite();
    let (outcome, reply) = Check { controlled: true, ..Check::nominating() }.send(&mut agent, now, path(CLIENT));
    assert_eq!(outcome, Outcome { authenticated: true, ..Outcome::default() });
    let reply = Message::parse(&reply).unwrap();
    assert_eq!(reply.error(), Some(487));
    assert!(reply.verify(&key("s")));
    assert!(!agent.authenticated(path(CLIENT)));
}

#[test]
fn an_unknown_required_attribute_is_named() {
    let (mut agent, now) = lite();
    let mut bytes = Vec::new();
    Builder::new(&mut bytes, Class::Request, TransactionId([1; 12]))
        .username("s", "c")
        .raw_attribute(0x7abc, &[1, 2, 3])
        .finish(&key("s"));
    let mut reply = Vec::new();
    agent.handle_stun(now, path(CLIENT), &Message::parse(&bytes).unwrap(), &mut reply);
    assert_eq!(Message::parse(&reply).unwrap().error(), Some(ErrorCode::UnknownAttribute.number_and_reason().0));
    assert!(!agent.authenticated(path(CLIENT)));
}

#[test]
fn a_nomination_selects_and_the_newest_counts() {
    let (mut agent, now) = lite();
    Check::default().send(&mut agent, now, path("203.0.113.9:1"));
    let (outcome, _) = Check::nominating().send(&mut agent, now, path("203.0.113.9:2"));
    assert_eq!(outcome.selected, Some(path("203.0.113.9:2")));
    let (outcome, _) = Check::nominating().send(&mut agent, now, path("203.0.113.9:2"));
    assert_eq!((outcome.selected, outcome.learned), (None, None));
    let (outcome, _) = Check::default().send(&mut agent, now, path("203.0.113.9:1"));
    assert_eq!(outcome.selected, None);
    let (outcome, _) = Check::nominating().send(&mut agent, now, path("192.0.2.3:3"));
    assert_eq!((outcome.selected, outcome.learned), (Some(path("192.0.2.3:3")), Some(path("192.0.2.3:3"))));
    assert_eq!(agent.selected(), Some(path("192.0.2.3:3")));
    assert_eq!(agent.paths().count(), 3);
}

#[test]
fn of_many_nominations_at_the_start_the_best_counts() {
    let (mut agent, now) = lite();
    let nominate = |agent: &mut Agent, after: u64, port: u16, priority: u32| {
        let from = Path { socket: SocketId::shared(0), remote: SocketAddr::new([192, 0, 2, 1].into(), port) };
        Check { priority, ..Check::nominating() }.send(agent, now + Duration::from_millis(after), from);
        agent.selected().unwrap().remote.port()
    };
    assert_eq!(nominate(&mut agent, 0, 1, 1000), 1);
    assert_eq!(nominate(&mut agent, 50, 2, 2000), 2);
    assert_eq!(nominate(&mut agent, 100, 3, 500), 2);
    assert_eq!(nominate(&mut agent, 150, 4, 2000), 4);
    assert_eq!(nominate(&mut agent, 1999, 3, 500), 4);
    assert_eq!(nominate(&mut agent, 2000, 3, 500), 3, "it roams");
}

#[test]
fn a_silent_path_gives_way_to_one_that_is_heard() {
    let (mut agent, now) = lite();
    Check::nominating().send(&mut agent, now, path("203.0.113.9:1"));
    agent.note_activity(now + 5 * SECOND, path("203.0.113.9:1"));
    assert_eq!(Check::default().send(&mut agent, now + 14 * SECOND, path("203.0.113.9:2")).0.selected, None);
    let (outcome, _) = Check::default().send(&mut agent, now + 15 * SECOND, path("203.0.113.9:2"));
    assert_eq!(outcome.selected, Some(path("203.0.113.9:2")));
}

#[test]
fn paths_are_bounded_and_the_selected_one_stays() {
    let (mut agent, now) = lite();
    Check::nominating().send(&mut agent, now, path(CLIENT));
    let mut forgotten = Vec::new();
    for port in 1..=MAX_PATHS as u16 + 3 {
        let from = Path { socket: SocketId::shared(0), remote: SocketAddr::new([192, 0, 2, 1].into(), port) };
        let (outcome, _) = Check::default().send(&mut agent, now + Duration::from_millis(port.into()), from);
        forgotten.extend(outcome.forgotten.map(|path| path.remote.port()));
    }
    assert_eq!(forgotten, [1, 2, 3, 4]);
    assert_eq!(agent.paths().count(), MAX_PATHS);
    assert!(agent.authenticated(path(CLIENT)) && !agent.authenticated(path("192.0.2.1:1")));
}

#[test]
fn consent_lasts_thirty_seconds_from_the_last_proof() {
    let (mut agent, now) = lite();
    Check::nominating().send(&mut agent, now, path(CLIENT));
    assert_eq!(agent.poll_timeout(), Some(now + 30 * SECOND));
    agent.note_activity(now + 20 * SECOND, path("192.0.2.1:1"));
    assert_eq!(agent.poll_timeout(), Some(now + 30 * SECOND));
    agent.note_activity(now + 20 * SECOND, path(CLIENT));
    assert_eq!(agent.poll_timeout(), Some(now + 50 * SECOND));
    assert!(!agent.handle_timeout(now + 49 * SECOND).lost);
    assert!(agent.handle_timeout(now + 50 * SECOND).lost);
    assert!(!agent.handle_timeout(now + 51 * SECOND).lost);
    assert!(agent.is_lost() && agent.send_path().is_none() && agent.poll_timeout().is_none());
    let (outcome, reply) = Check::nominating().send(&mut agent, now + 52 * SECOND, path(CLIENT));
    assert!(!outcome.authenticated && reply.is_empty());
}

#[test]
fn a_restart_keeps_the_old_path_until_the_new_one_is_nominated() {
    let (mut agent, now) = lite();
    Check::nominating().send(&mut agent, now, path(CLIENT));
    agent.restart(&parameters(IceRole::Lite, "s2", Some("c2")), now + SECOND);
    assert_eq!(agent.selected(), Some(path(CLIENT)));
    assert_eq!(agent.local_ufrags().collect::<Vec<_>>(), ["s2", "s"]);
    assert!(Check::default().send(&mut agent, now + 2 * SECOND, path(CLIENT)).0.authenticated);
    let renewed = Check { username: ("s2", "c2"), key: "s2", ..Check::default() };
    let (outcome, _) = renewed.send(&mut agent, now + 3 * SECOND, path("192.0.2.3:3"));
    assert_eq!((outcome.learned, outcome.selected), (Some(path("192.0.2.3:3")), None));
    assert_eq!(agent.selected(), Some(path(CLIENT)));
    let (outcome, _) = Check { nominates: true, ..renewed }.send(&mut agent, now + 4 * SECOND, path(CLIENT));
    assert_eq!(outcome.selected, Some(path(CLIENT)));
    assert_eq!(agent.local_ufrags().collect::<Vec<_>>(), ["s2"]);
    assert!(!Check::default().send(&mut agent, now + 5 * SECOND, path(CLIENT)).0.authenticated);
}

#[test]
fn a_peer_that_was_not_told_of_a_restart_connects_all_the_same() {
    let (mut agent, now) = lite();
    agent.restart(&parameters(IceRole::Lite, "s2", Some("c2")), now);
    let (outcome, _) = Check::nominating().send(&mut agent, now + SECOND, path(CLIENT));
    assert_eq!(outcome.selected, Some(path(CLIENT)));
    let renewed = Check { username: ("s2", "c2"), key: "s2", priority: 1, ..Check::nominating() };
    assert_eq!(renewed.send(&mut agent, now + 2 * SECOND, path("192.0.2.3:3")).0.selected, Some(path("192.0.2.3:3")));
    assert_eq!(agent.local_ufrags().collect::<Vec<_>>(), ["s2"]);
}

#[test]
fn a_restart_revives_a_lost_agent() {
    let (mut agent, now) = lite();
    Check::nominating().send(&mut agent, now, path(CLIENT));
    let later = now + 31 * SECOND;
    assert!(agent.handle_timeout(later).lost);
    agent.restart(&parameters(IceRole::Lite, "s2", Some("c2")), later);
    assert_eq!((agent.send_path(), agent.authenticated(path(CLIENT))), (None, false), "consent is not revived");
    let renewed = Check { username: ("s2", "c2"), key: "s2", ..Check::nominating() };
    assert_eq!(renewed.send(&mut agent, later, path(CLIENT)).0.selected, Some(path(CLIENT)));
}

#[test]
fn candidates_are_bounded_and_must_be_one_host() {
    let now = Instant::now();
    let mut agent = Agent::new(&parameters(IceRole::Controlling, "c", Some("s")), 1, now);
    for unusable in [
        "0.0.0.0:1",
        "[::]:1",
        "224.0.0.1:1",
        "[ff02::1]:1",
        "255.255.255.255:1",
        "192.0.2.1:0",
        "[::ffff:224.0.0.1]:1",
    ] {
        assert!(!agent.add_remote_candidate(path(unusable), 1), "{unusable}");
    }
    let candidate = |port| Path { socket: SocketId::shared(0), remote: SocketAddr::new([192, 0, 2, 1].into(), port) };
    for port in 1..=MAX_CANDIDATES as u16 {
        assert!(agent.add_remote_candidate(candidate(port), 1));
        assert!(!agent.add_remote_candidate(candidate(port), 1));
    }
    assert!(!agent.add_remote_candidate(candidate(1000), 1));
    let (mut lite, _) = self::lite();
    assert!(!lite.add_remote_candidate(path(SERVER), 1));
}

#[test]
fn checks_are_paced_and_given_up() {
    let start = Instant::now();
    let mut agent = Agent::new(&parameters(IceRole::Controlling, "c", Some("s")), 1, start);
    for port in 1..=10 {
        agent.add_remote_candidate(
            Path { socket: SocketId::shared(0), remote: SocketAddr::new([192, 0, 2, 1].into(), port) },
            port.into(),
        );
    }
    let mut sent = Vec::new();
    let mut now = start;
    while let Some(due) = agent.poll_timeout() {
        now = now.max(due);
        agent.handle_timeout(now);
        while let Some((path, _)) = agent.poll_transmit() {
            sent.push((now - start, path.remote.port()));
        }
    }
    let first: Vec<_> = sent[..10].to_vec();
    let expected: Vec<_> = (0..10).map(|turn| (Duration::from_millis(turn * 50), 10 - turn as u16)).collect();
    assert_eq!(first, expected);
    assert_eq!(sent.len(), 100);
    let of_first: Vec<_> = sent.iter().filter(|(_, port)| *port == 10).map(|(at, _)| at.as_millis()).collect();
    assert_eq!(of_first, [0, 500, 1500, 3500, 5500, 7500, 9500, 11_500, 13_500, 15_500]);
    assert!(now - start < 25 * SECOND);
}

#[test]
fn only_the_checked_peer_can_answer_a_check() {
    let now = Instant::now();
    let mut agent = Agent::new(&parameters(IceRole::Controlling, "c", Some("s")), 1, now);
    agent.add_remote_candidate(path(SERVER), 1);
    agent.handle_timeout(now);
    let (_, check) = agent.poll_transmit().unwrap();
    let transaction = Message::parse(&check).unwrap().transaction();
    assert!(agent.expects(transaction) && !agent.expects(TransactionId([9; 12])));
    let answer = |agent: &mut Agent, from: Path, transaction, password: &str| {
        let mut bytes = Vec::new();
        Builder::new(&mut bytes, Class::Success, transaction)
            .mapped_address(address(CLIENT))
            .finish(&IntegrityKey::new(password));
        agent.handle_stun(now, from, &Message::parse(&bytes).unwrap(), &mut Vec::new())
    };
    assert_eq!(answer(&mut agent, path(SERVER), transaction, "wrong"), Outcome::default());
    assert_eq!(answer(&mut agent, path(SERVER), TransactionId([9; 12]), "s-password"), Outcome::default());
    assert!(agent.expects(transaction));
    assert_eq!(answer(&mut agent, path(SERVER), transaction, "s-password").learned, Some(path(SERVER)));

    let mut agent = Agent::new(&parameters(IceRole::Controlling, "c", Some("s")), 1, now);
    agent.add_remote_candidate(path(SERVER), 1);
    agent.handle_timeout(now);
    agent.poll_transmit().unwrap();
    // RFC 8445 section 7.2.5.2.1: not from where the check went.
    assert_eq!(answer(&mut agent, path("192.0.2.99:1"), transaction, "s-password"), Outcome::default());
    assert!(agent.send_path().is_none());
}

/// Two agents with one socket each, and what lies between them.
struct Network {
    start: Instant,
    now: Instant,
    agents: [Agent; 2],
    /// As the other side sees them; a NAT may change the first.
    addresses: [SocketAddr; 2],
    latency: Duration,
    /// Of 256 datagrams.
    loss: u64,
    random: Random,
    flying: VecDeque<(Instant, usize, SocketAddr, SocketAddr, Vec<u8>)>,
    selected: [Vec<Path>; 2],
    lost: [Option<Duration>; 2],
    datagrams: usize,
}

impl Network {
    fn new(roles: [IceRole; 2], seed: u64, loss_percent: u64) -> Self {
        let now = Instant::now();
        Self {
            start: now,
            now,
            agents: [
                Agent::new(&parameters(roles[0], "c", Some("s")), seed, now),
                Agent::new(&parameters(roles[1], "s", Some("c")), !seed, now),
            ],
            addresses: [address(CLIENT), address(SERVER)],
            latency: Duration::from_millis(20),
            loss: loss_percent * 256 / 100,
            random: Random::new(seed),
            flying: VecDeque::new(),
            selected: [Vec::new(), Vec::new()],
            lost: [None, None],
            datagrams: 0,
        }
    }

    /// Tells one side the candidates of the other, some of which lead nowhere.
    fn signal(&mut self, side: usize, dead: u16) {
        let other = Path { socket: SocketId::shared(0), remote: self.addresses[1 - side] };
        self.agents[side].add_remote_candidate(other, 1_000_000);
        for port in 1..=dead {
            let nowhere = Path { socket: SocketId::shared(0), remote: SocketAddr::new([192, 0, 2, 77].into(), port) };
            self.agents[side].add_remote_candidate(nowhere, 2_000_000 + u32::from(port));
        }
    }

    fn note(&mut self, side: usize, outcome: Outcome) {
        self.selected[side].extend(outcome.selected);
        if outcome.lost {
            self.lost[side] = Some(self.now - self.start);
        }
    }

    fn send(&mut self, side: usize, path: Path, bytes: Vec<u8>) {
        self.datagrams += 1;
        let lost = self.random.next() % 256 < self.loss;
        if path.remote == self.addresses[1 - side] && !lost {
            self.flying.push_back((self.now + self.latency, 1 - side, self.addresses[side], path.remote, bytes));
        }
    }

    fn drain(&mut self) {
        for side in 0..2 {
            while let Some((path, bytes)) = self.agents[side].poll_transmit() {
                self.send(side, path, bytes);
            }
        }
    }

    /// Runs until nothing happens before `end`.
    fn run_until(&mut self, end: Instant) {
        self.drain();
        loop {
            let arrival = self.flying.front().map(|flight| flight.0);
            let timeout = self.agents.iter().filter_map(Agent::poll_timeout).min();
            let Some(next) = arrival.into_iter().chain(timeout).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            if arrival.is_some_and(|arrival| arrival <= self.now) {
                let (_, side, from, to, bytes) = self.flying.pop_front().unwrap();
                // Who has moved in the meantime is not reached.
                if to == self.addresses[side] {
                    let path = Path { socket: SocketId::shared(0), remote: from };
                    let mut reply = Vec::new();
                    let message = Message::parse(&bytes).unwrap();
                    let outcome = self.agents[side].handle_stun(self.now, path, &message, &mut reply);
                    self.note(side, outcome);
                    if !reply.is_empty() {
                        self.send(side, path, reply);
                    }
                }
            } else {
                for side in 0..2 {
                    let outcome = self.agents[side].handle_timeout(self.now);
                    self.note(side, outcome);
                    assert!(self.agents[side].poll_timeout().is_none_or(|due| due > self.now), "no busy loop");
                }
            }
            self.drain();
        }
        self.now = end;
    }

    fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    fn connected(&self) -> bool {
        (0..2).all(|side| {
            self.agents[side].selected() == Some(Path { socket: SocketId::shared(0), remote: self.addresses[1 - side] })
        })
    }
}

#[test]
fn controlling_meets_lite_in_two_round_trips() {
    let mut network = Network::new([IceRole::Controlling, IceRole::Lite], 1, 0);
    network.signal(0, 0);
    network.run_for(Duration::from_millis(100));
    assert!(network.connected());
    assert_eq!(network.agents[0].rtt(), Some(Duration::from_millis(40)));
    assert_eq!(network.agents[1].rtt(), None);
    assert_eq!(network.datagrams, 4);
}

#[test]
fn controlling_meets_lite_with_dead_candidates_and_loss() {
    for seed in 0..50 {
        let mut network = Network::new([IceRole::Controlling, IceRole::Lite], seed, 20);
        network.signal(0, 5);
        network.run_for(15 * SECOND);
        assert!(network.connected(), "seed {seed}");
    }
}

#[test]
fn full_agents_meet_with_loss_and_only_one_needs_candidates() {
    for seed in 0..50 {
        for (signalled, dead) in [(&[0, 1][..], 3), (&[0][..], 0), (&[1][..], 2)] {
            let mut network = Network::new([IceRole::Controlling, IceRole::Controlled], seed, 20);
            for side in signalled {
                network.signal(*side, dead);
            }
            network.run_for(15 * SECOND);
            assert!(network.connected(), "seed {seed}, signalled to {signalled:?}");
        }
    }
}

#[test]
fn a_conflict_of_roles_is_solved() {
    for roles in [[IceRole::Controlling; 2], [IceRole::Controlled; 2]] {
        for seed in 0..30 {
            let mut network = Network::new(roles, seed, 10);
            network.signal(0, 1);
            network.signal(1, 1);
            network.run_for(15 * SECOND);
            assert!(network.connected(), "seed {seed} {roles:?}");
            assert_ne!(network.agents[0].role(), network.agents[1].role());
        }
    }
}

#[test]
fn controlling_gives_way_to_a_lite_peer_that_is_told_nothing_else() {
    let mut network = Network::new([IceRole::Controlled, IceRole::Lite], 3, 0);
    network.signal(0, 0);
    network.run_for(2 * SECOND);
    assert!(network.connected());
    assert_eq!(network.agents[0].role(), IceRole::Controlling);
}

#[test]
fn consent_survives_loss_for_minutes() {
    for roles in [[IceRole::Controlling, IceRole::Lite], [IceRole::Controlling, IceRole::Controlled]] {
        for seed in 0..5 {
            let mut network = Network::new(roles, seed, 10);
            network.signal(0, 0);
            network.run_for(600 * SECOND);
            assert!(network.connected());
            assert_eq!(network.lost, [None, None]);
            assert_eq!([network.selected[0].len(), network.selected[1].len()], [1, 1]);
            // A check each 4-6 s, and its answer, from one side or from both.
            let per_side = if roles[1] == IceRole::Lite { 1 } else { 2 };
            assert!((150 * per_side..320 * per_side).contains(&network.datagrams), "{}", network.datagrams);
        }
    }
}

#[test]
fn a_peer_that_vanishes_is_lost_after_thirty_seconds() {
    for roles in [[IceRole::Controlling, IceRole::Lite], [IceRole::Controlling, IceRole::Controlled]] {
        let mut network = Network::new(roles, 5, 0);
        network.signal(0, 0);
        network.run_for(60 * SECOND);
        assert!(network.connected());
        network.loss = 256;
        network.run_for(60 * SECOND);
        for lost in network.lost {
            let after = lost.unwrap() - 60 * SECOND;
            assert!((24 * SECOND..=30 * SECOND).contains(&after), "{after:?}");
        }
        let datagrams = network.datagrams;
        network.run_for(60 * SECOND);
        assert_eq!(network.datagrams, datagrams, "nothing is sent without consent");
    }
}

#[test]
fn media_is_consent_for_a_controlled_agent_and_not_for_a_controlling_one() {
    let mut network = Network::new([IceRole::Controlling, IceRole::Controlled], 5, 0);
    network.signal(0, 0);
    network.run_for(10 * SECOND);
    network.loss = 256;
    let paths = [1, 0].map(|other| Path { socket: SocketId::shared(0), remote: network.addresses[other] });
    for _ in 0..60 {
        network.run_for(SECOND);
        for (side, path) in paths.into_iter().enumerate() {
            network.agents[side].note_activity(network.now, path);
        }
    }
    assert!(network.lost[0].is_some() && network.lost[1].is_none(), "{:?}", network.lost);
}

#[test]
fn a_lite_peer_follows_when_a_nat_rebinds() {
    let mut network = Network::new([IceRole::Controlling, IceRole::Lite], 6, 0);
    network.signal(0, 0);
    network.run_for(20 * SECOND);
    network.addresses[0] = address("203.0.113.9:51111");
    network.run_for(7 * SECOND);
    assert!(network.connected());
    network.run_for(60 * SECOND);
    assert_eq!(network.lost, [None, None]);
}

#[test]
fn a_restart_of_full_agents_selects_anew_without_a_gap() {
    for roles in [[IceRole::Controlling, IceRole::Lite], [IceRole::Controlling, IceRole::Controlled]] {
        let mut network = Network::new(roles, 7, 0);
        network.signal(0, 0);
        network.run_for(20 * SECOND);
        let now = network.now;
        network.agents[1].restart(&parameters(roles[1], "s2", Some("c2")), now);
        network.run_for(20 * SECOND);
        assert!(network.connected(), "the old generation lives while the peer does not know");
        let now = network.now;
        network.agents[0].restart(&parameters(roles[0], "c2", Some("s2")), now);
        assert!(network.connected());
        network.signal(0, 0);
        network.run_for(SECOND);
        assert!(network.connected());
        assert_eq!([network.selected[0].len(), network.selected[1].len()], [2, 2]);
        for side in 0..2 {
            assert_eq!(network.agents[side].local_ufrags().count(), 1);
        }
        network.run_for(120 * SECOND);
        assert_eq!(network.lost, [None, None]);
    }
}

#[test]
fn a_controlled_agent_follows_a_later_nomination() {
    let now = Instant::now();
    let mut agent = Agent::new(&parameters(IceRole::Controlled, "s", Some("c")), 1, now);
    let answer = |agent: &mut Agent, from: Path| {
        let (to, check) = agent.poll_transmit().expect("a triggered check");
        assert_eq!(to, from);
        let transaction = Message::parse(&check).unwrap().transaction();
        let mut bytes = Vec::new();
        Builder::new(&mut bytes, Class::Success, transaction).mapped_address(address(SERVER)).finish(&key("c"));
        agent.handle_stun(now, from, &Message::parse(&bytes).unwrap(), &mut Vec::new())
    };
    let (first, second) = (path("203.0.113.9:1"), path("203.0.113.9:2"));
    assert_eq!(Check::nominating().send(&mut agent, now, first).0.selected, None);
    assert_eq!(answer(&mut agent, first).selected, Some(first));
    assert_eq!(Check { id: 2, ..Check::nominating() }.send(&mut agent, now, second).0.selected, None);
    assert_eq!(agent.selected(), Some(first));
    agent.handle_timeout(now + SECOND);
    assert_eq!(answer(&mut agent, second).selected, Some(second));
    // Proven already: at once.
    assert_eq!(Check { id: 3, ..Check::nominating() }.send(&mut agent, now, first).0.selected, Some(first));
}

#[test]
fn a_repeated_check_from_elsewhere_is_nothing() {
    for role in [IceRole::Lite, IceRole::Controlled] {
        let now = Instant::now();
        let mut agent = Agent::new(&parameters(role, "s", Some("c")), 1, now);
        let check = Check::nominating();
        let transaction = check.transaction(path(CLIENT));
        assert!(check.send(&mut agent, now, path(CLIENT)).0.authenticated);
        let (outcome, reply) = check.repeat(&mut agent, now + 20 * SECOND, path("192.0.2.66:6"), transaction);
        assert_eq!(outcome, Outcome::default());
        assert!(reply.is_empty() && !agent.authenticated(path("192.0.2.66:6")));
        let (outcome, reply) = check.repeat(&mut agent, now + 20 * SECOND, path(CLIENT), transaction);
        assert!(outcome.authenticated && !reply.is_empty());
    }
}

#[test]
fn media_over_another_proven_path_moves_there_when_the_selected_one_is_silent() {
    let (first, second) = (path("203.0.113.9:1"), path("203.0.113.9:2"));
    let (mut agent, now) = lite();
    assert_eq!(agent.note_activity(now, second), None, "nothing is proven");
    Check::nominating().send(&mut agent, now, first);
    assert_eq!(agent.note_activity(now + 2 * SECOND, second), None, "not proven");
    Check::default().send(&mut agent, now + 2 * SECOND, second);
    agent.note_activity(now + 2 * SECOND, first);
    assert_eq!(agent.note_activity(now + SECOND * 29 / 10, second), None, "the selected path lives");
    assert_eq!(agent.note_activity(now + 3 * SECOND, second), Some(second));
    assert_eq!((agent.selected(), agent.note_activity(now + 3 * SECOND, second)), (Some(second), None));
    // A restart that is under way goes on.
    agent.restart(&parameters(IceRole::Lite, "s2", Some("c2")), now + 4 * SECOND);
    assert_eq!(agent.note_activity(now + 5 * SECOND, first), Some(first));
    assert_eq!(agent.local_ufrags().count(), 2);
}

#[test]
fn a_full_agent_follows_media_over_paths_that_it_has_checked() {
    let now = Instant::now();
    let mut agent = Agent::new(&parameters(IceRole::Controlled, "s", Some("c")), 1, now);
    let (first, second) = (path("203.0.113.9:1"), path("203.0.113.9:2"));
    let answer = |agent: &mut Agent, at: Instant| {
        agent.handle_timeout(at);
        let (from, check) = agent.poll_transmit().expect("a triggered check");
        let transaction = Message::parse(&check).unwrap().transaction();
        let mut bytes = Vec::new();
        Builder::new(&mut bytes, Class::Success, transaction).mapped_address(address(SERVER)).finish(&key("c"));
        agent.handle_stun(at, from, &Message::parse(&bytes).unwrap(), &mut Vec::new())
    };
    Check::nominating().send(&mut agent, now, first);
    assert_eq!(answer(&mut agent, now).selected, Some(first));
    Check { id: 2, ..Check::default() }.send(&mut agent, now + 2 * SECOND, second);
    assert_eq!(agent.note_activity(now + 2 * SECOND, second), None, "not checked from here");
    assert_eq!(answer(&mut agent, now + 2 * SECOND).selected, None);
    assert_eq!(agent.note_activity(now + 3 * SECOND, second), Some(second));
    // And asks for consent there.
    agent.handle_timeout(now + 10 * SECOND);
    assert_eq!(agent.poll_transmit().map(|(path, _)| path), Some(second));
}

#[test]
fn a_closed_socket_takes_its_paths_along() {
    let connection = SocketId::connection(1, 0);
    let over_tcp = Path { socket: connection, ..path(CLIENT) };
    for role in [IceRole::Lite, IceRole::Controlled] {
        let now = Instant::now();
        let mut agent = Agent::new(&parameters(role, "s", Some("c")), 1, now);
        Check::nominating().send(&mut agent, now, over_tcp);
        assert!(agent.authenticated(over_tcp));
        assert_eq!(agent.selected().is_some(), role == IceRole::Lite);
        agent.handle_timeout(now);
        agent.forget_socket(connection);
        assert!(agent.paths().next().is_none() && agent.send_path().is_none() && agent.poll_transmit().is_none());
        assert_eq!(agent.poll_timeout(), Some(now + 30 * SECOND), "it may come back");
        Check { id: 2, ..Check::nominating() }.send(&mut agent, now + SECOND, path(CLIENT));
        assert_eq!(agent.send_path(), Some(path(CLIENT)));
    }
}

/// RFC 6544 section 4.2.
#[test]
fn tcp_comes_after_udp() {
    use super::checklist::reflexive_priority;
    let udp = (0..=255).map(|index| reflexive_priority(SocketId::shared(index))).min();
    let tcp = (0..=255).map(|index| reflexive_priority(SocketId::connection(7, index))).max();
    assert!(udp > tcp);
    assert_eq!(reflexive_priority(SocketId::connection(7, 0)), 80 << 24 | (4 << 13 | 0x1fff) << 8 | 0xff);
}

#[test]
fn a_failed_restart_of_full_agents_costs_nothing() {
    for roles in [[IceRole::Controlling, IceRole::Lite], [IceRole::Controlling, IceRole::Controlled]] {
        let mut network = Network::new(roles, 8, 0);
        network.signal(0, 0);
        network.run_for(5 * SECOND);
        for generation in ["s2", "s3"] {
            let now = network.now;
            network.agents[1].restart(&parameters(roles[1], generation, Some("c2")), now);
            network.run_for(60 * SECOND);
            assert!(network.connected());
        }
        assert_eq!(network.lost, [None, None]);
        assert_eq!(network.agents[1].local_ufrags().collect::<Vec<_>>(), ["s3", "s"]);
    }
}
