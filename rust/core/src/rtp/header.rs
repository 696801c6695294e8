//! The RTP header (RFC 3550 section 5.1).

use super::extension::Elements;

/// Length of the fixed part, in bytes.
const FIXED_LEN: usize = 12;

/// What an RTP packet says of itself. Lengths are checked against the packet, so slicing by them cannot fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Marker bit.
    pub marker: bool,
    /// Payload type, 0-127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// RTP timestamp, in units of the payload type's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Bytes before the payload: fixed part, CSRCs and extension.
    pub header_len: usize,
    /// Whether the P bit is set. Its length is in the last byte, which is encrypted: see [`Header::padding_len`].
    pub padding: bool,
    /// Profile of the header extension (RFC 3550 section 5.3.1), 0 where there is none.
    pub extension_profile: u16,
    /// Offset of the extension's elements.
    pub extension_start: usize,
    /// Length of the extension's elements in bytes.
    pub extension_len: usize,
}

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// Version is not 2.
    Version,
    /// A length points past the end.
    TooShort,
    /// The padding is longer than the payload, or 0.
    Padding,
}

impl Header {
    /// Reads the header of a packet, encrypted or not.
    pub fn parse(packet: &[u8]) -> Result<Header, HeaderError> {
        let fixed: &[u8; FIXED_LEN] = packet.first_chunk().ok_or(HeaderError::TooShort)?;
        if fixed[0] >> 6 != 2 {
            return Err(HeaderError::Version);
        }
        let mut header_len = FIXED_LEN + 4 * usize::from(fixed[0] & 0x0f);
        let (mut extension_profile, mut extension_start, mut extension_len) = (0, 0, 0);
        if fixed[0] & 0x10 != 0 {
            let preamble = packet.get(header_len..header_len + 4).ok_or(HeaderError::TooShort)?;
            extension_profile = u16::from_be_bytes([preamble[0], preamble[1]]);
            extension_start = header_len + 4;
            extension_len = 4 * usize::from(u16::from_be_bytes([preamble[2], preamble[3]]));
            header_len = extension_start + extension_len;
        }
        if header_len > packet.len() {
            return Err(HeaderError::TooShort);
        }
        Ok(Header {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            header_len,
            padding: fixed[0] & 0x20 != 0,
            extension_profile,
            extension_start,
            extension_len,
        })
    }

    /// Length of the padding of a decrypted packet, its count byte included.
    pub fn padding_len(&self, packet: &[u8]) -> Result<usize, HeaderError> {
        if !self.padding {
            return Ok(0);
        }
        let payload = packet.get(self.header_len..).ok_or(HeaderError::TooShort)?;
        match payload.last() {
            Some(&count) if count != 0 && usize::from(count) <= payload.len() => Ok(usize::from(count)),
            _ => Err(HeaderError::Padding),
        }
    }

    /// The header extension's elements.
    pub fn elements<'a>(&self, packet: &'a [u8]) -> Elements<'a> {
        Elements::new(packet, self.extension_profile, self.extension_start, self.extension_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 16] = [0x80, 0xe0, 0x12, 0x34, 0, 0, 0, 9, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4];

    #[test]
    fn fixed_fields() {
        let header = Header::parse(&PLAIN).unwrap();
        assert!(header.marker);
        assert_eq!((header.payload_type, header.sequence, header.timestamp), (96, 0x1234, 9));
        assert_eq!((header.ssrc, header.header_len, header.padding_len(&PLAIN)), (0xdead_beef, 12, Ok(0)));
    }

    #[test]
    fn lengths_that_lie() {
        assert_eq!(Header::parse(&PLAIN[..11]), Err(HeaderError::TooShort));
        assert_eq!(Header::parse(&[0x40; 16]), Err(HeaderError::Version));
        let mut csrcs = PLAIN;
        csrcs[0] = 0x8f;
        assert_eq!(Header::parse(&csrcs), Err(HeaderError::TooShort));
        let mut extension = PLAIN;
        extension[0] = 0x90;
        extension[14..16].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(Header::parse(&extension), Err(HeaderError::TooShort));
        for count in [0, 5, 255] {
            let mut padded = PLAIN;
            padded[0] = 0xa0;
            padded[15] = count;
            assert_eq!(Header::parse(&padded).unwrap().padding_len(&padded), Err(HeaderError::Padding));
        }
    }

    #[test]
    fn padding_only() {
        let mut padded = PLAIN;
        padded[0] = 0xa0;
        let header = Header::parse(&padded).unwrap();
        assert_eq!(header.padding_len(&padded), Ok(4));
    }
}
