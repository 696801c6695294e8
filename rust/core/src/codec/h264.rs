//! H.264 in RTP (RFC 6184): single NAL units, STAP-A and FU-A.

use super::bits::{Bits, cropped, unescape};
use super::nal::whole_units;

const SLICE: u8 = 1;
pub(crate) const IDR: u8 = 5;
pub(crate) const SEI: u8 = 6;
pub(crate) const SPS: u8 = 7;
pub(crate) const PPS: u8 = 8;
pub(crate) const AUD: u8 = 9;
pub(crate) const STAP_A: u8 = 24;
pub(crate) const FU_A: u8 = 28;
/// Type of an SEI message.
const RECOVERY_POINT: usize = 6;

/// Profiles whose SPS carries chroma_format_idc (H.264 7.3.2.1.1).
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// nal_unit_type of a NAL unit header, an FU header or a payload structure.
pub(crate) fn nal_type(header: u8) -> u8 {
    header & 0x1f
}

/// nal_unit_type of a NAL unit; 0, which no unit has, of an empty one.
pub(crate) fn type_of(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |header| nal_type(*header))
}

/// seq_parameter_set_id of an SPS, pic_parameter_set_id of a PPS.
pub(crate) fn parameter_set_id(nal: &[u8]) -> Option<u32> {
    let mut buffer = [0; 16];
    let mut bits = Bits::new(unescape(nal.get(1..)?, &mut buffer));
    if type_of(nal) == SPS {
        bits.skip(24);
    }
    bits.ue()
}

/// An IDR slice or the SPS before one.
///
/// Encoders that refresh by columns send no IDR after the first: their SPS, repeated at each recovery point, is where a decoder
/// can start. Others repeat it before every picture: next to a slice that is neither IDR nor a recovery point it says nothing.
pub fn is_key_frame_start(payload: &[u8]) -> bool {
    if let [first, header, ..] = payload
        && first & 0x1f == FU_A
    {
        return header & 0x80 != 0 && matches!(header & 0x1f, IDR | SPS);
    }
    let (mut parameters, mut slice, mut recovery) = (false, false, false);
    for nal in nal_units(payload) {
        match nal.first().map(|first| first & 0x1f) {
            Some(IDR) => return true,
            Some(SPS) => parameters = true,
            Some(SLICE) => slice = true,
            Some(SEI) => recovery |= has_recovery_point(nal),
            _ => {}
        }
    }
    parameters && (recovery || !slice)
}

/// Whether a message of the SEI is a recovery point (H.264 7.3.2.3.1, D.1.8).
pub(crate) fn has_recovery_point(nal: &[u8]) -> bool {
    fn number<'a>(rest: &mut impl Iterator<Item = &'a u8>) -> Option<usize> {
        let mut value = 0;
        loop {
            let byte = *rest.next()?;
            value += usize::from(byte);
            if byte != 0xff {
                return Some(value);
            }
        }
    }
    let mut buffer = [0; 256];
    let mut rest = unescape(nal.get(1..).unwrap_or_default(), &mut buffer).iter();
    while let (Some(kind), Some(size)) = (number(&mut rest), number(&mut rest)) {
        if kind == RECOVERY_POINT {
            return true;
        }
        rest = rest.as_slice().get(size..).unwrap_or_default().iter();
    }
    false
}

/// From an SPS, where the payload has a whole one.
pub fn picture_size(payload: &[u8]) -> Option<(u16, u16)> {
    nal_units(payload).find(|nal| nal.first().is_some_and(|first| first & 0x1f == SPS)).and_then(sps_size)
}

/// The whole NAL units of a payload: one, or those of a STAP-A.
fn nal_units(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    match payload {
        [first, units @ ..] if first & 0x1f == STAP_A => whole_units(None, units),
        [first, ..] if first & 0x1f < STAP_A => whole_units(Some(payload), &[]),
        _ => whole_units(None, &[]),
    }
}

/// From an SPS (H.264 7.3.2.1.1).
pub(crate) fn sps_size(nal: &[u8]) -> Option<(u16, u16)> {
    let mut buffer = [0; 256];
    let mut bits = Bits::new(unescape(nal.get(1..)?, &mut buffer));
    let profile = bits.take(8)? as u8;
    bits.skip(16);
    bits.ue()?;
    let mut chroma_format = 1;
    let mut separate_planes = false;
    if HIGH_PROFILES.contains(&profile) {
        chroma_format = bits.ue()?;
        if chroma_format == 3 {
            separate_planes = bits.flag()?;
        }
        bits.ue()?;
        bits.ue()?;
        bits.skip(1);
        if bits.flag()? {
            skip_scaling_lists(&mut bits, if chroma_format == 3 { 12 } else { 8 })?;
        }
    }
    bits.ue()?;
    match bits.ue()? {
        0 => {
            bits.ue()?;
        }
        1 => {
            bits.skip(1);
            bits.se()?;
            bits.se()?;
            for _ in 0..bits.ue()?.min(255) {
                bits.se()?;
            }
        }
        _ => {}
    }
    bits.ue()?;
    bits.skip(1);
    let width = bits.ue()?.checked_add(1)?.checked_mul(16)?;
    let map_units = bits.ue()?.checked_add(1)?;
    let frames_only = bits.flag()?;
    let fields = if frames_only { 1 } else { 2 };
    if !frames_only {
        bits.skip(1);
    }
    let height = map_units.checked_mul(16 * fields)?;
    bits.skip(1);
    let (mut crop_x, mut crop_y) = (0, 0);
    if bits.flag()? {
        let (left, right, top, bottom) = (bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?);
        let (unit_x, unit_y) = match if separate_planes { 0 } else { chroma_format } {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        crop_x = (u64::from(left) + u64::from(right)) * unit_x;
        crop_y = (u64::from(top) + u64::from(bottom)) * unit_y * u64::from(fields);
    }
    cropped(width, height, crop_x, crop_y)
}

fn skip_scaling_lists(bits: &mut Bits<'_>, lists: usize) -> Option<()> {
    for list in 0..lists {
        if !bits.flag()? {
            continue;
        }
        let (mut last, mut next) = (8, 8);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = (last + bits.se()? + 256) % 256;
            }
            last = if next == 0 { last } else { next };
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAL_SPS: [u8; 4] = [0x67, 0x42, 0xc0, 0x1f];
    const NAL_PPS: [u8; 2] = [0x68, 0xce];
    const NAL_IDR: [u8; 2] = [0x65, 0x88];
    const NAL_SLICE: [u8; 2] = [0x41, 0x9a];
    /// User data of 3 bytes, then a recovery point.
    const NAL_RECOVERY: [u8; 9] = [0x06, 0x05, 0x03, 0xaa, 0xbb, 0xcc, 0x06, 0x01, 0xc4];
    const NAL_USER_DATA: [u8; 7] = [0x06, 0x05, 0x03, 0xaa, 0xbb, 0xcc, 0x80];

    fn aggregate(nals: &[&[u8]]) -> Vec<u8> {
        let mut payload = vec![0x78];
        for nal in nals {
            payload.extend((nal.len() as u16).to_be_bytes());
            payload.extend_from_slice(nal);
        }
        payload
    }

    #[test]
    fn single_nal_units() {
        assert!(is_key_frame_start(&NAL_SPS));
        assert!(is_key_frame_start(&NAL_IDR));
        assert!(!is_key_frame_start(&NAL_PPS));
        assert!(!is_key_frame_start(&NAL_SLICE));
        assert!(!is_key_frame_start(&NAL_RECOVERY));
    }

    #[test]
    fn aggregates() {
        assert!(is_key_frame_start(&aggregate(&[&NAL_SPS, &NAL_PPS])));
        assert!(is_key_frame_start(&aggregate(&[&NAL_SPS, &NAL_PPS, &NAL_IDR])));
        assert!(is_key_frame_start(&aggregate(&[&NAL_USER_DATA, &NAL_IDR])));
        assert!(!is_key_frame_start(&aggregate(&[&NAL_PPS, &NAL_SLICE])));
        assert!(!is_key_frame_start(&aggregate(&[])));
        let mut cut = aggregate(&[&NAL_PPS, &NAL_IDR]);
        cut.pop();
        assert!(!is_key_frame_start(&cut));
    }

    #[test]
    fn parameter_sets_before_an_ordinary_picture_are_no_start() {
        assert!(!is_key_frame_start(&aggregate(&[&NAL_SPS, &NAL_PPS, &NAL_USER_DATA, &NAL_SLICE])));
        assert!(is_key_frame_start(&aggregate(&[&NAL_SPS, &NAL_PPS, &NAL_RECOVERY, &NAL_SLICE])));
    }

    #[test]
    fn only_the_first_fragment_starts() {
        assert!(is_key_frame_start(&[0x7c, 0x85, 0x88]));
        assert!(!is_key_frame_start(&[0x7c, 0x05, 0x88]));
        assert!(!is_key_frame_start(&[0x7c, 0x45, 0x88]));
        assert!(!is_key_frame_start(&[0x7c, 0x81, 0x88]));
        assert!(!is_key_frame_start(&[0x7c]));
    }
}
