//! The layers inside one encoding: which a packet belongs to, and what viewers can select.
//!
//! A *target* is one selection: everything up to a spatial and a temporal layer. VP8, VP9 and frame marking have a grid of
//! them; the dependency descriptor lists its decode targets. A target is a bit in the sets of [`LayerTag`].

use std::time::Instant;

use crate::codec::dependency::{self, MAX_TARGETS, References, Structure};
use crate::codec::frame_marking::FrameMarking;
use crate::codec::{Codec, vp8, vp9};
use crate::egress::burst::{ALL_TARGETS, DEPENDENCY, FRAME_MARKING, LayerTag, Packet};
use crate::layer::{Choice, Layer};
use crate::rtp::Unwrapper;
use crate::track::rate::RateMeter;

/// Temporal layers of the grid. Those from here on count as the highest.
const TEMPORAL: u8 = 4;
/// Spatial layers of the grid.
const SPATIAL: u8 = 8;
/// Frames whose references are remembered.
const FRAMES: usize = 128;

/// What a viewer gets of an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// A packet passes if it is needed by one of these targets.
    pub mask: u32,
    /// The targets that are part of it.
    pub contained: u32,
    /// Highest spatial layer.
    pub spatial: u8,
    /// Highest temporal layer.
    pub temporal: u8,
    /// Number of decode targets, for the dependency descriptor; 0 where the viewer does not get that.
    pub decode_targets: u8,
    /// Those that it says are active.
    pub active: u32,
}

impl Filter {
    /// Everything passes.
    pub const ALL: Filter =
        Filter { mask: ALL_TARGETS, contained: ALL_TARGETS, spatial: 0, temporal: 0, decode_targets: 0, active: 0 };

    /// Whether everything passes.
    pub fn is_all(&self) -> bool {
        self.mask == ALL_TARGETS
    }

    /// Whether a packet passes.
    #[inline]
    pub fn passes(&self, tag: &LayerTag) -> bool {
        tag.targets & self.mask != 0 || self.is_all()
    }

    /// Whether all that it lets through passes the other too.
    pub fn is_within(&self, other: &Filter) -> bool {
        self.contained & !other.contained == 0
    }

    /// Whether the picture ends with this packet, of those that pass.
    pub fn ends_picture(&self, tag: &LayerTag) -> bool {
        !self.is_all() && tag.last && tag.spatial == self.spatial
    }
}

/// What is known of a target.
#[derive(Clone, Copy, Debug)]
struct Target {
    bit: u8,
    spatial: u8,
    temporal: u8,
}

/// How layers are told apart.
#[derive(Debug, Default)]
enum Form {
    #[default]
    None,
    /// Numbers of layers.
    Grid { spatial: u8, temporal: u8 },
    /// Dependency descriptor.
    Structure(Box<Described>),
}

/// What the dependency descriptor needs.
#[derive(Debug)]
struct Described {
    structure: Structure,
    /// The active decode targets.
    active: u32,
    numbers: Unwrapper,
    frames: [(u32, References); FRAMES],
}

/// A row of [`Scalability::rates`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetRate {
    /// Highest spatial layer.
    pub spatial: u8,
    /// Highest temporal layer.
    pub temporal: u8,
    /// Picture size, 0 while unknown.
    pub size: (u16, u16),
    /// Bytes per second of all that it needs, over the last few seconds, ...
    pub bytes_per_second: u64,
    /// ... and the most that was in the last ten.
    pub highest: u64,
    /// Pictures in ten seconds.
    pub pictures: u32,
}

/// The layers of one encoding.
#[derive(Debug, Default)]
pub struct Scalability {
    form: Form,
    /// Changes whenever other targets are there.
    version: u32,
    sizes: Vec<(u16, u16)>,
    meters: Vec<(RateMeter, RateMeter)>,
}

impl Scalability {
    /// Changes whenever other targets are there.
    #[inline]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Whether there is more than one target.
    pub fn is_layered(&self) -> bool {
        match &self.form {
            Form::None => false,
            Form::Grid { spatial, temporal } => *spatial > 1 || *temporal > 1,
            Form::Structure(described) => described.structure.targets > 1,
        }
    }

    /// Forgets everything; what comes next is another stream.
    pub fn clear(&mut self) {
        *self = Scalability { version: self.version + 1, ..Scalability::default() };
    }

    /// Takes note of a packet and marks it.
    pub fn note(&mut self, now: Instant, packet: &mut Packet, codec: Codec, plaintext: &[u8]) {
        let payload = &plaintext[usize::from(packet.header_len)..];
        let descriptor = packet.element(DEPENDENCY, plaintext);
        packet.dependency_frame = match descriptor {
            Some(&[_, high, low, ..]) => Some(u16::from_be_bytes([high, low])),
            _ => None,
        };
        packet.layers = match codec {
            Codec::Vp8 => self.note_vp8(packet, payload, descriptor),
            Codec::Vp9 => self.note_vp9(packet, payload),
            Codec::H264 | Codec::H265 | Codec::Av1 => match descriptor {
                Some(data) => self.note_descriptor(data),
                None => self.note_marking(packet, plaintext),
            },
            _ => return,
        };
        if packet.layers.layered {
            self.measure(now, &packet.layers, plaintext.len());
        }
    }

    /// Chromium empties the payload descriptor where it sends the dependency descriptor.
    fn note_vp8(&mut self, packet: &Packet, payload: &[u8], dependency: Option<&[u8]>) -> LayerTag {
        let Some(descriptor) = vp8::Descriptor::parse(payload) else { return self.unknown() };
        let Some(temporal) = descriptor.temporal_id else {
            return match dependency {
                Some(data) => self.note_descriptor(data),
                None => self.unknown(),
            };
        };
        let first = descriptor.starts_frame();
        self.synced(temporal, first, packet.marker, descriptor.layer_sync)
    }

    fn note_marking(&mut self, packet: &Packet, plaintext: &[u8]) -> LayerTag {
        let marking = packet.element(FRAME_MARKING, plaintext).and_then(FrameMarking::parse);
        let Some((marking, temporal)) = marking.and_then(|marking| Some((marking, marking.temporal_id?))) else {
            return self.unknown();
        };
        self.synced(temporal, marking.start_of_frame, marking.end_of_frame, marking.base_layer_sync)
    }

    /// Temporal layers of which a frame says whether it refers to the lowest alone.
    fn synced(&mut self, temporal: u8, first: bool, last: bool, sync: bool) -> LayerTag {
        let temporal = temporal.min(TEMPORAL - 1);
        self.grow(1, temporal + 1);
        let switches = if sync { bit(0, temporal) } else { 0 };
        LayerTag { switches, first, last, one_step: true, ..self.tag(0, temporal) }
    }

    fn note_vp9(&mut self, packet: &Packet, payload: &[u8]) -> LayerTag {
        let Some(descriptor) = vp9::Descriptor::parse(payload) else { return self.unknown() };
        if !descriptor.layered {
            return self.unknown();
        }
        let (spatial, temporal) = (descriptor.spatial_id, descriptor.temporal_id.min(TEMPORAL - 1));
        if let Some(layers) = descriptor.spatial_layers {
            self.set_spatial(layers);
            self.sizes.clear();
            self.sizes.extend_from_slice(&descriptor.sizes[..usize::from(layers)]);
        }
        self.grow(spatial + 1, temporal + 1);
        // U of a layer frame speaks of the temporal layers of its spatial layer.
        let higher = temporal + 1..TEMPORAL;
        let switches = if descriptor.switching_up { higher.fold(0, |set, one| set | bit(spatial, one)) } else { 0 };
        let (first, last) = (descriptor.start_of_frame, descriptor.end_of_frame || packet.marker);
        LayerTag { switches, first, last, ..self.tag(spatial, temporal) }
    }

    fn note_descriptor(&mut self, data: &[u8]) -> LayerTag {
        let known = match &self.form {
            Form::Structure(described) => Some(&described.structure),
            _ => None,
        };
        let Some(descriptor) = dependency::Descriptor::parse(data, known) else { return self.unknown() };
        if let Some(structure) = descriptor.structure {
            self.describe(structure);
        }
        let Form::Structure(described) = &mut self.form else { return LayerTag::NONE };
        described.active = descriptor.active.unwrap_or(described.active);
        let frame = described.numbers.unwrap(descriptor.frame_number) as u32;
        if descriptor.start_of_frame {
            described.frames[frame as usize % FRAMES] = (frame, descriptor.references);
        }
        LayerTag {
            targets: descriptor.targets.present,
            switches: descriptor.targets.switch,
            frame,
            spatial: descriptor.spatial_id,
            temporal: descriptor.temporal_id,
            layered: true,
            first: descriptor.start_of_frame,
            last: descriptor.end_of_frame,
            one_step: false,
        }
    }

    fn describe(&mut self, structure: Structure) {
        self.sizes.clone_from(&structure.sizes);
        match &mut self.form {
            Form::Structure(described) => {
                let same = |target| {
                    let (old, new) = (&described.structure, &structure);
                    (old.layer(target), old.contained(target)) == (new.layer(target), new.contained(target))
                };
                let alike = described.structure.targets == structure.targets && (0..structure.targets).all(same);
                self.version += u32::from(!alike);
                described.structure = structure;
            }
            _ => {
                self.version += 1;
                let frames = [(u32::MAX, References::default()); FRAMES];
                self.form = Form::Structure(Box::new(Described {
                    active: structure.all(),
                    structure,
                    numbers: Unwrapper::default(),
                    frames,
                }));
            }
        }
    }

    /// What does not tell its layer passes where everything does.
    fn unknown(&self) -> LayerTag {
        match self.form {
            Form::None => LayerTag::NONE,
            _ => LayerTag { targets: 0, layered: true, ..LayerTag::NONE },
        }
    }

    fn tag(&self, spatial: u8, temporal: u8) -> LayerTag {
        let all = (spatial..SPATIAL).flat_map(|s| (temporal..TEMPORAL).map(move |t| bit(s, t)));
        LayerTag { targets: all.fold(0, |set, one| set | one), spatial, temporal, layered: true, ..LayerTag::NONE }
    }

    fn set_spatial(&mut self, layers: u8) {
        match &mut self.form {
            Form::Grid { spatial, .. } if *spatial == layers => {}
            Form::Grid { spatial, .. } => {
                *spatial = layers;
                self.version += 1;
            }
            _ => self.grow(layers, 1),
        }
    }

    fn grow(&mut self, layers: u8, depth: u8) {
        match &mut self.form {
            Form::Grid { spatial, temporal } => {
                if layers > *spatial || depth > *temporal {
                    (*spatial, *temporal) = (layers.max(*spatial), depth.max(*temporal));
                    self.version += 1;
                }
            }
            _ => {
                self.form = Form::Grid { spatial: layers, temporal: depth };
                self.version += 1;
            }
        }
    }

    /// All targets.
    fn targets(&self) -> impl Iterator<Item = Target> + '_ {
        let (grid, structure) = match &self.form {
            Form::None => ((0, 0), None),
            Form::Grid { spatial, temporal } => ((*spatial, *temporal), None),
            Form::Structure(described) => ((0, 0), Some(&described.structure)),
        };
        let cells = (0..grid.0).flat_map(move |spatial| {
            (0..grid.1).map(move |temporal| Target { bit: spatial * TEMPORAL + temporal, spatial, temporal })
        });
        let described = structure.into_iter().flat_map(|structure| {
            (0..structure.targets).map(|bit| {
                let (spatial, temporal) = structure.layer(bit);
                Target { bit, spatial, temporal }
            })
        });
        cells.chain(described)
    }

    /// What to let through for a viewer who is to get `layer`: the highest target that is not beyond it.
    pub fn filter(&self, layer: Layer) -> Filter {
        let within = |target: &Target| target.spatial <= layer.spatial && target.temporal <= layer.temporal;
        let rank = |target: &Target| (target.spatial, target.temporal);
        let chosen = self.targets().filter(within).max_by_key(rank).or_else(|| self.targets().min_by_key(rank));
        chosen.map_or(Filter::ALL, |target| self.filter_of(target))
    }

    /// The spatial layer with the largest picture that is small enough, else the smallest; `None` where sizes are unknown.
    pub fn largest_within(&self, choice: &Choice) -> Option<u8> {
        let known = || (0..).zip(&self.sizes).filter(|(_, size)| **size != (0, 0));
        let fits = known().filter(|(_, size)| choice.allows_size(**size)).max_by_key(|(_, size)| size.0);
        fits.or_else(|| known().min_by_key(|(_, size)| size.0)).map(|(spatial, _)| spatial)
    }

    /// What lets the smallest picture through, with all its temporal layers.
    pub fn smallest(&self) -> Filter {
        self.filter(Layer { spatial: 0, ..Layer::whole(0) })
    }

    fn filter_of(&self, target: Target) -> Filter {
        let Target { bit, spatial, temporal } = target;
        let mut filter = Filter { mask: 1 << bit, spatial, temporal, ..Filter::ALL };
        let everything = match &self.form {
            Form::None => return Filter::ALL,
            Form::Grid { spatial: layers, temporal: depth } => {
                let cells = (0..=spatial).flat_map(|s| (0..=temporal).map(move |t| self::bit(s, t)));
                filter.contained = cells.fold(0, |set, one| set | one);
                spatial + 1 >= *layers && temporal + 1 >= *depth
            }
            Form::Structure(described) => {
                let structure = &described.structure;
                filter.contained = structure.contained(bit);
                (filter.decode_targets, filter.active) = (structure.targets, described.active & filter.contained);
                structure.is_everything(bit)
            }
        };
        if everything {
            (filter.mask, filter.contained) = (ALL_TARGETS, ALL_TARGETS);
        }
        filter
    }

    /// The highest target that is part of both, if there is one.
    pub fn common(&self, one: &Filter, other: &Filter) -> Option<Filter> {
        let common = one.contained & other.contained;
        let candidates = self.targets().filter(|target| common >> target.bit & 1 == 1);
        candidates.max_by_key(|target| (target.spatial, target.temporal)).map(|target| self.filter_of(target))
    }

    /// The highest target, above `now` and up to `wanted`, that a viewer can go up to with this frame. More spatial layers
    /// come with a key frame only.
    pub fn step(&self, tag: &LayerTag, now: &Filter, wanted: &Filter, forwarded: &Forwarded) -> Option<Filter> {
        if tag.switches == 0 || !(now.passes(tag) || tag.one_step || self.refers_to(tag.frame, forwarded)) {
            return None;
        }
        let possible = |target: &Target| {
            tag.switches >> target.bit & 1 == 1
                && wanted.contained >> target.bit & 1 == 1
                && target.spatial <= now.spatial
                && (!tag.one_step || target.temporal == now.temporal + 1)
        };
        let filters = self.targets().filter(possible).map(|target| self.filter_of(target));
        filters.filter(|to| to != now && now.is_within(to)).max_by_key(|to| (to.spatial, to.temporal))
    }

    /// Whether a viewer certainly has all that a frame refers to.
    fn refers_to(&self, frame: u32, forwarded: &Forwarded) -> bool {
        let Form::Structure(described) = &self.form else { return false };
        let (number, references) = &described.frames[frame as usize % FRAMES];
        let Some(differences) = references.known().filter(|_| *number == frame) else { return false };
        differences.iter().all(|&difference| forwarded.contains(frame.wrapping_sub(difference.into())))
    }

    /// Whether frames have numbers by which they refer to each other.
    #[inline]
    pub fn has_references(&self) -> bool {
        matches!(self.form, Form::Structure(_))
    }

    fn measure(&mut self, now: Instant, tag: &LayerTag, bytes: usize) {
        self.meters.resize_with(MAX_TARGETS, Default::default);
        let mut targets = tag.targets;
        while targets != 0 {
            let target = targets.trailing_zeros() as u8;
            targets &= targets - 1;
            let spatial = match &self.form {
                Form::Structure(described) => described.structure.layer(target).0,
                _ => target / TEMPORAL,
            };
            let (rate, pictures) = &mut self.meters[usize::from(target)];
            rate.add(now, bytes);
            if tag.first && tag.spatial == spatial {
                pictures.add(now, PICTURE);
            }
        }
    }

    /// What each target costs. Empty where there is but one.
    pub fn rates(&self, now: Instant) -> Vec<TargetRate> {
        if !self.is_layered() {
            return Vec::new();
        }
        let row = |target: Target| {
            let (mut rate, mut frames) = *self.meters.get(usize::from(target.bit))?;
            Some(TargetRate {
                spatial: target.spatial,
                temporal: target.temporal,
                size: self.sizes.get(usize::from(target.spatial)).copied().unwrap_or_default(),
                bytes_per_second: rate.steady(now),
                highest: rate.highest(now),
                pictures: (frames.steady(now) * 10 / PICTURE as u64) as u32,
            })
        };
        self.targets().filter_map(row).collect()
    }
}

/// A picture in the unit of its meter, so that rates of less than one have decimals.
const PICTURE: usize = 100;

fn bit(spatial: u8, temporal: u8) -> u32 {
    1 << (spatial * TEMPORAL + temporal)
}

/// The newest frames that a viewer was sent, by their numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forwarded {
    newest: u32,
    /// Bit `number % 256`, for the newest numbers.
    bits: [u64; 4],
}

/// Numbers that are remembered.
const WINDOW: u32 = 256;

impl Forwarded {
    /// Notes a frame.
    pub fn insert(&mut self, frame: u32) {
        let ahead = frame.wrapping_sub(self.newest) as i32;
        if ahead > 0 {
            for passed in 1..=(ahead as u32).min(WINDOW) {
                self.set(self.newest.wrapping_add(passed), false);
            }
            self.newest = frame;
        }
        if ahead > -(WINDOW as i32) {
            self.set(frame, true);
        }
    }

    fn set(&mut self, frame: u32, value: bool) {
        let (word, bit) = ((frame % WINDOW / 64) as usize, frame % 64);
        self.bits[word] = self.bits[word] & !(1 << bit) | u64::from(value) << bit;
    }

    /// Whether it was sent; false for what is forgotten.
    pub fn contains(&self, frame: u32) -> bool {
        self.newest.wrapping_sub(frame) < WINDOW && self.bits[(frame % WINDOW / 64) as usize] >> (frame % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_were_sent_are_remembered_for_a_while() {
        let mut sent = Forwarded::default();
        for frame in (1000..2000).step_by(3) {
            sent.insert(frame);
        }
        sent.insert(1990);
        assert!([1999, 1996, 1990].into_iter().all(|frame| sent.contains(frame)));
        assert!(![2000, 1998, 1997, 1000].into_iter().any(|frame| sent.contains(frame)));
        // A jump forgets all before it, and what is too late is not noted under another's bit.
        sent.insert(9000);
        sent.insert(1999);
        assert!(sent.contains(9000) && !(8744..9000).any(|frame| sent.contains(frame)));
        // Numbers wrap.
        [0x7000_0000, 0xe000_0000, u32::MAX, 1].into_iter().for_each(|frame| sent.insert(frame));
        assert!(sent.contains(1) && !sent.contains(0));
    }

    #[test]
    fn a_grid_grows_with_what_is_seen_and_its_top_is_everything() {
        let mut scalability = Scalability::default();
        assert_eq!(scalability.filter(Layer::whole(0)), Filter::ALL);
        scalability.grow(1, 1);
        assert!(!scalability.is_layered());
        let before = scalability.version();
        scalability.grow(3, 2);
        assert!(scalability.is_layered() && scalability.version() != before);
        let layer = |spatial, temporal| Layer { encoding: 0, spatial, temporal };
        assert!(scalability.filter(layer(2, 1)).is_all() && scalability.filter(layer(7, 7)).is_all());
        let small = scalability.filter(layer(1, 0));
        assert_eq!((small.spatial, small.temporal, small.is_all()), (1, 0, false));
        assert!(
            small.is_within(&scalability.filter(layer(1, 1))) && !small.is_within(&scalability.filter(layer(0, 1)))
        );
        let both = scalability.common(&small, &scalability.filter(layer(0, 1))).expect("the smallest of all");
        assert_eq!((both.spatial, both.temporal), (0, 0));
        let tag = scalability.tag(1, 1);
        assert!(!small.passes(&tag) && scalability.filter(layer(1, 1)).passes(&tag));
    }
}
