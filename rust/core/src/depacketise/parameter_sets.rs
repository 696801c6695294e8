//! What H.264 and H.265 frames have in common: Annex B form, and the parameter sets that a key frame needs in front of it.

use super::Malformed;

/// Begins each NAL unit.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// Parameter sets that are remembered, and the longest of them.
const MAX_SETS: usize = 64;
const MAX_SET_LEN: usize = 4096;

/// The NAL units of the frame that is being put together.
#[derive(Debug, Default)]
pub struct Units {
    /// Where each begins, behind its start code.
    starts: Vec<usize>,
    /// The last one goes on in the next packet: its type.
    pub fragment: Option<u8>,
}

impl Units {
    /// Appends a unit, or the beginning of one.
    pub fn begin(&mut self, parts: &[&[u8]], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        if self.fragment.is_some() {
            return Err(Malformed);
        }
        frame.extend_from_slice(&START_CODE);
        self.starts.push(frame.len());
        parts.iter().for_each(|part| frame.extend_from_slice(part));
        Ok(())
    }

    /// Appends the units of an aggregation packet, each behind its length in 16 bits.
    pub fn aggregate(&mut self, mut rest: &[u8], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        while let Some((size, tail)) = rest.split_first_chunk::<2>() {
            let (unit, after) = tail.split_at_checked(usize::from(u16::from_be_bytes(*size))).ok_or(Malformed)?;
            if unit.is_empty() {
                return Err(Malformed);
            }
            self.begin(&[unit], frame)?;
            rest = after;
        }
        if rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    /// The units of the frame.
    pub fn iter<'a>(&'a self, frame: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + Clone {
        let ends = self.starts.iter().skip(1).map(|start| start - START_CODE.len()).chain([frame.len()]);
        self.starts.iter().zip(ends).map(|(&start, end)| &frame[start..end])
    }

    /// Forgets the frame.
    pub fn clear(&mut self) {
        self.starts.clear();
        self.fragment = None;
    }
}

/// The newest of each parameter set of a stream.
#[derive(Debug, Default)]
pub struct ParameterSets(Vec<Set>);

#[derive(Debug)]
struct Set {
    kind: u8,
    id: u32,
    unit: Vec<u8>,
}

impl ParameterSets {
    /// Remembers a set, instead of the one with its kind and id.
    pub fn keep(&mut self, kind: u8, id: u32, unit: &[u8]) {
        if unit.len() > MAX_SET_LEN {
            return;
        }
        if let Some(known) = self.0.iter_mut().find(|known| known.kind == kind && known.id == id) {
            if known.unit != unit {
                known.unit = unit.to_vec();
            }
        } else if self.0.len() < MAX_SETS {
            self.0.push(Set { kind, id, unit: unit.to_vec() });
            self.0.sort_by_key(|set| (set.kind, set.id));
        }
    }

    /// Whether there is one of each of these kinds.
    pub fn has(&self, kinds: &[u8]) -> bool {
        kinds.iter().all(|kind| self.0.iter().any(|set| set.kind == *kind))
    }

    /// Puts in front of a key frame what it does not bring itself: encoders may send their parameter sets once. Behind its
    /// access unit delimiter, which comes first (H.264 7.4.1.2.3, H.265 7.4.2.4.4).
    pub fn complete(&self, units: &Units, type_of: fn(&[u8]) -> u8, delimiter: u8, frame: &mut Vec<u8>) {
        let kinds = units.iter(frame).fold(0u64, |kinds, unit| kinds | 1 << (type_of(unit) & 63));
        let missing = self.0.iter().filter(|set| kinds >> (set.kind & 63) & 1 == 0);
        let prefix: Vec<u8> = missing.flat_map(|set| START_CODE.iter().chain(&set.unit)).copied().collect();
        let first = units.iter(frame).next().filter(|unit| type_of(unit) == delimiter);
        let at = first.map_or(0, |delimiter| START_CODE.len() + delimiter.len());
        frame.splice(at..at, prefix);
    }
}
