//! Many tags at once, one packet per lane.

use super::engines::Engines;
use super::sha1::{Engine, Lanes};
use super::{BLOCK, PendingTag, State, TAG_LEN};

/// Encrypted packets in one buffer that wait for their tags.
///
/// The packets of a batch may belong to any number of transports. They are named by their offset, so that the buffer
/// stays free for more packets until [`MacBatch::finish`].
pub struct MacBatch {
    jobs: Vec<Job>,
    engines: Engines,
}

pub(super) struct Job {
    start: usize,
    pending: PendingTag,
}

impl Job {
    pub(super) fn new(start: usize, pending: PendingTag) -> Self {
        Self { start, pending }
    }
}

impl Default for MacBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl MacBatch {
    /// Packets after which a batch has used every lane several times, and more would only leave the cache.
    pub const CAPACITY: usize = 64;

    /// An empty batch. Allocates once, here.
    pub fn new() -> Self {
        Self { jobs: Vec::with_capacity(Self::CAPACITY), engines: Engines::detect() }
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Whether [`MacBatch::finish`] is due before the next packet.
    pub fn is_full(&self) -> bool {
        self.jobs.len() == Self::CAPACITY
    }

    /// Adds the packet that begins at `start` of the buffer.
    ///
    /// # Panics
    /// If the batch is full.
    pub fn push(&mut self, start: usize, pending: PendingTag) {
        assert!(!self.is_full(), "finish a full batch first");
        self.jobs.push(Job::new(start, pending));
    }

    /// Computes and writes all tags, and empties the batch.
    ///
    /// # Panics
    /// If a packet lies outside of the buffer.
    pub fn finish(&mut self, buffer: &mut [u8]) {
        self.engines.run(&self.jobs, buffer);
        self.jobs.clear();
    }
}

/// What a lane works on.
struct Lane<'a> {
    job: &'a Job,
    /// Bytes of the message that the inner hash has taken.
    taken: usize,
    /// The end of the message with SHA-1's padding, then the block of the outer hash.
    tail: [u8; 2 * BLOCK],
    tail_at: usize,
    tail_len: usize,
    outer: bool,
}

impl<'a> Lane<'a> {
    fn begin(job: &'a Job, buffer: &[u8]) -> Self {
        let len = job.pending.len;
        let rest = len % BLOCK;
        let tail_len = if rest + 9 <= BLOCK { BLOCK } else { 2 * BLOCK };
        let mut tail = [0; 2 * BLOCK];
        tail[..rest].copy_from_slice(&buffer[job.start + len - rest..job.start + len]);
        pad(&mut tail[..tail_len], rest, BLOCK + len);
        Self { job, taken: 0, tail, tail_at: 0, tail_len, outer: false }
    }

    /// Whole blocks that lie one behind the other from here on.
    fn contiguous(&self) -> usize {
        let whole = (self.job.pending.len - self.taken) / BLOCK;
        if whole > 0 { whole } else { (self.tail_len - self.tail_at) / BLOCK }
    }

    fn input<'b>(&'b self, buffer: &'b [u8]) -> &'b [u8] {
        if self.job.pending.len - self.taken >= BLOCK {
            &buffer[self.job.start + self.taken..self.job.start + self.job.pending.len]
        } else {
            &self.tail[self.tail_at..self.tail_len]
        }
    }

    /// Whether the current hash is complete after `blocks` more blocks.
    fn advance(&mut self, blocks: usize) -> bool {
        if self.job.pending.len - self.taken >= BLOCK {
            self.taken += blocks * BLOCK;
        } else {
            self.tail_at += blocks * BLOCK;
        }
        self.tail_at == self.tail_len
    }

    fn begin_outer(&mut self, inner: &State) {
        self.tail = [0; 2 * BLOCK];
        for (bytes, word) in self.tail.chunks_exact_mut(4).zip(inner) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        pad(&mut self.tail[..BLOCK], 20, BLOCK + 20);
        (self.tail_at, self.tail_len, self.outer) = (0, BLOCK, true);
    }
}

/// SHA-1's padding behind `rest` bytes, for a message of `len` bytes.
fn pad(tail: &mut [u8], rest: usize, len: usize) {
    tail[rest] = 0x80;
    let end = tail.len();
    tail[end - 8..].copy_from_slice(&(len as u64 * 8).to_be_bytes());
}

/// Hashes all jobs in `N` lanes and writes their tags.
pub(super) fn run<const N: usize, E: Engine<N>>(engine: E, jobs: &[Job], buffer: &mut [u8]) {
    let mut waiting = jobs.iter();
    let mut states = Lanes::<N>::new();
    let mut lanes: [Option<Lane<'_>>; N] = std::array::from_fn(|index| {
        let job = waiting.next()?;
        states.set(index, &job.pending.inner);
        Some(Lane::begin(job, buffer))
    });
    while let Some(blocks) = lanes.iter().flatten().map(Lane::contiguous).min() {
        let idle = lanes.iter().flatten().next().map_or(&[][..], |lane| lane.input(buffer));
        let inputs = std::array::from_fn(|index| lanes[index].as_ref().map_or(idle, |lane| lane.input(buffer)));
        engine.compress(&mut states, &inputs, blocks);
        for (index, slot) in lanes.iter_mut().enumerate() {
            let Some(lane) = slot else { continue };
            if !lane.advance(blocks) {
                continue;
            }
            let state = states.get(index);
            if !lane.outer {
                lane.begin_outer(&state);
                states.set(index, &lane.job.pending.outer);
                continue;
            }
            let mut digest = [0; 12];
            for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
                bytes.copy_from_slice(&word.to_be_bytes());
            }
            let tag_at = lane.job.start + lane.job.pending.len - 4;
            buffer[tag_at..tag_at + TAG_LEN].copy_from_slice(&digest[..TAG_LEN]);
            *slot = waiting.next().map(|job| {
                states.set(index, &job.pending.inner);
                Lane::begin(job, buffer)
            });
        }
    }
}
