//! SRTP from a publisher: opened, found its encoding, taken apart once for all viewers.

use std::time::Instant;

use crate::codec::{Codec, vp8, vp9};
use crate::command::Kind;
use crate::egress::burst::{COPIED, Element, LayerTag, Packet, PictureNumbers, Source};
use crate::event::Path;
use crate::receive::nack::Arrival;
use crate::receive::rtx;
use crate::rtp::Header;
use crate::track::Track;
use crate::track::gop::GopLimits;
use crate::transport::bindings::Binding;
use crate::transport::ignored::Reason;
use crate::worker::Worker;
use crate::worker::learn::Extensions;

/// Longest RTP packet that is taken: more does not fit a path, and viewers get a few bytes more than came.
const MAX_PACKET: usize = 2000;

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
        self.note_activity(now, slot, path);
        let transport = &mut self.objects.transports[slot];
        let packet = &datagram[..len];
        let Ok(padding_len) = header.padding_len(packet) else {
            transport.ignored.count(Reason::BadRtp);
            return;
        };
        let extensions = Extensions::find(&header, packet, &transport.extensions);
        let moved = transport.reception.packet(now, len, extensions.transport_sequence);
        let plaintext = &packet[..len - padding_len];
        let outcome = self.place(now, slot, &header, plaintext, &extensions);
        let gap = outcome.unwrap_or_else(|reason| {
            self.objects.transports[slot].ignored.count(reason);
            false
        });
        if gap || moved {
            self.schedule_transport(slot);
        }
    }

    /// Finds the encoding of a packet and takes it there. Returns true if a packet is to be asked for, now or soon.
    fn place(
        &mut self,
        now: Instant,
        slot: usize,
        header: &Header,
        plaintext: &[u8],
        extensions: &Extensions,
    ) -> Result<bool, Reason> {
        let binding = match self.objects.transports[slot].bindings.get(header.ssrc) {
            Some(binding) => binding,
            None => self.learn(now, slot, header, plaintext, extensions)?,
        };
        if binding.rtx {
            self.receive_rtx(now, binding, header, extensions.copied, plaintext)
        } else {
            let received = Received {
                header,
                plaintext,
                header_len: header.header_len,
                sequence: header.sequence,
                payload_type: header.payload_type,
                repaired: false,
                elements: extensions.copied,
            };
            self.receive(now, binding, &received)
        }
    }

    /// Undoes RFC 4588: the payload is the original sequence number and the original payload.
    fn receive_rtx(
        &mut self,
        now: Instant,
        binding: Binding,
        header: &Header,
        elements: [Element; COPIED.len()],
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
            elements,
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
            Arrival::Late { repaired: false } => encoding.counters.reordered += u64::from(!received.repaired),
            Arrival::InOrder | Arrival::Gap | Arrival::Late { repaired: true } => {}
        }
        if received.repaired || arrival == (Arrival::Late { repaired: true }) {
            encoding.counters.repaired += 1;
        }
        let source = Source { encoding: binding.encoding, generation: encoding.generation };
        let mut packet = Packet {
            start: 0,
            header_len: received.header_len as u16,
            payload_len: payload.len() as u16,
            source,
            payload_type: received.payload_type,
            marker: header.marker,
            key_frame: false,
            late_key_frame: false,
            sequence,
            timestamp: header.timestamp,
            arrival: now,
            elements: received.elements,
            pictures: None,
            dependency_frame: None,
            layers: LayerTag::NONE,
        };
        if !payload.is_empty() {
            packet.key_frame = codec.is_key_frame_start(payload).unwrap_or(true);
            packet.pictures = pictures(codec, payload);
        }
        let whole = match arrival {
            Arrival::InOrder | Arrival::Jump => true,
            // What is missing may be the parameter sets, unless the payload shows that it is the first of its frame.
            Arrival::Gap => !matches!(codec, Codec::H264 | Codec::H265) || codec.picture_size(payload).is_some(),
            // Viewers would miss what came before it in time and follows in number.
            Arrival::Late { .. } | Arrival::Duplicate => false,
        };
        // Viewers who wait can be shown it from here, unless it lacks the parameter sets.
        packet.late_key_frame = packet.key_frame
            && matches!(arrival, Arrival::Late { .. })
            && (!matches!(codec, Codec::H264 | Codec::H265) || codec.picture_size(payload).is_some());
        encoding.began.get_or_insert(now);
        if codec.is_video() && !payload.is_empty() {
            let begins = packet.key_frame && whole || packet.late_key_frame;
            encoding.frames.note(now, &packet, begins, &encoding.nacks);
        }
        self.forward(now, binding.track, packet, whole, received.plaintext);
        Ok(arrival == Arrival::Gap || asks_now)
    }

    /// Lets a packet flow: to its viewers, to other workers, into the history. Packets of other workers join here.
    /// `whole` says that viewers may begin here if it is the start of a key frame.
    pub(super) fn forward(&mut self, now: Instant, slot: usize, packet: Packet, whole: bool, plaintext: &[u8]) {
        let encoding = &self.objects.tracks[slot].encodings[usize::from(packet.source.encoding)];
        let begins = !encoding.alive || encoding.generation != packet.source.generation;
        let (packet, changed) = self.keep(now, slot, packet, whole, plaintext);
        let track = &mut self.objects.tracks[slot];
        let wanted = is_wanted(track, &self.limits);
        let started = (track.silent || changed).then(|| track.started(packet.source.encoding));
        track.silent = false;
        track.heard = Some(now);
        if wanted {
            let index = self.burst.push(packet, plaintext);
            if track.burst.is_empty() {
                self.touched.push(slot);
            }
            track.burst.push(index);
        }
        if let Some(started) = started {
            // An imported track is the origin's to tell of.
            if !track.is_imported() {
                self.notices.event(started);
            }
            let track = &mut self.objects.tracks[slot];
            if begins && track.is_unmeasured(packet.source.encoding) {
                track.encodings[usize::from(packet.source.encoding)].key_frame_requests.want();
            }
            let anew = track.choose(now) || begins;
            self.adapt_viewers(now, slot);
            if anew {
                let coming = packet.key_frame.then_some(packet.source.encoding);
                self.want_key_frames_for_all(now, slot, coming);
            }
            self.schedule_track(now, slot);
        }
        if packet.late_key_frame {
            self.want_key_frames_for_all(now, slot, None);
        }
    }

    /// Takes note of a packet and keeps it, to be sent again or shown later. Returns it as viewers are to see it, and
    /// whether control has to hear of a change.
    pub(super) fn keep(
        &mut self,
        now: Instant,
        slot: usize,
        mut packet: Packet,
        whole: bool,
        plaintext: &[u8],
    ) -> (Packet, bool) {
        let track = &mut self.objects.tracks[slot];
        let wanted = is_wanted(track, &self.limits);
        let (codec, clock_rate) =
            track.codec(packet.payload_type).map_or((Codec::Other, 0), |known| (known.codec, known.clock_rate));
        let encoding = &mut track.encodings[usize::from(packet.source.encoding)];
        if clock_rate > 0 {
            encoding.clock_rate = clock_rate;
        }
        let changed = encoding.note(now, &mut packet, codec, whole, plaintext);
        if wanted {
            encoding.history.insert(now, packet.sequence, packet, plaintext);
        }
        if self.limits.bytes > 0 && codec.is_video() {
            let replayed = || self.replays.concern(&self.objects.subscriptions, slot, packet.source);
            encoding.gop.note(&packet, &self.limits, &mut encoding.history, replayed);
        }
        (packet, changed)
    }
}

/// Whether a track's packets are of use: nobody will ask for what nobody gets.
fn is_wanted(track: &Track, limits: &GopLimits) -> bool {
    track.is_watched() || track.kind == Kind::Video && limits.bytes > 0
}

/// VP8 and VP9: the picture numbers of a payload.
pub(super) fn pictures(codec: Codec, payload: &[u8]) -> Option<PictureNumbers> {
    let (picture_id, long_picture_id, tl0) = match codec {
        Codec::Vp8 => {
            let descriptor = vp8::Descriptor::parse(payload)?;
            (descriptor.picture_id, descriptor.long_picture_id, descriptor.tl0_picture_index)
        }
        Codec::Vp9 => {
            let descriptor = vp9::Descriptor::parse(payload)?;
            (descriptor.picture_id, descriptor.long_picture_id, descriptor.tl0_picture_index)
        }
        _ => return None,
    };
    let (picture_id_offset, picture_id) = picture_id.unwrap_or((0, 0));
    let (tl0_offset, tl0) = tl0.unwrap_or((0, 0));
    (picture_id_offset != 0 || tl0_offset != 0).then_some(PictureNumbers {
        picture_id_offset: picture_id_offset as u8,
        long_picture_id,
        picture_id,
        tl0_offset: tl0_offset as u8,
        tl0,
        dense: codec == Codec::Vp8,
    })
}
