//! H.264 (RFC 6184, packetization mode 1): single NAL units, STAP-A and FU-A.

use super::nal::Format;
use super::{Malformed, Payloads};
use crate::codec::h264::{FU_A, STAP_A, nal_type};

/// nal_ref_idc.
const NRI: u8 = 0x60;

const FORMAT: Format = Format {
    header_len: 1,
    // RFC 6184 section 5.7: the highest NRI of all its units.
    aggregation_header: |units| vec![STAP_A | units.iter().map(|unit| unit[0] & NRI).max().unwrap_or(0)],
    fragment_header: |header| vec![FU_A | header[0] & NRI, nal_type(header[0])],
};

pub fn packetise(frame: &[u8], out: &mut Payloads) -> Result<(), Malformed> {
    FORMAT.packetise(frame, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_units_go_together_and_large_ones_in_parts() {
        let idr = [&[0x65][..], &[7; 2000]].concat();
        let frame = [&[0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x28, 2, 0, 0, 0, 1][..], &idr].concat();
        let mut out = Payloads::default();
        packetise(&frame, &mut out).unwrap();
        let payloads: Vec<&[u8]> = out.iter().collect();
        assert_eq!(payloads[0], [0x78, 0, 2, 0x67, 1, 0, 2, 0x28, 2]);
        assert_eq!((&payloads[1][..3], payloads[1].len()), (&[0x7c, 0x85, 7][..], 1188));
        assert_eq!((&payloads[2][..3], payloads[2].len()), (&[0x7c, 0x45, 7][..], 2 + 2000 - 1186));
        assert_eq!(packetise(&[1, 2, 3], &mut Payloads::default()), Err(Malformed));
        assert_eq!(packetise(&[0, 0, 1, 0, 0], &mut Payloads::default()), Err(Malformed));
    }
}
