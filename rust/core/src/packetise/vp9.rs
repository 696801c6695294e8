//! VP9 (RFC 9628): a frame or superframe as one layer, not in flexible mode, with a picture id of 15 bits.

use super::{MAX_PAYLOAD, Malformed, Payloads};

const DESCRIPTOR: usize = 3;

/// The numbering.
#[derive(Debug, Default)]
pub struct Packetiser {
    picture_id: u16,
}

impl Packetiser {
    pub(super) fn packetise(&mut self, frame: &[u8], key_frame: bool, out: &mut Payloads) -> Result<(), Malformed> {
        if frame.is_empty() {
            return Err(Malformed);
        }
        let [high, low] = (self.picture_id | 0x8000).to_be_bytes();
        self.picture_id = self.picture_id.wrapping_add(1) & 0x7fff;
        let parts = frame.chunks(MAX_PAYLOAD - DESCRIPTOR);
        let last = parts.len() - 1;
        let predicted = if key_frame { 0 } else { 0x40 };
        for (index, part) in parts.enumerate() {
            let start = if index == 0 { 0x08 } else { 0 };
            let end = if index == last { 0x04 } else { 0 };
            out.push(&[&[0x80 | predicted | start | end, high, low], part]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_frame_have_one_number_a_beginning_and_an_end() {
        let mut packetiser = Packetiser::default();
        let mut out = Payloads::default();
        packetiser.packetise(&[5; 1186], true, &mut out).unwrap();
        packetiser.packetise(&[6], false, &mut out).unwrap();
        let heads: Vec<&[u8]> = out.iter().map(|payload| &payload[..4]).collect();
        assert_eq!(heads, [[0x88, 0x80, 0, 5], [0x84, 0x80, 0, 5], [0xcc, 0x80, 1, 6]]);
        assert_eq!(packetiser.packetise(&[], true, &mut out), Err(Malformed));
    }
}
