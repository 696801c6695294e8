//! One media thread's state: bytes, commands and `now` in; datagrams, events and the next deadline out.

mod bandwidth;
mod commands;
mod connectivity;
mod dump;
mod feedback;
mod learn;
mod outbox;
mod publisher;
mod receive;
mod relayed;
mod replays;
mod reports;
mod snapshot;
mod sources;
mod taps;
mod timeouts;

use std::time::Instant;

use rustc_hash::FxHashMap;

use crate::command::{Command, CommandError};
use crate::egress::burst::PacketBuffer;
use crate::egress::flush::{Egress, Flush};
use crate::event::{Event, Path, SocketId};
use crate::notices::Notices;
use crate::objects::Objects;
use crate::random::Random;
use crate::receive::clock::NtpClock;
use crate::relay::{RelayMessage, RouteId};
use crate::rtcp::ReportBlock;
use crate::stats::{Stats, WorkerStats};
use crate::timers::Timers;
pub use crate::track::gop::GopLimits;
use outbox::Outbox;
use replays::Replays;

/// What a worker cannot make up by itself.
#[derive(Clone, Copy, Debug)]
pub struct WorkerConfig {
    /// Seed of everything that only has to be unlike: first sequence numbers, transaction ids.
    pub seed: u64,
    /// The same instant on all workers of an engine ...
    pub epoch: Instant,
    /// ... and its Unix time in microseconds: the clock of our sender reports.
    pub epoch_unix_micros: u64,
    /// What new viewers are shown of the past.
    pub gop: GopLimits,
    /// Whether the paths to viewers are estimated, and layers chosen by that.
    pub bandwidth_estimation: bool,
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

/// The state of one media thread.
///
/// Everything that was received before the socket ran dry is one *burst*: hand it over datagram by datagram, then call
/// [`Worker::flush`] once.
pub struct Worker {
    ntp: NtpClock,
    random: Random,
    objects: Objects,
    by_ufrag: FxHashMap<Box<str>, usize>,
    by_path: FxHashMap<Path, usize>,
    /// TCP connections that no transport uses any more.
    released: Vec<SocketId>,
    /// Transports whose agent sends requests.
    askers: Vec<usize>,
    timers: Timers,
    /// Plaintext of the packets received since the last flush.
    burst: PacketBuffer,
    /// Slots of the tracks that have packets in the burst.
    touched: Vec<usize>,
    /// Slots of the transports that have extras to send.
    answering: Vec<usize>,
    /// Slots of the transports whose packets wait for their turn.
    pacing: Vec<usize>,
    limits: GopLimits,
    bandwidth_estimation: bool,
    replays: Replays,
    egress: Egress,
    outbox: Outbox,
    notices: Notices,
    counters: WorkerStats,
    stun_reply: Vec<u8>,
    scratch: Vec<u8>,
    lost: Vec<u16>,
    blocks: Vec<ReportBlock>,
}

impl Worker {
    /// An empty worker.
    pub fn new(config: WorkerConfig) -> Worker {
        Worker {
            ntp: NtpClock::new(config.epoch, config.epoch_unix_micros),
            random: Random::new(config.seed),
            objects: Objects::default(),
            by_ufrag: FxHashMap::default(),
            by_path: FxHashMap::default(),
            released: Vec::new(),
            askers: Vec::new(),
            timers: Timers::default(),
            burst: PacketBuffer::default(),
            touched: Vec::new(),
            answering: Vec::new(),
            pacing: Vec::new(),
            limits: config.gop,
            bandwidth_estimation: config.bandwidth_estimation,
            replays: Replays::default(),
            egress: Egress::default(),
            outbox: Outbox::default(),
            notices: Notices::default(),
            counters: WorkerStats::default(),
            stun_reply: Vec::new(),
            scratch: Vec::new(),
            lost: Vec::new(),
            blocks: Vec::new(),
        }
    }

    /// Takes one received datagram, decrypts it in place and queues what it causes; nothing is sent before `flush`.
    pub fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &mut [u8]) {
        self.counters.datagrams_received += 1;
        // RFC 7983 section 7. Only STUN can say who it is from; the rest is known by its path, and only where ICE has
        // authenticated that path.
        match datagram.first() {
            Some(0..=3) => self.handle_stun(now, path, datagram),
            Some(kind @ (20..=63 | 128..=191)) => match self.by_path.get(&path) {
                Some(&slot) if *kind < 64 => self.handle_dtls(slot, datagram),
                Some(&slot) => self.handle_media(now, slot, path, datagram),
                None => self.counters.unknown_datagrams += 1,
            },
            _ => self.counters.unknown_datagrams += 1,
        }
    }

    /// Whether a peer has proven itself over this path.
    pub fn knows(&self, path: Path) -> bool {
        self.by_path.contains_key(&path)
    }

    /// A TCP connection, over which a peer had proven itself, has ended.
    pub fn disconnected(&mut self, now: Instant, path: Path) {
        self.forget_connection(now, path);
    }

    /// The next TCP connection that is of no use any more, once what was to go out by it is flushed.
    pub fn poll_released(&mut self) -> Option<SocketId> {
        self.released.pop()
    }

    /// Sends everything that the burst caused: one run per subscriber transport.
    pub fn flush(&mut self, now: Instant, out: &mut impl Transmit) {
        self.outbox.drain(out);
        if !self.pacing.is_empty() {
            self.release_all_paced(now);
        }
        if !self.touched.is_empty() || !self.answering.is_empty() {
            self.export();
            self.send_burst(now, out);
        }
        self.burst.clear();
        // After the live packets, which a replay may catch up with: none leaves twice.
        self.turn_replays(now, out);
        // What taps and replays ask publishers for.
        self.outbox.drain(out);
    }

    /// Sends what is in the burst, without emptying it.
    fn send_burst(&mut self, now: Instant, out: &mut impl Transmit) {
        let mut flush = Flush {
            now,
            abs_send_time: self.ntp.abs_send_time(now),
            burst: &self.burst,
            objects: &mut self.objects,
            notices: &mut self.notices,
        };
        self.egress.flush(&mut flush, &self.touched, &self.answering, out);
        let mut touched = std::mem::take(&mut self.touched);
        for slot in touched.drain(..) {
            let Some(track) = self.objects.tracks.get(slot) else { continue };
            if !track.taps.is_empty() {
                self.feed_taps(now, slot);
            }
            self.objects.tracks[slot].burst.clear();
        }
        self.touched = touched;
        self.answering.clear();
        while let Some(slot) = self.egress.waiting.pop() {
            self.note_pacing(slot);
            self.schedule_transport(slot);
        }
    }

    /// Does what is due. Call it when `poll_timeout` has passed; calling it early is harmless.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut impl Transmit) {
        self.run_timers(now);
        self.flush(now, out);
    }

    /// When `handle_timeout` is due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.timers.next(), self.replays.deadline()].into_iter().flatten().min()
    }

    /// Executes one command. Datagrams that it causes leave with the next `flush`.
    ///
    /// # Errors
    /// See [`CommandError`]; nothing has changed then.
    pub fn command(&mut self, now: Instant, command: Command) -> Result<Reply, CommandError> {
        self.execute(now, command)
    }

    /// Takes a message of another worker; what it causes is sent by `flush`.
    pub fn handle_relay(&mut self, now: Instant, message: RelayMessage) {
        self.take_relayed(now, message);
    }

    /// The next notification for control.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.notices.poll_event()
    }

    /// The next message for another worker.
    pub fn poll_relay(&mut self) -> Option<(RouteId, RelayMessage)> {
        self.notices.poll_relay()
    }
}
