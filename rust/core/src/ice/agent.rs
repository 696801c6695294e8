//! The agent of one transport.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::checklist::{Checklist, Probe, reflexive_priority};
use super::consent::{CONSENT_TIMEOUT, Consent};
use super::credentials::Credentials;
use super::paths::{Paths, Touched};
use super::random::Random;
use super::reflexive::Discovery;
use super::replay::Seen;
use crate::command::{IceParameters, IceRole};
use crate::event::{Path, SocketId};
use crate::stun::{Builder, Class, ErrorCode, IntegrityKey, Message, TransactionId};

/// A selected path that was silent for this long gives way to any other over which the peer proves itself: a peer behind
/// a rebound NAT may not know that it has to nominate again.
const PATH_SILENT: Duration = Duration::from_secs(10);
/// A selected path that was silent for this long gives way to an authenticated one over which the peer's media comes. A
/// peer in mid-session is heard several times a second, and for a moment over two paths where it has just moved.
const MEDIA_ELSEWHERE: Duration = Duration::from_secs(1);
/// A peer that nominates every pair it checks (RFC 5245 section 8.1.1.2; Firefox) means the one of highest priority. That
/// storm is over after this long; later nominations are a peer that roams, and the newest counts.
const NOMINATION_STORM: Duration = Duration::from_secs(2);
/// Own messages that wait for [`Agent::poll_transmit`]; more than a caller that drains can ever see.
const MAX_TRANSMITS: usize = 64;
/// Candidate priority that a check without PRIORITY is taken to have.
const LEAST_PRIORITY: u32 = 1;

/// What a message or the passing of time has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The message was the peer's, by its integrity. False for everything else: forget it.
    pub authenticated: bool,
    /// A path that has become authenticated: datagrams over it are this transport's.
    pub learned: Option<Path>,
    /// A path that is no longer authenticated: it made room, or consent is lost.
    pub forgotten: Option<Path>,
    /// The path that is selected from now on, if that has changed or is the first of a restart.
    pub selected: Option<Path>,
    /// Consent has just expired.
    pub lost: bool,
    /// A STUN server has told the address of one of our sockets.
    pub reflexive: Option<(SocketId, SocketAddr)>,
}

/// ICE of one transport.
///
/// After every call, drain [`Agent::poll_transmit`] and look at [`Agent::poll_timeout`].
#[derive(Debug)]
pub struct Agent {
    role: IceRole,
    tie_breaker: u64,
    random: Random,
    current: Credentials,
    /// The generation before a restart, in force until the new one has nominated a path.
    previous: Option<Credentials>,
    paths: Paths,
    selected: Option<Path>,
    selected_heard: Instant,
    seen: Seen,
    /// Lite only: the priority that the peer gave to the selected path, and until when a lower one does not replace it.
    selected_priority: u32,
    storm_ends: Instant,
    /// The last proof of the peer's presence.
    heard: Option<Instant>,
    /// Full roles only.
    checklist: Checklist,
    consent: Option<Consent>,
    discovery: Discovery,
    transmits: VecDeque<(Path, Vec<u8>)>,
    round_trip: Option<Duration>,
    lost: bool,
}

impl Agent {
    /// An agent that waits for the first check, or for the first candidate. `seed` makes transaction ids and the
    /// tie-breaker; give each agent another.
    pub fn new(parameters: &IceParameters, seed: u64, now: Instant) -> Self {
        let mut random = Random::new(seed);
        Self {
            role: parameters.role,
            tie_breaker: random.next(),
            random,
            current: Credentials::new(parameters),
            previous: None,
            paths: Paths::default(),
            selected: None,
            selected_heard: now,
            seen: Seen::default(),
            selected_priority: 0,
            storm_ends: now,
            heard: None,
            checklist: Checklist::new(now),
            consent: None,
            discovery: Discovery::default(),
            transmits: VecDeque::new(),
            round_trip: None,
            lost: false,
        }
    }

    /// Begins a new generation (RFC 8445 section 9). The selected path stays, with its consent under the old credentials,
    /// until a path is nominated under the new ones. A lite agent goes on with the old ones from the first, for a peer that
    /// was never told. Candidates must be added again.
    pub fn restart(&mut self, parameters: &IceParameters, now: Instant) {
        let old = std::mem::replace(&mut self.current, Credentials::new(parameters));
        // A restart during a restart: the credentials of the selected path are still the first ones.
        if self.previous.is_none() && (self.selected.is_some() || self.role == IceRole::Lite) {
            self.previous = Some(old);
        }
        if self.lost {
            (self.lost, self.selected, self.previous, self.heard, self.consent) = (false, None, None, None, None);
            // No path has consent any more: nothing is sent before the peer is there again.
            self.paths = Paths::default();
        }
        self.role = parameters.role;
        self.tie_breaker = self.random.next();
        self.checklist = Checklist::new(now);
    }

    /// Sets the peer's credentials, when they came after the agent was made.
    pub fn set_remote_credentials(&mut self, ufrag: &str, pwd: &str) {
        self.current.remote_ufrag = Some(ufrag.to_owned());
        self.current.remote_key = Some(IntegrityKey::new(pwd));
    }

    /// Adds a candidate of the peer, over one of our sockets. False where it is ignored: by a lite agent, after a path
    /// was selected, for a multicast, broadcast or unspecified address, or beyond [`super::MAX_CANDIDATES`].
    pub fn add_remote_candidate(&mut self, path: Path, priority: u32) -> bool {
        self.role != IceRole::Lite && !self.lost && self.checklist.add(path, priority)
    }

    /// Asks a STUN server over `path` for the address of our socket out there; the answer is an [`Outcome::reflexive`].
    /// False where nothing is asked: see [`super::MAX_QUERIES`].
    pub fn discover_reflexive(&mut self, now: Instant, path: Path) -> bool {
        let asks = !self.lost && self.discovery.ask(now, path, &mut self.random);
        self.ask_servers(now);
        asks
    }

    /// The role now; a conflict can have changed it.
    pub fn role(&self) -> IceRole {
        self.role
    }

    /// The ufrags under which requests are accepted: after a restart the old one too, for a while.
    pub fn local_ufrags(&self) -> impl Iterator<Item = &str> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().map(|generation| &*generation.local_ufrag)
    }

    /// Whether a response is to one of our requests.
    pub fn expects(&self, transaction: TransactionId) -> bool {
        self.checklist.expects(transaction)
            || self.consent.as_ref().is_some_and(|consent| consent.expects(transaction))
            || self.discovery.expects(transaction)
    }

    /// Reads one message that came over `path`. If `reply` is not empty afterwards, it is to be sent back over `path`;
    /// what it held before is discarded.
    pub fn handle_stun(&mut self, now: Instant, path: Path, message: &Message<'_>, reply: &mut Vec<u8>) -> Outcome {
        reply.clear();
        if self.lost {
            return Outcome::default();
        }
        match message.class() {
            Class::Request => self.handle_request(now, path, message, reply),
            Class::Success | Class::Error => self.handle_response(now, path, message),
            // It cannot be authenticated, and means nothing but that a NAT stays open.
            Class::Indication => Outcome::default(),
        }
    }

    fn handle_request(&mut self, now: Instant, path: Path, request: &Message<'_>, reply: &mut Vec<u8>) -> Outcome {
        let outdated = if self.current.authenticate_request(request) {
            false
        } else if self.previous.as_ref().is_some_and(|previous| previous.authenticate_request(request)) {
            true
        } else {
            return Outcome::default();
        };
        if !self.seen.admit(request.transaction(), path) {
            return Outcome::default();
        }
        let key = self.generation(outdated).local_key.clone();
        let transaction = request.transaction();
        if !request.unknown_attributes().is_empty() {
            Builder::new(reply, Class::Error, transaction)
                .error(ErrorCode::UnknownAttribute)
                .unknown_attributes(request.unknown_attributes())
                .finish(&key);
            return Outcome { authenticated: true, ..Outcome::default() };
        }
        if self.is_role_conflict(request) {
            Builder::new(reply, Class::Error, transaction).error(ErrorCode::RoleConflict).finish(&key);
            return Outcome { authenticated: true, ..Outcome::default() };
        }
        Builder::new(reply, Class::Success, transaction).mapped_address(path.remote).finish(&key);

        let mut outcome = self.prove(now, path);
        let nominated = request.use_candidate() && self.role != IceRole::Controlling;
        let priority = request.priority().unwrap_or(LEAST_PRIORITY);
        let select = match self.role {
            IceRole::Lite if nominated => self.is_better(now, priority, outdated),
            IceRole::Lite => self.is_selected_silent(now),
            IceRole::Controlling | IceRole::Controlled if outdated => false,
            IceRole::Controlling | IceRole::Controlled => {
                self.checklist.trigger(path, priority, nominated) && nominated
            }
        };
        if select {
            outcome.selected = self.select(now, path, outdated);
            self.selected_priority = priority;
        }
        if self.selected == Some(path) {
            self.selected_heard = now;
        }
        self.run_checks(now);
        outcome
    }

    /// RFC 8445 section 7.3.1.1. Switches the role where it is ours that has to change; true where it is the peer's.
    fn is_role_conflict(&mut self, request: &Message<'_>) -> bool {
        match (self.role, request.controlling(), request.controlled()) {
            (IceRole::Lite, _, Some(_)) => true,
            (IceRole::Controlling, Some(theirs), _) => {
                if self.tie_breaker >= theirs {
                    return true;
                }
                self.switch_role();
                false
            }
            (IceRole::Controlled, _, Some(theirs)) => {
                if self.tie_breaker < theirs {
                    return true;
                }
                self.switch_role();
                false
            }
            _ => false,
        }
    }

    fn switch_role(&mut self) {
        self.role = match self.role {
            IceRole::Controlling => IceRole::Controlled,
            IceRole::Controlled => IceRole::Controlling,
            IceRole::Lite => IceRole::Lite,
        };
        self.checklist.switch_role();
    }

    fn handle_response(&mut self, now: Instant, path: Path, response: &Message<'_>) -> Outcome {
        let transaction = response.transaction();
        if self.discovery.expects(transaction) {
            let reflexive = self.discovery.answer(path, response).map(|address| (path.socket, address));
            return Outcome { reflexive, ..Outcome::default() };
        }
        if self.consent.as_ref().is_some_and(|consent| consent.expects(transaction)) {
            return self.handle_consent(now, path, response);
        }
        if !self.checklist.expects(transaction) || !self.current.authenticate_response(response) {
            return Outcome::default();
        }
        if response.class() == Class::Error {
            let conflict = response.error() == Some(ErrorCode::RoleConflict.number_and_reason().0);
            if conflict {
                // RFC 8445 section 7.2.5.1.
                self.switch_role();
                self.tie_breaker = self.random.next();
            }
            self.checklist.fail(transaction, conflict);
            self.run_checks(now);
            return Outcome { authenticated: true, ..Outcome::default() };
        }
        let Some(success) = self.checklist.succeed(now, transaction, path) else { return Outcome::default() };
        if let Some(sample) = success.round_trip {
            self.measure(sample);
        }
        let mut outcome = self.prove(now, path);
        if success.nominated {
            outcome.selected = self.select(now, path, false);
        }
        self.run_checks(now);
        outcome
    }

    fn handle_consent(&mut self, now: Instant, path: Path, response: &Message<'_>) -> Outcome {
        let generation = self.generation(self.previous.is_some());
        if response.class() != Class::Success || !generation.authenticate_response(response) {
            return Outcome::default();
        }
        let Some(consent) = self.consent.as_mut().filter(|consent| consent.path == path) else {
            return Outcome::default();
        };
        let sample = consent.grant(now, response.transaction());
        if let Some(sample) = sample {
            self.measure(sample);
        }
        self.prove(now, path)
    }

    /// Notes an authentic SRTP or SRTCP packet of the peer, which was never here before. For a server, lite or controlled,
    /// that is as good as consent: FFmpeg answers no checks once it sends media. A controlling agent asks (RFC 7675 section
    /// 5.1). Returns the path if the peer has gone over to it, unannounced.
    pub fn note_activity(&mut self, now: Instant, path: Path) -> Option<Path> {
        if self.role == IceRole::Controlled
            && let Some(consent) = self.consent.as_mut().filter(|consent| consent.path == path)
        {
            consent.renew(now);
        }
        if self.selected == Some(path) {
            self.selected_heard = now;
            self.heard = Some(now);
        } else if self.paths.contains(path) {
            self.heard = Some(now);
            if self.has_moved_to(now, path) {
                return self.select(now, path, self.previous.is_some());
            }
        }
        None
    }

    fn has_moved_to(&self, now: Instant, path: Path) -> bool {
        let proven = match self.role {
            IceRole::Lite => true,
            IceRole::Controlled => self.checklist.is_proven(path),
            IceRole::Controlling => false,
        };
        proven && self.selected.is_some() && now >= self.selected_heard + MEDIA_ELSEWHERE
    }

    /// A socket is closed, a TCP connection in most cases: what was known of paths over it is void. Where one of them was
    /// selected, there is none until the peer nominates again.
    pub fn forget_socket(&mut self, socket: SocketId) {
        self.paths.forget_socket(socket);
        self.checklist.forget_socket(socket);
        self.transmits.retain(|(path, _)| path.socket != socket);
        if self.selected.is_some_and(|path| path.socket == socket) {
            (self.selected, self.consent) = (None, None);
        }
    }

    /// Whether the peer has proven itself over this path.
    pub fn authenticated(&self, path: Path) -> bool {
        self.paths.contains(path)
    }

    /// All authenticated paths.
    pub fn paths(&self) -> impl Iterator<Item = Path> + '_ {
        self.paths.iter()
    }

    /// The nominated path.
    pub fn selected(&self) -> Option<Path> {
        self.selected
    }

    /// Where to send: the nominated path, and before there is one the first that was authenticated.
    pub fn send_path(&self) -> Option<Path> {
        if self.lost { None } else { self.selected.or_else(|| self.paths.first()) }
    }

    /// When the peer last proved its presence. None before it first did.
    pub fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// Whether consent has expired. Nothing but a restart ends that.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Smoothed round trip time of our own checks. None for a lite agent, which makes none.
    pub fn rtt(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The next message of our own.
    pub fn poll_transmit(&mut self) -> Option<(Path, Vec<u8>)> {
        self.transmits.pop_front()
    }

    /// When [`Agent::handle_timeout`] is to be called. It may move later with every packet noted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.lost {
            return None;
        }
        let questions = self.discovery.next_deadline();
        if self.role == IceRole::Lite {
            return self.heard.map(|heard| heard + CONSENT_TIMEOUT).into_iter().chain(questions).min();
        }
        let checks = self
            .checklist
            .next_deadline(self.role == IceRole::Controlling)
            .filter(|_| self.current.remote_key.is_some());
        let consent = match &self.consent {
            Some(consent) => Some(consent.next_deadline()),
            None => self.heard.map(|heard| heard + CONSENT_TIMEOUT),
        };
        [checks, consent, questions].into_iter().flatten().min()
    }

    /// Does what is due. Calling it early or late is harmless.
    pub fn handle_timeout(&mut self, now: Instant) -> Outcome {
        if self.lost {
            return Outcome::default();
        }
        let expires = match &self.consent {
            Some(consent) => Some(consent.expires()),
            None => self.heard.map(|heard| heard + CONSENT_TIMEOUT),
        };
        if expires.is_some_and(|expires| now >= expires) {
            self.lost = true;
            self.transmits.clear();
            self.discovery.clear();
            return Outcome { lost: true, ..Outcome::default() };
        }
        self.run_checks(now);
        self.ask_servers(now);
        Outcome::default()
    }

    fn ask_servers(&mut self, now: Instant) {
        while self.transmits.len() < MAX_TRANSMITS
            && let Some((path, transaction)) = self.discovery.poll(now)
        {
            let mut datagram = Vec::with_capacity(32);
            Builder::new(&mut datagram, Class::Request, transaction).finish_unsigned();
            self.transmits.push_back((path, datagram));
        }
    }

    fn run_checks(&mut self, now: Instant) {
        if self.role == IceRole::Lite {
            return;
        }
        if let Some(consent) = &mut self.consent {
            let path = consent.path;
            if let Some(transaction) = consent.poll(now, &mut self.random) {
                // Nominating again lets a lite peer follow when a NAT has moved us.
                let nominates = self.role == IceRole::Controlling;
                self.send_check(&Probe { path, transaction, nominates }, self.previous.is_some());
            }
        }
        if self.current.remote_key.is_none() {
            return;
        }
        while let Some(probe) = self.checklist.poll(now, self.role == IceRole::Controlling, &mut self.random) {
            self.send_check(&probe, false);
        }
    }

    fn send_check(&mut self, probe: &Probe, outdated: bool) {
        let generation = if outdated { self.previous.as_ref().unwrap_or(&self.current) } else { &self.current };
        let (Some(remote_ufrag), Some(remote_key)) = (&generation.remote_ufrag, &generation.remote_key) else { return };
        if self.transmits.len() == MAX_TRANSMITS {
            return;
        }
        let mut datagram = Vec::with_capacity(128);
        let mut builder = Builder::new(&mut datagram, Class::Request, probe.transaction)
            .username(remote_ufrag, &generation.local_ufrag)
            .priority(reflexive_priority(probe.path.socket));
        builder = match self.role {
            IceRole::Controlling => builder.controlling(self.tie_breaker),
            IceRole::Controlled | IceRole::Lite => builder.controlled(self.tie_breaker),
        };
        if probe.nominates {
            builder = builder.use_candidate();
        }
        builder.finish(remote_key);
        self.transmits.push_back((probe.path, datagram));
    }

    /// Notes that the peer has proven itself over a path.
    fn prove(&mut self, now: Instant, path: Path) -> Outcome {
        self.heard = Some(now);
        let (learned, forgotten) = match self.paths.touch(now, path, self.selected) {
            Touched::Known => (None, None),
            Touched::Learned { forgotten } => (Some(path), forgotten),
        };
        Outcome { authenticated: true, learned, forgotten, ..Outcome::default() }
    }

    /// Selects a path.
    fn select(&mut self, now: Instant, path: Path, outdated: bool) -> Option<Path> {
        let first_of_generation = !outdated && self.previous.take().is_some();
        let changed = self.selected != Some(path);
        if !changed && !first_of_generation {
            return None;
        }
        if first_of_generation || self.selected.is_none() {
            self.storm_ends = now + NOMINATION_STORM;
        }
        self.selected = Some(path);
        self.selected_heard = now;
        if self.role != IceRole::Lite {
            self.consent = Some(Consent::new(now, path, &mut self.random));
            self.checklist.conclude();
        }
        Some(path)
    }

    /// Whether a path that the peer nominates now replaces the selected one.
    fn is_better(&self, now: Instant, priority: u32, outdated: bool) -> bool {
        let first = self.selected.is_none() || (self.previous.is_some() && !outdated);
        first || now >= self.storm_ends || priority >= self.selected_priority
    }

    fn is_selected_silent(&self, now: Instant) -> bool {
        self.selected.is_some() && now >= self.selected_heard + PATH_SILENT
    }

    fn generation(&self, outdated: bool) -> &Credentials {
        match &self.previous {
            Some(previous) if outdated => previous,
            _ => &self.current,
        }
    }

    fn measure(&mut self, sample: Duration) {
        self.round_trip = Some(self.round_trip.map_or(sample, |smoothed| (smoothed * 7 + sample) / 8));
    }
}
