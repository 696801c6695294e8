//! SRTCP from publishers (reports) and viewers (reports, NACK, key frame requests).

use std::time::{Duration, Instant};

use crate::command::Kind;
use crate::egress::flush::Extra;
use crate::egress::pacer::Waiting;
use crate::egress::write::Sending;
use crate::event::Path;
use crate::receive::report::round_trip;
use crate::rtcp::{Packet, Packets, ReportBlock, SenderInfo, lost_sequences};
use crate::track::Track;
use crate::track::clock::ClockPoint;
use crate::transport::DEFAULT_RTT;
use crate::transport::ignored::Reason;
use crate::worker::Worker;

/// Least time between two transmissions of a packet again, whatever round trip the viewer claims.
const MIN_REPEAT: Duration = Duration::from_millis(10);
/// Packets that one viewer is sent again per burst.
const MAX_RETRANSMISSIONS: usize = 256;

impl Worker {
    pub(super) fn handle_rtcp(&mut self, now: Instant, slot: usize, path: Path, datagram: &mut [u8]) {
        let transport = &mut self.objects.transports[slot];
        let Some(inbound) = &mut transport.inbound else { return };
        let Ok(len) = inbound.open_rtcp(datagram) else {
            transport.counters.srtp_rejected += 1;
            return;
        };
        transport.counters.packets_received += 1;
        transport.counters.bytes_received += datagram.len() as u64;
        self.note_activity(now, slot, path);
        let mut packets = 0;
        for packet in Packets::new(&datagram[..len]) {
            packets += 1;
            for report in packet.reports() {
                self.handle_report(now, slot, &report);
            }
            match packet {
                Packet::SenderReport { ssrc, info, .. } => self.handle_sender_report(now, slot, ssrc, &info),
                Packet::Bye { ssrc } => self.handle_bye(now, slot, ssrc),
                Packet::Nack { media_ssrc, pairs } => self.handle_nack(now, slot, media_ssrc, pairs),
                Packet::TransportFeedback(feedback) => self.handle_transport_feedback(now, slot, &feedback),
                Packet::Remb { bitrate } => self.handle_remb(now, slot, bitrate),
                Packet::PictureLoss { media_ssrc } => self.handle_key_frame_request(now, slot, media_ssrc),
                Packet::FullIntra { entries } => {
                    for entry in entries.chunks_exact(8) {
                        let ssrc = u32::from_be_bytes([entry[0], entry[1], entry[2], entry[3]]);
                        self.handle_key_frame_request(now, slot, ssrc);
                    }
                }
                _ => {}
            }
        }
        if packets == 0 {
            self.objects.transports[slot].ignored.count(Reason::BadRtcp);
        }
    }

    /// The subscription of a transport that sends this media SSRC.
    fn subscription_of(&mut self, slot: usize, ssrc: u32) -> Option<usize> {
        let transport = &mut self.objects.transports[slot];
        let subscriptions = &self.objects.subscriptions;
        let found = transport.subscriptions.iter().copied().find(|&slot| subscriptions[slot].ssrc == ssrc);
        if found.is_none() {
            transport.ignored.count(Reason::UnknownFeedback);
        }
        found
    }

    fn handle_report(&mut self, now: Instant, slot: usize, report: &ReportBlock) {
        let sample = round_trip(report, self.ntp.ntp(now));
        let subscriptions = &mut self.objects.subscriptions;
        let transport = &mut self.objects.transports[slot];
        let Some(&found) = transport.subscriptions.iter().find(|&&slot| subscriptions[slot].sends(report.ssrc)) else {
            return;
        };
        let subscription = &mut subscriptions[found];
        if subscription.ssrc == report.ssrc {
            let clock_rate = subscription.clock_rate();
            subscription.reception.lost = u64::try_from(report.cumulative_lost).unwrap_or(0);
            subscription.reception.fraction_lost = f64::from(report.fraction_lost) / 256.0;
            subscription.reception.jitter_ms = f64::from(report.jitter) * 1000.0 / f64::from(clock_rate);
        }
        let video = subscription.kind == Kind::Video && subscription.ssrc == report.ssrc;
        if let Some(sample) = sample {
            transport.rtt = Some(transport.rtt.map_or(sample, |smoothed| (smoothed * 7 + sample) / 8));
        }
        if video {
            self.objects.subscriptions[found].replayed = None;
            self.handle_loss(now, slot, report);
        }
    }

    fn handle_sender_report(&mut self, now: Instant, slot: usize, ssrc: u32, info: &SenderInfo) {
        let transport = &mut self.objects.transports[slot];
        let Some(binding) = transport.bindings.get(ssrc).filter(|binding| !binding.rtx) else { return };
        let track = &mut self.objects.tracks[binding.track];
        let encoding = &mut track.encodings[usize::from(binding.encoding)];
        encoding.reception.sender_report(now, info);
        if let Some(codec) = track.codecs.iter().find(|codec| codec.payload_type == encoding.payload_type) {
            encoding.reported.report(now, (info.ntp, info.rtp_timestamp), codec.clock_rate, encoding.newest);
        }
        transport.reception.clock.sender_report(now, info);
        self.follow_reports(slot);
    }

    /// A report may have moved the publisher's clock on ours, and with it all its encodings; or it speaks for others.
    fn follow_reports(&mut self, slot: usize) {
        let is_proven = |track: &Track| track.encodings.iter().any(|encoding| encoding.reported.is_proven());
        let transport = &self.objects.transports[slot];
        let proven = transport.tracks.iter().filter(|&&slot| is_proven(&self.objects.tracks[slot])).count();
        for index in 0..transport.tracks.len() {
            let transport = &self.objects.transports[slot];
            let slot = transport.tracks[index];
            let track = &mut self.objects.tracks[slot];
            let sender_proven = proven > usize::from(is_proven(track));
            let mut changed = false;
            for encoding in &mut track.encodings {
                let point = encoding.reported.point(sender_proven).and_then(|(ntp, rtp_timestamp)| {
                    Some(ClockPoint { instant: transport.reception.clock.instant_of(ntp)?, rtp_timestamp })
                });
                changed |= std::mem::replace(&mut encoding.clock, point) != point;
            }
            if changed {
                self.export_clocks(slot);
            }
        }
    }

    /// The publisher says that it has stopped: there is no need to wait for silence.
    fn handle_bye(&mut self, now: Instant, slot: usize, ssrc: u32) {
        let transport = &self.objects.transports[slot];
        let Some(binding) = transport.bindings.get(ssrc).filter(|binding| !binding.rtx) else { return };
        self.objects.tracks[binding.track].encodings[usize::from(binding.encoding)].heard = None;
        self.choose(now, binding.track);
    }

    fn handle_key_frame_request(&mut self, now: Instant, slot: usize, ssrc: u32) {
        let Some(key) = self.subscription_of(slot, ssrc) else { return };
        self.objects.subscriptions[key].counters.plis_received += 1;
        self.replay_again(now, key);
        let subscription = &self.objects.subscriptions[key];
        let Some(slot) = subscription.track else { return };
        let track = &mut self.objects.tracks[slot];
        if track.kind != Kind::Video {
            return;
        }
        let source = subscription.source().map(|source| source.encoding);
        let Some(encoding) = source.or_else(|| track.target(subscription).map(|layer| layer.encoding)) else { return };
        if let Some(encoding) = track.encodings.get_mut(usize::from(encoding)) {
            encoding.key_frame_requests.want();
        }
        self.send_key_frame_requests(now, slot);
    }

    /// Queues what the history still has; `flush` sends it.
    fn handle_nack(&mut self, now: Instant, slot: usize, ssrc: u32, pairs: &[u8]) {
        let Some(key) = self.subscription_of(slot, ssrc) else { return };
        let subscription = &mut self.objects.subscriptions[key];
        let transport = &mut self.objects.transports[slot];
        let mut paced = false;
        let narrow = transport.bitrate_limit().is_some();
        let interval = transport.rtt.unwrap_or(DEFAULT_RTT).max(MIN_REPEAT);
        let track = subscription.track.and_then(|track| self.objects.tracks.get(track));
        for out in lost_sequences(pairs) {
            subscription.counters.nacks_received += 1;
            let full = transport.egress.extras.len() >= MAX_RETRANSMISSIONS
                || transport.egress.pacer.as_ref().is_some_and(|pacer| !pacer.has_room_for_repair());
            if full || subscription.retransmissions.is_spent(now) {
                subscription.counters.nacks_repeated += 1;
                continue;
            }
            let found = track.and_then(|track| subscription.sent(now, track, out));
            // A narrow link has no room for what a key frame of another layer has made useless.
            let found =
                found.filter(|(outgoing, ..)| !narrow || subscription.source() == Some(outgoing.segment.source));
            let Some((outgoing, packet, plaintext)) = found else {
                subscription.counters.nacks_unanswered += 1;
                continue;
            };
            if !subscription.retransmissions.admit(now, outgoing.sequence, interval) {
                subscription.counters.nacks_repeated += 1;
                continue;
            }
            if let Some(pacer) = &mut transport.egress.pacer {
                let (track, encoding) = (subscription.track.unwrap_or_default(), outgoing.segment.source.encoding);
                let (sequence, repair) = (packet.sequence, true);
                pacer.hold_repair(Waiting { subscription: key, track, encoding, sequence, outgoing, repair });
                paced = true;
                continue;
            }
            if transport.egress.extras.is_empty() {
                self.answering.push(slot);
            }
            let packet = self.burst.push(*packet, plaintext);
            transport.egress.extras.push(Extra { subscription: key, packet, outgoing, sending: Sending::Again });
        }
        if paced {
            self.note_pacing(slot);
        }
    }
}
