//! H.265 in RTP (RFC 7798): single NAL units, aggregation and fragmentation units.

use super::bits::{Bits, cropped, unescape};
use super::nal::whole_units;

pub(crate) const VPS: u8 = 32;
pub(crate) const SPS: u8 = 33;
pub(crate) const PPS: u8 = 34;
pub(crate) const AUD: u8 = 35;
pub(crate) const AGGREGATION: u8 = 48;
pub(crate) const FRAGMENTATION: u8 = 49;
/// What no NAL unit has.
const NONE: u8 = 63;

/// BLA, IDR and CRA pictures (H.265 7.4.2.2) and the VPS, SPS before them.
fn starts_key_frame(nal_type: u8) -> bool {
    matches!(nal_type, 16..=21 | 32 | 33)
}

/// nal_unit_type of the first byte of a NAL unit header or a payload structure.
pub(crate) fn nal_type(header: u8) -> u8 {
    header >> 1 & 0x3f
}

/// nal_unit_type of a NAL unit.
pub(crate) fn type_of(nal: &[u8]) -> u8 {
    nal.first().map_or(NONE, |header| nal_type(*header))
}

/// The id of a VPS, SPS or PPS.
pub(crate) fn parameter_set_id(nal: &[u8]) -> Option<u32> {
    let mut buffer = [0; 256];
    let mut bits = Bits::new(unescape(nal.get(2..)?, &mut buffer));
    match type_of(nal) {
        VPS => bits.take(4),
        SPS => {
            bits.skip(4);
            let sub_layers = bits.take(3)? as usize;
            bits.skip(1);
            skip_profile_tier_level(&mut bits, sub_layers)?;
            bits.ue()
        }
        _ => bits.ue(),
    }
}

/// An intra random access point, or a parameter set before one.
pub fn is_key_frame_start(payload: &[u8]) -> bool {
    match payload {
        [first, _, header, ..] if nal_type(*first) == FRAGMENTATION => {
            header & 0x80 != 0 && starts_key_frame(header & 0x3f)
        }
        _ => nal_units(payload).any(|nal| nal.first().is_some_and(|first| starts_key_frame(nal_type(*first)))),
    }
}

/// From an SPS, where the payload has a whole one.
pub fn picture_size(payload: &[u8]) -> Option<(u16, u16)> {
    nal_units(payload).find(|nal| nal.first().is_some_and(|first| nal_type(*first) == SPS)).and_then(sps_size)
}

fn nal_units(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    match payload {
        [first, _, units @ ..] if nal_type(*first) == AGGREGATION => whole_units(None, units),
        [first, ..] if nal_type(*first) < AGGREGATION => whole_units(Some(payload), &[]),
        _ => whole_units(None, &[]),
    }
}

/// From an SPS (H.265 7.3.2.2.1).
pub(crate) fn sps_size(nal: &[u8]) -> Option<(u16, u16)> {
    let mut buffer = [0; 256];
    let mut bits = Bits::new(unescape(nal.get(2..)?, &mut buffer));
    bits.skip(4);
    let sub_layers = bits.take(3)? as usize;
    bits.skip(1);
    skip_profile_tier_level(&mut bits, sub_layers)?;
    bits.ue()?;
    let chroma_format = bits.ue()?;
    let separate_planes = chroma_format == 3 && bits.flag()?;
    let (width, height) = (bits.ue()?, bits.ue()?);
    let (mut crop_x, mut crop_y) = (0, 0);
    if bits.flag()? {
        let (left, right, top, bottom) = (bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?);
        let (unit_x, unit_y) = match if separate_planes { 0 } else { chroma_format } {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        crop_x = (u64::from(left) + u64::from(right)) * unit_x;
        crop_y = (u64::from(top) + u64::from(bottom)) * unit_y;
    }
    cropped(width, height, crop_x, crop_y)
}

/// H.265 7.3.3.
fn skip_profile_tier_level(bits: &mut Bits<'_>, sub_layers: usize) -> Option<()> {
    bits.skip(96);
    let mut present = [(false, false); 8];
    for layer in present.iter_mut().take(sub_layers) {
        *layer = (bits.flag()?, bits.flag()?);
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers));
    }
    for (profile, level) in present {
        bits.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 });
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(nal_type: u8) -> [u8; 2] {
        [nal_type << 1, 1]
    }

    #[test]
    fn intra_random_access_points_and_their_parameter_sets() {
        for (nal_type, starts) in
            [(0, false), (1, false), (9, false), (16, true), (19, true), (20, true), (21, true), (32, true), (33, true)]
        {
            assert_eq!(is_key_frame_start(&header(nal_type)), starts, "{nal_type}");
        }
        // PPS, access unit delimiter and SEI precede any picture.
        for nal_type in [34, 35, 39, 40, 50, 63] {
            assert!(!is_key_frame_start(&header(nal_type)), "{nal_type}");
        }
    }

    #[test]
    fn aggregation_units() {
        let mut payload = header(AGGREGATION).to_vec();
        payload.extend([0, 2]);
        payload.extend(header(39));
        assert!(!is_key_frame_start(&payload));
        payload.extend([0, 3]);
        payload.extend(header(19));
        assert!(!is_key_frame_start(&payload), "cut off");
        payload.push(0);
        assert!(is_key_frame_start(&payload));
    }

    #[test]
    fn only_the_first_fragment_starts() {
        let [first, second] = header(FRAGMENTATION);
        assert!(is_key_frame_start(&[first, second, 0x80 | 19]));
        assert!(!is_key_frame_start(&[first, second, 19]));
        assert!(!is_key_frame_start(&[first, second, 0x80 | 1]));
        assert!(!is_key_frame_start(&[first, second]));
    }
}
