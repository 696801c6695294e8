//! What the engine must know of a payload without decoding it: where a key frame starts, and how large its picture is.

pub(crate) mod av1;
mod bits;
pub mod dependency;
pub mod frame_marking;
pub(crate) mod h264;
pub(crate) mod h265;
mod nal;
pub mod vp8;
pub mod vp9;

#[cfg(test)]
mod tests;

/// An RTP payload format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 6184.
    H264,
    /// RFC 7798.
    H265,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// AV1 RTP specification.
    Av1,
    /// RFC 7587.
    Opus,
    /// RFC 2198.
    Red,
    /// RFC 3551.
    G722,
    /// RFC 3551.
    Pcmu,
    /// RFC 3551.
    Pcma,
    /// Forwarded as it is.
    Other,
}

const NAMES: [(Codec, &str); 10] = [
    (Codec::H264, "H264"),
    (Codec::H265, "H265"),
    (Codec::Vp8, "VP8"),
    (Codec::Vp9, "VP9"),
    (Codec::Av1, "AV1"),
    (Codec::Opus, "opus"),
    (Codec::Red, "red"),
    (Codec::G722, "G722"),
    (Codec::Pcmu, "PCMU"),
    (Codec::Pcma, "PCMA"),
];

impl Codec {
    /// By the encoding name of `a=rtpmap`, in any case.
    pub fn from_name(name: &str) -> Codec {
        NAMES.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map_or(Codec::Other, |(codec, _)| *codec)
    }

    /// The encoding name as registered.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(codec, _)| *codec == self).map_or("other", |(_, name)| name)
    }

    /// Whether it is for pictures. What is not known is taken for sound.
    pub fn is_video(self) -> bool {
        matches!(self, Codec::H264 | Codec::H265 | Codec::Vp8 | Codec::Vp9 | Codec::Av1)
    }

    /// Whether a decoder can start at this packet. `None` where the payload format does not tell: start anywhere.
    pub fn is_key_frame_start(self, payload: &[u8]) -> Option<bool> {
        match self {
            Codec::H264 => Some(h264::is_key_frame_start(payload)),
            Codec::H265 => Some(h265::is_key_frame_start(payload)),
            Codec::Vp8 => Some(vp8::is_key_frame_start(payload)),
            Codec::Vp9 => Some(vp9::is_key_frame_start(payload)),
            Codec::Av1 => Some(av1::is_key_frame_start(payload)),
            _ => None,
        }
    }

    /// Width and height in pixels, cropping applied, where this packet tells them.
    pub fn picture_size(self, payload: &[u8]) -> Option<(u16, u16)> {
        match self {
            Codec::H264 => h264::picture_size(payload),
            Codec::H265 => h265::picture_size(payload),
            Codec::Vp8 => vp8::picture_size(payload),
            Codec::Vp9 => vp9::picture_size(payload),
            Codec::Av1 => av1::picture_size(payload),
            _ => None,
        }
    }
}
