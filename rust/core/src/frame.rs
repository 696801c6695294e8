//! What taps give and sources take: one encoded picture, or the sound of one packet.

use std::sync::Arc;

use crate::codec::Codec;

/// Larger frames are taken for damaged: an 8K key frame is a tenth of it.
pub const MAX_FRAME: usize = 8 << 20;

/// One frame. It is whole: what lost a part never becomes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The bytes, in the form that `_media.pyi` tells for each codec.
    pub data: Vec<u8>,
    /// What they are.
    pub codec: Codec,
    /// In units of `clock_rate`, unwrapped. Goes on over a change of source.
    pub timestamp: i64,
    /// RTP clock in Hz.
    pub clock_rate: u32,
    /// When it was sampled, in microseconds of Unix time.
    pub wallclock: i64,
    /// A sender report says what `wallclock` is.
    pub synced: bool,
    /// Decoding can begin here.
    pub key_frame: bool,
    /// Something between the frame before and this one is missing, or the source has changed.
    pub gap: bool,
    /// Width and height in pixels of a key frame, else 0.
    pub size: (u16, u16),
    /// The encoding that it is from.
    pub rid: Option<Arc<str>>,
}

impl Frame {
    /// Bytes that it occupies.
    pub fn memory(&self) -> usize {
        size_of::<Frame>() + self.data.capacity()
    }
}

/// Bytes that do not follow a payload format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;
