//! The dependency descriptor, a header extension (AV1 RTP specification, appendix A): which frames a frame refers to, and
//! which decode targets need it.

use super::bits::Bits;

/// Decode targets of a structure (dt_cnt_minus_one has five bits).
pub const MAX_TARGETS: usize = 32;
/// Templates of a structure (frame_dependency_template_id has six bits).
const MAX_TEMPLATES: usize = 64;
/// References of a frame that are remembered. AV1 has seven.
pub const MAX_REFERENCES: usize = 8;
/// Longest descriptor: the length of an element in the two-byte form.
pub const MAX_LEN: usize = 255;
/// Flags of `extended_descriptor_fields`.
const FLAGS: u32 = 5;
/// `mandatory_descriptor_fields`, in bits.
const MANDATORY: usize = 24;

/// The frames that a frame refers to, as differences of frame numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct References {
    differences: [u16; MAX_REFERENCES],
    len: u8,
    /// There are more than are remembered.
    more: bool,
}

impl References {
    fn push(&mut self, difference: u16) {
        match self.differences.get_mut(usize::from(self.len)) {
            Some(slot) => {
                *slot = difference;
                self.len += 1;
            }
            None => self.more = true,
        }
    }

    /// The differences; `None` where not all of them are known.
    pub fn known(&self) -> Option<&[u16]> {
        (!self.more).then(|| &self.differences[..usize::from(self.len)])
    }
}

/// One template: what most frames of a layer have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Template {
    spatial_id: u8,
    temporal_id: u8,
    targets: Indications,
    references: References,
}

/// Decode target indications of a frame, as sets of decode targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indications {
    /// Everything but "not present".
    pub present: u32,
    /// "Switch".
    pub switch: u32,
}

/// `template_dependency_structure`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Structure {
    id_offset: u8,
    /// Number of decode targets.
    pub targets: u8,
    templates: Vec<Template>,
    chains: u8,
    /// Picture size of each spatial layer, where the structure tells.
    pub sizes: Vec<(u16, u16)>,
}

impl Structure {
    /// Highest spatial and temporal id of a decode target (`decode_target_layers`).
    pub fn layer(&self, target: u8) -> (u8, u8) {
        let present = self.templates.iter().filter(|template| template.targets.present >> target & 1 == 1);
        present.fold((0, 0), |(spatial, temporal), template| {
            (spatial.max(template.spatial_id), temporal.max(template.temporal_id))
        })
    }

    /// The decode targets that need nothing but what this one needs.
    pub fn contained(&self, target: u8) -> u32 {
        let absent = self.templates.iter().filter(|template| template.targets.present >> target & 1 == 0);
        let beyond = absent.fold(0, |beyond, template| beyond | template.targets.present);
        self.all() & !beyond
    }

    /// Whether a decode target needs every frame.
    pub fn is_everything(&self, target: u8) -> bool {
        self.templates.iter().all(|template| template.targets.present >> target & 1 == 1)
    }

    /// All decode targets.
    pub fn all(&self) -> u32 {
        u32::MAX >> (u32::BITS - u32::from(self.targets).max(1))
    }

    fn parse(bits: &mut Bits<'_>) -> Option<Structure> {
        let mut structure = Structure { id_offset: bits.take(6)? as u8, ..Structure::default() };
        structure.targets = bits.take(5)? as u8 + 1;
        let (mut spatial_id, mut temporal_id) = (0, 0);
        loop {
            if structure.templates.len() == MAX_TEMPLATES {
                return None;
            }
            structure.templates.push(Template { spatial_id, temporal_id, ..Template::default() });
            match bits.take(2)? {
                0 => {}
                1 => temporal_id += 1,
                2 => (spatial_id, temporal_id) = (spatial_id + 1, 0),
                _ => break,
            }
        }
        if spatial_id > 3 || structure.templates.iter().any(|template| template.temporal_id > 7) {
            return None;
        }
        for template in &mut structure.templates {
            template.targets = indications(bits, structure.targets)?;
        }
        for template in &mut structure.templates {
            while bits.flag()? {
                template.references.push(bits.take(4)? as u16 + 1);
            }
        }
        structure.chains = non_symmetric(bits, u32::from(structure.targets) + 1)? as u8;
        if structure.chains > 0 {
            for _ in 0..structure.targets {
                non_symmetric(bits, u32::from(structure.chains))?;
            }
            for _ in 0..structure.templates.len() * usize::from(structure.chains) {
                bits.take(4)?;
            }
        }
        if bits.flag()? {
            for _ in 0..=spatial_id {
                let side = |value: u32| u16::try_from(value + 1).unwrap_or(0);
                structure.sizes.push((side(bits.take(16)?), side(bits.take(16)?)));
            }
        }
        Some(structure)
    }
}

/// What the descriptor of one packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// First packet of its frame.
    pub start_of_frame: bool,
    /// Last packet of its frame.
    pub end_of_frame: bool,
    /// Grows with every frame in decoding order (A.8.3), so that frames may be left out.
    pub frame_number: u16,
    /// A structure, to be used from here on.
    pub structure: Option<Structure>,
    /// The decode targets that can be decoded from here on; `None` where nothing changes.
    pub active: Option<u32>,
    /// Spatial layer.
    pub spatial_id: u8,
    /// Temporal layer.
    pub temporal_id: u8,
    /// What it is to each decode target.
    pub targets: Indications,
    /// What it refers to.
    pub references: References,
}

impl Descriptor {
    /// `None` where it is cut off, or where its template is unknown: `structure` is the one of the frames before.
    pub fn parse(data: &[u8], structure: Option<&Structure>) -> Option<Descriptor> {
        let mut bits = Bits::new(data);
        let (start_of_frame, end_of_frame) = (bits.flag()?, bits.flag()?);
        let (template, frame_number) = (bits.take(6)? as u8, bits.take(16)? as u16);
        let mut flags = [false; FLAGS as usize];
        let (mut attached, mut active) = (None, None);
        if data.len() > MANDATORY / 8 {
            for flag in &mut flags {
                *flag = bits.flag()?;
            }
            if flags[0] {
                let parsed = Structure::parse(&mut bits)?;
                active = Some(parsed.all());
                attached = Some(parsed);
            }
            if flags[1] {
                active = Some(bits.take(attached.as_ref().or(structure)?.targets.into())?);
            }
        }
        let structure = attached.as_ref().or(structure)?;
        let index = usize::from((template + 64 - structure.id_offset) % 64);
        let template = structure.templates.get(index)?;
        let mut targets = template.targets;
        let mut references = template.references;
        if flags[2] {
            targets = indications(&mut bits, structure.targets)?;
        }
        if flags[3] {
            references = References::default();
            loop {
                let size = bits.take(2)?;
                if size == 0 {
                    break;
                }
                references.push(bits.take(4 * size)? as u16 + 1);
            }
        }
        if flags[4] {
            for _ in 0..structure.chains {
                bits.take(8)?;
            }
        }
        let (spatial_id, temporal_id) = (template.spatial_id, template.temporal_id);
        Some(Descriptor {
            start_of_frame,
            end_of_frame,
            frame_number,
            structure: attached,
            active,
            spatial_id,
            temporal_id,
            targets,
            references,
        })
    }
}

/// Writes a descriptor with another `active_decode_targets_bitmask`: only decode targets of `allowed` are active, and where it
/// does not say which are anyway, those of `active`. `targets` is their number in the structure in force. Without `always`
/// a descriptor that says nothing about active targets stays as it is.
/// Returns the length, or `None` if nothing is to be written.
pub fn limit_active(
    data: &[u8],
    targets: u8,
    allowed: u32,
    active: u32,
    always: bool,
    out: &mut [u8; MAX_LEN],
) -> Option<usize> {
    let mut bits = Bits::new(data);
    bits.skip(MANDATORY);
    let extended = data.len() > MANDATORY / 8;
    let mut flags = 0;
    let (mut targets, mut structure_end) = (targets, MANDATORY + FLAGS as usize);
    let mut active = active;
    let mut rest = MANDATORY;
    if extended {
        flags = bits.take(FLAGS)?;
        if flags & 0x10 != 0 {
            targets = Structure::parse(&mut bits)?.targets;
            structure_end = bits.position();
            active = u32::MAX;
        }
        if flags & 0x08 != 0 {
            active = bits.take(targets.into())?;
        }
        rest = bits.position();
    }
    if targets == 0 || !always && flags & 0x18 == 0 {
        return None;
    }
    let mut writer = BitWriter { out, at: 0 };
    let mut input = Bits::new(data);
    writer.copy(&mut input, MANDATORY)?;
    writer.write(flags | 0x08, FLAGS)?;
    if extended {
        input.skip(FLAGS as usize);
        writer.copy(&mut input, structure_end - MANDATORY - FLAGS as usize)?;
    }
    writer.write(active & allowed, targets.into())?;
    if extended {
        // Custom fields and `zero_padding`, of which there may be more then than before.
        let mut input = Bits::new(data);
        input.skip(rest);
        writer.copy(&mut input, data.len() * 8 - rest)?;
    }
    Some(writer.at.div_ceil(8))
}

/// Two bits for each decode target: not present, discardable, switch, required.
fn indications(bits: &mut Bits<'_>, targets: u8) -> Option<Indications> {
    let mut indications = Indications::default();
    for target in 0..targets {
        let indication = bits.take(2)?;
        indications.present |= u32::from(indication != 0) << target;
        indications.switch |= u32::from(indication == 2) << target;
    }
    Some(indications)
}

/// ns(n) of the AV1 bitstream specification, 4.10.7.
fn non_symmetric(bits: &mut Bits<'_>, count: u32) -> Option<u32> {
    let width = u32::BITS - count.leading_zeros();
    let short = (1 << width) - count;
    let value = bits.take(width - 1)?;
    if value < short {
        return Some(value);
    }
    Some((value << 1) - short + bits.bit()?)
}

struct BitWriter<'a> {
    out: &'a mut [u8; MAX_LEN],
    at: usize,
}

impl BitWriter<'_> {
    fn write(&mut self, value: u32, count: u32) -> Option<()> {
        for shift in (0..count).rev() {
            let byte = self.out.get_mut(self.at / 8)?;
            if self.at.is_multiple_of(8) {
                *byte = 0;
            }
            *byte |= ((value >> shift & 1) as u8) << (7 - self.at % 8);
            self.at += 1;
        }
        Some(())
    }

    fn copy(&mut self, input: &mut Bits<'_>, count: usize) -> Option<()> {
        for _ in 0..count {
            self.write(input.bit()?, 1)?;
        }
        Some(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two temporal layers (appendix A.10.1.1 of the specification has their templates: L1T2): start, end, template 0, frame
    /// 5, a structure of one chain with sizes.
    pub(crate) fn key_frame() -> Vec<u8> {
        let mut bits = BitString::default();
        bits.put(0b11, 2).put(0, 6).put(5, 16).put(0b10000, 5);
        bits.put(0, 6).put(1, 5);
        // T0 twice (key, delta), T1; no more.
        bits.put(0, 2).put(1, 2).put(3, 2);
        // Switch, switch; switch, switch; not present, discardable.
        bits.put(0b1010, 4).put(0b1010, 4).put(0b0001, 4);
        // No difference; 2; 1.
        bits.put(0, 1).put(0b10_0010, 6).put(0b10_0000, 6);
        // ns(3) of one chain is 10, ns(1) has no bits; differences.
        bits.put(0b10, 2).put(0, 4).put(2, 4).put(1, 4);
        bits.put(1, 1).put(639, 16).put(359, 16);
        bits.bytes()
    }

    #[derive(Default)]
    struct BitString(Vec<bool>);

    impl BitString {
        fn put(&mut self, value: u32, count: u32) -> &mut BitString {
            self.0.extend((0..count).rev().map(|shift| value >> shift & 1 == 1));
            self
        }

        fn bytes(&self) -> Vec<u8> {
            let byte = |bits: &[bool]| (0..8).fold(0, |byte, at| byte << 1 | u8::from(bits.get(at) == Some(&true)));
            self.0.chunks(8).map(byte).collect()
        }
    }

    #[test]
    fn a_structure_and_frames_by_it() {
        let descriptor = Descriptor::parse(&key_frame(), None).unwrap();
        assert!(descriptor.start_of_frame && descriptor.end_of_frame);
        assert_eq!((descriptor.frame_number, descriptor.active), (5, Some(0b11)));
        assert_eq!((descriptor.spatial_id, descriptor.temporal_id), (0, 0));
        assert_eq!(descriptor.targets, Indications { present: 0b11, switch: 0b11 });
        assert_eq!(descriptor.references.known(), Some(&[][..]));
        let structure = descriptor.structure.unwrap();
        assert_eq!((structure.targets, structure.layer(0), structure.layer(1)), (2, (0, 0), (0, 1)));
        assert_eq!((structure.contained(0), structure.contained(1), structure.all()), (0b01, 0b11, 0b11));
        assert!(structure.is_everything(1) && !structure.is_everything(0));
        assert_eq!(structure.sizes, [(640, 360)]);
        // Template 2: temporal layer 1.
        let delta = Descriptor::parse(&[0xc2, 0, 6], Some(&structure)).unwrap();
        assert_eq!((delta.temporal_id, delta.targets), (1, Indications { present: 0b10, switch: 0 }));
        assert_eq!(delta.references.known(), Some(&[1][..]));
        // Template 3 is not there, and without a structure nothing is known.
        assert_eq!(Descriptor::parse(&[0xc3, 0, 6], Some(&structure)), None);
        assert_eq!(Descriptor::parse(&[0xc2, 0, 6], None), None);
    }

    #[test]
    fn what_a_frame_has_of_its_own_counts() {
        let structure = Descriptor::parse(&key_frame(), None).unwrap().structure.unwrap();
        let mut bits = BitString::default();
        // Active targets 01; required, discardable; differences of 4 and 12 bits; a chain.
        bits.put(0b11, 2).put(1, 6).put(7, 16).put(0b01111, 5).put(0b01, 2).put(0b1101, 4);
        bits.put(0b01, 2).put(2, 4).put(0b11, 2).put(299, 12).put(0, 2).put(9, 8);
        let descriptor = Descriptor::parse(&bits.bytes(), Some(&structure)).unwrap();
        assert_eq!((descriptor.active, descriptor.targets.present, descriptor.targets.switch), (Some(1), 0b11, 0));
        assert_eq!(descriptor.references.known(), Some(&[3, 300][..]));
    }

    #[test]
    fn active_targets_are_limited_and_nothing_else_changes() {
        let key = key_frame();
        let mut out = [0; MAX_LEN];
        let len = limit_active(&key, 2, 0b01, 0b11, false, &mut out).unwrap();
        let (before, after) = (Descriptor::parse(&key, None).unwrap(), Descriptor::parse(&out[..len], None).unwrap());
        assert_eq!(after, Descriptor { active: Some(0b01), ..before.clone() });
        // A short one is left alone, or told in two bytes more.
        let structure = before.structure.unwrap();
        assert_eq!(limit_active(&[0xc2, 0, 6], 2, 0b01, 0b11, false, &mut out), None);
        let len = limit_active(&[0xc1, 0, 6], 2, 0b01, 0b11, true, &mut out).unwrap();
        let told = Descriptor::parse(&out[..len], Some(&structure)).unwrap();
        assert_eq!((len, told.active, told.frame_number), (4, Some(0b01), 6));
        // What the publisher has switched off stays off.
        let again = out[..len].to_vec();
        let len = limit_active(&again, 2, 0b11, 0b11, true, &mut out).unwrap();
        assert_eq!(Descriptor::parse(&out[..len], Some(&structure)).unwrap().active, Some(0b01));
    }

    #[test]
    fn what_is_cut_off_is_nothing() {
        let key = key_frame();
        for len in 0..key.len() - 1 {
            assert_eq!(Descriptor::parse(&key[..len], None), None, "{len}");
        }
    }
}
