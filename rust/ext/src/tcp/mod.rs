//! ICE over TCP (RFC 6544): the passive end. Peers connect, and whoever proves itself is reached by its connection.
//!
//! One set for each media thread, which waits for all of them by one descriptor. Nothing here ever blocks: a peer that
//! reads slowly loses whole datagrams, as on a wire that is too narrow, and one that says nothing is not waited for.

mod admission;
mod connection;
mod listener;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::ops::AddAssign;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use live777_media::event::{Path, SocketId};

use crate::os::ReadySet;
use admission::Admission;
use connection::{Connection, Stream};
pub use listener::TcpListener;

/// How long a connection has to prove whose it is. Browsers send a check as soon as they are connected.
const PROVING_TIME: Duration = Duration::from_secs(10);
/// How long a connection that is of no use any more may take for what is still to go out.
const FAREWELL_TIME: Duration = Duration::from_secs(2);
/// Connections that are accepted before others have their turn.
const ACCEPT_LIMIT: usize = 64;
/// How long nothing is accepted when no descriptor is left: the listener stays readable meanwhile.
const REST: Duration = Duration::from_millis(500);
/// What `SocketId::connection` numbers begin with; what is below stands for the listeners.
const FIRST_NUMBER: u64 = 1;

/// What a media thread has counted. Monotonic but for `open`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpCounters {
    /// Connections that are open.
    pub open: u64,
    /// Connections that were taken.
    pub accepted: u64,
    /// Connections that were closed at once, as there were too many, or too many from there.
    pub refused: u64,
    /// Connections that were closed because they had not proved whose they are, or spoke something else.
    pub rejected: u64,
    /// Datagrams that were handed over for sending.
    pub datagrams: u64,
    /// Those of them that were not sent, because the peer did not read.
    pub dropped: u64,
}

/// What became of the datagrams of one `transmit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Queued {
    datagrams: u64,
    dropped: u64,
}

impl AddAssign<Queued> for TcpCounters {
    fn add_assign(&mut self, other: Queued) {
        self.datagrams += other.datagrams;
        self.dropped += other.dropped;
    }
}

/// The listeners of a media thread and the connections that were made to them.
pub struct TcpSockets {
    listeners: Vec<TcpListener>,
    connections: HashMap<u64, Connection>,
    /// Readable where one of them is.
    ready: ReadySet,
    admission: Admission,
    /// The oldest first: who has to prove itself, and by when.
    proving: VecDeque<(Instant, u64)>,
    /// The oldest first: who may still be sent what it has not read, and by when.
    leaving: VecDeque<(Instant, u64)>,
    /// Those that have something to send since the last `flush`.
    dirty: Vec<u64>,
    resting: Option<Instant>,
    next_number: u64,
    counters: TcpCounters,
}

impl TcpSockets {
    /// For so many connections at most.
    ///
    /// # Errors
    /// What epoll says.
    pub fn new(listeners: Vec<TcpListener>, capacity: usize) -> io::Result<Self> {
        let ready = ReadySet::new()?;
        let mut sockets = Self {
            listeners,
            connections: HashMap::new(),
            ready,
            admission: Admission::new(capacity),
            proving: VecDeque::new(),
            leaving: VecDeque::new(),
            dirty: Vec::new(),
            resting: None,
            next_number: FIRST_NUMBER,
            counters: TcpCounters::default(),
        };
        sockets.listen()?;
        Ok(sockets)
    }

    pub fn counters(&self) -> TcpCounters {
        TcpCounters { open: self.connections.len() as u64, ..self.counters }
    }

    /// Where the listener is to which this connection was made.
    pub fn local(&self, id: SocketId) -> Option<SocketAddr> {
        self.listeners.get(usize::from(id.index())).map(TcpListener::local)
    }

    /// Some of what is readable or writable now: listeners and connections.
    pub fn poll_ready(&mut self, out: &mut Vec<SocketId>) {
        out.extend(self.ready.ready().map(SocketId::from_bits));
    }

    /// When [`TcpSockets::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let first = |queue: &VecDeque<(Instant, u64)>| queue.front().map(|&(at, _)| at);
        [first(&self.proving), first(&self.leaving), self.resting].into_iter().flatten().min()
    }

    /// Closes whoever has used up its time.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(number) = pop_due(&mut self.proving, now) {
            self.reject_stranger(number);
        }
        while let Some(number) = pop_due(&mut self.leaving, now) {
            self.close(number);
        }
        if self.resting.is_some_and(|until| until <= now) {
            self.resting = None;
            // Without a descriptor for that there is none for a connection either: the next time.
            if self.listen().is_err() {
                self.rest(now);
            }
        }
    }

    /// Takes new connections where `id` is a listener's, and returns true then.
    pub fn accept(&mut self, id: SocketId, now: Instant) -> bool {
        if id.number() >= FIRST_NUMBER {
            return false;
        }
        for _ in 0..ACCEPT_LIMIT {
            let Some(listener) = self.listeners.get(usize::from(id.index())) else { break };
            match listener.accept() {
                Ok((socket, remote)) => self.admit(Connection::new(socket, id.index(), remote), now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => {
                    self.rest(now);
                    break;
                }
                // Of that one connection, which has gone before it was taken.
                Err(_) => {}
            }
        }
        true
    }

    fn admit(&mut self, connection: Connection, now: Instant) {
        let number = self.next_number;
        let id = SocketId::connection(number, connection.listener);
        let known = self.admission.enter(connection.remote.ip(), self.connections.len());
        if !known || self.ready.add(connection.as_raw_fd(), id.to_bits()).is_err() {
            if known {
                self.admission.leave(connection.remote.ip(), false);
            }
            self.counters.refused += 1;
            return;
        }
        self.next_number += 1;
        self.counters.accepted += 1;
        self.proving.push_back((now + PROVING_TIME, number));
        self.connections.insert(number, connection);
        while self.admission.crowded() {
            let Some((_, oldest)) = self.proving.pop_front() else { break };
            self.reject_stranger(oldest);
        }
    }

    fn reject_stranger(&mut self, number: u64) {
        if self.connections.get(&number).is_some_and(|connection| !connection.proven) {
            self.counters.rejected += 1;
            self.close(number);
        }
    }

    /// Reads what a connection has, up to a bound, and sends what waits for room. Datagrams go to `take`; `knows` says
    /// whether the peer is known by now. Returns the path if the worker knows it and has to hear that it has ended.
    pub fn serve(
        &mut self,
        id: SocketId,
        buffer: &mut [u8],
        mut take: impl FnMut(Path, &mut [u8]),
        knows: impl FnOnce(Path) -> bool,
    ) -> Option<Path> {
        let number = id.number();
        let connection = self.connections.get_mut(&number)?;
        let path = Path { socket: id, remote: connection.remote };
        let stream = connection.receive(buffer, |datagram| take(path, datagram));
        if !connection.proven && knows(path) {
            connection.proven = true;
            self.admission.prove(path.remote.ip());
        }
        if stream == Stream::Nonsense {
            self.counters.rejected += 1;
        }
        if stream == Stream::Open && self.send(number) { None } else { self.close(number) }
    }

    /// Queues datagrams of `segment` bytes each, the last may be shorter; [`TcpSockets::flush`] sends them.
    pub fn transmit(&mut self, id: SocketId, datagrams: &[u8], segment: usize) {
        let Some(connection) = self.connections.get_mut(&id.number()) else { return };
        self.counters += connection.queue(datagrams, segment);
        // One that waits for room is told of it.
        if !connection.dirty && !connection.waits {
            connection.dirty = true;
            self.dirty.push(id.number());
        }
    }

    /// Sends what was queued, as far as the peers read. `gone` hears of connections that turn out to be broken.
    pub fn flush(&mut self, mut gone: impl FnMut(Path)) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for number in dirty.drain(..) {
            let Some(connection) = self.connections.get_mut(&number) else { continue };
            connection.dirty = false;
            if !self.send(number)
                && let Some(path) = self.close(number)
            {
                gone(path);
            }
        }
        self.dirty = dirty;
    }

    /// Closes a connection that no transport uses any more, when what is to go out by it has left.
    pub fn release(&mut self, id: SocketId, now: Instant) {
        let number = id.number();
        let Some(connection) = self.connections.get_mut(&number) else { return };
        if connection.has_output() {
            self.leaving.push_back((now + FAREWELL_TIME, number));
            connection.leaving = true;
        } else {
            self.close(number);
        }
    }

    /// Writes, and waits for room where there is more. False: it is broken, or was only waited for.
    fn send(&mut self, number: u64) -> bool {
        let Some(connection) = self.connections.get_mut(&number) else { return true };
        if connection.send().is_err() {
            return false;
        }
        let waits = connection.has_output();
        if waits != connection.waits {
            connection.waits = waits;
            let token = SocketId::connection(number, connection.listener).to_bits();
            if self.ready.watch(connection.as_raw_fd(), token, waits).is_err() {
                return false;
            }
        }
        waits || !connection.leaving
    }

    /// Returns the path if a worker may know it.
    fn close(&mut self, number: u64) -> Option<Path> {
        let connection = self.connections.remove(&number)?;
        self.ready.remove(connection.as_raw_fd());
        self.admission.leave(connection.remote.ip(), connection.proven);
        let path = Path { socket: SocketId::connection(number, connection.listener), remote: connection.remote };
        (connection.proven && !connection.leaving).then_some(path)
    }

    fn listen(&mut self) -> io::Result<()> {
        for (index, listener) in (0..=u8::MAX).zip(&self.listeners) {
            self.ready.add(listener.as_raw_fd(), SocketId::connection(0, index).to_bits())?;
        }
        Ok(())
    }

    fn rest(&mut self, now: Instant) {
        for listener in &self.listeners {
            self.ready.remove(listener.as_raw_fd());
        }
        self.resting = Some(now + REST);
    }
}

impl AsRawFd for TcpSockets {
    fn as_raw_fd(&self) -> RawFd {
        self.ready.as_raw_fd()
    }
}

fn pop_due(queue: &mut VecDeque<(Instant, u64)>, now: Instant) -> Option<u64> {
    let &(at, number) = queue.front()?;
    if at > now {
        return None;
    }
    queue.pop_front();
    Some(number)
}

#[cfg(test)]
mod tests;
