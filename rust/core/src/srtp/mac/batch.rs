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
    engines: Option<Engines>,
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
        if let Some(engines) = self.engines {
            engines.run(&self.jobs, buffer);
        }
        self.jobs.clear();
    }
}

/// What a lane works on: the inner hash of a message, then the outer.
struct Lane<'a> {
    /// None once there is nothing left to do.
    job: Option<&'a Job>,
    /// What is left of the message's whole blocks, as a range of the buffer.
    next: usize,
    whole: usize,
    /// The end of the message with SHA-1's padding, or the block of the outer hash.
    tail: [u8; 2 * BLOCK],
    tail_at: usize,
    tail_blocks: usize,
    outer: bool,
}

impl<'a> Lane<'a> {
    const IDLE: Self =
        Self { job: None, next: 0, whole: 0, tail: [0; 2 * BLOCK], tail_at: 0, tail_blocks: 0, outer: false };

    fn begin(&mut self, job: &'a Job, buffer: &[u8]) {
        let message = &buffer[job.start..job.start + job.pending.len];
        let (whole, rest) = message.as_chunks::<BLOCK>();
        self.job = Some(job);
        (self.next, self.whole) = (job.start, whole.len());
        self.tail_blocks = if rest.len() + 9 <= BLOCK { 1 } else { 2 };
        self.set_tail(rest, BLOCK + message.len());
        self.outer = false;
    }

    fn begin_outer(&mut self, inner: &State) {
        self.tail_blocks = 1;
        let mut digest = [0; 20];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(inner) {
            *bytes = word.to_be_bytes();
        }
        self.set_tail(&digest, BLOCK + digest.len());
        self.outer = true;
    }

    /// The last bytes of a message of `len` bytes, its pad counted, and SHA-1's padding.
    fn set_tail(&mut self, rest: &[u8], len: usize) {
        self.tail_at = 0;
        let tail = &mut self.tail[..self.tail_blocks * BLOCK];
        tail[..rest.len()].copy_from_slice(rest);
        tail[rest.len()..].fill(0);
        tail[rest.len()] = 0x80;
        let (_, length) = tail.split_last_chunk_mut().expect("one block at least");
        *length = (len as u64 * 8).to_be_bytes();
    }

    /// Blocks that lie one behind the other from here on.
    fn contiguous(&self) -> usize {
        if self.whole > 0 { self.whole } else { self.tail_blocks }
    }

    fn input<'b>(&'b self, buffer: &'b [u8]) -> &'b [u8] {
        if self.whole > 0 { &buffer[self.next..self.next + self.whole * BLOCK] } else { &self.tail[self.tail_at..] }
    }

    /// Whether the hash is complete after `blocks` more blocks.
    fn advance(&mut self, blocks: usize) -> bool {
        if self.whole > 0 {
            self.next += blocks * BLOCK;
            self.whole -= blocks;
        } else {
            self.tail_at += blocks * BLOCK;
            self.tail_blocks -= blocks;
        }
        self.whole == 0 && self.tail_blocks == 0
    }
}

/// Hashes all jobs in `N` lanes and writes their tags.
pub(super) fn run<const N: usize, E: Engine<N>>(engine: E, jobs: &[Job], buffer: &mut [u8]) {
    let mut waiting = jobs.iter();
    let mut states = Lanes::<N>::new();
    let mut lanes = [Lane::IDLE; N];
    for (index, (lane, job)) in lanes.iter_mut().zip(&mut waiting).enumerate() {
        lane.begin(job, buffer);
        states.set(index, &job.pending.inner);
    }
    while let Some((busy, blocks)) = next_run(&lanes) {
        let inputs = std::array::from_fn(|index| {
            let lane = &lanes[index];
            if lane.job.is_some() { lane } else { &lanes[busy] }.input(buffer)
        });
        engine.compress(&mut states, &inputs, blocks);
        for (index, lane) in lanes.iter_mut().enumerate() {
            let Some(job) = lane.job else { continue };
            if !lane.advance(blocks) {
                continue;
            }
            let state = states.get(index);
            if !lane.outer {
                lane.begin_outer(&state);
                states.set(index, &job.pending.outer);
                continue;
            }
            write_tag(&mut buffer[job.start + job.pending.len - 4..], &state);
            lane.job = waiting.next();
            if let Some(job) = lane.job {
                lane.begin(job, buffer);
                states.set(index, &job.pending.inner);
            }
        }
    }
}

/// A busy lane, and for how many blocks no lane has to change its input.
fn next_run(lanes: &[Lane<'_>]) -> Option<(usize, usize)> {
    let busy = lanes.iter().position(|lane| lane.job.is_some())?;
    let blocks = lanes.iter().filter(|lane| lane.job.is_some()).map(Lane::contiguous).min()?;
    Some((busy, blocks))
}

fn write_tag(out: &mut [u8], state: &State) {
    out[..4].copy_from_slice(&state[0].to_be_bytes());
    out[4..8].copy_from_slice(&state[1].to_be_bytes());
    out[8..TAG_LEN].copy_from_slice(&state[2].to_be_bytes()[..2]);
}
