//! Candidate pairs of a full agent and their connectivity checks (RFC 8445 sections 6.1.4, 7.2 and 8.1).
//!
//! One component and one data stream: no pair is ever frozen. The table of a pair:
//!
//! ```text
//! Waiting --sent--> InProgress --answer--> Succeeded
//!    ^                  |
//!    +--triggered-- Failed <--no answer, error
//! ```

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::random::Random;
use crate::event::{Path, SocketId};
use crate::stun::TransactionId;

/// Candidate pairs of one transport, learned ones included.
pub const MAX_CANDIDATES: usize = 32;

/// Ta: the shortest time between two first transmissions (RFC 8445 section 14.2).
const PACE: Duration = Duration::from_millis(50);
/// First retransmission timeout (RFC 8445 section 14.3), doubled each time.
const RTO: Duration = Duration::from_millis(500);
/// Longest retransmission timeout. RFC 8489 section 6.2.1 would go on doubling, and a peer on a lossy link could then not
/// be reached in the time that a session has to connect; this is still less than a browser sends.
const MAX_RTO: Duration = Duration::from_secs(2);
/// Transmissions of one check.
const MAX_TRANSMISSIONS: u32 = 10;
/// How long the last one may be answered: Rm of RFC 8489 times RTO.
const LAST_WAIT: Duration = Duration::from_secs(8);
/// How long a proven pair waits for a better one before it is nominated.
const NOMINATION_DELAY: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    InProgress,
    Succeeded,
    Failed,
}

#[derive(Debug)]
struct Pair {
    path: Path,
    remote_priority: u32,
    state: State,
    /// We are about to nominate it, or the peer has done so before our own check succeeded.
    nominated: bool,
    check: Option<Check>,
}

#[derive(Debug)]
struct Check {
    transaction: TransactionId,
    nominates: bool,
    sent: Instant,
    transmissions: u32,
    due: Instant,
}

/// A check to be sent now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Probe {
    pub(super) path: Path,
    pub(super) transaction: TransactionId,
    pub(super) nominates: bool,
}

/// A check that was answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Success {
    pub(super) path: Path,
    pub(super) round_trip: Option<Duration>,
    pub(super) nominated: bool,
}

#[derive(Debug)]
pub(super) struct Checklist {
    pairs: Vec<Pair>,
    triggered: VecDeque<Path>,
    next_check: Instant,
    /// When the best proven pair is nominated even though better ones are undecided.
    nominate_by: Option<Instant>,
    /// A pair is selected: signalled candidates come too late.
    concluded: bool,
}

impl Checklist {
    pub(super) fn new(now: Instant) -> Self {
        Self { pairs: Vec::new(), triggered: VecDeque::new(), next_check: now, nominate_by: None, concluded: false }
    }

    /// Adds a candidate that the peer signalled. False if it cannot be meant or there is no room.
    pub(super) fn add(&mut self, path: Path, remote_priority: u32) -> bool {
        if self.concluded
            || !is_usable(path.remote)
            || self.position(path).is_some()
            || self.pairs.len() == MAX_CANDIDATES
        {
            return false;
        }
        self.pairs.push(Pair { path, remote_priority, state: State::Waiting, nominated: false, check: None });
        true
    }

    /// The peer has checked this path: check it soon from here (RFC 8445 section 7.3.1.4). True if it is proven already.
    pub(super) fn trigger(&mut self, path: Path, remote_priority: u32, nominated_by_peer: bool) -> bool {
        let index = match self.position(path) {
            Some(index) => index,
            None => {
                self.make_room();
                self.pairs.push(Pair { path, remote_priority, state: State::Waiting, nominated: false, check: None });
                self.pairs.len() - 1
            }
        };
        let pair = &mut self.pairs[index];
        if pair.state == State::Succeeded {
            return true;
        }
        pair.nominated |= nominated_by_peer;
        if pair.state == State::Failed {
            pair.state = State::Waiting;
        }
        if !self.triggered.contains(&path) {
            self.triggered.push_back(path);
        }
        false
    }

    /// A learned pair matters more than an unproven one that was only signalled.
    fn make_room(&mut self) {
        if self.pairs.len() < MAX_CANDIDATES {
            return;
        }
        let least = (0..self.pairs.len())
            .min_by_key(|index| (self.pairs[*index].state != State::Failed, self.pairs[*index].remote_priority));
        if let Some(index) = least {
            let removed = self.pairs.swap_remove(index);
            self.triggered.retain(|path| *path != removed.path);
        }
    }

    /// The next check that is due. Call until there is none.
    pub(super) fn poll(&mut self, now: Instant, controlling: bool, random: &mut Random) -> Option<Probe> {
        if let Some(probe) = self.retransmit(now) {
            return Some(probe);
        }
        if controlling {
            self.nominate(now);
        }
        if now < self.next_check {
            return None;
        }
        let index = self.next_pair(controlling)?;
        self.next_check = now + PACE;
        let pair = &mut self.pairs[index];
        let nominates = controlling && pair.nominated;
        pair.state = if nominates { State::Succeeded } else { State::InProgress };
        // A triggered check repeats the one that is under way: its answer proves the pair as well.
        let (transaction, transmissions) = match &pair.check {
            Some(check) if check.nominates == nominates => (check.transaction, 2),
            _ => (random.transaction(), 1),
        };
        pair.check = Some(Check { transaction, nominates, sent: now, transmissions, due: now + RTO });
        Some(Probe { path: pair.path, transaction, nominates })
    }

    fn next_pair(&mut self, controlling: bool) -> Option<usize> {
        while let Some(path) = self.triggered.pop_front() {
            if let Some(index) = self.position(path) {
                return Some(index);
            }
        }
        (0..self.pairs.len())
            .filter(|index| self.pairs[*index].state == State::Waiting)
            .max_by_key(|index| self.pairs[*index].priority(controlling))
    }

    fn retransmit(&mut self, now: Instant) -> Option<Probe> {
        for pair in &mut self.pairs {
            let Some(check) = pair.check.as_mut().filter(|check| now >= check.due) else { continue };
            if check.transmissions == MAX_TRANSMISSIONS {
                pair.state = State::Failed;
                pair.nominated = false;
                pair.check = None;
                continue;
            }
            check.transmissions += 1;
            let wait = (RTO * (1 << (check.transmissions - 1))).min(MAX_RTO);
            check.due = now + if check.transmissions == MAX_TRANSMISSIONS { LAST_WAIT } else { wait };
            return Some(Probe { path: pair.path, transaction: check.transaction, nominates: check.nominates });
        }
        None
    }

    /// Regular nomination (RFC 8445 section 8.1.1): the best proven pair, once none better is undecided or time is up.
    fn nominate(&mut self, now: Instant) {
        let Some(by) = self.nominate_by else { return };
        if self.pairs.iter().any(|pair| pair.nominated) {
            return;
        }
        let best = |wanted: &dyn Fn(State) -> bool| {
            (0..self.pairs.len())
                .filter(|index| wanted(self.pairs[*index].state))
                .max_by_key(|index| self.pairs[*index].priority(true))
        };
        let Some(proven) = best(&|state| state == State::Succeeded) else { return };
        let undecided = best(&|state| matches!(state, State::Waiting | State::InProgress));
        let better =
            undecided.is_some_and(|index| self.pairs[index].priority(true) > self.pairs[proven].priority(true));
        if !better || now >= by {
            self.pairs[proven].nominated = true;
            self.triggered.push_front(self.pairs[proven].path);
        }
    }

    pub(super) fn expects(&self, transaction: TransactionId) -> bool {
        self.by_transaction(transaction).is_some()
    }

    /// Takes an authentic success response. None if it belongs to no check, or came over another path than the check
    /// went (RFC 8445 section 7.2.5.2.1).
    pub(super) fn succeed(&mut self, now: Instant, transaction: TransactionId, path: Path) -> Option<Success> {
        let index = self.by_transaction(transaction)?;
        let pair = &mut self.pairs[index];
        let check = pair.check.take()?;
        if pair.path != path {
            pair.state = State::Failed;
            pair.nominated = false;
            return None;
        }
        pair.state = State::Succeeded;
        if !self.concluded {
            self.nominate_by.get_or_insert(now + NOMINATION_DELAY);
        }
        // An answer to a repeated check may belong to any of its transmissions (Karn).
        let round_trip = (check.transmissions == 1).then(|| now.duration_since(check.sent));
        Some(Success { path, round_trip, nominated: pair.nominated || check.nominates })
    }

    /// Takes an authentic error response: the pair has failed, unless the conflict of roles is solved and it is tried
    /// once more.
    pub(super) fn fail(&mut self, transaction: TransactionId, retry: bool) {
        let Some(index) = self.by_transaction(transaction) else { return };
        let pair = &mut self.pairs[index];
        pair.check = None;
        pair.nominated = false;
        pair.state = if retry { State::Waiting } else { State::Failed };
        if retry {
            let path = pair.path;
            self.triggered.push_back(path);
        }
    }

    /// The other side nominates from now on, or this one does: what was nominated is void.
    pub(super) fn switch_role(&mut self) {
        for pair in &mut self.pairs {
            pair.nominated = false;
        }
    }

    /// A pair was nominated and proven: nothing else needs a check (RFC 8445 section 8.1.2).
    pub(super) fn conclude(&mut self) {
        self.concluded = true;
        self.triggered.clear();
        self.nominate_by = None;
        for pair in &mut self.pairs {
            pair.check = None;
            pair.nominated = false;
            if pair.state != State::Succeeded {
                pair.state = State::Failed;
            }
        }
    }

    /// When [`Checklist::poll`] has work. Always in the future of the last poll.
    pub(super) fn next_deadline(&self, controlling: bool) -> Option<Instant> {
        let waiting = !self.triggered.is_empty() || self.pairs.iter().any(|pair| pair.state == State::Waiting);
        let undecided = controlling
            && !self.pairs.iter().any(|pair| pair.nominated)
            && self.pairs.iter().any(|pair| pair.state == State::Succeeded);
        let nomination = self.nominate_by.filter(|_| undecided);
        let retransmission = self.pairs.iter().filter_map(|pair| pair.check.as_ref()).map(|check| check.due).min();
        [waiting.then_some(self.next_check), nomination, retransmission].into_iter().flatten().min()
    }

    /// Whether a check of ours over this path was answered.
    pub(super) fn is_proven(&self, path: Path) -> bool {
        self.pairs.iter().any(|pair| pair.path == path && pair.state == State::Succeeded)
    }

    /// Forgets the pairs over a socket that is closed.
    pub(super) fn forget_socket(&mut self, socket: SocketId) {
        self.pairs.retain(|pair| pair.path.socket != socket);
        self.triggered.retain(|path| path.socket != socket);
    }

    fn position(&self, path: Path) -> Option<usize> {
        self.pairs.iter().position(|pair| pair.path == path)
    }

    fn by_transaction(&self, transaction: TransactionId) -> Option<usize> {
        self.pairs.iter().position(|pair| pair.check.as_ref().is_some_and(|check| check.transaction == transaction))
    }
}

impl Pair {
    /// RFC 8445 section 6.1.2.3.
    fn priority(&self, controlling: bool) -> u64 {
        let local = host_priority(self.path.socket);
        let (ours, theirs) = if controlling { (local, self.remote_priority) } else { (self.remote_priority, local) };
        u64::from(ours.min(theirs)) << 32 | u64::from(ours.max(theirs)) << 1 | u64::from(ours > theirs)
    }
}

/// Priority of one of our host candidates (RFC 8445 section 5.1.2.1); component 1.
fn host_priority(socket: SocketId) -> u32 {
    priority(if socket.is_connection() { 90 } else { 126 }, socket)
}

/// Priority that a candidate learned from our check gets: peer-reflexive (RFC 8445 section 7.1.1).
pub(super) fn reflexive_priority(socket: SocketId) -> u32 {
    priority(if socket.is_connection() { 80 } else { 110 }, socket)
}

/// TCP comes after UDP, by the type and by the direction that stands in the local preference: passive, as we are on
/// all connections (RFC 6544 section 4.2).
fn priority(kind: u32, socket: SocketId) -> u32 {
    let highest = if socket.is_connection() { 4 << 13 | 0x1fff } else { 0xffff };
    kind << 24 | (highest - u32::from(socket.index())) << 8 | 0xff
}

/// No check is sent to many hosts at once, or to none.
pub(super) fn is_usable(address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}
