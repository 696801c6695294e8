//! VP9 in RTP (RFC 9628): the payload descriptor, its scalability structure, and the uncompressed header.

use super::bits::Bits;

struct Descriptor {
    inter_predicted: bool,
    start_of_frame: bool,
    spatial_id: u8,
    inter_layer: bool,
    /// Size of the largest spatial layer, from the scalability structure.
    size: Option<(u16, u16)>,
    len: usize,
}

fn parse(payload: &[u8]) -> Option<Descriptor> {
    let first = *payload.first()?;
    let [id, predicted, layers, flexible, start, structure] =
        [0x80, 0x40, 0x20, 0x10, 0x08, 0x02].map(|mask| first & mask != 0);
    let mut at = 1;
    if id {
        at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    let (mut spatial_id, mut inter_layer) = (0, false);
    if layers {
        let byte = *payload.get(at)?;
        spatial_id = byte >> 1 & 0x07;
        inter_layer = byte & 1 != 0;
        at += if flexible { 1 } else { 2 };
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
    let mut size = None;
    if structure {
        let byte = *payload.get(at)?;
        let spatial_layers = usize::from(byte >> 5) + 1;
        at += 1;
        if byte & 0x10 != 0 {
            for _ in 0..spatial_layers {
                let layer: &[u8; 4] = payload.get(at..)?.first_chunk()?;
                size = Some((u16::from_be_bytes([layer[0], layer[1]]), u16::from_be_bytes([layer[2], layer[3]])));
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
    Some(Descriptor { inter_predicted: predicted, start_of_frame: start, spatial_id, inter_layer, size, len: at })
}

/// The first packet of a picture that refers to none before it, in its lowest spatial layer.
pub fn is_key_frame_start(payload: &[u8]) -> bool {
    parse(payload).is_some_and(|d| !d.inter_predicted && d.start_of_frame && d.spatial_id == 0 && !d.inter_layer)
}

/// From the scalability structure, else from the uncompressed header of a key frame.
pub fn picture_size(payload: &[u8]) -> Option<(u16, u16)> {
    let descriptor = parse(payload)?;
    descriptor.size.filter(|(width, height)| *width > 0 && *height > 0).or_else(|| {
        let starts = descriptor.start_of_frame && !descriptor.inter_predicted && descriptor.spatial_id == 0;
        starts.then(|| header_size(payload.get(descriptor.len..)?))?
    })
}

/// VP9 bitstream specification 6.2.
fn header_size(frame: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits::new(frame);
    if bits.take(2)? != 2 {
        return None;
    }
    let profile = bits.bit()? | bits.bit()? << 1;
    if profile == 3 {
        bits.skip(1);
    }
    let (shows_existing, inter) = (bits.flag()?, bits.flag()?);
    if shows_existing || inter {
        return None;
    }
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
