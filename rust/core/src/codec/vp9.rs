//! VP9 in RTP (RFC 9628): the payload descriptor, its scalability structure, and the uncompressed header.

use super::bits::Bits;

/// SID has three bits.
pub const MAX_SPATIAL_LAYERS: usize = 8;

/// The payload descriptor (RFC 9628 section 4.2), as far as it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Picture id and its offset in the payload.
    pub picture_id: Option<(usize, u16)>,
    /// Whether the picture id has 15 bits.
    pub long_picture_id: bool,
    /// TL0PICIDX and its offset in the payload; not in flexible mode.
    pub tl0_picture_index: Option<(usize, u8)>,
    /// P bit: it refers to pictures before.
    pub inter_predicted: bool,
    /// B bit: the first packet of a layer's frame.
    pub start_of_frame: bool,
    /// E bit: the last one.
    pub end_of_frame: bool,
    /// L bit: the layer indices are there.
    pub layered: bool,
    /// Spatial layer.
    pub spatial_id: u8,
    /// Temporal layer.
    pub temporal_id: u8,
    /// U bit: what follows in higher temporal layers refers to none of these before this picture.
    pub switching_up: bool,
    /// D bit: it refers to the layer below.
    inter_layer: bool,
    /// Size of the largest spatial layer, from the scalability structure.
    pub size: Option<(u16, u16)>,
    /// Number of spatial layers, from the scalability structure.
    pub spatial_layers: Option<u8>,
    /// Their sizes, 0 where the structure does not say.
    pub sizes: [(u16, u16); MAX_SPATIAL_LAYERS],
    /// Length in bytes; the VP9 payload follows.
    pub len: usize,
}

impl Descriptor {
    /// `None` where the payload ends too early.
    pub fn parse(payload: &[u8]) -> Option<Descriptor> {
        parse(payload)
    }

    /// As far as the descriptor tells.
    fn starts_intra_picture(&self) -> bool {
        self.start_of_frame && !self.inter_predicted && self.spatial_id == 0
    }
}

fn parse(payload: &[u8]) -> Option<Descriptor> {
    let first = *payload.first()?;
    let [id, predicted, layers, flexible, start, end, structure] =
        [0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02].map(|mask| first & mask != 0);
    let mut at = 1;
    let (mut picture_id, mut long_picture_id, mut tl0_picture_index) = (None, false, None);
    if id {
        let high = *payload.get(at)?;
        long_picture_id = high & 0x80 != 0;
        if long_picture_id {
            picture_id = Some((at, u16::from_be_bytes([high & 0x7f, *payload.get(at + 1)?])));
            at += 2;
        } else {
            picture_id = Some((at, u16::from(high)));
            at += 1;
        }
    }
    let (mut spatial_id, mut temporal_id, mut switching_up, mut inter_layer) = (0, 0, false, false);
    if layers {
        let byte = *payload.get(at)?;
        temporal_id = byte >> 5;
        switching_up = byte & 0x10 != 0;
        spatial_id = byte >> 1 & 0x07;
        inter_layer = byte & 1 != 0;
        at += 1;
        if !flexible {
            tl0_picture_index = Some((at, *payload.get(at)?));
            at += 1;
        }
    }
    if flexible && predicted {
        for _ in 0..3 {
            let more = payload.get(at)? & 1 != 0;
            at += 1;
            if !more {
                break;
            }
        }
    }
    let (mut size, mut spatial_layers) = (None, None);
    let mut sizes = [(0, 0); MAX_SPATIAL_LAYERS];
    if structure {
        let byte = *payload.get(at)?;
        let count = (byte >> 5) + 1;
        spatial_layers = Some(count);
        at += 1;
        if byte & 0x10 != 0 {
            for entry in &mut sizes[..usize::from(count)] {
                let layer: &[u8; 4] = payload.get(at..)?.first_chunk()?;
                *entry = (u16::from_be_bytes([layer[0], layer[1]]), u16::from_be_bytes([layer[2], layer[3]]));
                size = Some(*entry);
                at += 4;
            }
        }
        if byte & 0x08 != 0 {
            let pictures = *payload.get(at)?;
            at += 1;
            for _ in 0..pictures {
                at += 1 + usize::from(payload.get(at)? >> 2 & 0x03);
            }
        }
    }
    Some(Descriptor {
        picture_id,
        long_picture_id,
        tl0_picture_index,
        inter_predicted: predicted,
        start_of_frame: start,
        end_of_frame: end,
        layered: layers,
        spatial_id,
        temporal_id,
        switching_up,
        inter_layer,
        size,
        spatial_layers,
        sizes,
        len: at,
    })
}

/// The first packet of a picture that refers to none before it, in its lowest spatial layer.
///
/// The P bit alone is not to be trusted: FFmpeg's packetiser never sets it. So the uncompressed header, where it can be read,
/// must not say otherwise.
pub fn is_key_frame_start(payload: &[u8]) -> bool {
    parse(payload).is_some_and(|descriptor| {
        descriptor.starts_intra_picture()
            && !descriptor.inter_layer
            && payload.get(descriptor.len..).is_some_and(|frame| frame_kind(frame) != Some(FrameKind::Other))
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FrameKind {
    Key,
    Other,
}

/// `None` where there is no VP9 frame header: the payload is encrypted end to end, or too short.
fn frame_kind(frame: &[u8]) -> Option<FrameKind> {
    frame_type(&mut Bits::new(frame)).map(|(kind, _)| kind)
}

/// The head of the uncompressed header (VP9 bitstream specification 6.2), and the profile.
fn frame_type(bits: &mut Bits<'_>) -> Option<(FrameKind, u32)> {
    if bits.take(2)? != 2 {
        return None;
    }
    let profile = bits.bit()? | bits.bit()? << 1;
    if profile == 3 {
        bits.skip(1);
    }
    let shows_existing = bits.flag()?;
    let kind = if shows_existing || bits.flag()? { FrameKind::Other } else { FrameKind::Key };
    Some((kind, profile))
}

/// Whether a frame is a key frame; `None` where it has no frame header that can be read.
pub fn is_key_frame(frame: &[u8]) -> Option<bool> {
    frame_kind(frame).map(|kind| kind == FrameKind::Key)
}

/// From the scalability structure, else from the uncompressed header of a key frame.
pub fn picture_size(payload: &[u8]) -> Option<(u16, u16)> {
    let descriptor = parse(payload)?;
    descriptor
        .size
        .filter(|(width, height)| *width > 0 && *height > 0)
        .or_else(|| descriptor.starts_intra_picture().then(|| frame_size(payload.get(descriptor.len..)?))?)
}

/// Of a key frame (VP9 bitstream specification 6.2).
pub fn frame_size(frame: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits::new(frame);
    let (FrameKind::Key, profile) = frame_type(&mut bits)? else { return None };
    bits.skip(2);
    if bits.take(24)? != 0x0049_8342 {
        return None;
    }
    if profile >= 2 {
        bits.skip(1);
    }
    let colour_space = bits.take(3)?;
    if colour_space == 7 {
        bits.skip(if profile & 1 == 1 { 1 } else { 0 });
    } else {
        bits.skip(if profile & 1 == 1 { 4 } else { 1 });
    }
    let side = |value: u32| u16::try_from(value + 1).ok();
    Some((side(bits.take(16)?)?, side(bits.take(16)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The uncompressed header of a 1280x720 key frame, profile 0.
    const KEY: [u8; 9] = [0x82, 0x49, 0x83, 0x42, 0x00, 0x4f, 0xf0, 0x2c, 0xf0];

    fn with(descriptor: &[u8], frame: &[u8]) -> Vec<u8> {
        [descriptor, frame].concat()
    }

    #[test]
    fn flexible_mode_of_chrome() {
        // I, F, B, V: 15-bit picture id; one spatial layer of 640x360 without picture group.
        let structure = [0x10, 0x02, 0x80, 0x01, 0x68];
        let payload = with(&[&[0x9a, 0x81, 0x23][..], &structure].concat(), &KEY);
        assert!(is_key_frame_start(&payload));
        assert_eq!(picture_size(&payload), Some((640, 360)));
        // I, P, F, B with two reference differences.
        let delta = with(&[0xd8, 0x81, 0x24, 0x03, 0x04], &[0x86, 0x00]);
        assert!(!is_key_frame_start(&delta));
        assert_eq!(picture_size(&delta), None);
    }

    #[test]
    fn picture_numbers_of_both_modes() {
        let numbers = |payload: &[u8]| {
            let descriptor = Descriptor::parse(payload).unwrap();
            (descriptor.picture_id, descriptor.long_picture_id, descriptor.tl0_picture_index)
        };
        // I, L, B, not flexible: 15-bit and 7-bit picture ids, each with TL0PICIDX.
        assert_eq!(numbers(&[0xa8, 0x92, 0x34, 0x00, 0x56, 0x82]), (Some((1, 0x1234)), true, Some((4, 0x56))));
        assert_eq!(numbers(&[0xa8, 0x12, 0x00, 0x56, 0x82]), (Some((1, 0x12)), false, Some((3, 0x56))));
        // I, L, F, B: flexible mode has no TL0PICIDX.
        assert_eq!(numbers(&[0xb8, 0x92, 0x34, 0x00, 0x82]), (Some((1, 0x1234)), true, None));
        assert_eq!(numbers(&[0x08, 0x82]), (None, false, None));
        assert!(Descriptor::parse(&[0xa8, 0x92]).is_none() && Descriptor::parse(&[0xa8, 0x12, 0x00]).is_none());
    }

    #[test]
    fn only_the_lowest_spatial_layer_starts() {
        // I, L, B of a key picture, non-flexible: spatial layers 0, then 1 that refers to it (D bit).
        for (layer, starts) in [(0x00, true), (0x03, false), (0x02, false)] {
            assert_eq!(is_key_frame_start(&with(&[0xa8, 0x05, layer, 0x00], &KEY)), starts, "{layer:#x}");
        }
    }

    #[test]
    fn the_structure_names_the_largest_layer_and_its_picture_group_is_passed_over() {
        // V: two layers with sizes, one picture in the group with one reference.
        let structure = [0x38, 0x01, 0x40, 0x00, 0xb4, 0x02, 0x80, 0x01, 0x68, 0x01, 0x04, 0x01];
        let payload = with(&[&[0x0a][..], &structure].concat(), &KEY);
        assert_eq!(picture_size(&payload), Some((640, 360)));
        assert!(is_key_frame_start(&payload));
        // The same without sizes: the frame tells.
        let payload = with(&[0x0a, 0x28, 0x01, 0x04, 0x01], &KEY);
        assert_eq!(picture_size(&payload), Some((1280, 720)));
    }

    #[test]
    fn layer_indices_and_the_sizes_of_all_layers() {
        // I, P, L, F, B, E: TID 2, U, SID 1, D; one reference.
        let descriptor = Descriptor::parse(&[0xfc, 0x81, 0x23, 0x53, 0x02, 0x86]).unwrap();
        assert!(descriptor.layered && descriptor.switching_up && descriptor.inter_layer && descriptor.end_of_frame);
        assert_eq!((descriptor.temporal_id, descriptor.spatial_id, descriptor.len), (2, 1, 5));
        assert_eq!(descriptor.spatial_layers, None);
        // I, L, F, B, V: two layers with sizes.
        let structure = [0x30, 0x01, 0x40, 0x00, 0xb4, 0x02, 0x80, 0x01, 0x68];
        let payload = with(&[&[0xba, 0x05, 0x00][..], &structure].concat(), &KEY);
        let descriptor = Descriptor::parse(&payload).unwrap();
        assert_eq!(
            (descriptor.spatial_layers, &descriptor.sizes[..3]),
            (Some(2), &[(320, 180), (640, 360), (0, 0)][..])
        );
        assert!(!Descriptor::parse(&[0x08, 0x82]).unwrap().layered);
    }

    #[test]
    fn what_is_encrypted_is_believed() {
        assert!(is_key_frame_start(&[0x08, 0x17, 0x55]));
        assert_eq!(picture_size(&[0x08, 0x17, 0x55]), None);
    }

    #[test]
    fn what_is_cut_off_is_nothing() {
        let payload = with(&[0x9a, 0x81, 0x23, 0x10, 0x02, 0x80, 0x01, 0x68], &KEY);
        for len in 0..payload.len() - KEY.len() {
            assert!(!is_key_frame_start(&payload[..len]), "{len}");
        }
    }
}
