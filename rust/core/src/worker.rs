//! One media thread's state: bytes, commands and `now` in; datagrams, events and the next deadline out.

use std::collections::VecDeque;
use std::time::Instant;

use crate::command::{Command, CommandError};
use crate::event::{Event, Path};
use crate::relay::{RelayMessage, RouteId};
use crate::stats::Stats;

/// What a worker cannot make up by itself.
#[derive(Clone, Copy, Debug)]
pub struct WorkerConfig {
    /// Seed of everything that only has to be unlike (first sequence numbers, RTX start).
    pub seed: u64,
    /// The same instant on all workers of an engine ...
    pub epoch: Instant,
    /// ... and its Unix time in microseconds: the clock of our sender reports.
    pub epoch_unix_micros: u64,
}

/// The successful answer to a command.
#[derive(Debug)]
pub enum Reply {
    /// Nothing to say.
    Done,
    /// Answer to [`Command::Stats`].
    Stats(Box<Stats>),
    /// Answer to [`Command::Dump`].
    Dump(String),
}

/// Where a worker's datagrams go: a socket, or a test.
pub trait Transmit {
    /// `datagrams` holds datagrams of `segment` bytes each, the last may be shorter. One GSO message or a loop: the
    /// shell decides.
    fn transmit(&mut self, path: Path, datagrams: &[u8], segment: usize);
}

/// The state of one media thread. See the crate's documentation for the walk of a packet.
pub struct Worker {
    config: WorkerConfig,
    events: VecDeque<Event>,
    outbox: VecDeque<(RouteId, RelayMessage)>,
}

impl Worker {
    /// An empty worker.
    pub fn new(config: WorkerConfig) -> Worker {
        Worker { config, events: VecDeque::new(), outbox: VecDeque::new() }
    }

    /// Takes one received datagram, decrypts it in place and queues what it causes; nothing is sent before `flush`.
    pub fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &mut [u8]) {
        let _ = (now, path, datagram, self.config);
    }

    /// Takes a message of another worker; what it causes is sent by `flush`.
    pub fn handle_relay(&mut self, now: Instant, message: RelayMessage) {
        let _ = (now, message);
    }

    /// Sends everything that the burst caused: one run per subscriber transport.
    pub fn flush(&mut self, now: Instant, out: &mut impl Transmit) {
        let _ = (now, out);
    }

    /// Does what is due. Call it when `poll_timeout` has passed; calling it early is harmless.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut impl Transmit) {
        let _ = (now, out);
    }

    /// When `handle_timeout` is due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Executes one command. Datagrams that it causes leave with the next `flush`.
    pub fn command(&mut self, now: Instant, command: Command) -> Result<Reply, CommandError> {
        let _ = now;
        match command {
            Command::Stats => Ok(Reply::Stats(Box::default())),
            Command::Dump => Ok(Reply::Dump(String::new())),
            _ => Ok(Reply::Done),
        }
    }

    /// The next notification for control.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next message for another worker.
    pub fn poll_relay(&mut self) -> Option<(RouteId, RelayMessage)> {
        self.outbox.pop_front()
    }
}
