//! VP8 (RFC 7741): a descriptor with a picture id of 15 bits in front of each part of a frame.

use super::{MAX_PAYLOAD, Malformed, Payloads};

const DESCRIPTOR: usize = 4;

/// The numbering.
#[derive(Debug, Default)]
pub struct Packetiser {
    picture_id: u16,
}

impl Packetiser {
    pub(super) fn packetise(&mut self, frame: &[u8], out: &mut Payloads) -> Result<(), Malformed> {
        if frame.is_empty() {
            return Err(Malformed);
        }
        let [high, low] = (self.picture_id | 0x8000).to_be_bytes();
        self.picture_id = self.picture_id.wrapping_add(1) & 0x7fff;
        for (index, part) in frame.chunks(MAX_PAYLOAD - DESCRIPTOR).enumerate() {
            // X; S, once: the frame is sent as if it were one partition.
            let start = if index == 0 { 0x10 } else { 0 };
            out.push(&[&[0x80 | start, 0x80, high, low], part]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_frame_have_one_number() {
        let mut packetiser = Packetiser { picture_id: 0x7fff };
        let mut out = Payloads::default();
        packetiser.packetise(&[5; 1185], &mut out).unwrap();
        packetiser.packetise(&[6], &mut out).unwrap();
        let heads: Vec<&[u8]> = out.iter().map(|payload| &payload[..5]).collect();
        let expected = [[0x90, 0x80, 0xff, 0xff, 5], [0x80, 0x80, 0xff, 0xff, 5], [0x90, 0x80, 0x80, 0, 6]];
        assert_eq!(heads, expected);
        assert_eq!(packetiser.packetise(&[], &mut out), Err(Malformed));
    }
}
