//! SRTP from a publisher: opened, found its encoding, taken apart once for all viewers.

use std::time::{Duration, Instant};

use crate::codec::{Codec, vp8};
use crate::egress::burst::{COPIED, Element, Packet, PictureNumbers, Source};
use crate::event::{Event, Path};
use crate::receive::nack::Arrival;
use crate::receive::rtx;
use crate::rtp::{ExtensionKind, ExtensionMap, Header};
use crate::track::clock::ClockPoint;
use crate::transport::bindings::Binding;
use crate::transport::ignored::Reason;
use crate::worker::Worker;

/// Longest RTP packet that is taken: more does not fit a path, and viewers get a few bytes more than came.
const MAX_PACKET: usize = 2000;
/// An SSRC takes over an encoding from another one that has been silent for this long.
const TAKEOVER: Duration = Duration::from_millis(200);

/// What the header extensions of a packet say, found in one walk.
#[derive(Default)]
struct Extensions {
    copied: [Element; COPIED.len()],
    mid: Option<(usize, usize)>,
    rid: Option<(usize, usize)>,
    repaired_rid: Option<(usize, usize)>,
    transport_sequence: Option<u16>,
}

/// A packet whose encoding is known, before it has a number.
struct Received<'a> {
    header: &'a Header,
    /// Header, payload, and for a retransmission the OSN between them. No padding.
    plaintext: &'a [u8],
    /// Bytes before the payload.
    header_len: usize,
    sequence: u16,
    payload_type: u8,
    repaired: bool,
    elements: [Element; COPIED.len()],
}

impl Worker {
    pub(super) fn handle_media(&mut self, now: Instant, slot: usize, path: Path, datagram: &mut [u8]) {
        let transport = &mut self.objects.transports[slot];
        if transport.inbound.is_none() {
            transport.hold(path, datagram);
            return;
        }
        if datagram.len() >= 2 && (192..=223).contains(&datagram[1]) {
            self.handle_rtcp(now, slot, path, datagram);
        } else {
            self.handle_rtp(now, slot, path, datagram);
        }
    }

    fn handle_rtp(&mut self, now: Instant, slot: usize, path: Path, datagram: &mut [u8]) {
        let transport = &mut self.objects.transports[slot];
        let Some(inbound) = &mut transport.inbound else { return };
        if datagram.len() > MAX_PACKET {
            transport.ignored.count(Reason::TooLong);
            return;
        }
        let Ok(header) = Header::parse(datagram) else {
            transport.ignored.count(Reason::BadRtp);
            return;
        };
        let Ok(len) = inbound.open_rtp(datagram, header.header_len, header.ssrc, header.sequence) else {
            transport.counters.srtp_rejected += 1;
            return;
        };
        transport.counters.packets_received += 1;
        transport.counters.bytes_received += datagram.len() as u64;
        transport.agent.note_activity(now, path);
        let packet = &datagram[..len];
        let Ok(padding_len) = header.padding_len(packet) else {
            transport.ignored.count(Reason::BadRtp);
            return;
        };
        let extensions = Extensions::find(&header, packet, &transport.extensions);
        let moved = transport.reception.packet(now, len, extensions.transport_sequence);
        let binding = match transport.bindings.get(header.ssrc) {
            Some(binding) => binding,
            None => match self.learn(now, slot, &header, packet, &extensions) {
                Ok(binding) => binding,
                Err(reason) => {
                    self.objects.transports[slot].ignored.count(reason);
                    return;
                }
            },
        };
        let plaintext = &packet[..len - padding_len];
        let outcome = if binding.rtx {
            self.receive_rtx(now, binding, &header, plaintext)
        } else {
            let received = Received {
                header: &header,
                plaintext,
                header_len: header.header_len,
                sequence: header.sequence,
                payload_type: header.payload_type,
                repaired: false,
                elements: extensions.copied,
            };
            self.receive(now, binding, &received)
        };
        match outcome {
            Ok(gap) if gap || moved => self.schedule_transport(slot),
            Ok(_) => {}
            Err(reason) => self.objects.transports[slot].ignored.count(reason),
        }
    }

    /// Undoes RFC 4588: the payload is the original sequence number and the original payload.
    fn receive_rtx(
        &mut self,
        now: Instant,
        binding: Binding,
        header: &Header,
        plaintext: &[u8],
    ) -> Result<bool, Reason> {
        let payload = &plaintext[header.header_len..];
        let Some((sequence, original)) = rtx::decapsulate(payload) else {
            // Padding keeps a probe's rate up and repairs nothing.
            return if payload.len() == 1 { Err(Reason::BadRetransmission) } else { Ok(false) };
        };
        let track = &self.objects.tracks[binding.track];
        let codec = track.codec_of_rtx(header.payload_type).ok_or(Reason::UnknownPayloadType)?;
        let encoding = &track.encodings[usize::from(binding.encoding)];
        if encoding.heard.is_none() {
            return Err(Reason::BadRetransmission);
        }
        let received = Received {
            header,
            plaintext,
            header_len: plaintext.len() - original.len(),
            sequence,
            payload_type: codec.payload_type,
            repaired: true,
            elements: [Element::NONE; COPIED.len()],
        };
        self.receive(now, binding, &received)
    }

    /// Numbers a packet, looks into its payload and lets it flow. Returns true if a packet is to be asked for, now or soon.
    fn receive(&mut self, now: Instant, binding: Binding, received: &Received<'_>) -> Result<bool, Reason> {
        let track = &mut self.objects.tracks[binding.track];
        let codec = track.codec(received.payload_type).ok_or(Reason::UnknownPayloadType)?;
        let (codec, clock_rate) = (codec.codec, codec.clock_rate);
        let encoding = &mut track.encodings[usize::from(binding.encoding)];
        let header = received.header;
        let payload = &received.plaintext[received.header_len..];
        let sequence = if received.repaired {
            encoding.unwrapper.peek(received.sequence)
        } else {
            encoding.ssrc = header.ssrc;
            encoding.unwrapper.unwrap(received.sequence)
        };
        let arrival = encoding.nacks.received(now, sequence);
        let asks_now = encoding.nacks.poll_timeout().is_some_and(|due| due <= now);
        if !received.repaired {
            encoding.reception.received(now, sequence, header.timestamp, clock_rate);
        }
        match arrival {
            Arrival::Duplicate => return Err(Reason::Duplicate),
            Arrival::Jump => encoding.begin_generation(encoding.generation.wrapping_add(1)),
            Arrival::InOrder | Arrival::Gap | Arrival::Late { .. } => {}
        }
        if received.repaired || arrival == (Arrival::Late { repaired: true }) {
            encoding.counters.repaired += 1;
        }
        encoding.clock_rate = clock_rate;
        let source = Source { encoding: binding.encoding, generation: encoding.generation };
        let mut packet = Packet {
            start: 0,
            header_len: received.header_len as u16,
            payload_len: payload.len() as u16,
            source,
            payload_type: received.payload_type,
            marker: header.marker,
            key_frame: false,
            sequence,
            timestamp: header.timestamp,
            arrival: now,
            elements: received.elements,
            pictures: None,
        };
        if !payload.is_empty() {
            packet.key_frame = codec.is_key_frame_start(payload).unwrap_or(true);
            packet.pictures = pictures(codec, payload);
        }
        self.forward(now, binding.track, packet, received.plaintext);
        if arrival == Arrival::Jump {
            self.want_key_frames_for_all(now, binding.track);
        }
        Ok(arrival == Arrival::Gap || asks_now)
    }

    /// Lets a packet flow: to its viewers, to other workers, into the history. Packets of other workers join here.
    pub(super) fn forward(&mut self, now: Instant, slot: usize, mut packet: Packet, plaintext: &[u8]) {
        let track = &mut self.objects.tracks[slot];
        let local = track.transport().is_some();
        let encoding_index = packet.source.encoding;
        let codec = track.codec(packet.payload_type).map_or(Codec::Other, |codec| codec.codec);
        let encoding = &mut track.encodings[usize::from(encoding_index)];
        let first = !encoding.alive;
        encoding.alive = true;
        encoding.heard = Some(now);
        if encoding.generation != packet.source.generation {
            encoding.begin_generation(packet.source.generation);
        }
        encoding.history.insert(now, packet.sequence, packet, plaintext);
        if packet.payload_len == 0 {
            encoding.counters.padding_only += 1;
        } else {
            encoding.counters.packets += 1;
            encoding.counters.bytes += u64::from(packet.header_len) + u64::from(packet.payload_len);
            encoding.rate.add(now, plaintext.len());
            encoding.newest = Some(ClockPoint { instant: now, rtp_timestamp: packet.timestamp });
        }
        let mut changed = first;
        if packet.payload_len > 0 && encoding.payload_type != packet.payload_type {
            encoding.payload_type = packet.payload_type;
            changed = true;
        }
        let sees_key_frames = codec.is_key_frame_start(&[]).is_some();
        if packet.key_frame && sees_key_frames {
            // Each part of a key frame may look like its start; viewers begin at the first.
            if encoding.key_frame_timestamp == Some(packet.timestamp) {
                packet.key_frame = false;
            } else {
                encoding.key_frame_timestamp = Some(packet.timestamp);
                encoding.counters.key_frames += 1;
                encoding.key_frame_requests.satisfy();
            }
        }
        if let Some(size) = codec.picture_size(&plaintext[usize::from(packet.header_len)..])
            && size != encoding.size
        {
            encoding.size = size;
            changed = true;
        }
        let started = (track.silent || changed).then(|| {
            let encoding = &track.encodings[usize::from(encoding_index)];
            Event::TrackStarted {
                track: track.id,
                rid: encoding.rid.clone(),
                ssrc: encoding.ssrc,
                payload_type: encoding.payload_type,
                width: encoding.size.0,
                height: encoding.size.1,
            }
        });
        track.silent = false;
        track.heard = Some(now);
        let index = self.burst.push(packet, plaintext);
        if track.burst.is_empty() {
            self.touched.push(slot);
        }
        track.burst.push(index);
        if let Some(started) = started {
            if local {
                self.notices.event(started);
            }
            self.choose(now, slot);
            self.schedule_track(now, slot);
        }
    }

    /// Finds the encoding of an SSRC that the SDP did not name: by RID, then by MID, then by payload type.
    fn learn(
        &mut self,
        now: Instant,
        slot: usize,
        header: &Header,
        packet: &[u8],
        extensions: &Extensions,
    ) -> Result<Binding, Reason> {
        let transport = &self.objects.transports[slot];
        let text = |range: Option<(usize, usize)>| {
            range.and_then(|(start, end)| std::str::from_utf8(&packet[start..end]).ok())
        };
        let mid = text(extensions.mid);
        let rid = text(extensions.rid).or(text(extensions.repaired_rid));
        let mut found = None;
        for &slot in &transport.tracks {
            let track = &self.objects.tracks[slot];
            if mid.is_some() && track.mid.is_some() && track.mid.as_deref() != mid {
                continue;
            }
            let rtx = track.codec_of_rtx(header.payload_type).is_some();
            if !rtx && track.codec(header.payload_type).is_none() {
                continue;
            }
            let encoding = match rid {
                Some(rid) => track.encoding_of(rid),
                None => self.nameless(now, slot, rtx),
            };
            // A rid names a layer of simulcast; a single encoding may be sent with one that nobody asked for.
            let encoding = encoding.or((track.encodings.len() == 1).then_some(0));
            if let Some(encoding) = encoding {
                found = Some(Binding { track: slot, encoding, rtx });
                break;
            }
        }
        let binding = found.ok_or(Reason::UnknownSource)?;
        let track = &mut self.objects.tracks[binding.track];
        let encoding = &mut track.encodings[usize::from(binding.encoding)];
        let silent = encoding.heard.is_none_or(|heard| now.saturating_duration_since(heard) >= TAKEOVER);
        let transport = &mut self.objects.transports[slot];
        let bound = transport.bindings.ssrc(binding.track, binding.encoding, binding.rtx);
        if bound.is_some() && !binding.rtx {
            if !silent {
                return Err(Reason::UnknownSource);
            }
            if encoding.heard.is_some() {
                encoding.restart();
            }
        }
        if transport.bindings.bind(header.ssrc, binding) { Ok(binding) } else { Err(Reason::TooManySources) }
    }

    /// The encoding of a packet without rid: the only one, or the first that has no SSRC yet.
    fn nameless(&self, now: Instant, track: usize, rtx: bool) -> Option<u8> {
        let track_state = &self.objects.tracks[track];
        let transport = &self.objects.transports[track_state.transport()?];
        let candidates = track_state.encodings.iter().enumerate();
        let free = candidates.clone().find(|(index, encoding)| {
            encoding.rid.is_none() && transport.bindings.ssrc(track, *index as u8, rtx).is_none()
        });
        let silent = || {
            candidates.clone().find(|(_, encoding)| {
                encoding.rid.is_none()
                    && encoding.heard.is_none_or(|heard| now.saturating_duration_since(heard) >= TAKEOVER)
            })
        };
        free.or_else(silent).map(|(index, _)| index as u8)
    }
}

impl Extensions {
    fn find(header: &Header, packet: &[u8], ids: &ExtensionMap) -> Extensions {
        let mut found = Extensions::default();
        for (id, start, data) in header.elements(packet) {
            let Some(kind) = ids.kind(id) else { continue };
            let range = Some((start, start + data.len()));
            match kind {
                ExtensionKind::Mid => found.mid = range,
                ExtensionKind::Rid => found.rid = range,
                ExtensionKind::RepairedRid => found.repaired_rid = range,
                ExtensionKind::TransportCc => {
                    found.transport_sequence = data.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
                }
                _ => {
                    if let Some(kind) = COPIED.iter().position(|copied| *copied == kind) {
                        let len = data.len() as u8;
                        found.copied[kind] = Element { kind: kind as u8, offset: start as u16, len };
                    }
                }
            }
        }
        found
    }
}

fn pictures(codec: Codec, payload: &[u8]) -> Option<PictureNumbers> {
    if codec != Codec::Vp8 {
        return None;
    }
    let descriptor = vp8::Descriptor::parse(payload)?;
    let (picture_id_offset, picture_id) = descriptor.picture_id.unwrap_or((0, 0));
    let (tl0_offset, tl0) = descriptor.tl0_picture_index.unwrap_or((0, 0));
    (picture_id_offset != 0 || tl0_offset != 0).then_some(PictureNumbers {
        picture_id_offset: picture_id_offset as u8,
        long_picture_id: descriptor.long_picture_id,
        picture_id,
        tl0_offset: tl0_offset as u8,
        tl0,
    })
}
