//! Single datagrams that wait for the next flush: STUN, DTLS, RTCP.

use std::ops::Range;

use crate::event::Path;
use crate::worker::Transmit;

/// A queue in one buffer.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    entries: Vec<(Path, Range<usize>)>,
    /// Datagrams handed out so far.
    pub sent: u64,
}

impl Outbox {
    /// Queues a copy.
    pub fn push(&mut self, path: Path, datagram: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(datagram);
        self.entries.push((path, start..self.bytes.len()));
    }

    /// Hands out everything and keeps the memory.
    pub fn drain(&mut self, out: &mut impl Transmit) {
        self.sent += self.entries.len() as u64;
        for (path, range) in self.entries.drain(..) {
            let len = range.len();
            out.transmit(path, &self.bytes[range], len);
        }
        self.bytes.clear();
    }

    /// Datagrams in the queue.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}
