//! Retransmission payloads (RFC 4588 section 4): the original sequence number, then the original payload.

/// Original sequence number and payload; `None` for padding that probes by an empty retransmission.
pub fn decapsulate(payload: &[u8]) -> Option<(u16, &[u8])> {
    let (original, payload) = payload.split_first_chunk::<2>()?;
    (!payload.is_empty()).then(|| (u16::from_be_bytes(*original), payload))
}

/// Bytes that precede the original payload.
pub fn prefix(original: u16) -> [u8; 2] {
    original.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back() {
        let packet = [&prefix(0x1234)[..], b"frame"].concat();
        assert_eq!(decapsulate(&packet), Some((0x1234, &b"frame"[..])));
        assert_eq!(decapsulate(&packet[..2]), None);
        assert_eq!(decapsulate(&[1]), None);
    }
}
