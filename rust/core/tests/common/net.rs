//! A worker, its peers, and a seeded bad network between them, on a virtual clock.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use live777_media::command::Command;
use live777_media::event::{Event, Path};
use live777_media::worker::{GopLimits, Reply, Transmit, Worker, WorkerConfig};

/// A small generator, so that a failing seed fails again.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        (self.below(1 << 24) as f64) < probability * f64::from(1 << 24)
    }
}

/// How a link treats datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub loss: f64,
    pub delay: Duration,
    pub jitter: Duration,
}

impl Default for Link {
    fn default() -> Link {
        Link { loss: 0.0, delay: Duration::from_millis(10), jitter: Duration::ZERO }
    }
}

/// What all datagrams to peers, or to one, pass through: so many bytes a second, IP and UDP headers of 28 counted, and a queue.
#[derive(Debug)]
pub struct Narrow {
    bytes_per_second: u32,
    queue: Duration,
    free_at: Option<Instant>,
    pub dropped: usize,
}

impl Narrow {
    pub fn new(bytes_per_second: u32, queue: Duration) -> Narrow {
        Narrow { bytes_per_second, queue, free_at: None, dropped: 0 }
    }

    /// When a datagram is through, if the queue has room for it.
    fn passes(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let begins = self.free_at.map_or(now, |at| at.max(now));
        if begins - now > self.queue {
            self.dropped += 1;
            return None;
        }
        let through = begins + Duration::from_secs(len as u64 + 28) / self.bytes_per_second;
        self.free_at = Some(through);
        Some(through)
    }
}

/// One end that talks to a worker.
pub trait Peer {
    /// Its address.
    fn path(&self) -> Path;
    /// A datagram from the worker.
    fn receive(&mut self, now: Instant, datagram: &[u8]);
    /// What it wants to send now.
    fn send(&mut self, now: Instant, out: &mut Vec<(Path, Vec<u8>)>);
    /// When it wants to send next.
    fn next(&self) -> Instant;
}

/// Collects what a worker sends, datagram by datagram.
#[derive(Default)]
pub struct Wire {
    pub datagrams: Vec<(Path, Vec<u8>)>,
    pub runs: Vec<usize>,
}

impl Transmit for Wire {
    fn transmit(&mut self, path: Path, datagrams: &[u8], segment: usize) {
        assert!(segment > 0 && !datagrams.is_empty(), "an empty run");
        let chunks = datagrams.chunks(segment);
        self.runs.push(chunks.len());
        self.datagrams.extend(chunks.map(|chunk| (path, chunk.to_vec())));
    }
}

/// A datagram on its way.
enum Flight {
    ToWorker(usize, Path, Vec<u8>),
    ToPeer(Path, Vec<u8>),
}

/// Everything.
pub struct Net {
    pub now: Instant,
    pub start: Instant,
    pub workers: Vec<Worker>,
    pub events: Vec<(usize, Event)>,
    pub link: Link,
    pub narrow: Option<Narrow>,
    /// A path whose datagrams are never lost or late.
    pub spared: Option<Path>,
    /// Narrow links, by the peer at their end.
    pub shapers: BTreeMap<SocketAddr, Narrow>,
    pub random: Random,
    pub runs: Vec<usize>,
    flights: BTreeMap<(Instant, u64), Flight>,
    order: u64,
}

impl Net {
    /// Workers that do not cache pictures.
    pub fn new(seed: u64, workers: usize) -> Net {
        Net::with_cache(seed, workers, GopLimits::OFF)
    }

    pub fn with_cache(seed: u64, workers: usize, gop: GopLimits) -> Net {
        Net::with_options(seed, workers, gop, true)
    }

    pub fn with_options(seed: u64, workers: usize, gop: GopLimits, bandwidth_estimation: bool) -> Net {
        let start = Instant::now();
        let worker = |n: usize| {
            Worker::new(WorkerConfig {
                seed: seed.wrapping_add(n as u64),
                epoch: start,
                epoch_unix_micros: 1_800_000_000_000_000,
                gop,
                bandwidth_estimation,
            })
        };
        Net {
            now: start,
            start,
            workers: (0..workers).map(worker).collect(),
            events: Vec::new(),
            link: Link::default(),
            narrow: None,
            spared: None,
            shapers: BTreeMap::new(),
            random: Random::new(seed),
            runs: Vec::new(),
            flights: BTreeMap::new(),
            order: 0,
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Puts a datagram to the worker on the wire, as the link pleases.
    pub fn inject(&mut self, worker: usize, path: Path, datagram: Vec<u8>) {
        self.fly(Flight::ToWorker(worker, path, datagram));
    }

    fn fly(&mut self, flight: Flight) {
        let (Flight::ToWorker(_, path, _) | Flight::ToPeer(path, _)) = &flight;
        let spared = self.spared == Some(*path);
        if !spared && self.random.chance(self.link.loss) {
            return;
        }
        let mut at = self.now;
        if let (false, Some(narrow), Flight::ToPeer(_, datagram)) = (spared, &mut self.narrow, &flight) {
            let Some(through) = narrow.passes(self.now, datagram.len()) else { return };
            at = through;
        }
        let jitter = if spared { 0 } else { self.link.jitter.as_micros() as u64 };
        let extra = if jitter > 0 { self.random.below(jitter) } else { 0 };
        if let Flight::ToPeer(path, datagram) = &flight
            && let Some(narrow) = self.shapers.get_mut(&path.remote)
        {
            let Some(through) = narrow.passes(at, datagram.len()) else { return };
            at = through;
        }
        self.order += 1;
        self.flights.insert((at + self.link.delay + Duration::from_micros(extra), self.order), flight);
    }

    /// Runs until `duration` has passed. `peers[i].1` is the worker that peer `i` talks to.
    pub fn run(&mut self, duration: Duration, peers: &mut [(&mut dyn Peer, usize)]) {
        let end = self.now + duration;
        let mut sent = Vec::new();
        loop {
            let flight = self.flights.first_key_value().map(|((at, _), _)| *at);
            let peer = peers.iter().map(|(peer, _)| peer.next()).min();
            let timers = self.workers.iter().filter_map(Worker::poll_timeout).min();
            let next = [flight, peer, timers].into_iter().flatten().min().unwrap_or(end).max(self.now);
            if next > end {
                self.now = end;
                self.assert_balance();
                return;
            }
            self.now = next;
            for (peer, worker) in peers.iter_mut() {
                if peer.next() <= self.now {
                    peer.send(self.now, &mut sent);
                    for (path, datagram) in sent.drain(..) {
                        self.fly(Flight::ToWorker(*worker, path, datagram));
                    }
                }
            }
            while let Some(entry) = self.flights.first_entry()
                && entry.key().0 <= self.now
            {
                match entry.remove() {
                    Flight::ToWorker(worker, path, mut datagram) => {
                        self.workers[worker].handle_datagram(self.now, path, &mut datagram);
                    }
                    Flight::ToPeer(path, datagram) => {
                        if let Some((peer, _)) = peers.iter_mut().find(|(peer, _)| peer.path() == path) {
                            peer.receive(self.now, &datagram);
                        }
                    }
                }
            }
            self.settle();
        }
    }

    /// Every packet of every track was sent to each of its viewers, or dropped for a reason.
    pub fn assert_balance(&mut self) {
        for worker in &mut self.workers {
            let Ok(Reply::Stats(stats)) = worker.command(self.now, Command::Stats) else { panic!("no statistics") };
            let (offered, totals) = (stats.worker.packets_offered, stats.worker.totals);
            let left = totals.packets_forwarded - totals.packets_replayed;
            assert_eq!(offered, left + totals.dropped.total(), "{totals:?}");
        }
    }

    /// Flushes the workers, carries their relay messages and collects their events.
    pub fn settle(&mut self) {
        loop {
            let mut messages = Vec::new();
            for index in 0..self.workers.len() {
                let mut wire = Wire::default();
                let worker = &mut self.workers[index];
                worker.flush(self.now, &mut wire);
                if worker.poll_timeout().is_some_and(|at| at <= self.now) {
                    worker.handle_timeout(self.now, &mut wire);
                }
                while let Some(event) = worker.poll_event() {
                    self.events.push((index, event));
                }
                while let Some((route, message)) = worker.poll_relay() {
                    messages.push((route, message));
                }
                self.runs.extend(wire.runs);
                for (path, datagram) in wire.datagrams {
                    self.fly(Flight::ToPeer(path, datagram));
                }
            }
            if messages.is_empty() {
                return;
            }
            for (route, message) in messages {
                self.workers[route.0 as usize].handle_relay(self.now, message);
            }
        }
    }
}
