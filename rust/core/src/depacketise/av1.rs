//! AV1 (AV1 RTP specification): OBU elements, whole or in fragments, as OBUs with sizes.

use super::{Malformed, Picture};
use crate::codec::av1::{
    self, FRAME, FRAME_HEADER, Obu, PADDING, SEQUENCE_HEADER, TEMPORAL_DELIMITER, TILE_LIST, leb128, write_obu,
};
use crate::frame::MAX_FRAME;

/// The stream so far.
#[derive(Debug, Default)]
pub struct Depacketiser {
    /// The OBU that goes on in the next packet.
    fragment: Option<Vec<u8>>,
    /// The newest sequence header, with its OBU header and size.
    sequence_header: Vec<u8>,
    /// Size in it.
    size: Option<(u16, u16)>,
    /// Its stream is one picture that has no frame type.
    still: bool,
    has_sequence_header: bool,
    /// Whether the first frame of the temporal unit is a key frame.
    key_frame: Option<bool>,
}

impl Depacketiser {
    /// The N bit says that a coded video sequence begins; a temporal delimiter or a sequence header comes first in any case.
    pub(super) fn starts_frame(&self, payload: &[u8]) -> bool {
        let Some((&header, rest)) = payload.split_first().filter(|(header, _)| *header & 0x80 == 0) else {
            return false;
        };
        let sized = header & 0x30 != 0x10;
        let first = if sized { leb128(rest).and_then(|(_, used)| rest.get(used)) } else { rest.first() };
        let kind = first.map(|first| first >> 3 & 0x0f);
        header & 0x08 != 0 || matches!(kind, Some(TEMPORAL_DELIMITER | SEQUENCE_HEADER))
    }

    pub(super) fn push(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        let (&header, mut rest) = payload.split_first().ok_or(Malformed)?;
        let (mut continues, goes_on, count) = (header & 0x80 != 0, header & 0x40 != 0, header >> 4 & 3);
        if continues != self.fragment.is_some() || rest.is_empty() {
            return Err(Malformed);
        }
        let mut index = 0;
        while !rest.is_empty() {
            index += 1;
            let element = if count != 0 && index == count {
                std::mem::take(&mut rest)
            } else {
                let (size, used) = leb128(rest).ok_or(Malformed)?;
                let (element, tail) = rest[used..].split_at_checked(size).ok_or(Malformed)?;
                rest = tail;
                element
            };
            let mut fragment = if std::mem::take(&mut continues) { self.fragment.take() } else { None };
            if rest.is_empty() && goes_on {
                let fragment = fragment.get_or_insert_default();
                if fragment.len() + element.len() > MAX_FRAME {
                    return Err(Malformed);
                }
                fragment.extend_from_slice(element);
                self.fragment = Some(std::mem::take(fragment));
            } else if let Some(mut fragment) = fragment {
                fragment.extend_from_slice(element);
                self.append(&fragment, frame)?;
            } else {
                self.append(element, frame)?;
            }
        }
        // W counts what is there.
        if count == 0 || index == count { Ok(()) } else { Err(Malformed) }
    }

    pub(super) fn finish(&mut self, frame: &mut Vec<u8>) -> Result<Option<Picture>, Malformed> {
        if self.fragment.is_some() {
            return Err(Malformed);
        }
        let Some(key_frame) = self.key_frame.take() else { return Ok(None) };
        let has_sequence_header = std::mem::take(&mut self.has_sequence_header);
        if key_frame && !has_sequence_header {
            // Encoders may send it once. Temporal delimiters, which would come before it, are left out.
            frame.splice(0..0, self.sequence_header.iter().copied());
        }
        let decodable = key_frame && !self.sequence_header.is_empty();
        Ok(Some(Picture { key_frame: decodable, size: self.size, ..Picture::default() }))
    }

    pub(super) fn reset(&mut self) {
        self.fragment = None;
        self.has_sequence_header = false;
        self.key_frame = None;
    }

    /// One element: an OBU without a size, or one or more with theirs, as some encoders leave them.
    fn append(&mut self, mut element: &[u8], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        while !element.is_empty() {
            let (obu, tail) = Obu::parse(element).ok_or(Malformed)?;
            element = tail;
            match obu.kind {
                TEMPORAL_DELIMITER | TILE_LIST | PADDING => continue,
                SEQUENCE_HEADER => {
                    self.has_sequence_header = true;
                    self.sequence_header.clear();
                    write_obu(&obu, &mut self.sequence_header);
                    self.size = av1::sequence_size(obu.payload).or(self.size);
                    self.still = obu.payload.first().is_some_and(|first| first & 0x08 != 0);
                }
                FRAME | FRAME_HEADER if self.key_frame.is_none() => {
                    // show_existing_frame, then frame_type of 0 (AV1 bitstream specification 5.9.2).
                    self.key_frame = Some(self.still || obu.payload.first().is_some_and(|first| first & 0xe0 == 0));
                }
                _ => {}
            }
            if frame.len() + element.len() > MAX_FRAME {
                return Err(Malformed);
            }
            write_obu(&obu, frame);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sequence header of 1280x720 by SVT-AV1, as its OBU has it.
    const SEQUENCE: [u8; 11] = [0x00, 0x00, 0x00, 0x02, 0xab, 0xbf, 0xc3, 0x77, 0xff, 0xe6, 0x01];

    fn assembled(depacketiser: &mut Depacketiser, payloads: &[&[u8]]) -> Result<(Option<Picture>, Vec<u8>), Malformed> {
        let mut frame = Vec::new();
        for payload in payloads {
            depacketiser.push(payload, &mut frame)?;
        }
        Ok((depacketiser.finish(&mut frame)?, frame))
    }

    #[test]
    fn elements_and_fragments_become_obus_with_sizes() {
        let mut depacketiser = Depacketiser::default();
        // W = 2, Y, N: the sequence header whole, then the beginning of a frame.
        let first = [&[0x68, 12, 0x08][..], &SEQUENCE, &[0x30, 0x10, 1, 2]].concat();
        let (picture, frame) = assembled(&mut depacketiser, &[&first, &[0xd0, 3], &[0x90, 4]]).unwrap();
        let key_frame = [&[0x0a, 11][..], &SEQUENCE, &[0x32, 5, 0x10, 1, 2, 3, 4]].concat();
        assert_eq!((picture.unwrap().key_frame, frame), (true, key_frame));
        // The next key frame has no sequence header of its own.
        let (picture, frame) = assembled(&mut depacketiser, &[&[0x10, 0x30, 0x10]]).unwrap();
        assert_eq!(frame, [&[0x0a, 11][..], &SEQUENCE, &[0x32, 1, 0x10]].concat());
        assert!(picture.unwrap().key_frame);
        // An inter frame; a shown one of those before.
        for first in [0x30, 0x80] {
            assert!(!assembled(&mut depacketiser, &[&[0x10, 0x30, first]]).unwrap().0.unwrap().key_frame);
        }
    }

    #[test]
    fn obus_with_sizes_lose_nothing_and_delimiters_go() {
        let mut depacketiser = Depacketiser::default();
        // W = 0: temporal delimiter, sequence header with a size, frame with an extension and a size.
        let payload = [&[0x08, 2, 0x12, 0, 13, 0x0a, 11][..], &SEQUENCE, &[5, 0x36, 0x20, 2, 0x10, 7]].concat();
        let (_, frame) = assembled(&mut depacketiser, &[&payload]).unwrap();
        assert_eq!(frame, [&[0x0a, 11][..], &SEQUENCE, &[0x36, 0x20, 2, 0x10, 7]].concat());
        // Both in one element, the size of the last written in more bytes than it needs.
        let payload = [&[0x18, 0x0a, 11][..], &SEQUENCE, &[0x32, 0x81, 0x00, 0x10]].concat();
        let (_, frame) = assembled(&mut depacketiser, &[&payload]).unwrap();
        assert_eq!(frame, [&[0x0a, 11][..], &SEQUENCE, &[0x32, 1, 0x10]].concat());
        assert_eq!(assembled(&mut depacketiser, &[&[0x10, 0x12, 0]]), Ok((None, Vec::new())), "no picture");
    }

    #[test]
    fn what_is_cut_is_refused() {
        let mut depacketiser = Depacketiser::default();
        let cases: [&[&[u8]]; 9] = [
            &[&[]],
            &[&[0x10]],
            &[&[0x90, 0x30, 0x10]],
            &[&[0x50, 0x30, 0x10]],
            &[&[0x50, 0x30, 0x10], &[0x10, 0x30, 0x10]],
            &[&[0x00, 9, 0x30]],
            &[&[0x20, 1, 0x30]],
            &[&[0x10, 0xb0, 0x10]],
            &[&[0x10, 0x32, 9, 0x10]],
        ];
        for payloads in cases {
            assert_eq!(assembled(&mut depacketiser, payloads), Err(Malformed), "{payloads:?}");
            depacketiser.reset();
        }
        for first in [&[0x18, 0x30][..], &[0x10, 0x12, 0], &[0x20, 1, 0x08], &[0x00, 2, 0x12, 0]] {
            assert!(depacketiser.starts_frame(first), "{first:?}");
        }
        for later in [&[0x10, 0x30][..], &[0x98, 0x0a], &[0x20, 1], &[0x00, 1, 0x30], &[]] {
            assert!(!depacketiser.starts_frame(later), "{later:?}");
        }
    }
}
