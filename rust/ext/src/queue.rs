//! The two queues between Python and the media threads: a mailbox into each worker, one ordered output of all of them.
//!
//! Both wake their reader through a descriptor that is written only when the queue was empty.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use live777_media::command::{Command, CommandError};
use live777_media::event::Event;
use live777_media::relay::RelayMessage;

use crate::os::EventFd;
use crate::snapshot::{Gathering, Snapshot};
use crate::socket::UdpSocket;

/// Packets that one worker may owe another before newer ones are dropped.
const RELAY_LIMIT: usize = 4096;

/// Bytes of DTLS that wait for Python; what does not fit is lost, as on a wire, and DTLS repeats it.
const DTLS_LIMIT: usize = 4 << 20;

/// Events that peers can provoke at will (a picture size that changes, say) are dropped while so many wait.
const EVENT_LIMIT: usize = 65_536;

/// A lock whose data stays valid when a thread panics: queues and tables are changed in single steps.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The successful half of a response.
#[derive(Debug)]
pub enum Value {
    Nothing,
    Stats(Vec<Snapshot>),
    Dump(String),
    Addresses(Vec<SocketAddr>),
}

/// What Python finds in the output queue.
#[derive(Debug)]
pub enum Notification {
    Response {
        request: u64,
        result: Result<Value, CommandError>,
    },
    /// `local`: address of the socket that the event names.
    Event {
        event: Event,
        local: Option<SocketAddr>,
    },
    Closed {
        worker: usize,
        reason: String,
    },
}

/// Responses and events of all workers, in one order.
pub struct Output {
    pending: Mutex<Pending>,
    wake: EventFd,
}

#[derive(Default)]
struct Pending {
    notifications: VecDeque<Notification>,
    dtls_bytes: usize,
}

impl Pending {
    fn has_room_for(&mut self, notification: &Notification) -> bool {
        match notification {
            Notification::Event { event: Event::Dtls { data, .. }, .. } => {
                let fits = self.dtls_bytes + data.len() <= DTLS_LIMIT;
                self.dtls_bytes += if fits { data.len() } else { 0 };
                fits
            }
            Notification::Response { .. } | Notification::Closed { .. } => true,
            Notification::Event { event, .. } => event.is_essential() || self.notifications.len() < EVENT_LIMIT,
        }
    }
}

impl Output {
    pub fn new() -> io::Result<Self> {
        Ok(Self { pending: Mutex::default(), wake: EventFd::new()? })
    }

    pub fn push(&self, notifications: impl IntoIterator<Item = Notification>) {
        let mut pending = lock(&self.pending);
        let was_empty = pending.notifications.is_empty();
        for notification in notifications {
            if pending.has_room_for(&notification) {
                pending.notifications.push_back(notification);
            }
        }
        if was_empty && !pending.notifications.is_empty() {
            self.wake.signal();
        }
    }

    pub fn drain(&self) -> VecDeque<Notification> {
        let mut pending = lock(&self.pending);
        self.wake.clear();
        pending.dtls_bytes = 0;
        std::mem::take(&mut pending.notifications)
    }
}

impl AsRawFd for Output {
    fn as_raw_fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }
}

/// The duty to answer one request. Dropped unanswered, by a worker that ended, it answers `InvalidState`.
pub struct Ticket {
    request: u64,
    output: Arc<Output>,
    answered: bool,
}

impl Ticket {
    pub fn new(request: u64, output: Arc<Output>) -> Self {
        Self { request, output, answered: false }
    }

    pub fn answer(mut self, result: Result<Value, CommandError>) {
        self.send(result);
    }

    fn send(&mut self, result: Result<Value, CommandError>) {
        self.answered = true;
        self.output.push([Notification::Response { request: self.request, result }]);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.answered {
            self.send(Err(CommandError::InvalidState));
        }
    }
}

/// What a worker is told to do, and who wants to know how it went.
pub enum Order {
    /// `sockets` are those that a transport gets to itself: they go where the command goes, and close with it.
    Command {
        command: Command,
        sockets: Vec<UdpSocket>,
        ticket: Option<Ticket>,
    },
    Report(Arc<Gathering>),
}

/// Everything that waited for a worker.
#[derive(Default)]
pub struct Mail {
    pub orders: VecDeque<Order>,
    pub relayed: VecDeque<RelayMessage>,
    pub closed: bool,
    relayed_packets: usize,
}

/// The way into a worker, from Python and from other workers.
pub struct Mailbox {
    mail: Mutex<Mail>,
    wake: EventFd,
}

impl Mailbox {
    pub fn new() -> io::Result<Self> {
        Ok(Self { mail: Mutex::default(), wake: EventFd::new()? })
    }

    /// Queues one order; a closed mailbox drops it, and with it its ticket.
    pub fn push(&self, order: Order) {
        let refused = {
            let mut mail = lock(&self.mail);
            if mail.closed {
                Some(order)
            } else {
                self.wake_if_empty(&mail);
                mail.orders.push_back(order);
                None
            }
        };
        drop(refused);
    }

    /// Queues what another worker sends, as far as there is room; returns how many packets there was none for.
    pub fn relay(&self, messages: impl Iterator<Item = RelayMessage>) -> u64 {
        let mut mail = lock(&self.mail);
        let mut dropped = 0;
        for message in messages {
            let packets = packets_of(&message);
            if mail.closed || mail.relayed_packets + packets > RELAY_LIMIT {
                dropped += packets as u64;
                continue;
            }
            self.wake_if_empty(&mail);
            mail.relayed_packets += packets;
            mail.relayed.push_back(message);
        }
        dropped
    }

    /// Everything queued; a mailbox that is closed stays so.
    pub fn take(&self) -> Mail {
        let mut mail = lock(&self.mail);
        self.wake.clear();
        let closed = mail.closed;
        std::mem::replace(&mut *mail, Mail { closed, ..Mail::default() })
    }

    /// Takes no more orders; the worker ends after those that wait.
    pub fn close(&self) {
        lock(&self.mail).closed = true;
        self.wake.signal();
    }

    fn wake_if_empty(&self, mail: &Mail) {
        if mail.orders.is_empty() && mail.relayed.is_empty() {
            self.wake.signal();
        }
    }
}

impl AsRawFd for Mailbox {
    fn as_raw_fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }
}

fn packets_of(message: &RelayMessage) -> usize {
    match message {
        RelayMessage::Packets { burst, .. } => burst.packets().len().max(1),
        // Once for each track and worker, and bounded by `GopLimits`.
        RelayMessage::Past { .. } | RelayMessage::Clock { .. } | RelayMessage::KeyFrameRequest { .. } => 1,
    }
}

#[cfg(test)]
mod tests {
    use live777_media::command::{TrackId, TransportId};

    use super::*;

    fn request(track: u64) -> RelayMessage {
        RelayMessage::KeyFrameRequest { track: TrackId(track), encoding: 0 }
    }

    #[test]
    fn a_full_relay_drops_what_comes_and_counts_it() {
        let mailbox = Mailbox::new().expect("a descriptor is free");
        assert_eq!(mailbox.relay((0..RELAY_LIMIT as u64).map(request)), 0);
        assert_eq!(mailbox.relay((0..3).map(request)), 3);
        assert_eq!(mailbox.take().relayed.len(), RELAY_LIMIT);
        assert_eq!(mailbox.relay(std::iter::once(request(1))), 0);
    }

    #[test]
    fn a_closed_mailbox_answers_for_its_worker() {
        let output = Arc::new(Output::new().expect("a descriptor is free"));
        let mailbox = Mailbox::new().expect("a descriptor is free");
        mailbox.close();
        assert!(mailbox.take().closed && mailbox.take().closed);
        let ticket = Some(Ticket::new(5, Arc::clone(&output)));
        mailbox.push(Order::Command { command: Command::Stats, sockets: Vec::new(), ticket });
        let told = output.drain();
        assert!(matches!(told[0], Notification::Response { request: 5, result: Err(CommandError::InvalidState) }));
    }

    #[test]
    fn dtls_that_nobody_takes_is_bounded_and_the_rest_is_not_lost() {
        let output = Output::new().expect("a descriptor is free");
        let dtls = || {
            let event = Event::Dtls { transport: TransportId(1), data: vec![0; 1 << 20] };
            Notification::Event { event, local: None }
        };
        output.push((0..6).map(|_| dtls()));
        output.push([Notification::Event { event: Event::IceLost { transport: TransportId(1) }, local: None }]);
        assert_eq!(output.drain().len(), 5);
        output.push([dtls()]);
        assert_eq!(output.drain().len(), 1);
    }
}
