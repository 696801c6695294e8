//! `stats` and `dump`: one request that every worker answers, and one response made of all answers.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use live777_media::stats::Stats;

use crate::queue::{Ticket, Value, lock};
use crate::socket::Sent;
use crate::tcp::TcpCounters;

/// What one worker and its thread have counted.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub worker: usize,
    pub sockets: Vec<SocketAddr>,
    pub thread_cpu: Duration,
    pub sent: Sent,
    pub tcp: TcpCounters,
    pub gso: bool,
    pub relay_dropped: u64,
    pub stats: Box<Stats>,
    /// The worker's state as text; empty unless asked for.
    pub dump: String,
}

impl Snapshot {
    /// What is left of a worker that has ended: its own counters, so that sums over all workers never fall.
    pub fn remains(&self) -> Self {
        let stats = Box::new(Stats { worker: self.stats.worker, ..Stats::default() });
        let tcp = TcpCounters { open: 0, ..self.tcp };
        Self { sockets: Vec::new(), tcp, stats, dump: String::new(), ..*self }
    }

    /// The dump under a line about the thread.
    fn to_text(&self) -> String {
        let mut text = format!("worker {}", self.worker);
        for (index, address) in self.sockets.iter().enumerate() {
            // Writing to a string does not fail.
            let _ = write!(text, " socket{index}={address}");
        }
        let Self { thread_cpu, sent, tcp, gso, relay_dropped, dump, .. } = self;
        let Sent { datagrams, calls, errors } = sent;
        let _ = writeln!(
            text,
            " gso={gso} cpu={thread_cpu:.3?} sent={datagrams} send_calls={calls} send_errors={errors} \
             relay_dropped={relay_dropped} {tcp:?}"
        );
        for line in dump.lines() {
            let _ = writeln!(text, "  {line}");
        }
        text
    }
}

/// One request that all workers answer together: the last one to let go of it sends the response.
pub struct Gathering {
    ticket: Option<Ticket>,
    as_text: bool,
    remains: Vec<Snapshot>,
    snapshots: Mutex<Vec<Snapshot>>,
}

impl Gathering {
    /// `as_text`: the response is the dumps, else the counters. `remains` stand for workers that do not answer.
    pub fn new(ticket: Ticket, as_text: bool, remains: Vec<Snapshot>) -> Arc<Self> {
        Arc::new(Self { ticket: Some(ticket), as_text, remains, snapshots: Mutex::default() })
    }

    pub fn wants_text(&self) -> bool {
        self.as_text
    }

    pub fn add(&self, snapshot: Snapshot) {
        lock(&self.snapshots).push(snapshot);
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        let mut snapshots = std::mem::take(&mut *lock(&self.snapshots));
        if !self.as_text {
            let mut missing = std::mem::take(&mut self.remains);
            missing.retain(|gone| snapshots.iter().all(|snapshot| snapshot.worker != gone.worker));
            snapshots.extend(missing);
        }
        snapshots.sort_by_key(|snapshot| snapshot.worker);
        let value = if self.as_text {
            Value::Dump(snapshots.iter().map(Snapshot::to_text).collect())
        } else {
            Value::Stats(snapshots)
        };
        if let Some(ticket) = self.ticket.take() {
            ticket.answer(Ok(value));
        }
    }
}
