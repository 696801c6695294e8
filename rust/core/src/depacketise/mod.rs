//! RTP payloads made frames: one file for each payload format.
//!
//! The packets of a frame are pushed in order, none left out; the end of a frame is known to the caller alone, by marker or
//! timestamp. What a format says of the beginnings and ends of its parts is checked all the same.

mod av1;
mod h264;
mod h265;
mod parameter_sets;
pub mod red;
mod sound;
mod vp8;
mod vp9;

use crate::codec::Codec;
pub use crate::frame::Malformed;

/// What a complete frame is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// Decoding can begin here.
    pub key_frame: bool,
    /// It could, were the parameter sets known.
    pub bare: bool,
    /// In pixels, where the frame tells it.
    pub size: Option<(u16, u16)>,
}

/// The state of one payload format.
#[derive(Debug)]
pub enum Depacketiser {
    H264(h264::Depacketiser),
    H265(h265::Depacketiser),
    Vp8(vp8::Depacketiser),
    Vp9(vp9::Depacketiser),
    Av1(av1::Depacketiser),
    Sound(sound::Depacketiser),
}

macro_rules! each {
    ($self:expr, $inner:ident => $call:expr) => {
        match $self {
            Depacketiser::H264($inner) => $call,
            Depacketiser::H265($inner) => $call,
            Depacketiser::Vp8($inner) => $call,
            Depacketiser::Vp9($inner) => $call,
            Depacketiser::Av1($inner) => $call,
            Depacketiser::Sound($inner) => $call,
        }
    };
}

impl Depacketiser {
    /// `None` for what is no media by itself.
    pub fn new(codec: Codec) -> Option<Depacketiser> {
        Some(match codec {
            Codec::H264 => Depacketiser::H264(h264::Depacketiser::default()),
            Codec::H265 => Depacketiser::H265(h265::Depacketiser::default()),
            Codec::Vp8 => Depacketiser::Vp8(vp8::Depacketiser::default()),
            Codec::Vp9 => Depacketiser::Vp9(vp9::Depacketiser::default()),
            Codec::Av1 => Depacketiser::Av1(av1::Depacketiser::default()),
            Codec::Opus | Codec::G722 | Codec::Pcmu | Codec::Pcma => Depacketiser::Sound(sound::Depacketiser),
            Codec::Red | Codec::Other => return None,
        })
    }

    /// Takes a parameter set that the stream's description has. One of the stream itself with the same id counts more.
    pub fn learn(&mut self, unit: &[u8]) {
        match self {
            Depacketiser::H264(inner) => inner.learn(unit),
            Depacketiser::H265(inner) => inner.learn(unit),
            _ => {}
        }
    }

    /// Whether each packet is a frame, whatever its marker.
    pub fn is_sound(&self) -> bool {
        matches!(self, Depacketiser::Sound(_))
    }

    /// Whether a payload, by itself, is certainly the first of its frame. False where only the packets before could tell.
    pub fn starts_frame(&self, payload: &[u8]) -> bool {
        each!(self, inner => inner.starts_frame(payload))
    }

    /// Appends a payload to the frame that is begun in `frame`.
    ///
    /// # Errors
    /// [`Malformed`]: the frame cannot be completed; call `reset`.
    pub fn push(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        each!(self, inner => inner.push(payload, frame))
    }

    /// Completes the frame. `None`: it is nothing by itself and stays in `frame` as the beginning of the next.
    ///
    /// # Errors
    /// [`Malformed`]: a part is missing; call `reset`.
    pub fn finish(&mut self, frame: &mut Vec<u8>) -> Result<Option<Picture>, Malformed> {
        each!(self, inner => inner.finish(frame))
    }

    /// Forgets the frame that is begun. What holds for more than one frame stays.
    pub fn reset(&mut self) {
        each!(self, inner => inner.reset());
    }
}
