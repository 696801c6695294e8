//! VP8 (RFC 7741): the payload behind the descriptor.

use super::{Malformed, Picture};
use crate::codec::vp8::{self, Descriptor};

/// The frame that is begun.
#[derive(Debug, Default)]
pub struct Depacketiser {
    picture_id: Option<u16>,
}

impl Depacketiser {
    pub(super) fn starts_frame(&self, payload: &[u8]) -> bool {
        Descriptor::parse(payload).is_some_and(|descriptor| descriptor.starts_frame())
    }

    pub(super) fn push(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        let descriptor = Descriptor::parse(payload).ok_or(Malformed)?;
        let picture_id = descriptor.picture_id.map(|(_, id)| id);
        if frame.is_empty() {
            self.picture_id = picture_id;
        }
        if frame.is_empty() != descriptor.starts_frame() || picture_id != self.picture_id {
            return Err(Malformed);
        }
        let data = payload.get(descriptor.len..).filter(|data| !data.is_empty()).ok_or(Malformed)?;
        frame.extend_from_slice(data);
        Ok(())
    }

    pub(super) fn finish(&mut self, frame: &[u8]) -> Result<Option<Picture>, Malformed> {
        let first = frame.first().ok_or(Malformed)?;
        Ok(Some(Picture { key_frame: first & 1 == 0, size: vp8::frame_size(frame), ..Picture::default() }))
    }

    pub(super) fn reset(&mut self) {
        self.picture_id = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 10] = [0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x00, 0x05, 0xd0, 0x02];

    fn assembled(payloads: &[&[u8]]) -> Result<(Option<Picture>, Vec<u8>), Malformed> {
        let mut depacketiser = Depacketiser::default();
        let mut frame = Vec::new();
        for payload in payloads {
            depacketiser.push(payload, &mut frame)?;
        }
        Ok((depacketiser.finish(&frame)?, frame))
    }

    #[test]
    fn partitions_become_a_frame() {
        let first = [&[0x90, 0x80, 0x07][..], &KEY].concat();
        let (picture, frame) = assembled(&[&first, &[0x80, 0x80, 0x07, 1], &[0x91, 0x80, 0x07, 2]]).unwrap();
        assert_eq!(picture, Some(Picture { key_frame: true, size: Some((1280, 720)), ..Picture::default() }));
        assert_eq!(frame, [&KEY[..], &[1, 2]].concat());
        assert!(!assembled(&[&[0x10, 0x11]]).unwrap().0.unwrap().key_frame);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let cases: [&[&[u8]]; 6] = [
            &[],
            &[&[0x00, 1]],
            &[&[0x11, 1]],
            &[&[0x10]],
            &[&[0x10, 1], &[0x10, 1]],
            &[&[0x90, 0x80, 7, 1], &[0x80, 0x80, 8, 1]],
        ];
        for payloads in cases {
            assert_eq!(assembled(payloads), Err(Malformed), "{payloads:?}");
        }
        assert!(Depacketiser::default().starts_frame(&[0x10, 1]) && !Depacketiser::default().starts_frame(&[0x01, 1]));
    }
}
