//! VP9 (RFC 9628): the frames of a picture, one for each spatial layer, as one superframe.

use super::{Malformed, Picture};
use crate::codec::vp9::{self, Descriptor};

/// Spatial layers of a picture, and frames of a superframe.
const MAX_LAYERS: usize = 8;

/// The picture that is begun.
#[derive(Debug, Default)]
pub struct Depacketiser {
    /// Where each layer's frame ends.
    ends: Vec<usize>,
    /// Spatial layer of the frame that has no end yet.
    open: Option<u8>,
    /// The lowest layer refers to no picture before.
    intra: bool,
    picture_id: Option<u16>,
    /// Of the largest layer.
    size: Option<(u16, u16)>,
}

impl Depacketiser {
    pub(super) fn starts_frame(&self, payload: &[u8]) -> bool {
        Descriptor::parse(payload).is_some_and(|descriptor| descriptor.start_of_frame && descriptor.spatial_id == 0)
    }

    pub(super) fn push(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        let descriptor = Descriptor::parse(payload).ok_or(Malformed)?;
        let data = payload.get(descriptor.len..).filter(|data| !data.is_empty()).ok_or(Malformed)?;
        let picture_id = descriptor.picture_id.map(|(_, id)| id);
        if frame.is_empty() {
            self.picture_id = picture_id;
            self.intra = !descriptor.inter_predicted;
        }
        let continues = self.open == Some(descriptor.spatial_id);
        let in_order = if descriptor.start_of_frame { self.open.is_none() } else { continues };
        if !in_order || picture_id != self.picture_id || self.ends.len() == MAX_LAYERS {
            return Err(Malformed);
        }
        self.size = descriptor.size.or(self.size);
        frame.extend_from_slice(data);
        if descriptor.end_of_frame {
            self.open = None;
            self.ends.push(frame.len());
        } else {
            self.open = Some(descriptor.spatial_id);
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, frame: &mut Vec<u8>) -> Result<Option<Picture>, Malformed> {
        if self.open.is_some() || self.ends.is_empty() {
            return Err(Malformed);
        }
        // The P bit alone is not to be trusted, see `codec::vp9`.
        let key_frame = self.intra && vp9::is_key_frame(frame) != Some(false);
        let size = self.size.filter(|(width, height)| *width > 0 && *height > 0).or_else(|| vp9::frame_size(frame));
        if self.ends.len() > 1 {
            self.append_index(frame);
        }
        self.reset();
        Ok(Some(Picture { key_frame, size, ..Picture::default() }))
    }

    pub(super) fn reset(&mut self) {
        self.ends.clear();
        self.open = None;
        self.size = None;
    }

    /// The superframe index, by which decoders find the frames in it (VP9 bitstream specification, annex B).
    fn append_index(&self, frame: &mut Vec<u8>) {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        let sizes: Vec<usize> = starts.zip(&self.ends).map(|(start, end)| end - start).collect();
        let largest = sizes.iter().copied().max().unwrap_or_default();
        let bytes = (usize::BITS - largest.leading_zeros()).div_ceil(8).max(1) as usize;
        let marker = 0xc0 | (bytes as u8 - 1) << 3 | (sizes.len() as u8 - 1);
        frame.push(marker);
        for size in sizes {
            frame.extend_from_slice(&size.to_le_bytes()[..bytes]);
        }
        frame.push(marker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The uncompressed header of a 1280x720 key frame, profile 0.
    const KEY: [u8; 9] = [0x82, 0x49, 0x83, 0x42, 0x00, 0x4f, 0xf0, 0x2c, 0xf0];

    fn assembled(payloads: &[&[u8]]) -> Result<(Option<Picture>, Vec<u8>), Malformed> {
        let mut depacketiser = Depacketiser::default();
        let mut frame = Vec::new();
        for payload in payloads {
            depacketiser.push(payload, &mut frame)?;
        }
        Ok((depacketiser.finish(&mut frame)?, frame))
    }

    #[test]
    fn one_layer_is_its_frame() {
        // I, B; then I, E.
        let first = [&[0x88, 0x05][..], &KEY].concat();
        let (picture, frame) = assembled(&[&first, &[0x84, 0x05, 1, 2]]).unwrap();
        assert_eq!(picture, Some(Picture { key_frame: true, size: Some((1280, 720)), ..Picture::default() }));
        assert_eq!(frame, [&KEY[..], &[1, 2]].concat());
        // FFmpeg leaves the P bit out; the frame header says what it is.
        assert!(!assembled(&[&[0x8c, 0x06, 0x86, 0]]).unwrap().0.unwrap().key_frame);
        assert!(!assembled(&[&[0xcc, 0x06, 0x17, 0]]).unwrap().0.unwrap().key_frame);
    }

    #[test]
    fn layers_become_a_superframe() {
        // I, L, B, E with spatial layers 0 and 1; the first has a structure of two sizes.
        let structure = [0x30, 0x01, 0x40, 0x00, 0xb4, 0x02, 0x80, 0x01, 0x68];
        let first = [&[0xae, 0x05, 0x00, 0x07][..], &structure, &KEY].concat();
        let second = [&[0xac, 0x05, 0x03, 0x07][..], &[9; 300]].concat();
        let (picture, frame) = assembled(&[&first, &second]).unwrap();
        assert_eq!(picture, Some(Picture { key_frame: true, size: Some((640, 360)), ..Picture::default() }));
        let index = [0xc9, 9, 0, 0x2c, 0x01, 0xc9];
        assert_eq!(frame, [&KEY[..], &[9; 300], &index].concat());
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let cases: [&[&[u8]]; 8] = [
            &[],
            &[&[0x84, 5, 1]],
            &[&[0x88, 5, 1]],
            &[&[0x8c, 5]],
            &[&[0x8c, 5, 1], &[0x8c, 6, 1]],
            &[&[0x88, 5, 1], &[0x8c, 5, 1]],
            &[&[0xa8, 5, 0, 0, 1], &[0xa4, 5, 2, 0, 1]],
            &[&[0x88]],
        ];
        for payloads in cases {
            assert_eq!(assembled(payloads), Err(Malformed), "{payloads:?}");
        }
        let layer = [0xac, 5, 0, 0, 1];
        assert!(assembled(&[&layer[..]; MAX_LAYERS]).is_ok());
        assert_eq!(assembled(&[&layer[..]; MAX_LAYERS + 1]), Err(Malformed));
        assert!(Depacketiser::default().starts_frame(&layer));
        assert!(!Depacketiser::default().starts_frame(&[0xac, 5, 2, 0, 1]));
    }
}
