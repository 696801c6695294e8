//! Secure RTP: RFC 3711 (AES-CM with HMAC-SHA1) and RFC 7714 (AES-GCM).
//!
//! One [`Outbound`] and one [`Inbound`] per transport. Neither parses RTP: the caller knows the header length, SSRC and
//! index already. Nothing here allocates per packet, and nothing is changed by a packet that fails authentication.

mod cipher;
mod inbound;
mod key;
pub mod mac;
mod outbound;
mod profile;
mod replay;

#[cfg(test)]
mod tests;

pub use inbound::Inbound;
pub use key::{InvalidKey, MasterKey};
pub use mac::MacBatch;
pub use outbound::Outbound;
pub use profile::{MAX_RTCP_OVERHEAD, MAX_RTP_OVERHEAD, Parameters, Profile};

/// Why a packet was not opened, or not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrtpError {
    /// Shorter than its header and tag.
    TooShort,
    /// Seen before, or older than the replay window (RFC 3711 section 3.3.2).
    Replay,
    /// The tag is wrong: forged, damaged, or sealed with other keys.
    Authentication,
    /// SRTCP without its E bit. Every profile here encrypts.
    Unencrypted,
    /// The transport already receives from as many SSRCs as are kept.
    TooManySources,
    /// No index is left under this key (2^31 SRTCP packets, RFC 3711 section 9.2).
    KeyExhausted,
}

impl std::fmt::Display for SrtpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooShort => "shorter than header and tag",
            Self::Replay => "replayed or older than the replay window",
            Self::Authentication => "authentication failed",
            Self::Unencrypted => "SRTCP packet is not encrypted",
            Self::TooManySources => "too many SSRCs on one transport",
            Self::KeyExhausted => "no SRTCP index is left under this key",
        })
    }
}

impl std::error::Error for SrtpError {}
