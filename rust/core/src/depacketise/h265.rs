//! H.265 (RFC 7798, without decoding order numbers): single NAL units, aggregation and fragmentation units.

use super::parameter_sets::{ParameterSets, Units};
use super::{Malformed, Picture};
use crate::codec::h265::{self, AGGREGATION, AUD, FRAGMENTATION, PPS, SPS, VPS, nal_type};

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
        let kind = h265::type_of(unit);
        if let (VPS | SPS | PPS, Some(id)) = (kind, h265::parameter_set_id(unit)) {
            self.sets.keep(kind, id, unit);
            self.size = h265::sps_size(unit).filter(|_| kind == SPS).or(self.size);
        }
    }

    pub(super) fn starts_frame(&self, payload: &[u8]) -> bool {
        let first = match payload {
            [first, _, _, _, unit @ ..] if nal_type(*first) == AGGREGATION => unit.first(),
            _ => payload.first(),
        };
        first.is_some_and(|first| match nal_type(*first) {
            AUD => true,
            VPS => !self.delimited,
            _ => false,
        })
    }

    pub(super) fn push(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        let [first, second, rest @ ..] = payload else { return Err(Malformed) };
        if first & 0x80 != 0 {
            return Err(Malformed);
        }
        match nal_type(*first) {
            0..AGGREGATION => self.units.begin(&[payload], frame),
            AGGREGATION => self.units.aggregate(rest, frame),
            FRAGMENTATION => {
                let (&header, data) = rest.split_first().ok_or(Malformed)?;
                let (start, end, kind) = (header & 0x80 != 0, header & 0x40 != 0, header & 0x3f);
                if start {
                    self.units.begin(&[&[first & 0x81 | kind << 1, *second], data], frame)?;
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
        let (mut slice, mut key_frame) = (false, false);
        for unit in self.units.iter(frame) {
            match h265::type_of(unit) {
                kind @ 0..32 => (slice, key_frame) = (true, key_frame || matches!(kind, 16..=21)),
                AUD => self.delimited = true,
                kind @ (VPS | SPS | PPS) => {
                    if let Some(id) = h265::parameter_set_id(unit) {
                        self.sets.keep(kind, id, unit);
                    }
                    if kind == SPS {
                        self.size = h265::sps_size(unit).or(self.size);
                    }
                }
                _ => {}
            }
        }
        if !slice {
            return Ok(None);
        }
        if key_frame {
            self.sets.complete(&self.units, h265::type_of, AUD, frame);
        }
        self.units.clear();
        let known = self.sets.has(&[VPS, SPS, PPS]);
        Ok(Some(Picture { key_frame: key_frame && known, bare: key_frame && !known, size: self.size }))
    }

    pub(super) fn reset(&mut self) {
        self.units.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(kind: u8, data: &[u8]) -> Vec<u8> {
        [&[kind << 1, 1], data].concat()
    }

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
        let (vps, pps) = (unit(VPS, &[0x0c, 1]), unit(PPS, &[0xc1, 2]));
        let sps = unit(SPS, &[[1; 13].as_slice(), &[0x80]].concat());
        let aggregated = [&unit(AGGREGATION, &[0, 4])[..], &vps, &[0, 16], &sps, &[0, 4], &pps].concat();
        let payloads = [
            &aggregated[..],
            &unit(FRAGMENTATION, &[0x80 | 19, 7]),
            &unit(FRAGMENTATION, &[19, 8]),
            &unit(FRAGMENTATION, &[0x40 | 19, 9]),
            &unit(1, &[5]),
        ];
        let (picture, frame) = assembled(&mut depacketiser, &payloads).unwrap();
        assert_eq!(frame, annex_b(&[&vps, &sps, &pps, &unit(19, &[7, 8, 9]), &unit(1, &[5])]));
        assert!(picture.unwrap().key_frame);
        // The next key frame brings none of its own, but a delimiter.
        let (_, frame) = assembled(&mut depacketiser, &[&unit(AUD, &[0x50]), &unit(21, &[1])]).unwrap();
        assert_eq!(frame, annex_b(&[&unit(AUD, &[0x50]), &vps, &sps, &pps, &unit(21, &[1])]));
    }

    #[test]
    fn decoding_cannot_begin_where_parameter_sets_are_not_known() {
        let (picture, _) = assembled(&mut Depacketiser::default(), &[&unit(21, &[1])]).unwrap();
        assert_eq!(picture, Some(Picture { key_frame: false, bare: true, size: None }));
    }

    #[test]
    fn a_description_brings_what_the_stream_has_not() {
        let mut depacketiser = Depacketiser::default();
        let (vps, old, new) = (unit(VPS, &[0x0c, 1]), unit(PPS, &[0xc1, 2]), unit(PPS, &[0xc1, 3]));
        for unit in [&vps[..], &old, &unit(1, &[7]), &[], &[PPS << 1]] {
            depacketiser.learn(unit);
        }
        let (_, frame) = assembled(&mut depacketiser, &[&unit(21, &[1])]).unwrap();
        assert_eq!(frame, annex_b(&[&vps, &old, &unit(21, &[1])]));
        assert!(assembled(&mut depacketiser, &[&new, &unit(19, &[1])]).is_ok());
        let (_, frame) = assembled(&mut depacketiser, &[&unit(21, &[1])]).unwrap();
        assert_eq!(frame, annex_b(&[&vps, &new, &unit(21, &[1])]));
    }

    #[test]
    fn what_is_cut_or_unknown_is_refused() {
        let mut depacketiser = Depacketiser::default();
        let (begun, ended) = (unit(FRAGMENTATION, &[0x80 | 1, 7]), unit(FRAGMENTATION, &[0x40 | 1, 7]));
        let other = unit(FRAGMENTATION, &[0x40 | 2, 7]);
        let cases: [&[&[u8]]; 7] = [
            &[&ended],
            &[&begun],
            &[&begun, &other],
            &[&begun, &begun],
            &[&begun, &unit(1, &[1])],
            &[&unit(AGGREGATION, &[0, 9, 2])],
            &[&unit(50, &[1])],
        ];
        for payloads in cases {
            assert_eq!(assembled(&mut depacketiser, payloads), Err(Malformed), "{payloads:?}");
            depacketiser.reset();
        }
        for payload in [&[][..], &[2], &[0x82, 1, 1], &unit(FRAGMENTATION, &[])] {
            assert_eq!(assembled(&mut depacketiser, &[payload]), Err(Malformed), "{payload:?}");
        }
    }

    #[test]
    fn where_a_frame_begins_for_certain() {
        let depacketiser = Depacketiser::default();
        assert!(depacketiser.starts_frame(&unit(VPS, &[1])));
        assert!(depacketiser.starts_frame(&unit(AGGREGATION, &[0, 3, AUD << 1, 1, 0x50])));
        assert!(!depacketiser.starts_frame(&unit(19, &[1])));
    }
}
