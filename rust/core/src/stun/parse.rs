//! Reading a message.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::{Class, HEADER_LEN, IntegrityKey, MAGIC_COOKIE, TransactionId, attribute, crc32};

/// Unknown attributes that are remembered; the rest is only counted.
pub const MAX_UNKNOWN: usize = 8;

const INTEGRITY_LEN: usize = 24;
const BINDING: u16 = 0x0001;
const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// Why bytes are no Binding message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Wrong first bits, cookie, or length.
    NotStun,
    /// STUN, but not Binding.
    OtherMethod,
    /// An attribute does not fit into the message or into its type.
    BadAttribute,
    /// FINGERPRINT is present and wrong.
    BadFingerprint,
}

/// A well-formed Binding message. What it says is not authentic before [`Message::verify`].
#[derive(Clone, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    class: Class,
    transaction: TransactionId,
    username: Option<&'a str>,
    priority: Option<u32>,
    use_candidate: bool,
    controlling: Option<u64>,
    controlled: Option<u64>,
    mapped_address: Option<SocketAddr>,
    error: Option<u16>,
    unknown: [u16; MAX_UNKNOWN],
    unknown_len: usize,
    integrity_at: Option<usize>,
}

impl<'a> Message<'a> {
    /// Reads one datagram. Where an attribute is repeated, the first counts; what follows MESSAGE-INTEGRITY is ignored
    /// but for FINGERPRINT (RFC 8489 section 14).
    ///
    /// # Errors
    /// [`ParseError`], on any bytes that are not exactly one Binding message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        if bytes.len() < HEADER_LEN || bytes[0] & 0xc0 != 0 || bytes[4..8] != MAGIC_COOKIE.to_be_bytes() {
            return Err(ParseError::NotStun);
        }
        let length = usize::from(be16(&bytes[2..4]));
        if length % 4 != 0 || bytes.len() != HEADER_LEN + length {
            return Err(ParseError::NotStun);
        }
        let kind = be16(&bytes[..2]);
        let class = match kind & 0x0110 {
            0x0000 => Class::Request,
            0x0010 => Class::Indication,
            0x0100 => Class::Success,
            _ => Class::Error,
        };
        if kind & !0x0110 != BINDING {
            return Err(ParseError::OtherMethod);
        }
        let mut transaction = TransactionId([0; 12]);
        transaction.0.copy_from_slice(&bytes[8..HEADER_LEN]);
        let mut message = Self {
            bytes,
            class,
            transaction,
            username: None,
            priority: None,
            use_candidate: false,
            controlling: None,
            controlled: None,
            mapped_address: None,
            error: None,
            unknown: [0; MAX_UNKNOWN],
            unknown_len: 0,
            integrity_at: None,
        };
        message.read_attributes()?;
        Ok(message)
    }

    fn read_attributes(&mut self) -> Result<(), ParseError> {
        let bytes = self.bytes;
        let mut at = HEADER_LEN;
        while at < bytes.len() {
            // The message length is a multiple of four, so that type and length are there.
            let kind = be16(&bytes[at..at + 2]);
            let length = usize::from(be16(&bytes[at + 2..at + 4]));
            let value = bytes.get(at + 4..at + 4 + length).ok_or(ParseError::BadAttribute)?;
            if kind == attribute::FINGERPRINT {
                let sum = crc32::checksum(&[&bytes[..at]]) ^ FINGERPRINT_XOR;
                let last = at + 8 == bytes.len();
                return if last && value == sum.to_be_bytes() { Ok(()) } else { Err(ParseError::BadFingerprint) };
            }
            if self.integrity_at.is_none() {
                self.read_attribute(kind, value, at)?;
            }
            at += 4 + length.next_multiple_of(4);
        }
        if at == bytes.len() { Ok(()) } else { Err(ParseError::BadAttribute) }
    }

    fn read_attribute(&mut self, kind: u16, value: &'a [u8], at: usize) -> Result<(), ParseError> {
        match kind {
            attribute::USERNAME => {
                let text = std::str::from_utf8(value).map_err(|_| ParseError::BadAttribute)?;
                self.username.get_or_insert(text);
            }
            attribute::MESSAGE_INTEGRITY => {
                if value.len() != INTEGRITY_LEN - 4 {
                    return Err(ParseError::BadAttribute);
                }
                self.integrity_at = Some(at);
            }
            attribute::ERROR_CODE => {
                let (Some(class), Some(number)) = (value.get(2), value.get(3)) else {
                    return Err(ParseError::BadAttribute);
                };
                self.error.get_or_insert(u16::from(class & 7) * 100 + u16::from(*number));
            }
            attribute::XOR_MAPPED_ADDRESS => {
                let address = read_xor_address(value, &self.transaction).ok_or(ParseError::BadAttribute)?;
                self.mapped_address.get_or_insert(address);
            }
            attribute::PRIORITY => {
                self.priority.get_or_insert(u32::from_be_bytes(exactly(value)?));
            }
            attribute::USE_CANDIDATE => {
                exactly::<0>(value)?;
                self.use_candidate = true;
            }
            attribute::ICE_CONTROLLED => {
                self.controlled.get_or_insert(u64::from_be_bytes(exactly(value)?));
            }
            attribute::ICE_CONTROLLING => {
                self.controlling.get_or_insert(u64::from_be_bytes(exactly(value)?));
            }
            attribute::MAPPED_ADDRESS | attribute::UNKNOWN_ATTRIBUTES | attribute::REALM | attribute::NONCE => {}
            0x0000..0x8000 => {
                if let Some(slot) = self.unknown.get_mut(self.unknown_len) {
                    *slot = kind;
                    self.unknown_len += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Request, response or indication.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The transaction.
    pub fn transaction(&self) -> TransactionId {
        self.transaction
    }

    /// USERNAME as its receiver's and its sender's ufrag (RFC 8445 section 7.2.2). None if absent or without a colon.
    pub fn ufrags(&self) -> Option<(&'a str, &'a str)> {
        self.username?.split_once(':')
    }

    /// PRIORITY.
    pub fn priority(&self) -> Option<u32> {
        self.priority
    }

    /// Whether USE-CANDIDATE is present.
    pub fn use_candidate(&self) -> bool {
        self.use_candidate
    }

    /// The tie-breaker of ICE-CONTROLLING.
    pub fn controlling(&self) -> Option<u64> {
        self.controlling
    }

    /// The tie-breaker of ICE-CONTROLLED.
    pub fn controlled(&self) -> Option<u64> {
        self.controlled
    }

    /// XOR-MAPPED-ADDRESS.
    pub fn mapped_address(&self) -> Option<SocketAddr> {
        self.mapped_address
    }

    /// The number of ERROR-CODE.
    pub fn error(&self) -> Option<u16> {
        self.error
    }

    /// Attributes that had to be understood and are not; the first [`MAX_UNKNOWN`] of them.
    pub fn unknown_attributes(&self) -> &[u16] {
        &self.unknown[..self.unknown_len]
    }

    /// Whether MESSAGE-INTEGRITY is present and made with this key.
    pub fn verify(&self, key: &IntegrityKey) -> bool {
        let Some(at) = self.integrity_at else { return false };
        let mut header = [0; HEADER_LEN];
        header.copy_from_slice(&self.bytes[..HEADER_LEN]);
        // RFC 8489 section 14.5: the length counts up to the end of this attribute.
        let length = (at + INTEGRITY_LEN - HEADER_LEN) as u16;
        header[2..4].copy_from_slice(&length.to_be_bytes());
        let expected = key.sign(&header, &self.bytes[HEADER_LEN..at]);
        verify_slices_are_equal(&expected, &self.bytes[at + 4..at + INTEGRITY_LEN]).is_ok()
    }
}

fn be16(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

fn exactly<const N: usize>(value: &[u8]) -> Result<[u8; N], ParseError> {
    value.try_into().map_err(|_| ParseError::BadAttribute)
}

/// RFC 8489 section 14.2.
fn read_xor_address(value: &[u8], transaction: &TransactionId) -> Option<SocketAddr> {
    let (head, address) = value.split_at_checked(4)?;
    let port = be16(&head[2..4]) ^ (MAGIC_COOKIE >> 16) as u16;
    let ip = match head[1] {
        1 => {
            let bits = u32::from_be_bytes(address.try_into().ok()?) ^ MAGIC_COOKIE;
            IpAddr::V4(Ipv4Addr::from_bits(bits))
        }
        2 => {
            let bits = u128::from_be_bytes(address.try_into().ok()?) ^ super::build::address_mask(transaction);
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}
