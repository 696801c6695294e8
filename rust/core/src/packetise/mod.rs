//! Frames made RTP payloads: one file for each payload format.

mod av1;
mod h264;
mod h265;
mod nal;
mod sound;
mod vp8;
mod vp9;

use crate::codec::Codec;
pub use crate::frame::Malformed;

/// Longest payload: with an RTP header of 12 bytes the 1200 bytes that browsers send too. Header extensions, SRTP, UDP and
/// IPv6 around it stay below the 1280 that every path takes (RFC 8200 section 5).
pub const MAX_PAYLOAD: usize = 1188;

/// The payloads of one frame.
#[derive(Debug, Default)]
pub struct Payloads {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Payloads {
    /// Adds a payload of these parts.
    fn push(&mut self, parts: &[&[u8]]) {
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.end();
    }

    /// Ends the payload whose bytes were appended one by one.
    fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }

    /// Forgets them and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// In order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let start_of = |index: usize| if index == 0 { 0 } else { self.ends[index - 1] };
        self.ends.iter().enumerate().map(move |(index, &end)| &self.bytes[start_of(index)..end])
    }
}

/// The state of one payload format.
#[derive(Debug)]
pub enum Packetiser {
    H264,
    H265,
    Vp8(vp8::Packetiser),
    Vp9(vp9::Packetiser),
    Av1,
    Sound,
}

impl Packetiser {
    /// `None` for what is no media by itself.
    pub fn new(codec: Codec) -> Option<Packetiser> {
        Some(match codec {
            Codec::H264 => Packetiser::H264,
            Codec::H265 => Packetiser::H265,
            Codec::Vp8 => Packetiser::Vp8(vp8::Packetiser::default()),
            Codec::Vp9 => Packetiser::Vp9(vp9::Packetiser::default()),
            Codec::Av1 => Packetiser::Av1,
            Codec::Opus | Codec::G722 | Codec::Pcmu | Codec::Pcma => Packetiser::Sound,
            Codec::Red | Codec::Other => return None,
        })
    }

    /// Appends the payloads of a frame, in the form that depacketisers give.
    ///
    /// # Errors
    /// [`Malformed`], and the payloads are to be forgotten.
    pub fn packetise(&mut self, frame: &[u8], key_frame: bool, out: &mut Payloads) -> Result<(), Malformed> {
        match self {
            Packetiser::H264 => h264::packetise(frame, out),
            Packetiser::H265 => h265::packetise(frame, out),
            Packetiser::Vp8(state) => state.packetise(frame, out),
            Packetiser::Vp9(state) => state.packetise(frame, key_frame, out),
            Packetiser::Av1 => av1::packetise(frame, key_frame, out),
            Packetiser::Sound => sound::packetise(frame, out),
        }
    }
}
