//! What a publisher is told: receiver reports, transport-wide feedback or REMB, and NACKs.

use std::time::{Duration, Instant};

use crate::receive::twcc::TwccRecorder;
use crate::rtcp::ReportBlock;
use crate::rtp::ExtensionKind;
use crate::track::Track;
use crate::transport::reception::REPORT_INTERVAL;
use crate::worker::Worker;

/// Our CNAME towards publishers, who get nothing but feedback from it.
const CNAME: &str = "live777py";
/// An encoding that was silent for longer is not reported on.
const REPORTED: Duration = Duration::from_secs(5);

impl Worker {
    /// When a transport has something to tell its publisher.
    pub(super) fn feedback_deadline(&self, slot: usize) -> Option<Instant> {
        let transport = &self.objects.transports[slot];
        let tracks = transport.tracks.iter().map(|&track| &self.objects.tracks[track]);
        let nacks = tracks.filter(|track| asks_again(track)).flat_map(|track| &track.encodings);
        let nacks = nacks.filter_map(|encoding| encoding.nacks.poll_timeout()).min();
        transport.reception.deadline().into_iter().chain(nacks).min()
    }

    /// Tells what is due.
    pub(super) fn send_feedback(&mut self, now: Instant, slot: usize) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if self.objects.transports[slot].outbound.is_none() {
            return;
        }
        if due(self.objects.transports[slot].reception.feedback_at) {
            self.send_transport_feedback(now, slot);
        }
        self.send_nacks(now, slot);
        if due(self.objects.transports[slot].reception.report_at) {
            self.send_receiver_report(now, slot);
        }
    }

    fn send_transport_feedback(&mut self, now: Instant, slot: usize) {
        let transport = &mut self.objects.transports[slot];
        let pending = transport.reception.transport_cc.pending();
        transport.reception.feedback_at = pending.then(|| now + TwccRecorder::INTERVAL);
        let Some(track) = transport.tracks.first().map(|&track| &self.objects.tracks[track]) else { return };
        let media = track.encodings.iter().map(|encoding| encoding.ssrc).find(|&ssrc| ssrc != 0).unwrap_or(0);
        let local = track.local_ssrc;
        if pending {
            let mut recorder = std::mem::take(&mut transport.reception.transport_cc);
            self.send_rtcp_raw(slot, |out| recorder.write(out, local, media));
            self.objects.transports[slot].reception.transport_cc = recorder;
        }
    }

    fn send_nacks(&mut self, now: Instant, slot: usize) {
        let rtt = self.objects.transports[slot].rtt.or(self.objects.transports[slot].agent.rtt());
        for index in 0..self.objects.transports[slot].tracks.len() {
            let key = self.objects.transports[slot].tracks[index];
            if !asks_again(&self.objects.tracks[key]) {
                continue;
            }
            for encoding in 0..self.objects.tracks[key].encodings.len() {
                let track = &mut self.objects.tracks[key];
                let local = track.local_ssrc;
                let encoding = &mut track.encodings[encoding];
                let mut lost = std::mem::take(&mut self.lost);
                lost.clear();
                encoding.nacks.poll(now, rtt, &mut lost);
                if !lost.is_empty() {
                    encoding.counters.nacks_sent += 1;
                    let media = encoding.ssrc;
                    self.send_rtcp(slot, |compound| {
                        compound.receiver_report(local, &[]);
                        compound.nack(local, media, &lost);
                    });
                }
                self.lost = lost;
            }
        }
    }

    fn send_receiver_report(&mut self, now: Instant, slot: usize) {
        let transport = &mut self.objects.transports[slot];
        transport.reception.report_at = Some(now + REPORT_INTERVAL);
        let Some(&first) = transport.tracks.first() else { return };
        let local = self.objects.tracks[first].local_ssrc;
        let mut blocks = std::mem::take(&mut self.blocks);
        blocks.clear();
        for &key in &transport.tracks {
            let track = &mut self.objects.tracks[key];
            let discards = !asks_again(track);
            for encoding in track.encodings.iter_mut().filter(|encoding| encoding.heard_within(now, REPORTED)) {
                blocks.extend(encoding.reception.report(now, encoding.ssrc));
                if discards {
                    // Nobody will repair what is missing, but it has to grow old to be counted as lost.
                    self.lost.clear();
                    encoding.nacks.poll(now, None, &mut self.lost);
                }
            }
        }
        let estimate = self.estimates(slot).then(|| {
            let reception = &mut self.objects.transports[slot].reception;
            reception.remb.update(now, average_loss(&blocks))
        });
        if !blocks.is_empty() {
            self.send_rtcp(slot, |compound| {
                compound.receiver_report(local, &blocks);
                compound.source_description(local, CNAME);
                if let Some(bitrate) = estimate {
                    let mut sources = [0; 31];
                    let count = blocks.len().min(sources.len());
                    for (source, block) in sources.iter_mut().zip(&blocks) {
                        *source = block.ssrc;
                    }
                    compound.remb(local, bitrate, &sources[..count]);
                }
            });
        }
        self.blocks = blocks;
    }

    /// Whether the publisher understands REMB and no transport-wide feedback.
    fn estimates(&self, slot: usize) -> bool {
        let transport = &self.objects.transports[slot];
        let any = |negotiated: fn(&crate::command::CodecParameters) -> bool| {
            transport.tracks.iter().any(|&track| self.objects.tracks[track].codecs.iter().any(negotiated))
        };
        let transport_cc =
            transport.extensions.id(ExtensionKind::TransportCc).is_some() && any(|codec| codec.transport_cc);
        !transport_cc && any(|codec| codec.remb)
    }
}

/// Whether NACK was negotiated for what the track sends.
fn asks_again(track: &Track) -> bool {
    track.codecs.iter().any(|codec| codec.nack)
}

/// Mean fraction lost, 0-1.
fn average_loss(blocks: &[ReportBlock]) -> f64 {
    let sum: f64 = blocks.iter().map(|block| f64::from(block.fraction_lost) / 256.0).sum();
    sum / blocks.len().max(1) as f64
}
