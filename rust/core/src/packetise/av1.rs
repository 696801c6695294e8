//! AV1 (AV1 RTP specification section 4): OBUs without their sizes, cut where a packet is full.

use super::{MAX_PAYLOAD, Malformed, Payloads};
use crate::codec::av1::{Obu, PADDING, TEMPORAL_DELIMITER, TILE_LIST, write_leb128};

/// Bytes of the length of an element, which is shorter than 2^14.
const LENGTH: usize = 2;
/// What is left of a packet is not worth a fragment below this.
const LEAST_FRAGMENT: usize = 16;
/// Elements that W can count.
const COUNTED: usize = 3;

/// The packet that is being filled.
#[derive(Default)]
struct Packet<'a> {
    elements: Vec<&'a [u8]>,
    len: usize,
    /// Z: the first element goes on with the OBU of the packet before.
    continues: bool,
}

impl<'a> Packet<'a> {
    /// Bytes that another element may have.
    fn room(&self) -> usize {
        (MAX_PAYLOAD - 1).saturating_sub(self.len + LENGTH)
    }

    fn push(&mut self, element: &'a [u8]) {
        self.len += LENGTH + element.len();
        self.elements.push(element);
    }

    /// Writes it; `goes_on`: the last element has more to come.
    fn flush(&mut self, goes_on: bool, new_sequence: bool, out: &mut Payloads) {
        let count = self.elements.len();
        let Some((last, others)) = self.elements.split_last() else { return };
        let counted = if count <= COUNTED { count as u8 } else { 0 };
        let (z, y, n) = (u8::from(self.continues) << 7, u8::from(goes_on) << 6, u8::from(new_sequence) << 3);
        out.bytes.push(z | y | counted << 4 | n);
        for element in others {
            write_leb128(element.len(), &mut out.bytes);
            out.bytes.extend_from_slice(element);
        }
        if counted == 0 {
            write_leb128(last.len(), &mut out.bytes);
        }
        out.bytes.extend_from_slice(last);
        out.end();
        *self = Packet { continues: goes_on, ..Packet::default() };
    }
}

pub fn packetise(frame: &[u8], key_frame: bool, out: &mut Payloads) -> Result<(), Malformed> {
    let mut elements = Vec::new();
    let mut rest = frame;
    while !rest.is_empty() {
        let (obu, tail) = Obu::parse(rest).ok_or(Malformed)?;
        rest = tail;
        if !matches!(obu.kind, TEMPORAL_DELIMITER | TILE_LIST | PADDING) {
            let mut element = Vec::with_capacity(2 + obu.payload.len());
            obu.write_element(&mut element);
            elements.push(element);
        }
    }
    if elements.is_empty() {
        return Err(Malformed);
    }
    let mut packet = Packet::default();
    let mut new_sequence = key_frame;
    for element in &elements {
        let mut rest = &element[..];
        while rest.len() > packet.room() {
            if packet.room() >= LEAST_FRAGMENT {
                let (fragment, tail) = rest.split_at(packet.room());
                packet.push(fragment);
                rest = tail;
                packet.flush(true, std::mem::take(&mut new_sequence), out);
            } else {
                packet.flush(false, std::mem::take(&mut new_sequence), out);
            }
        }
        packet.push(rest);
    }
    packet.flush(false, new_sequence, out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packetised(frame: &[u8], key_frame: bool) -> Result<Vec<Vec<u8>>, Malformed> {
        let mut out = Payloads::default();
        packetise(frame, key_frame, &mut out)?;
        Ok(out.iter().map(<[u8]>::to_vec).collect())
    }

    #[test]
    fn units_without_sizes_and_without_delimiters() {
        // Temporal delimiter, sequence header, frame with an extension.
        let frame = [0x12, 0, 0x0a, 2, 7, 8, 0x36, 0x20, 1, 9];
        assert_eq!(packetised(&frame, true).unwrap(), [vec![0x28, 3, 0x08, 7, 8, 0x34, 0x20, 9]]);
        // More elements than W can count: each has its length.
        let frame = [0x2a, 1, 5, 0x2a, 1, 6, 0x2a, 1, 7, 0x32, 1, 8];
        let expected = vec![0x00, 2, 0x28, 5, 2, 0x28, 6, 2, 0x28, 7, 2, 0x30, 8];
        assert_eq!(packetised(&frame, false).unwrap(), [expected]);
        for malformed in [&[][..], &[0x12, 0], &[0x32, 5, 1], &[0x80, 1]] {
            assert_eq!(packetised(malformed, true), Err(Malformed));
        }
    }

    #[test]
    fn a_large_unit_is_cut_and_marked() {
        let mut frame = vec![0x0a, 1, 7, 0x32];
        write_leb128(2500, &mut frame);
        frame.extend([3; 2500]);
        let payloads = packetised(&frame, true).unwrap();
        let heads: Vec<u8> = payloads.iter().map(|payload| payload[0]).collect();
        assert_eq!(heads, [0x68, 0xd0, 0x90]);
        assert!(payloads.iter().all(|payload| payload.len() <= MAX_PAYLOAD));
    }
}
