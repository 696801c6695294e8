//! One packet, from plaintext in the burst to sealed bytes in the arena.

use crate::codec::dependency::{MAX_LEN, limit_active};
use crate::egress::burst::{DEPENDENCY, Packet, PacketBuffer, PictureNumbers};
use crate::egress::header::{HeaderFields, HeaderTemplate};
use crate::subscription::Outgoing;
use crate::subscription::continuity::{Segment, rewritten};

/// The original sequence number in front of a retransmitted payload (RFC 4588 section 4).
const OSN_LEN: usize = 2;

/// A packet on its way to one viewer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// Slot of the subscription.
    pub subscription: usize,
    /// Index in the burst.
    pub packet: usize,
    /// Its numbers.
    pub outgoing: Outgoing,
    /// Payload type on the retransmission stream, for a retransmission by RFC 4588.
    pub rtx_payload_type: Option<u8>,
    /// What it is sent for.
    pub sending: Sending,
}

/// Why a packet is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// It has just come.
    Live,
    /// It came before the viewer did, or had to wait.
    Replayed,
    /// The viewer has asked for it again.
    Again,
    /// It was sent before, and nobody has asked for it again: to see whether it arrives.
    Probe,
}

/// Bytes that [`write`] makes of a packet, without tag and run padding.
#[inline]
pub(super) fn size(template: &HeaderTemplate, item: &Item, packet: &Packet, source: &PacketBuffer) -> usize {
    let osn = if item.rtx_payload_type.is_some() { OSN_LEN } else { 0 };
    if item.outgoing.empty {
        return template.len(&packet.emptied(), None) + osn.max(1);
    }
    let payload = (usize::from(packet.payload_len) + osn).max(1);
    if !is_told(item, packet) {
        return template.len(packet, None) + payload;
    }
    let mut told = [0; MAX_LEN];
    template.len(packet, tell(item, packet, source, &mut told)) + payload
}

/// Whether the dependency descriptor may have to say which layers the viewer gets.
#[inline]
fn is_told(item: &Item, packet: &Packet) -> bool {
    let segment = &item.outgoing.segment;
    let changes = !segment.filter.is_all() || segment.filter_from == packet.sequence;
    segment.filter.decode_targets > 0 && changes && packet.elements[DEPENDENCY].len > 0
}

/// The dependency descriptor in `out`, where it is not the one that came.
fn tell<'a>(item: &Item, packet: &Packet, source: &PacketBuffer, out: &'a mut [u8; MAX_LEN]) -> Option<&'a [u8]> {
    let segment = &item.outgoing.segment;
    let filter = &segment.filter;
    let changes = segment.filter_from == packet.sequence;
    let data = source.element(packet, &packet.elements[DEPENDENCY]);
    let len = limit_active(data, filter.decode_targets, filter.contained, filter.active, changes, out)?;
    Some(&out[..len])
}

/// Writes the packet as `fields` say, followed by `padding` bytes. Returns header and total length.
///
/// A packet without payload (it fills a number that was left for it) carries one byte of padding in its place.
#[inline]
pub(super) fn write(
    template: &HeaderTemplate,
    fields: HeaderFields,
    item: &Item,
    packet: &Packet,
    source: &PacketBuffer,
    padding: u8,
    out: &mut [u8],
) -> (usize, usize) {
    if item.outgoing.empty {
        let fields = HeaderFields { marker: false, ..fields };
        return write_packet(template, fields, item, &packet.emptied(), source, None, padding, out);
    }
    if !is_told(item, packet) {
        return write_packet(template, fields, item, packet, source, None, padding, out);
    }
    let mut told = [0; MAX_LEN];
    let dependency = tell(item, packet, source, &mut told);
    write_packet(template, fields, item, packet, source, dependency, padding, out)
}

#[inline]
#[expect(clippy::too_many_arguments, reason = "what it writes comes from as many places")]
fn write_packet(
    template: &HeaderTemplate,
    mut fields: HeaderFields,
    item: &Item,
    packet: &Packet,
    source: &PacketBuffer,
    dependency: Option<&[u8]>,
    padding: u8,
    out: &mut [u8],
) -> (usize, usize) {
    let rtx = item.rtx_payload_type.is_some();
    let padding = usize::from(padding) + usize::from(packet.payload_len == 0 && !rtx);
    fields.padding = padding > 0;
    let header_len = template.write(&fields, packet, source, dependency, out);
    let mut at = header_len;
    if rtx {
        out[at..at + OSN_LEN].copy_from_slice(&(item.outgoing.sequence as u16).to_be_bytes());
        at += OSN_LEN;
    }
    let payload = source.payload(packet);
    out[at..at + payload.len()].copy_from_slice(payload);
    if let Some(pictures) = &packet.pictures {
        renumber(pictures, &item.outgoing.segment, &mut out[at..at + payload.len()]);
    }
    at += payload.len();
    if padding > 0 {
        out[at..at + padding].fill(0);
        at += padding;
        out[at - 1] = padding as u8;
    }
    (header_len, at)
}

/// Continues VP8's and VP9's picture numbers over a change of source.
fn renumber(pictures: &PictureNumbers, segment: &Segment, payload: &mut [u8]) {
    let (picture_id, tl0) = rewritten(pictures, segment);
    if pictures.picture_id_offset != 0 {
        let at = usize::from(pictures.picture_id_offset);
        if pictures.long_picture_id {
            payload[at..at + 2].copy_from_slice(&(0x8000 | picture_id).to_be_bytes());
        } else {
            payload[at] = picture_id as u8;
        }
    }
    if pictures.tl0_offset != 0 {
        payload[usize::from(pictures.tl0_offset)] = tl0;
    }
}
