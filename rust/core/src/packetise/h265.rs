//! H.265 (RFC 7798, without decoding order numbers): single NAL units, aggregation and fragmentation units.

use super::nal::Format;
use super::{Malformed, Payloads};
use crate::codec::h265::{AGGREGATION, FRAGMENTATION, nal_type};

const FORMAT: Format = Format {
    header_len: 2,
    // RFC 7798 section 4.4.2: the lowest layer and the lowest temporal id of all its units.
    aggregation_header: |units| {
        let layer = units.iter().map(|unit| (unit[0] & 1) << 5 | unit[1] >> 3).min().unwrap_or(0);
        let temporal = units.iter().map(|unit| unit[1] & 7).min().unwrap_or(1);
        vec![AGGREGATION << 1 | layer >> 5, (layer & 0x1f) << 3 | temporal]
    },
    fragment_header: |header| vec![header[0] & 0x81 | FRAGMENTATION << 1, header[1], nal_type(header[0])],
};

pub fn packetise(frame: &[u8], out: &mut Payloads) -> Result<(), Malformed> {
    FORMAT.packetise(frame, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_units_go_together_and_large_ones_in_parts() {
        let slice = [&[19 << 1, 1][..], &[7; 1300]].concat();
        let frame = [&[0, 0, 0, 1, 0x40, 2, 9, 0, 0, 1, 0x42, 1, 8, 0, 0, 0, 1][..], &slice].concat();
        let mut out = Payloads::default();
        packetise(&frame, &mut out).unwrap();
        let payloads: Vec<&[u8]> = out.iter().collect();
        assert_eq!(payloads[0], [48 << 1, 1, 0, 3, 0x40, 2, 9, 0, 3, 0x42, 1, 8]);
        assert_eq!((&payloads[1][..4], payloads[1].len()), (&[49 << 1, 1, 0x80 | 19, 7][..], 1188));
        assert_eq!((&payloads[2][..4], payloads[2].len()), (&[49 << 1, 1, 0x40 | 19, 7][..], 3 + 1300 - 1185));
        assert_eq!(packetise(&[0, 0, 1, 0x40], &mut Payloads::default()), Err(Malformed), "half a header");
    }
}
