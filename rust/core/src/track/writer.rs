//! A track that is written as whole frames: what makes RTP of them.

use std::time::{Duration, Instant};

use crate::command::{CodecParameters, WrittenFrame};
use crate::frame::{MAX_FRAME, Malformed};
use crate::packetise::{Packetiser, Payloads};
use crate::random::Random;

/// How often workers that import the track hear where its clock stands.
const CLOCK_INTERVAL: Duration = Duration::from_secs(1);

/// Counters of one source, see `SourceStats`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Frames written.
    pub frames: u64,
    /// Frames that could not be packetised.
    pub refused: u64,
    /// Requests for a key frame.
    pub key_frames_needed: u64,
}

/// The writing end of a track.
#[derive(Debug)]
pub struct Writer {
    /// Its only payload type.
    pub codec: CodecParameters,
    /// Its SSRC.
    pub ssrc: u32,
    /// What is counted.
    pub counters: Counters,
    packetiser: Packetiser,
    payloads: Payloads,
    /// Extended number of the next packet.
    sequence: u64,
    clock_told_at: Option<Instant>,
    packet: Vec<u8>,
}

/// Length of the header that `Writer` writes.
pub const HEADER_LEN: usize = 12;

impl Writer {
    /// `None` for a codec that is no media by itself.
    pub fn new(codec: CodecParameters, random: &mut Random) -> Option<Writer> {
        Some(Writer {
            packetiser: Packetiser::new(codec.codec)?,
            codec,
            ssrc: random.next() as u32,
            counters: Counters::default(),
            payloads: Payloads::default(),
            // As the numbers of a publisher: `Unwrapper` begins in the second cycle.
            sequence: (1 << 16) + u64::from(random.first_sequence()),
            clock_told_at: None,
            packet: Vec::new(),
        })
    }

    /// Cuts a frame into packets, which `next_packet` gives.
    ///
    /// # Errors
    /// [`Malformed`] where it is empty, too large or not of the codec's form; it is counted.
    pub fn begin(&mut self, frame: &WrittenFrame) -> Result<usize, Malformed> {
        self.payloads.clear();
        let fits = frame.data.len() <= MAX_FRAME;
        let packetised = if fits {
            self.packetiser.packetise(&frame.data, frame.key_frame, &mut self.payloads)
        } else {
            Err(Malformed)
        };
        self.counters.frames += u64::from(packetised.is_ok());
        self.counters.refused += u64::from(packetised.is_err());
        packetised.map(|()| self.payloads.iter().len())
    }

    /// Extended number and plaintext of packet `index` of the frame, in order.
    pub fn packet(&mut self, index: usize, timestamp: u32) -> (u64, bool, &[u8]) {
        let count = self.payloads.iter().len();
        let marker = index + 1 == count;
        let sequence = self.sequence;
        self.sequence += 1;
        self.packet.clear();
        self.packet.extend([0x80, u8::from(marker) << 7 | self.codec.payload_type]);
        self.packet.extend((sequence as u16).to_be_bytes());
        self.packet.extend(timestamp.to_be_bytes());
        self.packet.extend(self.ssrc.to_be_bytes());
        self.packet.extend(self.payloads.iter().nth(index).unwrap_or_default());
        (sequence, marker, &self.packet)
    }

    /// Whether it is time to tell other workers where the clock stands.
    pub fn tells_clock(&mut self, now: Instant) -> bool {
        let due = self.clock_told_at.is_none_or(|told| now.saturating_duration_since(told) >= CLOCK_INTERVAL);
        if due {
            self.clock_told_at = Some(now);
        }
        due
    }
}
