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
    /// Temporal layer; `None` where the descriptor has none.
    pub temporal_id: Option<u8>,
    /// Y bit: of the frames before, it refers to none but the one of temporal layer 0 that TL0PICIDX names.
    pub layer_sync: bool,
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
            let byte = *payload.get(at)?;
            if present & 0x20 != 0 {
                (descriptor.temporal_id, descriptor.layer_sync) = (Some(byte >> 6), byte & 0x20 != 0);
            }
            at += 1;
        }
        descriptor.len = at;
        Some(descriptor)
    }
}

impl Descriptor {
    /// The first packet of a frame has the start of its first partition.
    pub fn starts_frame(&self) -> bool {
        self.start_of_partition && self.partition == 0
    }
}

/// The frame's first byte, where the payload starts a frame: P bit clear is a key frame (RFC 6386 section 9.1).
fn frame_start(payload: &[u8]) -> Option<&[u8]> {
    let descriptor = Descriptor::parse(payload)?;
    descriptor.starts_frame().then(|| payload.get(descriptor.len..))?
}

/// The first packet of a key frame.
pub fn is_key_frame_start(payload: &[u8]) -> bool {
    frame_start(payload).and_then(<[u8]>::first).is_some_and(|first| first & 1 == 0)
}

/// From a key frame's header (RFC 6386 section 9.1).
pub fn picture_size(payload: &[u8]) -> Option<(u16, u16)> {
    frame_size(frame_start(payload)?)
}

/// The same of a whole frame.
pub fn frame_size(frame: &[u8]) -> Option<(u16, u16)> {
    let frame: &[u8; 10] = frame.first_chunk()?;
    if frame[0] & 1 != 0 || frame[3..6] != [0x9d, 0x01, 0x2a] {
        return None;
    }
    let side = |low, high| u16::from_le_bytes([low, high]) & 0x3fff;
    let (width, height) = (side(frame[6], frame[7]), side(frame[8], frame[9]));
    (width > 0 && height > 0).then_some((width, height))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of a 1280x720 key frame; the upper two bits of a side are its scale.
    const KEY: [u8; 10] = [0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x00, 0x45, 0xd0, 0x82];

    fn with(descriptor: &[u8], frame: &[u8]) -> Vec<u8> {
        [descriptor, frame].concat()
    }

    #[test]
    fn every_field_of_the_descriptor() {
        // X, S; I, L, T, K; 15-bit picture id, TL0PICIDX, temporal layer 2.
        let payload = with(&[0x90, 0xf0, 0x92, 0x34, 0x56, 0xa1], &KEY);
        let descriptor = Descriptor::parse(&payload).unwrap();
        assert_eq!((descriptor.len, descriptor.picture_id), (6, Some((2, 0x1234))));
        assert_eq!((descriptor.tl0_picture_index, descriptor.temporal_id), (Some((4, 0x56)), Some(2)));
        assert!(descriptor.layer_sync);
        assert!(descriptor.long_picture_id && is_key_frame_start(&payload));
        for len in 0..6 {
            assert!(Descriptor::parse(&payload[..len]).is_none(), "{len}");
        }
    }

    #[test]
    fn only_the_first_partition_of_a_key_frame_starts() {
        assert!(is_key_frame_start(&with(&[0x10], &KEY)));
        assert!(!is_key_frame_start(&with(&[0x00], &KEY)), "S is clear");
        assert!(!is_key_frame_start(&with(&[0x11], &KEY)), "partition 1");
        assert!(!is_key_frame_start(&with(&[0x10], &[0x11])), "P is set");
        assert!(!is_key_frame_start(&[0x10]));
    }

    #[test]
    fn the_scale_is_no_part_of_the_size() {
        assert_eq!(picture_size(&with(&[0x10], &KEY)), Some((1280, 720)));
        let mut empty = KEY;
        empty[6..8].fill(0);
        assert_eq!(picture_size(&with(&[0x10], &empty)), None);
        assert_eq!(picture_size(&with(&[0x10], &KEY[..9])), None);
    }
}
