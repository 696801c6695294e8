//! H.264 (RFC 6184, packetization mode 1): single NAL units, STAP-A and FU-A.

use super::parameter_sets::{ParameterSets, Units};
use super::{Malformed, Picture};
use crate::codec::h264::{self, AUD, FU_A, IDR, PPS, SEI, SPS, STAP_A, nal_type};

/// The stream so far.
#[derive(Debug, Default)]
pub struct Depacketiser {
    units: Units,
    sets: ParameterSets,
    /// Size in the newest SPS.
    size: Option<(u16, u16)>,
    /// Access units begin with a delimiter.
    delimited: bool,
}

impl Depacketiser {
    pub(super) fn learn(&mut self, unit: &[u8]) {
        let kind = h264::type_of(unit);
        if let (SPS | PPS, Some(id)) = (kind, h264::parameter_set_id(unit)) {
            self.sets.keep(kind, id, unit);
            self.size = h264::sps_size(unit).filter(|_| kind == SPS).or(self.size);
        }
    }

    pub(super) fn starts_frame(&self, payload: &[u8]) -> bool {
        let first = match payload {
            [first, _, _, unit @ ..] if nal_type(*first) == STAP_A => unit.first(),
            _ => payload.first(),
        };
        first.is_some_and(|first| match nal_type(*first) {
            AUD => true,
            SPS => !self.delimited,
            _ => false,
        })
    }

    pub(super) fn push(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        // F bit: the sender knows of damage (RFC 6184 section 5.3).
        let (&first, rest) = payload.split_first().filter(|(first, _)| *first & 0x80 == 0).ok_or(Malformed)?;
        match nal_type(first) {
            1..STAP_A => self.units.begin(&[payload], frame),
            STAP_A => self.units.aggregate(rest, frame),
            FU_A => {
                let (&header, data) = rest.split_first().ok_or(Malformed)?;
                let (start, end, kind) = (header & 0x80 != 0, header & 0x40 != 0, nal_type(header));
                if start {
                    self.units.begin(&[&[first & 0xe0 | kind], data], frame)?;
                } else if self.units.fragment == Some(kind) {
                    frame.extend_from_slice(data);
                } else {
                    return Err(Malformed);
                }
                self.units.fragment = (!end).then_some(kind);
                Ok(())
            }
            _ => Err(Malformed),
        }
    }

    pub(super) fn finish(&mut self, frame: &mut Vec<u8>) -> Result<Option<Picture>, Malformed> {
        if self.units.fragment.is_some() {
            return Err(Malformed);
        }
        let (mut slice, mut idr, mut sps, mut recovery) = (false, false, false, false);
        for unit in self.units.iter(frame) {
            match unit.first().map(|first| nal_type(*first)) {
                Some(kind @ 1..=IDR) => (slice, idr) = (true, idr || kind == IDR),
                Some(SEI) => recovery |= h264::has_recovery_point(unit),
                Some(AUD) => self.delimited = true,
                Some(kind @ (SPS | PPS)) => {
                    if let Some(id) = h264::parameter_set_id(unit) {
                        self.sets.keep(kind, id, unit);
                    }
                    if kind == SPS {
                        sps = true;
                        self.size = h264::sps_size(unit).or(self.size);
                    }
                }
                _ => {}
            }
        }
        if !slice {
            return Ok(None);
        }
        let key_frame = idr || sps && recovery;
        if key_frame {
            self.sets.complete(&self.units, h264::type_of, AUD, frame);
        }
        self.units.clear();
        let known = self.sets.has(&[SPS, PPS]);
        Ok(Some(Picture { key_frame: key_frame && known, bare: key_frame && !known, size: self.size }))
    }

    pub(super) fn reset(&mut self) {
        self.units.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS_UNIT: [u8; 11] = [0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x70, 0x11];
    const PPS_UNIT: [u8; 4] = [0x68, 0xcb, 0x83, 0xcb];
    const IDR_UNIT: [u8; 3] = [0x65, 0x88, 0x84];
    const SLICE_UNIT: [u8; 3] = [0x41, 0x9a, 0x02];
    const AUD_UNIT: [u8; 2] = [0x09, 0x10];

    fn annex_b(units: &[&[u8]]) -> Vec<u8> {
        units.iter().flat_map(|unit| [0, 0, 0, 1].iter().chain(*unit)).copied().collect()
    }

    fn assembled(depacketiser: &mut Depacketiser, payloads: &[&[u8]]) -> Result<(Option<Picture>, Vec<u8>), Malformed> {
        let mut frame = Vec::new();
        for payload in payloads {
            depacketiser.push(payload, &mut frame)?;
        }
        Ok((depacketiser.finish(&mut frame)?, frame))
    }

    #[test]
    fn all_three_forms_of_packets() {
        let mut depacketiser = Depacketiser::default();
        let stap = [&[0x78, 0, 11][..], &SPS_UNIT, &[0, 4], &PPS_UNIT].concat();
        let payloads = [&stap[..], &[0x7c, 0x85, 0x88], &[0x7c, 0x05, 0x11], &[0x7c, 0x45, 0x84], &SLICE_UNIT];
        let (picture, frame) = assembled(&mut depacketiser, &payloads).unwrap();
        assert_eq!(frame, annex_b(&[&SPS_UNIT, &PPS_UNIT, &[0x65, 0x88, 0x11, 0x84], &SLICE_UNIT]));
        assert_eq!(picture, Some(Picture { key_frame: true, size: Some((640, 360)), ..Picture::default() }));
        let (picture, frame) = assembled(&mut depacketiser, &[&SLICE_UNIT]).unwrap();
        assert_eq!((picture.unwrap().key_frame, frame), (false, annex_b(&[&SLICE_UNIT])));
    }

    #[test]
    fn a_key_frame_without_parameter_sets_gets_those_of_the_stream() {
        let mut depacketiser = Depacketiser::default();
        // They are no picture by themselves, and stay for the next.
        let mut frame = Vec::new();
        for unit in [&SPS_UNIT[..], &PPS_UNIT] {
            depacketiser.push(unit, &mut frame).unwrap();
            assert_eq!(depacketiser.finish(&mut frame), Ok(None));
        }
        depacketiser.push(&IDR_UNIT, &mut frame).unwrap();
        assert!(depacketiser.finish(&mut frame).unwrap().unwrap().key_frame);
        assert_eq!(frame, annex_b(&[&SPS_UNIT, &PPS_UNIT, &IDR_UNIT]));

        let (_, frame) = assembled(&mut depacketiser, &[&IDR_UNIT]).unwrap();
        assert_eq!(frame, annex_b(&[&SPS_UNIT, &PPS_UNIT, &IDR_UNIT]));
        let (_, frame) = assembled(&mut depacketiser, &[&AUD_UNIT, &SPS_UNIT, &IDR_UNIT]).unwrap();
        assert_eq!(frame, annex_b(&[&AUD_UNIT, &PPS_UNIT, &SPS_UNIT, &IDR_UNIT]));
    }

    #[test]
    fn what_is_cut_or_unknown_is_refused() {
        let mut depacketiser = Depacketiser::default();
        let fragments: [&[&[u8]]; 8] = [
            &[&[0x7c, 0x05, 1]],
            &[&[0x7c, 0x85, 1], &[0x7c, 0x41, 1]],
            &[&[0x7c, 0x85, 1], &SLICE_UNIT],
            &[&[0x7c, 0x85, 1]],
            &[&[0x78, 0, 3, 0x41, 1]],
            &[&[0x78, 0, 2, 0x41, 1, 0]],
            &[&[0x78, 0, 0]],
            &[&[0x9a]],
        ];
        for payloads in fragments {
            assert_eq!(assembled(&mut depacketiser, payloads), Err(Malformed), "{payloads:?}");
            depacketiser.reset();
        }
        assert_eq!(assembled(&mut depacketiser, &[&[0x7c]]), Err(Malformed));
        assert_eq!(assembled(&mut depacketiser, &[&[0x79, 0, 1]]), Err(Malformed), "STAP-B");
    }

    #[test]
    fn where_a_frame_begins_for_certain() {
        let mut depacketiser = Depacketiser::default();
        let stap = [&[0x78, 0, 11][..], &SPS_UNIT].concat();
        assert!(depacketiser.starts_frame(&SPS_UNIT) && depacketiser.starts_frame(&stap));
        assert!(!depacketiser.starts_frame(&IDR_UNIT) && !depacketiser.starts_frame(&[0x7c, 0x85, 1]));
        assembled(&mut depacketiser, &[&AUD_UNIT, &SLICE_UNIT]).unwrap();
        assert!(depacketiser.starts_frame(&AUD_UNIT) && !depacketiser.starts_frame(&SPS_UNIT));
    }
}
