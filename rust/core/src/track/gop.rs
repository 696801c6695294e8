//! The group of pictures that an encoding is in, so that a viewer who comes now can be shown it from its key frame on.
//!
//! The packets themselves are in the encoding's history, which keeps them for as long as the group is cached: nothing
//! is copied for it. What stands here is where the group began and how much of it there is.

use std::time::{Duration, Instant};

use crate::egress::burst::Packet;
use crate::receive::history::History;

/// Most packets of a group: beyond this receive buffers of viewers overflow (3000 packets at 40 Mbit/s were fine).
const MAX_PACKETS: u64 = 4096;
/// A group that is being replayed may grow to so many times its bound, so that who has begun can finish.
const GRACE: u64 = 2;
/// Shorter groups say little of the rate in the long run.
const SHORT: Duration = Duration::from_millis(500);

/// How much of a group is kept, and how many viewers are shown it at once.
#[derive(Clone, Copy, Debug)]
pub struct GopLimits {
    /// Bytes of one encoding; 0 switches replays off.
    pub bytes: usize,
    /// Time since the key frame.
    pub span: Duration,
    /// Replays at the same time, for each worker. Further viewers wait for their turn or for a key frame.
    pub replays: usize,
}

impl GopLimits {
    /// Nothing is kept.
    pub const OFF: GopLimits = GopLimits { bytes: 0, span: Duration::ZERO, replays: 0 };
}

/// The newest frame of an encoding.
#[derive(Clone, Copy, Debug)]
pub struct Newest {
    /// Extended sequence number of its newest packet.
    pub sequence: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// When its first packet came.
    pub arrival: Instant,
}

/// A group of pictures that can be replayed.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Sequence number of the first packet of its key frame.
    pub first: u64,
    /// Frames so far, the newest one included.
    pub frames: u32,
    timestamp: u32,
    began: Instant,
    bytes: u64,
    full: bool,
}

impl Group {
    /// Time since its key frame.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }
}

/// What is known of the pictures of one encoding.
#[derive(Debug, Default)]
pub struct Gop {
    group: Option<Group>,
    newest: Option<Newest>,
    /// Bytes of the group before, and how long it took.
    before: Option<(u64, Duration)>,
}

impl Gop {
    /// The group, for replays that have begun.
    pub fn group(&self) -> Option<&Group> {
        self.group.as_ref()
    }

    /// The group, if a replay may begin.
    pub fn open(&self) -> Option<&Group> {
        self.group.as_ref().filter(|group| !group.full)
    }

    /// The newest frame.
    pub fn newest(&self) -> Option<&Newest> {
        self.newest.as_ref()
    }

    /// Forgets everything but how much the group before was.
    pub fn clear(&mut self) {
        (self.group, self.newest) = (None, None);
    }

    /// Takes note of a packet that the history has. `replayed` says whether somebody is shown the group.
    pub fn note(
        &mut self,
        packet: &Packet,
        limits: &GopLimits,
        history: &mut History<Packet>,
        replayed: impl FnOnce() -> bool,
    ) {
        let bytes = u64::from(packet.header_len + packet.payload_len);
        let (now, mut new_frame) = (packet.arrival, false);
        match &mut self.newest {
            Some(newest) if packet.sequence <= newest.sequence => {}
            Some(newest) => {
                newest.sequence = packet.sequence;
                new_frame = packet.payload_len > 0 && newest.timestamp != packet.timestamp;
                if new_frame {
                    (newest.timestamp, newest.arrival) = (packet.timestamp, now);
                }
            }
            None => {
                let (sequence, timestamp) = (packet.sequence, packet.timestamp);
                self.newest = Some(Newest { sequence, timestamp, arrival: now });
            }
        }
        if packet.key_frame || packet.late_key_frame && self.precedes(packet) {
            self.begin(packet, history);
            return;
        }
        let Some(group) = &mut self.group else { return };
        group.bytes += bytes;
        group.frames += u32::from(new_frame);
        let age = group.age(now);
        let packets = packet.sequence.saturating_sub(group.first);
        let beyond = |times: u64| {
            group.bytes > limits.bytes as u64 * times
                || age > limits.span * times as u32
                || packets > MAX_PACKETS * times
        };
        if beyond(1) {
            group.full = true;
            if beyond(GRACE) || !replayed() {
                self.end(now);
                self.group = None;
                history.release(now);
            }
        }
    }

    /// Whether a late first packet is that of a newer group, or of this one and precedes what was taken for its start.
    fn precedes(&self, packet: &Packet) -> bool {
        self.group.is_none_or(|group| {
            if packet.timestamp == group.timestamp {
                packet.sequence < group.first
            } else {
                packet.sequence > group.first
            }
        })
    }

    fn begin(&mut self, packet: &Packet, history: &mut History<Packet>) {
        self.end(packet.arrival);
        history.keep_from(packet.arrival, packet.sequence);
        let mut group = Group {
            first: packet.sequence,
            frames: 1,
            timestamp: packet.timestamp,
            began: packet.arrival,
            bytes: u64::from(packet.header_len + packet.payload_len),
            full: false,
        };
        let last = self.newest.map_or(packet.sequence, |newest| newest.sequence);
        let mut timestamp = packet.timestamp;
        for sequence in packet.sequence + 1..=last.min(packet.sequence + MAX_PACKETS) {
            let Some((other, plaintext)) = history.peek(sequence) else { continue };
            group.bytes += plaintext.len() as u64;
            if other.payload_len > 0 && other.timestamp != timestamp {
                timestamp = other.timestamp;
                group.frames += 1;
            }
        }
        self.group = Some(group);
    }

    fn end(&mut self, now: Instant) {
        let Some(group) = &self.group else { return };
        let span = group.age(now);
        if span >= SHORT {
            self.before = Some((group.bytes, span));
        }
    }

    /// Bytes per second in the long run: of the group before, or of this one if that is more already. A key frame is large,
    /// so a group that has just begun is counted as long as the one before.
    pub fn bytes_per_second(&self, now: Instant) -> u64 {
        let rate = |bytes: u64, span: Duration| bytes * 1000 / (span.as_millis() as u64).max(1);
        let least = self.before.map_or(Duration::from_secs(1), |(_, span)| span);
        let before = self.before.map_or(0, |(bytes, span)| rate(bytes, span));
        let span = |group: &Group| group.age(now).max(least);
        self.group.map_or(0, |group| rate(group.bytes, span(&group))).max(before)
    }

    /// Ticks from one frame to the next.
    pub fn interval(&self, clock_rate: u32) -> u32 {
        let measured = self.group.zip(self.newest).and_then(|(group, newest)| {
            newest.timestamp.wrapping_sub(group.timestamp).checked_div(group.frames.saturating_sub(1))
        });
        measured.unwrap_or(clock_rate / 30).clamp(clock_rate / 120, clock_rate / 5)
    }
}
