//! AV1 in RTP (AV1 RTP specification section 4): the aggregation header and the sequence header OBU.

use super::bits::Bits;

pub(crate) const SEQUENCE_HEADER: u8 = 1;
pub(crate) const TEMPORAL_DELIMITER: u8 = 2;
pub(crate) const FRAME_HEADER: u8 = 3;
pub(crate) const FRAME: u8 = 6;
pub(crate) const TILE_LIST: u8 = 8;
pub(crate) const PADDING: u8 = 15;

/// An open bitstream unit (AV1 bitstream specification 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Obu<'a> {
    /// obu_type.
    pub kind: u8,
    /// The header without its size bit.
    header: u8,
    /// obu_extension_header.
    extension: Option<u8>,
    /// What follows header and size.
    pub payload: &'a [u8],
}

impl<'a> Obu<'a> {
    /// The first unit and what follows it: nothing, where the unit has no size.
    pub fn parse(bytes: &'a [u8]) -> Option<(Obu<'a>, &'a [u8])> {
        let (&first, mut rest) = bytes.split_first().filter(|(first, _)| *first & 0x80 == 0)?;
        let mut extension = None;
        if first & 0x04 != 0 {
            let (&byte, tail) = rest.split_first()?;
            (extension, rest) = (Some(byte), tail);
        }
        let mut tail: &[u8] = &[];
        if first & 0x02 != 0 {
            let (size, used) = leb128(rest)?;
            (rest, tail) = rest[used..].split_at_checked(size)?;
        }
        Some((Obu { kind: first >> 3 & 0x0f, header: first & !0x02, extension, payload: rest }, tail))
    }

    /// Appends the unit without a size, as an RTP packet has it.
    pub fn write_element(&self, out: &mut Vec<u8>) {
        out.push(self.header);
        out.extend(self.extension);
        out.extend_from_slice(self.payload);
    }
}

/// Appends a unit with its size.
pub(crate) fn write_obu(obu: &Obu<'_>, out: &mut Vec<u8>) {
    out.push(obu.header | 0x02);
    out.extend(obu.extension);
    write_leb128(obu.payload.len(), out);
    out.extend_from_slice(obu.payload);
}

/// Appends a number in as few bytes as it needs.
pub(crate) fn write_leb128(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// N bit: the first packet of a coded video sequence (AV1 RTP specification 4.4).
pub fn is_key_frame_start(payload: &[u8]) -> bool {
    payload.first().is_some_and(|header| header & 0x08 != 0 && header & 0x80 == 0) || sequence_header(payload).is_some()
}

/// From a sequence header, where the payload has a whole one.
pub fn picture_size(payload: &[u8]) -> Option<(u16, u16)> {
    sequence_size(sequence_header(payload)?)
}

/// A number and the bytes that it takes.
pub(crate) fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0usize;
    for (index, &byte) in bytes.iter().enumerate().take(4) {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// The payload of the first sequence header OBU among the payload's OBU elements.
fn sequence_header(payload: &[u8]) -> Option<&[u8]> {
    let (&header, mut rest) = payload.split_first()?;
    let count = header >> 4 & 0x03;
    let mut index = 0;
    // Z bit: the first element continues an OBU of the packet before.
    let mut continued = header & 0x80 != 0;
    while !rest.is_empty() {
        index += 1;
        let element = if count != 0 && index == count {
            std::mem::take(&mut rest)
        } else {
            let (size, used) = leb128(rest)?;
            let element = rest.get(used..used + size)?;
            rest = &rest[used + size..];
            element
        };
        if !std::mem::take(&mut continued) && element.first().is_some_and(|first| first >> 3 & 0x0f == SEQUENCE_HEADER)
        {
            return Obu::parse(element).map(|(obu, _)| obu.payload);
        }
    }
    None
}

/// AV1 bitstream specification 5.5.1, up to the frame size.
pub(crate) fn sequence_size(header: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits::new(header);
    bits.skip(4);
    if bits.flag()? {
        bits.skip(5);
    } else {
        let mut delay_bits = 0;
        let mut decoder_model = false;
        if bits.flag()? {
            bits.skip(64);
            if bits.flag()? {
                let mut zeros = 0;
                while bits.bit()? == 0 && zeros < 32 {
                    zeros += 1;
                }
                bits.skip(zeros);
            }
            decoder_model = bits.flag()?;
            if decoder_model {
                delay_bits = bits.take(5)? as usize + 1;
                bits.skip(32 + 5 + 5);
            }
        }
        let initial_display_delay = bits.flag()?;
        for _ in 0..=bits.take(5)? {
            bits.skip(12);
            if bits.take(5)? > 7 {
                bits.skip(1);
            }
            if decoder_model && bits.flag()? {
                bits.skip(2 * delay_bits + 1);
            }
            if initial_display_delay && bits.flag()? {
                bits.skip(4);
            }
        }
    }
    let (width_bits, height_bits) = (bits.take(4)? + 1, bits.take(4)? + 1);
    let side = |value: u32| u16::try_from(value + 1).ok();
    Some((side(bits.take(width_bits)?)?, side(bits.take(height_bits)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sequence header without its OBU header; only its place matters here.
    const HEADER: [u8; 9] = [0x00, 0x00, 0x00, 0x02, 0xab, 0xbf, 0xc3, 0x77, 0xff];

    #[test]
    fn a_new_sequence_starts() {
        assert!(is_key_frame_start(&[0x18, 0x10]));
        assert!(!is_key_frame_start(&[0x10, 0x30]));
        // Z: goes on with the OBU of the packet before.
        assert!(!is_key_frame_start(&[0x98, 0x30]));
        assert!(!is_key_frame_start(&[]));
    }

    #[test]
    fn a_sequence_header_is_found_in_any_element() {
        // W = 0: every element has its size. A temporal delimiter, then the sequence header with a size field.
        let mut payload = vec![0x00, 0x01, 0x10, 0x0b, 0x0a, 0x09];
        payload.extend(HEADER);
        assert!(is_key_frame_start(&payload));
        // W = 2: the last one has none.
        let mut payload = vec![0x20, 0x01, 0x10, 0x08];
        payload.extend(HEADER);
        assert!(is_key_frame_start(&payload));
        // Part of an OBU that began earlier is not one.
        let mut payload = vec![0x90, 0x08];
        payload.extend(HEADER);
        assert!(!is_key_frame_start(&payload));
        // A size past the end.
        assert!(!is_key_frame_start(&[0x00, 0x7f, 0x08]));
    }

    #[test]
    fn a_header_that_is_cut_off_tells_nothing() {
        for len in 0..5 {
            let mut payload = vec![0x10, 0x08];
            payload.extend(&HEADER[..len]);
            assert_eq!(picture_size(&payload), None, "{len}");
        }
    }
}
