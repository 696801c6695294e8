//! What the engine must know of a payload without decoding it: where a key frame starts, and how large its picture is.

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
}
