//! Writing a message.

use std::net::{IpAddr, SocketAddr};

use super::{Class, ErrorCode, HEADER_LEN, IntegrityKey, MAGIC_COOKIE, TransactionId, attribute, crc32};

const INTEGRITY_LEN: usize = 24;
const FINGERPRINT_LEN: usize = 8;
const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// A Binding message being written into a buffer, attribute by attribute.
#[derive(Debug)]
pub struct Builder<'a> {
    out: &'a mut Vec<u8>,
    transaction: TransactionId,
}

impl<'a> Builder<'a> {
    /// Begins a message. What the buffer held is discarded.
    pub fn new(out: &'a mut Vec<u8>, class: Class, transaction: TransactionId) -> Self {
        let kind: u16 = match class {
            Class::Request => 0x0001,
            Class::Indication => 0x0011,
            Class::Success => 0x0101,
            Class::Error => 0x0111,
        };
        out.clear();
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
        out.extend_from_slice(&transaction.0);
        Self { out, transaction }
    }

    fn attribute(self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len()).expect("attributes are short");
        self.out.extend_from_slice(&kind.to_be_bytes());
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(value);
        self.out.resize(self.out.len().next_multiple_of(4), 0);
        self
    }

    /// An attribute that this module does not know.
    #[cfg(test)]
    pub(crate) fn raw_attribute(self, kind: u16, value: &[u8]) -> Self {
        self.attribute(kind, value)
    }

    /// USERNAME: the receiver's ufrag first (RFC 8445 section 7.2.2).
    pub fn username(self, receiver: &str, sender: &str) -> Self {
        self.attribute(attribute::USERNAME, format!("{receiver}:{sender}").as_bytes())
    }

    /// PRIORITY that the receiver gives to a candidate it learns from this check.
    pub fn priority(self, priority: u32) -> Self {
        self.attribute(attribute::PRIORITY, &priority.to_be_bytes())
    }

    /// USE-CANDIDATE.
    pub fn use_candidate(self) -> Self {
        self.attribute(attribute::USE_CANDIDATE, &[])
    }

    /// ICE-CONTROLLING with the tie-breaker.
    pub fn controlling(self, tie_breaker: u64) -> Self {
        self.attribute(attribute::ICE_CONTROLLING, &tie_breaker.to_be_bytes())
    }

    /// ICE-CONTROLLED with the tie-breaker.
    pub fn controlled(self, tie_breaker: u64) -> Self {
        self.attribute(attribute::ICE_CONTROLLED, &tie_breaker.to_be_bytes())
    }

    /// XOR-MAPPED-ADDRESS.
    pub fn mapped_address(self, address: SocketAddr) -> Self {
        let port = (address.port() ^ (MAGIC_COOKIE >> 16) as u16).to_be_bytes();
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = (ip.to_bits() ^ MAGIC_COOKIE).to_be_bytes();
                self.attribute(attribute::XOR_MAPPED_ADDRESS, &[0, 1, port[0], port[1], a, b, c, d])
            }
            IpAddr::V6(ip) => {
                let mut value = [0; 20];
                value[..4].copy_from_slice(&[0, 2, port[0], port[1]]);
                value[4..].copy_from_slice(&(ip.to_bits() ^ address_mask(&self.transaction)).to_be_bytes());
                self.attribute(attribute::XOR_MAPPED_ADDRESS, &value)
            }
        }
    }

    /// ERROR-CODE.
    pub fn error(self, code: ErrorCode) -> Self {
        let (number, reason) = code.number_and_reason();
        let mut value = vec![0, 0, (number / 100) as u8, (number % 100) as u8];
        value.extend_from_slice(reason.as_bytes());
        self.attribute(attribute::ERROR_CODE, &value)
    }

    /// UNKNOWN-ATTRIBUTES.
    pub fn unknown_attributes(self, kinds: &[u16]) -> Self {
        let value: Vec<u8> = kinds.iter().flat_map(|kind| kind.to_be_bytes()).collect();
        self.attribute(attribute::UNKNOWN_ATTRIBUTES, &value)
    }

    /// Appends MESSAGE-INTEGRITY and FINGERPRINT.
    pub fn finish(mut self, key: &IntegrityKey) {
        self.set_length(INTEGRITY_LEN);
        let (header, attributes) = self.out.split_at(HEADER_LEN);
        let tag = key.sign(header, attributes);
        self.attribute(attribute::MESSAGE_INTEGRITY, &tag).finish_unsigned();
    }

    /// Appends FINGERPRINT alone.
    pub fn finish_unsigned(mut self) {
        self.set_length(FINGERPRINT_LEN);
        let sum = crc32::checksum(&[self.out]) ^ FINGERPRINT_XOR;
        self.attribute(attribute::FINGERPRINT, &sum.to_be_bytes());
    }

    /// The length in the header, when `more` bytes are still to come.
    fn set_length(&mut self, more: usize) {
        let length = u16::try_from(self.out.len() - HEADER_LEN + more).expect("messages are short");
        self.out[2..4].copy_from_slice(&length.to_be_bytes());
    }
}

/// What an IPv6 address is masked with (RFC 8489 section 14.2).
pub(super) fn address_mask(transaction: &TransactionId) -> u128 {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    mask[4..].copy_from_slice(&transaction.0);
    u128::from_be_bytes(mask)
}
