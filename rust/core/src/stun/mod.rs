//! STUN Binding messages (RFC 8489), as far as ICE needs them (RFC 8445 section 7).
//!
//! [`Message::parse`] borrows the datagram, accepts no other method than Binding, and never panics. [`Builder`] writes
//! into a caller's buffer. Nothing here keeps state.

mod build;
mod crc32;
mod integrity;
mod parse;

#[cfg(test)]
mod tests;

pub use build::Builder;
pub use integrity::IntegrityKey;
pub use parse::{MAX_UNKNOWN, Message, ParseError};

/// The fixed second word of a message.
pub const MAGIC_COOKIE: u32 = 0x2112_a442;
/// Bytes before the attributes.
pub const HEADER_LEN: usize = 20;

/// Request, response or indication (RFC 8489 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none: a keep-alive.
    Indication,
    /// The answer with the mapped address.
    Success,
    /// The answer with an error code.
    Error,
}

/// The 96 bits that an answer has in common with its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// The error codes that ICE uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// 400.
    BadRequest,
    /// 420: an attribute that must be understood is not.
    UnknownAttribute,
    /// 487: both ends claim the same role (RFC 8445 section 7.3.1.1).
    RoleConflict,
}

impl ErrorCode {
    /// The number and the reason phrase on the wire.
    pub fn number_and_reason(self) -> (u16, &'static str) {
        match self {
            Self::BadRequest => (400, "Bad Request"),
            Self::UnknownAttribute => (420, "Unknown Attribute"),
            Self::RoleConflict => (487, "Role Conflict"),
        }
    }
}

/// Whether a datagram is STUN among RTP and DTLS (RFC 7983), by its first byte and its cookie.
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER_LEN && datagram[0] < 4 && datagram[4..8] == MAGIC_COOKIE.to_be_bytes()
}

/// Attribute types (RFC 8489 section 18.3, RFC 8445 section 16.1).
mod attribute {
    pub const MAPPED_ADDRESS: u16 = 0x0001;
    pub const USERNAME: u16 = 0x0006;
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub const ERROR_CODE: u16 = 0x0009;
    pub const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
    pub const REALM: u16 = 0x0014;
    pub const NONCE: u16 = 0x0015;
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub const PRIORITY: u16 = 0x0024;
    pub const USE_CANDIDATE: u16 = 0x0025;
    pub const FINGERPRINT: u16 = 0x8028;
    pub const ICE_CONTROLLED: u16 = 0x8029;
    pub const ICE_CONTROLLING: u16 = 0x802a;
}
