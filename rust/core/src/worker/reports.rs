//! RTCP that a worker sends: sender reports to viewers; reports, feedback and requests to publishers; BYE.

use std::time::{Duration, Instant};

use crate::command::Kind;
use crate::egress::burst::Source;
use crate::event::Event;
use crate::rtcp::{CompoundWriter, SenderInfo};
use crate::srtp::MAX_RTCP_OVERHEAD;
use crate::track::Origin;
use crate::worker::Worker;

/// Between two sender reports of a subscription. Browsers need a few before they play in sync.
const SENDER_REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// From the keys to the first sender reports.
const FIRST_SENDER_REPORT: Duration = Duration::from_millis(100);
/// A viewer that is shown so little of the past is at the live edge before a new key frame would come.
const RECENT: Duration = Duration::from_secs(1);

impl Worker {
    /// Writes, seals and queues one compound packet.
    pub(super) fn send_rtcp(&mut self, slot: usize, write: impl FnOnce(&mut CompoundWriter<'_>)) {
        self.send_rtcp_raw(slot, |out| write(&mut CompoundWriter::new(out)));
    }

    /// As `send_rtcp`, for packets that write themselves.
    pub(super) fn send_rtcp_raw(&mut self, slot: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let transport = &mut self.objects.transports[slot];
        let (Some(path), Some(outbound)) = (transport.path, transport.outbound.as_mut()) else { return };
        self.scratch.clear();
        write(&mut self.scratch);
        let len = self.scratch.len();
        self.scratch.resize(len + MAX_RTCP_OVERHEAD, 0);
        // What can fail is an empty packet, and the last of 2^31 under one key.
        let Ok(wire_len) = outbound.seal_rtcp(&mut self.scratch, len) else { return };
        transport.counters.packets_sent += 1;
        transport.counters.bytes_sent += wire_len as u64;
        self.outbox.push(path, &self.scratch[..wire_len]);
    }

    /// The transport can send media from now on: its viewers need a picture and a clock.
    pub(super) fn awaken(&mut self, now: Instant, slot: usize) {
        let transport = &self.objects.transports[slot];
        if transport.path.is_none() || transport.outbound.is_none() {
            return;
        }
        self.begin_sender_reports(now, slot);
        self.adapt(now, slot);
        for index in 0..self.objects.transports[slot].subscriptions.len() {
            let subscription = self.objects.transports[slot].subscriptions[index];
            self.want_key_frame_for(now, subscription);
        }
        for index in 0..self.objects.transports[slot].tracks.len() {
            let track = self.objects.transports[slot].tracks[index];
            self.send_key_frame_requests(now, track);
        }
    }

    /// Sender reports flow as soon as there is something to report and a way to send it.
    pub(super) fn begin_sender_reports(&mut self, now: Instant, slot: usize) {
        let transport = &mut self.objects.transports[slot];
        let ready = transport.path.is_some() && transport.outbound.is_some() && !transport.subscriptions.is_empty();
        if ready && transport.sender_reports_at.is_none() {
            transport.sender_reports_at = Some(now + FIRST_SENDER_REPORT);
            self.schedule_transport(slot);
        }
    }

    /// One SR and SDES per subscription that has sent something, all extrapolated to this instant.
    pub(super) fn send_sender_reports(&mut self, now: Instant, slot: usize) {
        let transport = &mut self.objects.transports[slot];
        if transport.sender_reports_at.is_none_or(|at| now < at) {
            return;
        }
        transport.sender_reports_at = Some(now + SENDER_REPORT_INTERVAL);
        self.age_bandwidth(now, slot);
        let ntp = self.ntp.ntp(now);
        for index in 0..self.objects.transports[slot].subscriptions.len() {
            let key = self.objects.transports[slot].subscriptions[index];
            let subscription = &self.objects.subscriptions[key];
            let Some(rtp_timestamp) = self.viewer_timestamp(now, key) else { continue };
            let info = SenderInfo {
                ntp,
                rtp_timestamp,
                packets: subscription.counters.packets as u32,
                octets: subscription.counters.payload_bytes as u32,
            };
            let ssrc = subscription.ssrc;
            let cname = std::mem::take(&mut self.objects.subscriptions[key].cname);
            self.send_rtcp(slot, |compound| {
                compound.sender_report(ssrc, &info);
                compound.source_description(ssrc, &cname);
            });
            self.objects.subscriptions[key].cname = cname;
            self.objects.subscriptions[key].continuity.forget_replays(now);
        }
    }

    /// The RTP timestamp that media sampled now would carry at the viewer. Audio and video of one publisher are placed on
    /// our clock by the same offset, so they stay in sync.
    fn viewer_timestamp(&self, now: Instant, key: usize) -> Option<u32> {
        let subscription = &self.objects.subscriptions[key];
        let track = self.objects.tracks.get(subscription.track?)?;
        let source = subscription.source()?;
        let (_, offset) = subscription.continuity.last()?;
        let encoding = track.encodings.get(usize::from(source.encoding))?;
        if encoding.generation != source.generation {
            return None;
        }
        let clock_rate = track.codec(encoding.payload_type)?.clock_rate;
        Some(encoding.clock_point()?.at(now, clock_rate).wrapping_add(offset))
    }

    /// Asks for what a subscription needs to begin or to change over.
    pub(super) fn want_key_frame_for(&mut self, now: Instant, key: usize) {
        if let Some(track) = self.note_need(now, key, None) {
            self.send_key_frame_requests(now, track);
        }
    }

    /// Asks for what the subscriptions and taps of a track need, but for the encoding whose key frame is on its way.
    pub(super) fn want_key_frames_for_all(&mut self, now: Instant, slot: usize, coming: Option<u8>) {
        for index in 0..self.objects.tracks[slot].subscriptions.len() {
            self.note_need(now, self.objects.tracks[slot].subscriptions[index], coming);
        }
        self.note_tap_needs(slot, coming);
        self.send_key_frame_requests(now, slot);
    }

    /// Notes which encoding a subscription waits for, if it does, and begins to show it what is cached of that. Returns
    /// the slot of its track.
    fn note_need(&mut self, now: Instant, key: usize, coming: Option<u8>) -> Option<usize> {
        let subscription = &self.objects.subscriptions[key];
        let slot = subscription.track?;
        let ready = self.objects.transports[subscription.transport].outbound.is_some();
        let track = &self.objects.tracks[slot];
        if track.kind != Kind::Video || subscription.paused || !ready {
            return None;
        }
        let layer = track.target(subscription)?;
        let target = layer.encoding;
        let encoding = &track.encodings[usize::from(target)];
        let flowing = Source { encoding: target, generation: encoding.generation };
        if coming == Some(target) {
            return None;
        }
        if subscription.source() == Some(flowing) {
            if !subscription.waits_for_layers(layer, track) {
                return None;
            }
            self.objects.tracks[slot].encodings[usize::from(target)].key_frame_requests.want();
            return Some(slot);
        }
        let patient = subscription.is_patient(now);
        let replayed = !patient && self.begin_replay(now, key, target);
        let encoding = &mut self.objects.tracks[slot].encodings[usize::from(target)];
        if !replayed {
            encoding.key_frame_requests.want();
        } else if encoding.gop.open().is_some_and(|group| group.age(now) > RECENT) {
            encoding.key_frame_requests.welcome();
        }
        Some(slot)
    }

    /// Asks for a key frame of every encoding that is alive.
    pub(super) fn want_key_frames(&mut self, now: Instant, slot: usize) {
        let track = &mut self.objects.tracks[slot];
        if track.kind != Kind::Video {
            return;
        }
        for encoding in track.encodings.iter_mut().filter(|encoding| encoding.alive) {
            encoding.key_frame_requests.want();
        }
        self.send_key_frame_requests(now, slot);
    }

    /// Sends the requests that are due, to the publisher or to the worker that has it.
    pub(super) fn send_key_frame_requests(&mut self, now: Instant, slot: usize) {
        for index in 0..self.objects.tracks[slot].encodings.len() {
            let track = &mut self.objects.tracks[slot];
            let watched = track.is_watched();
            let requests = &mut track.encodings[index].key_frame_requests;
            let due = requests.poll(now);
            if !watched {
                requests.satisfy();
            }
            if !due {
                continue;
            }
            match track.origin {
                Origin::Route(_) => self.relay_key_frame_request(slot, index as u8),
                Origin::Transport(transport) => self.send_picture_loss(transport, slot, index),
                Origin::Source => {
                    let track = track.needs_key_frame();
                    self.notices.event(Event::KeyFrameNeeded { track });
                }
            }
        }
        self.schedule_track(now, slot);
    }

    fn send_picture_loss(&mut self, transport: usize, slot: usize, encoding: usize) {
        let track = &self.objects.tracks[slot];
        let media = self.objects.transports[transport].bindings.ssrc(slot, encoding as u8, false);
        let encoding = &track.encodings[encoding];
        let codec = track.codec(encoding.payload_type).or(track.codecs.first());
        let (Some(codec), Some(media)) = (codec, media) else { return };
        // A PLI says that a picture was lost, a FIR that a decoder is to begin: some repeat parameter sets for that alone.
        let full = codec.fir && (!codec.pli || encoding.bare);
        let (pli, sender) = (codec.pli, track.local_ssrc);
        let command = encoding.key_frame_requests.sent as u8;
        if pli || full {
            self.send_rtcp(transport, |compound| {
                compound.receiver_report(sender, &[]);
                if full {
                    compound.full_intra(sender, media, command);
                } else {
                    compound.picture_loss(sender, media);
                }
            });
        }
    }

    /// Says goodbye for everything that the transport sends.
    pub(super) fn send_bye(&mut self, slot: usize) {
        for index in 0..self.objects.transports[slot].subscriptions.len() {
            let key = self.objects.transports[slot].subscriptions[index];
            let subscription = &self.objects.subscriptions[key];
            let (ssrc, rtx_ssrc) = (subscription.ssrc, subscription.rtx_ssrc);
            self.send_rtcp(slot, |compound| {
                compound.receiver_report(ssrc, &[]);
                compound.bye(ssrc);
                if let Some(ssrc) = rtx_ssrc {
                    compound.bye(ssrc);
                }
            });
        }
        for index in 0..self.objects.transports[slot].tracks.len() {
            let ssrc = self.objects.tracks[self.objects.transports[slot].tracks[index]].local_ssrc;
            self.send_rtcp(slot, |compound| {
                compound.receiver_report(ssrc, &[]);
                compound.bye(ssrc);
            });
        }
    }
}
