//! VP8 in RTP (RFC 7741): the payload descriptor and the first bytes of a frame.

/// The payload descriptor (RFC 7741 section 4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Length in bytes; the VP8 payload follows.
    pub len: usize,
    /// S bit: the start of a partition.
    pub start_of_partition: bool,
    /// Partition index.
    pub partition: u8,
    /// Picture id and its offset in the payload.
    pub picture_id: Option<(usize, u16)>,
    /// Whether the picture id has 15 bits.
    pub long_picture_id: bool,
    /// TL0PICIDX and its offset in the payload.
    pub tl0_picture_index: Option<(usize, u8)>,
    /// Temporal layer.
    pub temporal_id: u8,
}

impl Descriptor {
    /// `None` where the payload ends too early.
    pub fn parse(payload: &[u8]) -> Option<Descriptor> {
        let first = *payload.first()?;
        let mut descriptor = Descriptor {
            len: 1,
            start_of_partition: first & 0x10 != 0,
            partition: first & 0x07,
            ..Descriptor::default()
        };
        if first & 0x80 == 0 {
            return Some(descriptor);
        }
        let present = *payload.get(1)?;
        let mut at = 2;
        if present & 0x80 != 0 {
            let high = *payload.get(at)?;
            if high & 0x80 != 0 {
                descriptor.picture_id = Some((at, u16::from_be_bytes([high & 0x7f, *payload.get(at + 1)?])));
                descriptor.long_picture_id = true;
                at += 2;
            } else {
                descriptor.picture_id = Some((at, u16::from(high)));
                at += 1;
            }
        }
        if present & 0x40 != 0 {
            descriptor.tl0_picture_index = Some((at, *payload.get(at)?));
            at += 1;
        }
        if present & 0x30 != 0 {
            descriptor.temporal_id = *payload.get(at)? >> 6;
            at += 1;
        }
        descriptor.len = at;
        Some(descriptor)
    }
}

/// The frame's first byte, where the payload starts a frame: P bit clear is a key frame (RFC 6386 section 9.1).
fn frame_start(payload: &[u8]) -> Option<&[u8]> {
    let descriptor = Descriptor::parse(payload)?;
    (descriptor.start_of_partition && descriptor.partition == 0).then(|| payload.get(descriptor.len..))?
}

/// The first packet of a key frame.
pub fn is_key_frame_start(payload: &[u8]) -> bool {
    frame_start(payload).and_then(<[u8]>::first).is_some_and(|first| first & 1 == 0)
}

/// From a key frame's header (RFC 6386 section 9.1).
pub fn picture_size(payload: &[u8]) -> Option<(u16, u16)> {
    let frame: &[u8; 10] = frame_start(payload)?.first_chunk()?;
    if frame[0] & 1 != 0 || frame[3..6] != [0x9d, 0x01, 0x2a] {
        return None;
    }
    let side = |low, high| u16::from_le_bytes([low, high]) & 0x3fff;
    Some((side(frame[6], frame[7]), side(frame[8], frame[9])))
}
