//! One media thread: waits for its sockets and its mailbox, feeds the worker, sends what the worker gives.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use live777_media::command::{Command, CommandError, TransportId};
use live777_media::event::{Path, SocketId};
use live777_media::relay::RelayMessage;
use live777_media::worker::{Reply, Transmit, Worker};

use crate::os::{Poller, ReadySet, block_signals, descriptor_limit, thread_cpu_time};
use crate::queue::{Notification, Order, Ticket, Value};
use crate::routes::inverse;
use crate::snapshot::{Gathering, Snapshot};
use crate::socket::{RECEIVE_BUFFER, Sent, UdpSocket};
use crate::switchboard::Switchboard;
use crate::tcp::{TcpListener, TcpSockets};

/// Datagrams that are taken from one socket before their consequences are sent.
const BURST_LIMIT: usize = 256;

/// One of so many of the process's descriptors may be a connection of media: HTTP, files and sockets need some too.
const TCP_SHARE: usize = 2;

/// Starts the thread of a worker. It ends when its mailbox is closed, or by a fault, which Python is told.
///
/// # Errors
/// What the system says when no thread can be made, or no descriptor is left.
pub fn spawn(
    index: usize,
    shared: Vec<UdpSocket>,
    listeners: Vec<TcpListener>,
    worker: Worker,
    board: Arc<Switchboard>,
) -> io::Result<JoinHandle<()>> {
    let tcp = if listeners.is_empty() {
        None
    } else {
        Some(TcpSockets::new(listeners, descriptor_limit() / TCP_SHARE / board.mailboxes.len().max(1))?)
    };
    let outlet = Outlet { shared, own: HashMap::new(), readable: ReadySet::new()?, tcp, sent: Sent::default() };
    std::thread::Builder::new().name(format!("media-{index}")).spawn(move || {
        block_signals();
        let outlives = Arc::clone(&board);
        guard(index, &outlives, || MediaThread::new(index, outlet, worker, board).run());
    })
}

/// Runs the body of a worker; if it fails or panics, only this worker is lost.
fn guard(index: usize, board: &Switchboard, body: impl FnOnce() -> io::Result<()>) {
    let reason = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic_message(panic.as_ref()),
    };
    board.bury(index, reason);
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panic: {}", text.unwrap_or("no message"))
}

/// The worker's way out: its sockets and what they have counted.
struct Outlet {
    /// One on each of the worker's addresses.
    shared: Vec<UdpSocket>,
    /// Those that one transport has to itself, again one on each address.
    own: HashMap<TransportId, Vec<UdpSocket>>,
    /// The latter, to wait for.
    readable: ReadySet,
    /// None where no TCP address is configured.
    tcp: Option<TcpSockets>,
    sent: Sent,
}

impl Outlet {
    #[inline]
    fn socket(&mut self, id: SocketId) -> Option<&mut UdpSocket> {
        let sockets = match id.owner() {
            None => &mut self.shared,
            Some(transport) => self.own.get_mut(&transport)?,
        };
        sockets.get_mut(usize::from(id.index()))
    }

    fn local(&mut self, id: SocketId) -> Option<SocketAddr> {
        if id.is_connection() {
            return self.tcp.as_ref()?.local(id);
        }
        self.socket(id).map(|socket| socket.local())
    }

    /// Takes over the sockets of a transport.
    fn open(&mut self, transport: TransportId, sockets: Vec<UdpSocket>) -> io::Result<()> {
        for (index, socket) in (0..=u8::MAX).zip(&sockets) {
            let id = SocketId::own(transport, index).ok_or(io::ErrorKind::InvalidInput)?;
            self.readable.add(socket.as_raw_fd(), id.to_bits())?;
        }
        self.own.insert(transport, sockets);
        Ok(())
    }

    fn close(&mut self, transport: TransportId) {
        for socket in self.own.remove(&transport).unwrap_or_default() {
            self.readable.remove(socket.as_raw_fd());
        }
    }
}

impl Transmit for Outlet {
    fn transmit(&mut self, path: Path, datagrams: &[u8], segment: usize) {
        if path.socket.is_connection() {
            if let Some(tcp) = &mut self.tcp {
                tcp.transmit(path.socket, datagrams, segment);
            }
            return;
        }
        let Some(socket) = self.socket(path.socket) else { return };
        let sent = socket.send(path.remote, datagrams, segment);
        self.sent += sent;
    }
}

struct MediaThread {
    index: usize,
    worker: Worker,
    outlet: Outlet,
    board: Arc<Switchboard>,
    buffer: Box<[u8]>,
    /// What this burst has for each other worker.
    relays: Vec<Vec<RelayMessage>>,
    relay_dropped: u64,
    /// Transports whose own sockets close once their last datagrams have left, and who waits for that.
    closing: Vec<(TransportId, Option<Ticket>)>,
}

impl MediaThread {
    fn new(index: usize, outlet: Outlet, worker: Worker, board: Arc<Switchboard>) -> Self {
        Self {
            index,
            worker,
            outlet,
            buffer: vec![0; RECEIVE_BUFFER].into_boxed_slice(),
            relays: board.mailboxes.iter().map(|_| Vec::new()).collect(),
            relay_dropped: 0,
            closing: Vec::new(),
            board,
        }
    }

    fn run(mut self) -> io::Result<()> {
        let board = Arc::clone(&self.board);
        let mailbox = &board.mailboxes[self.index];
        let sockets = self.outlet.shared.len();
        let (mail, own, tcp) = (sockets, sockets + 1, sockets + 2);
        let descriptors = self.outlet.shared.iter().map(AsRawFd::as_raw_fd);
        let descriptors = descriptors.chain([mailbox.as_raw_fd(), self.outlet.readable.as_raw_fd()]);
        let mut poller = Poller::new(descriptors.chain(self.outlet.tcp.iter().map(AsRawFd::as_raw_fd)));
        let mut ready = Vec::new();
        loop {
            let due = self
                .worker
                .poll_timeout()
                .into_iter()
                .chain(self.outlet.tcp.as_ref().and_then(TcpSockets::poll_timeout));
            let due = due.min();
            poller.wait(due.map(|due| due.saturating_duration_since(Instant::now())))?;
            let now = Instant::now();
            for socket in 0..sockets {
                if poller.is_ready(socket) {
                    let id = SocketId::shared(u8::try_from(socket).expect("Engine::new allows 256 addresses"));
                    self.receive(id, now);
                }
            }
            if poller.is_ready(own) {
                ready.extend(self.outlet.readable.ready().map(SocketId::from_bits));
                ready.drain(..).for_each(|id| self.receive(id, now));
            }
            if self.outlet.tcp.is_some() && poller.is_ready(tcp) {
                self.serve_tcp(now, &mut ready);
            }
            let mut closed = false;
            if poller.is_ready(mail) {
                let mail = mailbox.take();
                closed = mail.closed;
                for order in mail.orders {
                    self.execute(order, now);
                }
                for message in mail.relayed {
                    self.worker.handle_relay(now, message);
                }
            }
            self.worker.flush(now, &mut self.outlet);
            if self.worker.poll_timeout().is_some_and(|due| due <= now) {
                self.worker.handle_timeout(now, &mut self.outlet);
            }
            self.flush_tcp(now);
            self.relay();
            self.notify();
            for (transport, ticket) in self.closing.drain(..) {
                self.outlet.close(transport);
                if let Some(ticket) = ticket {
                    ticket.answer(Ok(Value::Nothing));
                }
            }
            if closed {
                return Ok(());
            }
        }
    }

    /// Takes what a socket has, up to one burst.
    fn receive(&mut self, id: SocketId, now: Instant) {
        let Some(socket) = self.outlet.socket(id) else { return };
        let mut taken = 0;
        while taken < BURST_LIMIT {
            taken += 1;
            match socket.receive(&mut self.buffer) {
                Ok(Some(run)) if run.length > 0 => {
                    let path = Path { socket: id, remote: run.remote };
                    for datagram in self.buffer[..run.length].chunks_mut(run.segment) {
                        self.worker.handle_datagram(now, path, datagram);
                    }
                    taken += run.length / run.segment;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error of an earlier send, or a signal: the next read goes on behind it.
                Err(_) => {}
            }
        }
    }

    /// New connections, and what the others have to say.
    fn serve_tcp(&mut self, now: Instant, ready: &mut Vec<SocketId>) {
        let Some(tcp) = &mut self.outlet.tcp else { return };
        tcp.poll_ready(ready);
        let worker = RefCell::new(&mut self.worker);
        for id in ready.drain(..) {
            if tcp.accept(id, now) {
                continue;
            }
            let take = |path, datagram: &mut [u8]| worker.borrow_mut().handle_datagram(now, path, datagram);
            if let Some(ended) = tcp.serve(id, &mut self.buffer, take, |path| worker.borrow().knows(path)) {
                worker.borrow_mut().disconnected(now, ended);
            }
        }
    }

    /// Sends what this burst had for connections, then lets go of those that are of no use any more.
    fn flush_tcp(&mut self, now: Instant) {
        let Some(tcp) = &mut self.outlet.tcp else { return };
        tcp.flush(|ended| self.worker.disconnected(now, ended));
        while let Some(id) = self.worker.poll_released() {
            tcp.release(id, now);
        }
        tcp.handle_timeout(now);
    }

    fn execute(&mut self, order: Order, now: Instant) {
        match order {
            Order::Report(gathering) => self.report(&gathering, now),
            Order::Command { command, sockets, ticket } => {
                let undo = inverse(&command);
                let written = matches!(command, Command::WriteFrame { .. });
                let closes = match command {
                    Command::CloseTransport { transport } => Some(transport),
                    _ => None,
                };
                let result = self.command(command, sockets, now);
                if let (Err(_), Some(undo)) = (&result, undo) {
                    self.board.take_back(undo);
                }
                match (closes.filter(|transport| self.outlet.own.contains_key(transport)), ticket) {
                    (Some(transport), ticket) => self.closing.push((transport, ticket)),
                    (None, Some(ticket)) => ticket.answer(result),
                    (None, None) => {}
                }
                if written {
                    // Frame by frame, so that many of them do not become one burst.
                    self.worker.flush(now, &mut self.outlet);
                }
            }
        }
    }

    fn command(&mut self, command: Command, sockets: Vec<UdpSocket>, now: Instant) -> Result<Value, CommandError> {
        let Command::OpenTransport { transport, .. } = command else {
            return self.worker.command(now, command).map(|_| Value::Nothing);
        };
        self.worker.command(now, command)?;
        let addresses = sockets.iter().map(UdpSocket::local).collect();
        if !sockets.is_empty() && self.outlet.open(transport, sockets).is_err() {
            self.worker.command(now, Command::CloseTransport { transport })?;
            return Err(CommandError::NoSocket);
        }
        Ok(Value::Addresses(addresses))
    }

    fn report(&mut self, gathering: &Gathering, now: Instant) {
        let Ok(Reply::Stats(stats)) = self.worker.command(now, Command::Stats) else { return };
        let dump = match gathering.wants_text().then(|| self.worker.command(now, Command::Dump)) {
            Some(Ok(Reply::Dump(text))) => text,
            _ => String::new(),
        };
        let snapshot = Snapshot {
            worker: self.index,
            sockets: self.outlet.shared.iter().map(UdpSocket::local).collect(),
            thread_cpu: thread_cpu_time(),
            sent: self.outlet.sent,
            tcp: self.outlet.tcp.as_ref().map(TcpSockets::counters).unwrap_or_default(),
            gso: self.outlet.shared.iter().all(UdpSocket::uses_gso),
            relay_dropped: self.relay_dropped,
            stats,
            dump,
        };
        self.board.remember(&snapshot);
        gathering.add(snapshot);
    }

    fn relay(&mut self) {
        while let Some((route, message)) = self.worker.poll_relay() {
            self.relays[route.0 as usize].push(message);
        }
        for (mailbox, messages) in self.board.mailboxes.iter().zip(&mut self.relays) {
            if !messages.is_empty() {
                self.relay_dropped += mailbox.relay(messages.drain(..));
            }
        }
    }

    fn notify(&mut self) {
        let Some(first) = self.worker.poll_event() else { return };
        let rest = std::iter::from_fn(|| self.worker.poll_event());
        let events = std::iter::once(first).chain(rest).map(|event| {
            let local = event.socket().and_then(|id| self.outlet.local(id));
            Notification::Event { event, local }
        });
        self.board.output.push(events);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::TcpCounters;

    #[test]
    fn the_counters_of_a_worker_outlive_it() {
        let board = Switchboard::new(2).expect("descriptors are free");
        let mut stats = Box::new(live777_media::stats::Stats::default());
        stats.worker.totals.packets_received = 7;
        stats.transports.push(live777_media::stats::TransportStats {
            transport: TransportId(1),
            connected: true,
            path: None,
            packets_received: 7,
            bytes_received: 0,
            packets_sent: 0,
            bytes_sent: 0,
            srtp_rejected: 0,
            datagrams_ignored: 0,
            rtt_ms: None,
            available_bitrate: None,
            silent_ms: None,
        });
        board.remember(&Snapshot {
            worker: 1,
            sockets: Vec::new(),
            thread_cpu: std::time::Duration::ZERO,
            sent: Sent::default(),
            tcp: TcpCounters { open: 2, accepted: 5, ..TcpCounters::default() },
            gso: true,
            relay_dropped: 3,
            stats,
            dump: String::from("a worker"),
        });
        guard(1, &board, || panic!("a broken invariant"));
        guard(0, &board, || panic!("another"));
        board.output.drain();
        board.report(1, false);
        board.report(2, true);
        let told = board.output.drain();
        let Notification::Response { result: Ok(Value::Stats(rows)), .. } = &told[0] else { panic!("{told:?}") };
        let [row] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!((row.worker, row.relay_dropped, row.stats.worker.totals.packets_received), (1, 3, 7));
        assert_eq!((row.tcp.open, row.tcp.accepted), (0, 5));
        assert!(row.stats.transports.is_empty(), "its sessions are gone");
        assert!(matches!(&told[1], Notification::Response { result: Ok(Value::Dump(text)), .. } if text.is_empty()));
    }

    #[test]
    fn a_panic_loses_one_worker_and_answers_what_waited_for_it() {
        let board = Switchboard::new(1).expect("descriptors are free");
        let ticket = Some(Ticket::new(7, Arc::clone(&board.output)));
        let command = Command::CloseTransport { transport: TransportId(1) };
        board.mailboxes[0].push(Order::Command { command, sockets: Vec::new(), ticket });

        guard(0, &board, || panic!("a broken invariant"));

        let mut told = board.output.drain().into_iter();
        let answer = told.next();
        assert!(
            matches!(answer, Some(Notification::Response { request: 7, result: Err(CommandError::InvalidState) })),
            "{answer:?}"
        );
        let Some(Notification::Closed { worker: 0, reason }) = told.next() else { panic!("no farewell") };
        assert_eq!(reason, "panic: a broken invariant");

        board.report(8, false);
        let told = board.output.drain();
        assert!(
            matches!(&told[0], Notification::Response { request: 8, result: Ok(Value::Stats(rows)) } if rows.is_empty())
        );
    }
}
