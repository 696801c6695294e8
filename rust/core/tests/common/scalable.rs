//! Pictures in layers, as encoders of WebRTC make them: three temporal layers (0, 2, 1, 2) in one or three spatial ones; and a
//! model of a decoder, which knows what each frame refers to.

use std::collections::{BTreeMap, BTreeSet};

use super::publisher::{Stream, extension};
use super::wire::Rtp;

/// How layers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Temporal layers in the payload descriptor.
    Vp8 { width: u16, height: u16 },
    /// Three by three in the payload descriptor, with or without reference differences.
    Vp9 { flexible: bool },
    /// Three by three in the dependency descriptor.
    Av1,
}

impl Form {
    pub fn spatial_layers(self) -> u8 {
        if matches!(self, Form::Vp8 { .. }) { 1 } else { 3 }
    }
}

pub const SIZES: [(u16, u16); 3] = [(320, 180), (640, 360), (1280, 720)];
/// At the end of each payload: picture (4 bytes), pictures since the key picture (2), spatial and temporal layer, index and
/// number of the packets of the frame.
const TAIL: usize = 10;

/// Temporal layer of a picture, by its distance from the key picture.
pub fn temporal(since_key: u32) -> u8 {
    [0, 2, 1, 2][since_key as usize % 4]
}

/// How many pictures before this one its reference is; `None` of a key picture.
fn difference(since_key: u32) -> Option<u32> {
    (since_key > 0).then(|| [4, 1, 2, 1][since_key as usize % 4])
}

/// The packets of the next picture. `key` makes it a key picture.
pub fn picture(stream: &mut Stream, form: Form, key: bool) -> Vec<Rtp> {
    if key {
        stream.key_frame = stream.frame;
    }
    let since_key = stream.frame - stream.key_frame;
    if temporal(since_key) == 0 {
        stream.tl0 = stream.tl0.wrapping_add(1);
    }
    let layers = form.spatial_layers();
    let mut packets = Vec::new();
    for spatial in 0..layers {
        let count = 1 + u8::from(key) + spatial;
        for index in 0..count {
            let (head, descriptor) = match form {
                Form::Vp8 { width, height } => (vp8(stream, since_key, index == 0, (width, height)), None),
                Form::Vp9 { flexible } => (vp9(stream, since_key, spatial, (index, count), flexible), None),
                Form::Av1 => {
                    (av1(since_key, spatial, (index, count)), Some(descriptor(stream, spatial, (index, count))))
                }
            };
            let mut payload = head;
            let size = stream.payload_size / 3 * usize::from(spatial + 1);
            payload.resize(size.max(payload.len() + TAIL) - TAIL, 7);
            payload.extend(stream.frame.to_be_bytes());
            payload.extend((since_key as u16).to_be_bytes());
            payload.extend([spatial, temporal(since_key), index, count]);
            let mut extensions = stream.extensions(false);
            extensions.extend(descriptor.map(|data| (extension::DEPENDENCY, data)));
            packets.push(Rtp {
                payload_type: stream.payload_type,
                marker: spatial + 1 == layers && index + 1 == count,
                sequence: 0,
                timestamp: stream.timestamp,
                ssrc: stream.ssrc,
                extensions,
                payload,
                padding: 0,
            });
        }
    }
    stream.picture_id = (stream.picture_id + 1) & 0x7fff;
    packets
}

fn vp8(stream: &Stream, since_key: u32, first: bool, (width, height): (u16, u16)) -> Vec<u8> {
    // X, S; I, L, T; the second picture of layer 2 refers to layer 1, all others to layer 0 alone.
    let sync = since_key > 0 && temporal(since_key) > 0 && since_key % 4 != 3;
    let mut out = vec![0x80 | u8::from(first) << 4, 0xe0];
    out.extend((0x8000 | stream.picture_id).to_be_bytes());
    out.extend([stream.tl0, temporal(since_key) << 6 | u8::from(sync) << 5]);
    if first {
        out.extend([if since_key == 0 { 0x10 } else { 0x11 }, 0, 0]);
        if since_key == 0 {
            out.extend([0x9d, 0x01, 0x2a]);
            out.extend(width.to_le_bytes());
            out.extend(height.to_le_bytes());
        }
    }
    out
}

fn vp9(stream: &Stream, since_key: u32, spatial: u8, (index, count): (u8, u8), flexible: bool) -> Vec<u8> {
    let (first, last, key) = (index == 0, index + 1 == count, since_key == 0);
    let structure = key && spatial == 0 && first;
    // I, P, L, F, B, E, V.
    let bits =
        [(0x80, true), (0x40, !key), (0x20, true), (0x10, flexible), (0x08, first), (0x04, last), (0x02, structure)];
    let mut out = vec![bits.iter().filter(|(_, set)| *set).fold(0, |byte, (bit, _)| byte | bit)];
    out.extend((0x8000 | stream.picture_id).to_be_bytes());
    // TID, U, SID, D.
    let switch = temporal(since_key) < 2;
    out.push(temporal(since_key) << 5 | u8::from(switch) << 4 | spatial << 1 | u8::from(spatial > 0));
    if !flexible {
        out.push(stream.tl0);
    } else if let Some(difference) = difference(since_key) {
        out.push((difference as u8) << 1);
    }
    if structure {
        // N_S, Y.
        out.push(2 << 5 | 0x10);
        for (width, height) in SIZES {
            out.extend(width.to_be_bytes());
            out.extend(height.to_be_bytes());
        }
    }
    if first {
        // The uncompressed header of a key frame, of an intra-only or inter frame.
        out.extend(if key && spatial == 0 {
            &[0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x30][..]
        } else {
            &[0x86, 0]
        });
    }
    out
}

fn av1(since_key: u32, spatial: u8, (index, count): (u8, u8)) -> Vec<u8> {
    // Z, Y, W, N; in a new sequence its header, which has a length; a frame OBU.
    let fragment = u8::from(index > 0) << 7 | u8::from(index + 1 < count) << 6;
    if since_key > 0 || spatial > 0 || index > 0 {
        return vec![fragment | 0x10, 0x30];
    }
    [&[fragment | 0x28, 12, 0x08][..], &[0, 0, 0, 2, 0xab, 0xbf, 0xc3, 0x77, 0xff, 0xe6, 1], &[0x30]].concat()
}

/// Bits, most significant first.
#[derive(Default)]
pub struct Bits(Vec<bool>);

impl Bits {
    pub fn put(&mut self, value: u32, count: u32) {
        self.0.extend((0..count).rev().map(|shift| value >> shift & 1 == 1));
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| (0..8).fold(0, |byte, bit| byte << 1 | u8::from(bits.get(bit) == Some(&true)));
        self.0.chunks(8).map(byte).collect()
    }
}

/// First template id of the structure.
const ID_OFFSET: u32 = 61;
/// Templates of a spatial layer: key picture, temporal layers 0, 1 and 2.
const TEMPLATES: u32 = 4;

/// Dependency descriptor of a packet. Decode target 3 S + T is everything up to spatial layer S and temporal layer T.
fn descriptor(stream: &Stream, spatial: u8, (index, count): (u8, u8)) -> Vec<u8> {
    let since_key = stream.frame - stream.key_frame;
    let kind = if since_key == 0 { 0 } else { 1 + u32::from(temporal(since_key)) };
    let mut bits = Bits::default();
    bits.put(u32::from(index == 0), 1);
    bits.put(u32::from(index + 1 == count), 1);
    bits.put((ID_OFFSET + u32::from(spatial) * TEMPLATES + kind) % 64, 6);
    bits.put(frame_number(stream.frame, spatial), 16);
    if since_key == 0 && spatial == 0 && index == 0 {
        bits.put(0b10000, 5);
        structure(&mut bits);
    }
    bits.bytes()
}

pub fn frame_number(picture: u32, spatial: u8) -> u32 {
    (picture * 3 + u32::from(spatial) + 65_000) & 0xffff
}

/// `template_dependency_structure` of three by three layers, each picture of a layer predicted from the layer below.
pub fn structure(bits: &mut Bits) {
    let templates = || (0..3u32).flat_map(|spatial| (0..TEMPLATES).map(move |kind| (spatial, kind)));
    let temporal = |kind: u32| kind.saturating_sub(1);
    bits.put(ID_OFFSET, 6);
    bits.put(8, 5);
    for (spatial, kind) in templates() {
        // The step to the template after this one.
        let step = match (spatial, kind) {
            (2, 3) => 3,
            (_, 3) => 2,
            (_, 0) => 0,
            _ => 1,
        };
        bits.put(step, 2);
    }
    for (spatial, kind) in templates() {
        for target in 0..9 {
            let (beyond, deeper) = (target / 3, target % 3);
            let indication = if spatial > beyond || temporal(kind) > deeper {
                0
            } else if kind == 0 && spatial == 0 || beyond == spatial && temporal(kind) < 2 && deeper > temporal(kind) {
                2
            } else if beyond == spatial && temporal(kind) == deeper && deeper > 0 {
                1
            } else if beyond == spatial && temporal(kind) == 0 {
                2
            } else {
                3
            };
            bits.put(indication, 2);
        }
    }
    for (spatial, kind) in templates() {
        let before = [None, Some(12), Some(6), Some(3)][kind as usize];
        let below = (spatial > 0).then_some(1);
        for difference in before.into_iter().chain(below) {
            bits.put(1, 1);
            bits.put(difference - 1, 4);
        }
        bits.put(0, 1);
    }
    // Three chains: ns(10) of 3 is 011; which protects a target by ns(3): 0, 10, 11.
    bits.put(0b011, 3);
    for target in 0..9 {
        let (value, len) = [(0, 1), (0b10, 2), (0b11, 2)][target / 3];
        bits.put(value, len);
    }
    for _ in 0..3 * TEMPLATES * 3 {
        bits.put(3, 4);
    }
    bits.put(1, 1);
    for (width, height) in SIZES {
        bits.put(u32::from(width) - 1, 16);
        bits.put(u32::from(height) - 1, 16);
    }
}

/// A frame of one layer, as its packets name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Frame {
    pub picture: u32,
    pub spatial: u8,
    pub temporal: u8,
    pub since_key: u32,
    index: u8,
    count: u8,
}

pub fn frame_of(packet: &Rtp) -> Option<Frame> {
    let tail = packet.payload.len().checked_sub(TAIL).map(|at| &packet.payload[at..])?;
    Some(Frame {
        picture: u32::from_be_bytes(tail[..4].try_into().unwrap()),
        since_key: u32::from(u16::from_be_bytes([tail[4], tail[5]])),
        spatial: tail[6],
        temporal: tail[7],
        index: tail[8],
        count: tail[9],
    })
}

/// What a decoder would make of the packets of a viewer: the pictures, each with its layers.
pub struct Decoded {
    /// By RTP timestamp as sent: picture, highest spatial layer, temporal layer.
    pub pictures: Vec<(u32, u8, u8)>,
    /// Frames of which a part did not come.
    pub incomplete: usize,
}

/// Sorts packets by number and decodes. Panics where a frame refers to one that is not there, unless that one is
/// incomplete, or where markers do not end pictures.
pub fn decode(packets: &[Rtp]) -> Decoded {
    let mut ordered: BTreeMap<u64, &Rtp> = BTreeMap::new();
    let mut highest = 1u64 << 20;
    for (index, packet) in packets.iter().enumerate() {
        if index == 0 {
            highest += u64::from(packet.sequence);
        }
        let sequence = highest.wrapping_add_signed(i64::from(packet.sequence.wrapping_sub(highest as u16) as i16));
        highest = highest.max(sequence);
        ordered.insert(sequence, packet);
    }
    let mut parts: BTreeMap<(u32, u8), (Frame, BTreeSet<u8>)> = BTreeMap::new();
    let mut markers: BTreeMap<u32, Vec<(bool, Frame)>> = BTreeMap::new();
    for packet in ordered.values().filter(|packet| !packet.payload.is_empty()) {
        let frame = frame_of(packet).expect("a tail");
        let entry = parts.entry((frame.picture, frame.spatial)).or_insert((frame, BTreeSet::new()));
        entry.1.insert(frame.index);
        markers.entry(frame.picture).or_default().push((packet.marker, frame));
    }
    let complete = |key: &(u32, u8)| parts.get(key).is_some_and(|(frame, seen)| seen.len() == usize::from(frame.count));
    let mut decoded = Decoded { pictures: Vec::new(), incomplete: 0 };
    for (key @ (picture, spatial), (frame, _)) in &parts {
        if !complete(key) {
            decoded.incomplete += 1;
            continue;
        }
        let before = difference(frame.since_key).map(|difference| (picture - difference, *spatial));
        let below = (*spatial > 0).then(|| (*picture, spatial - 1));
        for reference in before.into_iter().chain(below) {
            assert!(parts.contains_key(&reference), "{frame:?} refers to {reference:?}, which was not sent");
        }
        match decoded.pictures.last_mut() {
            Some(last) if last.0 == *picture => last.1 = *spatial,
            _ => decoded.pictures.push((*picture, *spatial, frame.temporal)),
        }
    }
    for (picture, packets) in &markers {
        let whole = parts.range((*picture, 0)..(picture + 1, 0)).all(|(key, _)| complete(key));
        if whole {
            let (last, others) = packets.split_last().expect("a packet");
            assert!(last.0, "the last packet of picture {picture} has no marker: {:?}", last.1);
            assert!(others.iter().all(|(marker, _)| !marker), "a marker within picture {picture}");
        }
    }
    decoded
}
