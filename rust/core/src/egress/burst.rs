//! Plaintext RTP of one burst, shared by everything that forwards it.

use std::time::Instant;

use crate::rtp::ExtensionKind;

/// Which encoding of a track a packet belongs to, and which life of it: a publisher that starts its encoding anew
/// (other SSRC, sequence jump) begins a new generation that has nothing in common with the numbers before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Index in the track's encodings.
    pub encoding: u8,
    /// Counts restarts, wrapping.
    pub generation: u16,
}

/// The header extensions whose elements mean the same at a viewer as they did at the publisher, and are copied.
pub const COPIED: [ExtensionKind; 5] = [
    ExtensionKind::AudioLevel,
    ExtensionKind::DependencyDescriptor,
    ExtensionKind::VideoOrientation,
    ExtensionKind::PlayoutDelay,
    ExtensionKind::FrameMarking,
];
/// Index of the dependency descriptor in [`COPIED`].
pub const DEPENDENCY: usize = 1;
/// Index of frame marking.
pub const FRAME_MARKING: usize = 4;

/// Where a copied element lies in its packet.
#[derive(Clone, Copy, Debug)]
pub struct Element {
    /// What it is: an index into [`COPIED`].
    pub kind: u8,
    /// Offset from the packet's first byte.
    pub offset: u16,
    /// Length in bytes, 0 for an unused slot.
    pub len: u8,
}

impl Default for Element {
    fn default() -> Element {
        Element::NONE
    }
}

impl Element {
    /// An unused slot.
    pub const NONE: Element = Element { kind: 0, offset: 0, len: 0 };
}

/// Picture numbers of a VP8 or VP9 payload descriptor (RFC 7741 section 4.2, RFC 9628 section 4.2) and where they lie in the
/// payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureNumbers {
    /// Offset of the picture id from the first payload byte, 0 where there is none.
    pub picture_id_offset: u8,
    /// Whether the picture id has 15 bits, else 7.
    pub long_picture_id: bool,
    /// The picture id.
    pub picture_id: u16,
    /// Offset of TL0PICIDX, 0 where there is none.
    pub tl0_offset: u8,
    /// TL0PICIDX.
    pub tl0: u8,
    /// There are no gaps in picture ids, so that they are numbered anew where pictures are left out (VP8).
    pub dense: bool,
}

/// One packet of a burst.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// First byte in the buffer.
    pub start: u32,
    /// RTP header with CSRCs and extension, in bytes.
    pub header_len: u16,
    /// Payload without padding, in bytes; 0 is a padding-only packet.
    pub payload_len: u16,
    /// Encoding and generation.
    pub source: Source,
    /// RTP payload type of the publisher.
    pub payload_type: u8,
    /// RTP marker bit.
    pub marker: bool,
    /// First packet of a key frame.
    pub key_frame: bool,
    /// The same, but it came after what follows it: a replay can begin here.
    pub late_key_frame: bool,
    /// Extended sequence number.
    pub sequence: u64,
    /// RTP timestamp of the publisher.
    pub timestamp: u32,
    /// When it came.
    pub arrival: Instant,
    /// Elements to copy.
    pub elements: [Element; COPIED.len()],
    /// VP8 and VP9 only.
    pub pictures: Option<PictureNumbers>,
    /// Frame number in the dependency descriptor.
    pub dependency_frame: Option<u16>,
    /// Where it stands among the layers of its encoding.
    pub layers: LayerTag,
}

impl Packet {
    /// The data of an element that is copied, by its index in [`COPIED`]. `plaintext` begins with the packet's header.
    pub fn element<'a>(&self, index: usize, plaintext: &'a [u8]) -> Option<&'a [u8]> {
        let element = self.elements[index];
        let start = usize::from(element.offset);
        (element.len > 0).then(|| plaintext.get(start..start + usize::from(element.len)))?
    }

    /// The packet without what it carries: it fills the number of one that a viewer is not to get.
    pub fn emptied(&self) -> Packet {
        let elements = [Element::NONE; COPIED.len()];
        Packet { payload_len: 0, marker: false, elements, pictures: None, dependency_frame: None, ..*self }
    }
}

/// Every target.
pub const ALL_TARGETS: u32 = u32::MAX;

/// Where a packet stands among the layers of its encoding. A *target* is a selection of layers that viewers may get: one bit
/// each, see `track::scalability`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerTag {
    /// The targets that need it.
    pub targets: u32,
    /// The targets that can be gone up to with this frame.
    pub switches: u32,
    /// Number of the frame; used with the dependency descriptor only.
    pub frame: u32,
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// The encoding has layers.
    pub layered: bool,
    /// First packet of the frame.
    pub first: bool,
    /// Last packet of the frame.
    pub last: bool,
    /// `switches` hold only for who gets the next lower temporal layer by now.
    pub one_step: bool,
}

impl LayerTag {
    /// Of a packet whose encoding has no layers.
    pub const NONE: LayerTag = LayerTag {
        targets: ALL_TARGETS,
        switches: 0,
        frame: 0,
        spatial: 0,
        temporal: 0,
        layered: false,
        first: false,
        last: false,
        one_step: false,
    };
}

/// Packets of one burst in order of arrival, each with its plaintext.
#[derive(Debug, Default)]
pub struct PacketBuffer {
    bytes: Vec<u8>,
    packets: Vec<Packet>,
}

impl PacketBuffer {
    /// Copies `plaintext` (a whole RTP packet) in; `packet.start` is set here. Returns its index.
    pub fn push(&mut self, mut packet: Packet, plaintext: &[u8]) -> usize {
        packet.start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(plaintext);
        self.packets.push(packet);
        self.packets.len() - 1
    }

    /// All packets.
    pub fn packets(&self) -> &[Packet] {
        &self.packets
    }

    /// The payload of one of this buffer's packets.
    pub fn payload(&self, packet: &Packet) -> &[u8] {
        let start = packet.start as usize + usize::from(packet.header_len);
        &self.bytes[start..start + usize::from(packet.payload_len)]
    }

    /// Header and payload, without padding.
    pub fn plaintext(&self, packet: &Packet) -> &[u8] {
        let start = packet.start as usize;
        &self.bytes[start..start + usize::from(packet.header_len) + usize::from(packet.payload_len)]
    }

    /// The data of a header extension element.
    pub fn element(&self, packet: &Packet, element: &Element) -> &[u8] {
        let start = packet.start as usize + usize::from(element.offset);
        &self.bytes[start..start + usize::from(element.len)]
    }

    /// Empties the buffer and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.packets.clear();
    }

    /// Whether there is no packet.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Bytes of all packets.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}
