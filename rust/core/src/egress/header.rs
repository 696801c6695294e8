//! The RTP header that a viewer gets: fixed fields, MID, RID and stamps from a template, the rest copied element by
//! element.

use crate::egress::burst::{COPIED, DEPENDENCY, Element, Packet, PacketBuffer};
use crate::rtp::{ExtensionKind, ExtensionMap};

/// RTP header without CSRCs and extension, in bytes.
const FIXED_LEN: usize = 12;
/// RFC 8285 section 4.2.
const ONE_BYTE_PROFILE: u16 = 0xbede;
/// RFC 8285 section 4.3.
const TWO_BYTE_PROFILE: u16 = 0x1000;
/// Most bytes of MID, or of MID and RID together, that are taken (RFC 8843 and RFC 8852 leave it open; browsers write one to
/// three each). Every viewer has room for it in what is read for each packet.
pub const MAX_NAME_LEN: usize = 30;
/// Longest constant part of an extension: names, abs-send-time and transport-cc, each with two bytes of its own header.
const MAX_CONSTANT_LEN: usize = 2 + 2 + MAX_NAME_LEN + 2 + 3 + 2 + 2;

/// What differs from packet to packet.
#[derive(Clone, Copy, Debug)]
pub struct HeaderFields {
    /// RTP payload type of the viewer.
    pub payload_type: u8,
    /// Marker bit.
    pub marker: bool,
    /// Whether padding follows the payload.
    pub padding: bool,
    /// Sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// SSRC of the media or of its retransmissions.
    pub ssrc: u32,
    /// 6.18 fixed point seconds, 24 bits.
    pub abs_send_time: u32,
    /// Transport-wide sequence number.
    pub transport_sequence: u16,
    /// Added to the frame number of the dependency descriptor.
    pub frame_offset: u16,
}

/// The constant elements in one of the two forms of RFC 8285.
#[derive(Clone, Copy, Debug)]
struct Constant {
    bytes: [u8; MAX_CONSTANT_LEN],
    len: u8,
    /// Offsets of the data to fill in, 0 where there is none.
    abs_send_time_at: u8,
    transport_cc_at: u8,
}

/// The names that every packet of a stream carries, where their extension was negotiated.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Of the m-section (RFC 9143).
    pub mid: Option<&'a str>,
    /// Of the encoding (RFC 8852).
    pub rid: Option<&'a str>,
    /// As what the RID is written: the stream's own, or the one that it repairs.
    pub rid_kind: ExtensionKind,
}

/// How to write the headers of one stream of a subscription.
#[derive(Clone, Debug)]
pub struct HeaderTemplate {
    one_byte: Option<Constant>,
    two_byte: Constant,
    /// Ids of what is copied, 0 where the viewer did not negotiate one.
    ids: [u8; COPIED.len()],
    stamps: bool,
}

impl HeaderTemplate {
    /// Names longer than [`MAX_NAME_LEN`] are left out, the RID first. `stamps` allows abs-send-time and transport-cc, which
    /// make every transmission of a packet unlike the last.
    pub fn new(names: Names<'_>, extensions: &ExtensionMap, stamps: bool) -> HeaderTemplate {
        let id = |kind| extensions.id(kind).unwrap_or(0);
        let mut room = MAX_NAME_LEN;
        let [mid, rid] = [(ExtensionKind::Mid, names.mid), (names.rid_kind, names.rid)].map(|(kind, name)| {
            let name = name.filter(|name| name.len() <= room && id(kind) != 0).unwrap_or("").as_bytes();
            room -= name.len();
            (id(kind), name)
        });
        let stamp = |kind| if stamps { id(kind) } else { 0 };
        let (abs_send_time, transport_cc) = (stamp(ExtensionKind::AbsSendTime), stamp(ExtensionKind::TransportCc));
        let ids = COPIED.map(id);
        let all = [mid.0, rid.0, abs_send_time, transport_cc].into_iter().chain(ids);
        let short = all.max().unwrap_or(0) <= 14 && mid.1.len().max(rid.1.len()) <= 16;
        let constant = |two_byte| Constant::new(two_byte, [mid, rid], abs_send_time, transport_cc);
        HeaderTemplate {
            one_byte: short.then(|| constant(false)),
            two_byte: constant(true),
            ids,
            stamps: transport_cc != 0,
        }
    }

    /// Whether each packet takes a transport-wide sequence number.
    pub fn takes_transport_sequence(&self) -> bool {
        self.stamps
    }

    /// Bytes of the header that `write` will write for this packet.
    #[inline]
    pub fn len(&self, packet: &Packet, dependency: Option<&[u8]>) -> usize {
        let (constant, element_header, _) = self.form(packet, dependency);
        let mut len = usize::from(constant.len);
        for element in self.elements(packet) {
            len += element_header + length(element, dependency);
        }
        if len == 0 { FIXED_LEN } else { FIXED_LEN + 4 + len.next_multiple_of(4) }
    }

    /// Writes the header and returns its length. `dependency` takes the place of the packet's dependency descriptor. `out`
    /// must have room for [`HeaderTemplate::len`] bytes.
    #[inline]
    pub fn write(
        &self,
        fields: &HeaderFields,
        packet: &Packet,
        source: &PacketBuffer,
        dependency: Option<&[u8]>,
        out: &mut [u8],
    ) -> usize {
        out[1] = u8::from(fields.marker) << 7 | fields.payload_type;
        out[2..4].copy_from_slice(&fields.sequence.to_be_bytes());
        out[4..8].copy_from_slice(&fields.timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&fields.ssrc.to_be_bytes());
        let first = 0x80 | u8::from(fields.padding) << 5;
        let (constant, element_header, profile) = self.form(packet, dependency);
        let body = FIXED_LEN + 4;
        let mut end = body + usize::from(constant.len);
        if constant.len == 0 && self.elements(packet).next().is_none() {
            out[0] = first;
            return FIXED_LEN;
        }
        out[body..end].copy_from_slice(&constant.bytes[..usize::from(constant.len)]);
        for element in self.elements(packet) {
            let id = self.ids[usize::from(element.kind)];
            let len = length(element, dependency);
            if element_header == 1 {
                out[end] = id << 4 | (len as u8 - 1);
            } else {
                out[end] = id;
                out[end + 1] = len as u8;
            }
            end += element_header;
            let is_dependency = usize::from(element.kind) == DEPENDENCY;
            let data = match dependency {
                Some(data) if is_dependency => data,
                _ => source.element(packet, element),
            };
            out[end..end + len].copy_from_slice(data);
            if is_dependency && fields.frame_offset != 0 && len >= 3 {
                let number = u16::from_be_bytes([data[1], data[2]]).wrapping_add(fields.frame_offset);
                out[end + 1..end + 3].copy_from_slice(&number.to_be_bytes());
            }
            end += len;
        }
        out[0] = first | 0x10;
        if constant.abs_send_time_at != 0 {
            let at = body + usize::from(constant.abs_send_time_at);
            out[at..at + 3].copy_from_slice(&fields.abs_send_time.to_be_bytes()[1..]);
        }
        if constant.transport_cc_at != 0 {
            let at = body + usize::from(constant.transport_cc_at);
            out[at..at + 2].copy_from_slice(&fields.transport_sequence.to_be_bytes());
        }
        let padded = FIXED_LEN + 4 + (end - body).next_multiple_of(4);
        out[end..padded].fill(0);
        out[FIXED_LEN..FIXED_LEN + 2].copy_from_slice(&profile.to_be_bytes());
        out[FIXED_LEN + 2..body].copy_from_slice(&(((padded - body) / 4) as u16).to_be_bytes());
        padded
    }

    /// Constant part, length of an element's own header, and profile: the short form unless an element is too long.
    #[inline]
    fn form(&self, packet: &Packet, dependency: Option<&[u8]>) -> (&Constant, usize, u16) {
        let short = |element: &Element| length(element, dependency) <= 16;
        match &self.one_byte {
            Some(constant) if self.elements(packet).all(short) => (constant, 1, ONE_BYTE_PROFILE),
            _ => (&self.two_byte, 2, TWO_BYTE_PROFILE),
        }
    }

    #[inline]
    fn elements<'a>(&self, packet: &'a Packet) -> impl Iterator<Item = &'a Element> + use<'a> {
        let ids = self.ids;
        packet.elements.iter().filter(move |element| element.len > 0 && ids[usize::from(element.kind)] != 0)
    }
}

/// Bytes of an element's data, as it is written.
#[inline]
fn length(element: &Element, dependency: Option<&[u8]>) -> usize {
    match dependency {
        Some(data) if usize::from(element.kind) == DEPENDENCY => data.len(),
        _ => usize::from(element.len),
    }
}

impl Constant {
    fn new(two_byte: bool, names: [(u8, &[u8]); 2], abs_send_time: u8, transport_cc: u8) -> Constant {
        let mut constant = Constant { bytes: [0; MAX_CONSTANT_LEN], len: 0, abs_send_time_at: 0, transport_cc_at: 0 };
        for (id, name) in names.into_iter().filter(|(_, name)| !name.is_empty()) {
            constant.push(two_byte, id, name);
        }
        if abs_send_time != 0 {
            constant.abs_send_time_at = constant.push(two_byte, abs_send_time, &[0; 3]);
        }
        if transport_cc != 0 {
            constant.transport_cc_at = constant.push(two_byte, transport_cc, &[0; 2]);
        }
        constant
    }

    /// Returns the offset of the data.
    fn push(&mut self, two_byte: bool, id: u8, data: &[u8]) -> u8 {
        let mut at = usize::from(self.len);
        let len = data.len() as u8;
        if two_byte {
            self.bytes[at] = id;
            self.bytes[at + 1] = len;
            at += 2;
        } else {
            self.bytes[at] = id << 4 | (len - 1);
            at += 1;
        }
        self.bytes[at..at + data.len()].copy_from_slice(data);
        self.len = (at + data.len()) as u8;
        at as u8
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::egress::burst::{LayerTag, Source};

    fn packet(elements: &[(ExtensionKind, &[u8])]) -> (PacketBuffer, Packet) {
        let mut plaintext = vec![0u8; 12];
        let mut slots = [Element::NONE; COPIED.len()];
        for (slot, (kind, data)) in slots.iter_mut().zip(elements) {
            let kind = COPIED.iter().position(|copied| copied == kind).unwrap() as u8;
            *slot = Element { kind, offset: plaintext.len() as u16, len: data.len() as u8 };
            plaintext.extend_from_slice(data);
        }
        let packet = Packet {
            start: 0,
            header_len: plaintext.len() as u16,
            payload_len: 0,
            source: Source::default(),
            payload_type: 96,
            marker: true,
            key_frame: false,
            late_key_frame: false,
            sequence: 0,
            timestamp: 0,
            arrival: Instant::now(),
            elements: slots,
            pictures: None,
            dependency_frame: None,
            layers: LayerTag::NONE,
        };
        let mut buffer = PacketBuffer::default();
        buffer.push(packet, &plaintext);
        let stored = buffer.packets()[0];
        (buffer, stored)
    }

    /// Ids in the order MID, abs-send-time, transport-cc, audio level, dependency descriptor.
    fn map(ids: &[u8]) -> ExtensionMap {
        use ExtensionKind::{AbsSendTime, AudioLevel, DependencyDescriptor, Mid, TransportCc};
        let kinds = [Mid, AbsSendTime, TransportCc, AudioLevel, DependencyDescriptor];
        let pairs: Vec<_> = ids.iter().copied().zip(kinds).collect();
        ExtensionMap::new(&pairs)
    }

    fn named(mid: &str) -> Names<'_> {
        Names { mid: Some(mid), rid: None, rid_kind: ExtensionKind::Rid }
    }

    fn fields() -> HeaderFields {
        HeaderFields {
            payload_type: 111,
            marker: true,
            padding: false,
            sequence: 0x0102,
            timestamp: 0x0304_0506,
            ssrc: 0x0708_090a,
            abs_send_time: 0x00ab_cdef,
            transport_sequence: 0x1234,
            frame_offset: 0,
        }
    }

    fn written(template: &HeaderTemplate, elements: &[(ExtensionKind, &[u8])]) -> Vec<u8> {
        let (buffer, packet) = packet(elements);
        let mut out = vec![0xff; template.len(&packet, None)];
        assert_eq!(template.write(&fields(), &packet, &buffer, None, &mut out), out.len());
        out
    }

    #[test]
    fn nothing_negotiated_is_a_bare_header() {
        let template = HeaderTemplate::new(named("0"), &ExtensionMap::default(), true);
        let header = written(&template, &[(ExtensionKind::AudioLevel, &[5])]);
        assert_eq!(header, [0x80, 0x80 | 111, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn one_byte_form_with_stamps_and_a_copied_element() {
        let template = HeaderTemplate::new(named("0"), &map(&[4, 2, 3, 1]), true);
        assert!(template.takes_transport_sequence());
        let header = written(&template, &[(ExtensionKind::AudioLevel, &[5])]);
        assert_eq!(header[0], 0x90);
        let expected = [0xbe, 0xde, 0, 3, 0x40, b'0', 0x22, 0xab, 0xcd, 0xef, 0x31, 0x12, 0x34, 0x10, 5, 0];
        assert_eq!(header[12..], expected);
    }

    #[test]
    fn a_descriptor_is_renumbered_and_replaced() {
        let template = HeaderTemplate::new(named(""), &map(&[0, 0, 0, 0, 9]), false);
        let (buffer, packet) = packet(&[(ExtensionKind::DependencyDescriptor, &[0xc1, 0xff, 0xfe])]);
        let fields = HeaderFields { frame_offset: 3, ..fields() };
        for (data, expected) in
            [(None, &[0x92, 0xc1, 0, 1][..]), (Some(&[0xc1, 0, 5, 0x40][..]), &[0x93, 0xc1, 0, 8, 0x40])]
        {
            let mut out = vec![0xff; template.len(&packet, data)];
            assert_eq!(template.write(&fields, &packet, &buffer, data, &mut out), out.len());
            assert_eq!(out[16..16 + expected.len()], *expected);
        }
    }

    #[test]
    fn without_stamps_repeated_packets_are_identical() {
        let template = HeaderTemplate::new(named("0"), &map(&[4, 2, 3]), false);
        assert!(!template.takes_transport_sequence());
        assert_eq!(written(&template, &[])[12..], [0xbe, 0xde, 0, 1, 0x40, b'0', 0, 0]);
    }

    #[test]
    fn a_layer_is_named_by_its_rid_and_its_repair_by_the_other_element() {
        let pairs = [(4, ExtensionKind::Mid), (5, ExtensionKind::Rid), (6, ExtensionKind::RepairedRid)];
        let extensions = ExtensionMap::new(&pairs);
        for (rid_kind, id) in [(ExtensionKind::Rid, 5), (ExtensionKind::RepairedRid, 6)] {
            let names = Names { mid: Some("0"), rid: Some("hi"), rid_kind };
            let header = written(&HeaderTemplate::new(names, &extensions, false), &[]);
            assert_eq!(header[12..], [0xbe, 0xde, 0, 2, 0x40, b'0', id << 4 | 1, b'h', b'i', 0, 0, 0]);
        }
        let long = "x".repeat(MAX_NAME_LEN);
        let names = Names { mid: Some("0"), rid: Some(&long), rid_kind: ExtensionKind::Rid };
        assert_eq!(written(&HeaderTemplate::new(names, &extensions, false), &[])[12..16], [0xbe, 0xde, 0, 1]);
        let names = Names { rid: Some(&long[1..]), ..names };
        assert_eq!(written(&HeaderTemplate::new(names, &extensions, false), &[])[12..16], [0x10, 0, 0, 9]);
    }

    #[test]
    fn long_elements_and_high_ids_take_the_two_byte_form() {
        let template = HeaderTemplate::new(named("v"), &map(&[4, 0, 0, 0, 9]), true);
        let long = [7u8; 20];
        let header = written(&template, &[(ExtensionKind::DependencyDescriptor, &long)]);
        assert_eq!(header[12..21], [0x10, 0, 0, 7, 4, 1, b'v', 9, 20]);
        assert_eq!(written(&template, &[(ExtensionKind::DependencyDescriptor, &[1, 2, 3])])[12..14], [0xbe, 0xde]);
        let high = HeaderTemplate::new(named("v"), &map(&[15]), true);
        assert_eq!(written(&high, &[])[12..], [0x10, 0, 0, 1, 15, 1, b'v', 0]);
    }
}
