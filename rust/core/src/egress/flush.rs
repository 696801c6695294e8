//! The walk over the viewers that a burst concerns.

use std::ops::Range;
use std::time::Instant;

use slab::Slab;

use crate::bandwidth::sent::PACKET_OVERHEAD;
use crate::command::Kind;
use crate::egress::burst::{Packet, PacketBuffer};
use crate::egress::header::HeaderFields;
use crate::egress::pacer::{Pacer, Waiting};
use crate::egress::plan::{self, MAX_SEGMENTS};
use crate::egress::write::{self, Item, Sending};
use crate::event::{Event, Path};
use crate::layer::Layer;
use crate::notices::Notices;
use crate::objects::Objects;
use crate::srtp::{MAX_RTP_OVERHEAD, MacBatch};
use crate::subscription::drops::Drop;
use crate::subscription::{Admission, Outgoing, Subscription};
use crate::track::Track;
use crate::transport::{EgressState, Transport};
use crate::worker::Transmit;

/// Bytes after which waiting for more HMAC viewers would only leave the cache.
const ARENA_SOFT_LIMIT: usize = 192 * 1024;
/// Bytes after which complete packets are sent. Some viewers are written in a row, because each system call drives the
/// code and the key tables of the cipher out of the first-level caches: 6 % of a packet's cost at one packet a burst.
const AEAD_SOFT_LIMIT: usize = 64 * 1024;
/// Packets from which on a batch of HMACs keeps every lane busy.
const BATCH_SOFT_LIMIT: usize = MacBatch::CAPACITY - MAX_SEGMENTS;

/// What one flush works with.
pub struct Flush<'a> {
    /// When all of it leaves.
    pub now: Instant,
    /// 6.18 fixed point seconds, for abs-send-time.
    pub abs_send_time: u32,
    /// The packets.
    pub burst: &'a PacketBuffer,
    /// Everything else.
    pub objects: &'a mut Objects,
    /// Where events go.
    pub notices: &'a mut Notices,
}

/// A packet for one viewer alone that waits for the flush.
#[derive(Clone, Copy, Debug)]
pub struct Extra {
    /// Slot of the subscription.
    pub subscription: usize,
    /// Index of a copy of the packet in the burst.
    pub packet: usize,
    /// Its numbers.
    pub outgoing: Outgoing,
    /// Why it is sent.
    pub sending: Sending,
}

/// A run in the arena.
struct Ready {
    path: Path,
    bytes: Range<usize>,
    segment: usize,
}

/// Buffers of the egress. All keep their memory, so that a burst like one before it allocates nothing.
#[derive(Default)]
pub struct Egress {
    arena: Vec<u8>,
    used: usize,
    items: Vec<Item>,
    segments: Vec<plan::Segment>,
    ready: Vec<Ready>,
    batch: MacBatch,
    batched: usize,
    affected: Vec<usize>,
    /// Slots of the transports that have packets waiting.
    pub waiting: Vec<usize>,
    epoch: u64,
    /// Datagrams handed to `Transmit`.
    pub datagrams: u64,
    /// Calls of `Transmit`.
    pub runs: u64,
    /// Packets times subscriptions of their track: what there was to forward.
    pub offered: u64,
}

impl Egress {
    /// Sends the packets of `tracks` (slots) to their subscribers, and the extras of `transports`.
    pub fn flush(&mut self, flush: &mut Flush<'_>, tracks: &[usize], transports: &[usize], out: &mut impl Transmit) {
        self.epoch += 1;
        self.affected.clear();
        let objects = &mut *flush.objects;
        for &slot in transports {
            Self::mark(&mut objects.transports, slot, self.epoch, &mut self.affected);
        }
        for &track in tracks {
            let Some(track) = objects.tracks.get(track) else { continue };
            self.offered += (track.burst.len() * track.subscriptions.len()) as u64;
            for &subscription in &track.subscriptions {
                let slot = objects.subscriptions[subscription].transport;
                Self::mark(&mut objects.transports, slot, self.epoch, &mut self.affected);
            }
        }
        for index in 0..self.affected.len() {
            let slot = self.affected[index];
            self.collect(flush, slot);
            if flush.objects.transports[slot].egress.pacer.as_ref().is_some_and(|pacer| !pacer.is_empty()) {
                self.waiting.push(slot);
            }
            self.write_runs(flush, slot);
            let soft_limit = if self.batch.is_empty() { AEAD_SOFT_LIMIT } else { ARENA_SOFT_LIMIT };
            if self.batched >= BATCH_SOFT_LIMIT || self.used >= soft_limit {
                self.send(out);
            }
        }
        self.send(out);
    }

    fn mark(transports: &mut Slab<Transport>, slot: usize, epoch: u64, affected: &mut Vec<usize>) {
        if let Some(transport) = transports.get_mut(slot)
            && transport.egress.epoch != epoch
        {
            transport.egress.epoch = epoch;
            affected.push(slot);
        }
    }

    /// Lists what the transport gets: extras, then its subscriptions' packets.
    fn collect(&mut self, flush: &mut Flush<'_>, slot: usize) {
        self.items.clear();
        self.segments.clear();
        let objects = &mut *flush.objects;
        let transport = &mut objects.transports[slot];
        let ready = transport.path.is_some() && transport.outbound.is_some();
        let EgressState { extras, pacer, .. } = &mut transport.egress;
        if let Some(pacer) = pacer {
            pacer.earn(flush.now);
        }
        for extra in extras.drain(..) {
            let Some(subscription) = objects.subscriptions.get(extra.subscription).filter(|_| ready) else { continue };
            let Extra { subscription: key, packet, outgoing, sending } = extra;
            let rtx_payload_type = match sending {
                Sending::Again | Sending::Probe => subscription.retransmits_as(outgoing.payload_type),
                Sending::Replayed | Sending::Live => None,
            };
            let item = Item { subscription: key, packet, outgoing, rtx_payload_type, sending };
            self.append(subscription, flush.burst, item);
        }
        for index in 0..transport.subscriptions.len() {
            let key = transport.subscriptions[index];
            let subscription = &mut objects.subscriptions[key];
            let Some(track) = subscription.track.and_then(|track| objects.tracks.get(track)) else { continue };
            if track.burst.is_empty() {
                continue;
            }
            if !ready {
                subscription.counters.dropped.count_many(Drop::Unconnected, track.burst.len());
                continue;
            }
            let target = track.target(subscription);
            for &packet_index in &track.burst {
                let packet = &flush.burst.packets()[packet_index];
                if pacer.as_ref().is_some_and(|pacer| pacer.refuses()) {
                    subscription.thin(flush.now, packet);
                }
                let mut admission = subscription.admit(packet, target, track);
                if let (Admission::Start, Some(target)) = (&admission, target) {
                    let timestamp = track.handover(subscription, packet);
                    let another = subscription.continuity.last().is_some_and(|(source, _)| source != packet.source);
                    // What this key frame makes useless would only be before it on the link.
                    if let Some(pacer) = pacer.as_mut().filter(|_| another) {
                        pacer.forget(key);
                    }
                    subscription.start(packet, timestamp, target, track);
                    announce(track, subscription, flush.notices);
                    admission = subscription.admit(packet, Some(target), track);
                }
                if subscription.selection.take_change() {
                    announce(track, subscription, flush.notices);
                }
                let outgoing = match admission {
                    Admission::Forward(outgoing) => outgoing,
                    Admission::Pass(reason) => {
                        subscription.counters.dropped.count(reason);
                        continue;
                    }
                    // Not twice in a row.
                    Admission::Start => {
                        subscription.counters.dropped.count(Drop::Waiting);
                        continue;
                    }
                };
                if let Some(pacer) = pacer
                    && !leaves(pacer, subscription, key, packet, outgoing)
                {
                    subscription.counters.dropped.count(Drop::Paced);
                    continue;
                }
                let item = Item {
                    subscription: key,
                    packet: packet_index,
                    outgoing,
                    rtx_payload_type: None,
                    sending: Sending::Live,
                };
                self.append(subscription, flush.burst, item);
            }
        }
    }

    #[inline]
    fn append(&mut self, subscription: &Subscription, burst: &PacketBuffer, item: Item) {
        let packet = &burst.packets()[item.packet];
        let template = subscription.template(item.rtx_payload_type.is_some());
        let size = write::size(template, &item, packet, burst) as u16;
        self.segments.push(plan::Segment { size, padding: 0, paddable: subscription.volatile });
        self.items.push(item);
    }

    /// Writes and seals what `collect` listed, run by run.
    fn write_runs(&mut self, flush: &mut Flush<'_>, slot: usize) {
        let mut start = 0;
        let (mut numbered, mut numbered_bytes) = (0, 0);
        while start < self.items.len() {
            let run = plan::next_run(&mut self.segments, start);
            start = run.segments.end;
            let begin = self.used;
            let room = run.segments.len() * (usize::from(run.size) + MAX_RTP_OVERHEAD);
            if self.arena.len() < begin + room {
                self.arena.resize((begin + room).next_power_of_two(), 0);
            }
            let objects = &mut *flush.objects;
            let transport = &mut objects.transports[slot];
            let (Some(path), Some(outbound)) = (transport.path, transport.outbound.as_mut()) else { return };
            let mut segment = 0;
            for index in run.segments.clone() {
                let item = &self.items[index];
                let subscription = &mut objects.subscriptions[item.subscription];
                let packet = &flush.burst.packets()[item.packet];
                let takes_number = subscription.template.takes_transport_sequence();
                let transport_sequence = if takes_number { transport.egress.log.number() } else { 0 };
                let (ssrc, payload_type, sequence) = match (item.rtx_payload_type, subscription.rtx_ssrc) {
                    (Some(payload_type), Some(ssrc)) => {
                        let sequence = subscription.rtx_sequence;
                        subscription.rtx_sequence += 1;
                        (ssrc, payload_type, sequence)
                    }
                    _ => (subscription.ssrc, item.outgoing.payload_type, item.outgoing.sequence),
                };
                let fields = HeaderFields {
                    payload_type,
                    marker: packet.marker || item.outgoing.segment.filter.ends_picture(&packet.layers),
                    padding: false,
                    sequence: sequence as u16,
                    timestamp: packet.timestamp.wrapping_add(item.outgoing.segment.timestamp_offset),
                    ssrc,
                    abs_send_time: flush.abs_send_time,
                    transport_sequence,
                    frame_offset: item.outgoing.segment.frame_offset,
                };
                let padding = self.segments[index].padding;
                let out = &mut self.arena[self.used..];
                let template = subscription.template(item.rtx_payload_type.is_some());
                let (header_len, len) = write::write(template, fields, item, packet, flush.burst, padding, out);
                let (wire_len, pending) = outbound.seal_rtp_deferred(out, header_len, len, sequence);
                if let Some(pending) = pending {
                    if self.batch.is_full() {
                        self.batch.finish(&mut self.arena);
                        self.batched = 0;
                    }
                    self.batch.push(self.used, pending);
                    self.batched += 1;
                }
                self.used += wire_len;
                segment = segment.max(wire_len);
                if takes_number {
                    numbered += 1;
                    numbered_bytes += wire_len + PACKET_OVERHEAD;
                }
                let counters = &mut subscription.counters;
                match item.sending {
                    Sending::Live | Sending::Replayed => {
                        counters.packets += 1;
                        counters.replayed += u64::from(item.sending == Sending::Replayed);
                        counters.bytes += len as u64;
                        counters.payload_bytes += if item.outgoing.empty { 0 } else { u64::from(packet.payload_len) };
                    }
                    Sending::Again => counters.retransmitted += 1,
                    Sending::Probe => counters.probes += 1,
                }
            }
            transport.counters.packets_sent += run.segments.len() as u64;
            transport.counters.bytes_sent += (self.used - begin) as u64;
            self.datagrams += run.segments.len() as u64;
            self.ready.push(Ready { path, bytes: begin..self.used, segment });
        }
        if numbered > 0 {
            flush.objects.transports[slot].egress.log.sent(flush.now, numbered, numbered_bytes as u32);
        }
    }

    /// Completes the pending tags and hands out every run.
    fn send(&mut self, out: &mut impl Transmit) {
        if !self.batch.is_empty() {
            self.batch.finish(&mut self.arena);
            self.batched = 0;
        }
        self.runs += self.ready.len() as u64;
        for ready in self.ready.drain(..) {
            out.transmit(ready.path, &self.arena[ready.bytes], ready.segment);
        }
        self.used = 0;
    }
}

/// Whether a packet leaves at once; else it waits. Sound always does.
fn leaves(pacer: &mut Pacer, subscription: &Subscription, key: usize, packet: &Packet, outgoing: Outgoing) -> bool {
    let size = usize::from(packet.header_len + packet.payload_len);
    if subscription.kind == Kind::Audio {
        pacer.pay(size);
        return true;
    }
    if pacer.admit(size) {
        return true;
    }
    if let Some(track) = subscription.track {
        let (encoding, sequence) = (packet.source.encoding, packet.sequence);
        let waiting = Waiting { subscription: key, track, encoding, sequence, outgoing, repair: false };
        pacer.hold(waiting, size);
    }
    false
}

/// Tells control what flows, where there is a choice.
pub fn announce(track: &Track, subscription: &mut Subscription, notices: &mut Notices) {
    let Some(layer) = subscription.layer().filter(|_| track.is_layered()) else { return };
    if subscription.announced != Some(layer) {
        subscription.announced = Some(layer);
        let rid = track.encodings.get(usize::from(layer.encoding)).and_then(|encoding| encoding.rid.clone());
        let Layer { spatial, temporal, .. } = layer;
        notices.event(Event::LayerChanged { subscription: subscription.id, rid, spatial, temporal });
    }
}
