//! `stats`: the counters of everything, copied.

use std::time::{Duration, Instant};

use crate::layer::LayerRate;
use crate::stats::{
    LayerStats, SourceStats, Stats, SubscriptionStats, TapStats, TrackStats, TransportStats, WorkerStats,
};
use crate::subscription::Subscription;
use crate::tap::Tap;
use crate::track::encoding::Encoding;
use crate::track::{SILENCE, Track};
use crate::transport::Transport;
use crate::worker::Worker;

impl Worker {
    pub(super) fn stats(&self, now: Instant) -> Stats {
        let objects = &self.objects;
        let mut tracks = Vec::new();
        for (_, track) in &objects.tracks {
            let Some(transport) = track.transport().map(|slot| &objects.transports[slot]) else { continue };
            tracks.extend(track.encodings.iter().map(|encoding| encoding_stats(now, transport, track, encoding)));
        }
        Stats {
            worker: WorkerStats {
                datagrams_sent: self.egress.datagrams + self.outbox.sent,
                runs_sent: self.egress.runs + self.outbox.sent,
                events_dropped: self.notices.dropped,
                packets_offered: self.egress.offered,
                totals: objects.totals(),
                ..self.counters
            },
            transports: objects.transports.iter().map(|(_, transport)| transport_stats(now, transport)).collect(),
            tracks,
            subscriptions: objects.subscriptions.iter().map(|(_, other)| self.subscription_stats(other)).collect(),
            taps: objects
                .tracks
                .iter()
                .flat_map(|(_, track)| track.taps.iter().map(|tap| tap_stats(track, tap)))
                .collect(),
            sources: objects.tracks.iter().filter_map(|(_, track)| source_stats(track)).collect(),
        }
    }

    fn subscription_stats(&self, subscription: &Subscription) -> SubscriptionStats {
        let track = subscription.track.and_then(|slot| self.objects.tracks.get(slot));
        let source = subscription.source();
        let encoding = track.zip(source).and_then(|(track, source)| track.encodings.get(usize::from(source.encoding)));
        let counters = &subscription.counters;
        let layer = subscription.layer().unwrap_or_default();
        SubscriptionStats {
            subscription: subscription.id,
            transport: self.objects.transports[subscription.transport].id,
            track: track.map(|track| track.id),
            rid: encoding.and_then(|encoding| encoding.rid.clone()),
            spatial: layer.spatial,
            temporal: layer.temporal,
            packets: counters.packets,
            bytes: counters.bytes,
            retransmitted: counters.retransmitted,
            nacks_received: counters.nacks_received,
            nacks_unanswered: counters.nacks_unanswered,
            plis_received: counters.plis_received,
            replayed: counters.replayed,
            dropped: counters.dropped.total(),
            lost: subscription.reception.lost,
            fraction_lost: subscription.reception.fraction_lost,
            jitter_ms: subscription.reception.jitter_ms,
        }
    }
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

fn transport_stats(now: Instant, transport: &Transport) -> TransportStats {
    TransportStats {
        transport: transport.id,
        connected: transport.agent.selected().is_some() && !transport.agent.is_lost(),
        path: transport.path,
        packets_received: transport.counters.packets_received,
        bytes_received: transport.counters.bytes_received,
        packets_sent: transport.counters.packets_sent,
        bytes_sent: transport.counters.bytes_sent,
        srtp_rejected: transport.counters.srtp_rejected,
        datagrams_ignored: transport.ignored.total(),
        rtt_ms: transport.rtt.or(transport.agent.rtt()).map(millis),
        available_bitrate: transport.available_bitrate(),
        silent_ms: transport.agent.heard().map(|heard| millis(now.saturating_duration_since(heard))),
    }
}

fn encoding_stats(now: Instant, transport: &Transport, track: &Track, encoding: &Encoding) -> TrackStats {
    let mut rate = encoding.rate;
    let (freezes, frozen) = encoding.frames.freezes(now);
    let since_opened = |at: Instant| millis(at.saturating_duration_since(transport.opened));
    TrackStats {
        track: track.id,
        transport: transport.id,
        rid: encoding.rid.clone(),
        ssrc: encoding.ssrc,
        payload_type: encoding.payload_type,
        packets: encoding.counters.packets,
        bytes: encoding.counters.bytes,
        lost: encoding.lost(),
        repaired: encoding.counters.repaired,
        reordered: encoding.counters.reordered,
        nacks_sent: encoding.counters.nacks_sent,
        plis_sent: encoding.key_frame_requests.sent,
        key_frames: encoding.counters.key_frames,
        frames: encoding.frames.shown(),
        freezes,
        freeze_ms: millis(frozen),
        first_packet_ms: encoding.began.map(since_opened),
        first_key_frame_ms: encoding.frames.first_key_frame().map(since_opened),
        jitter_ms: f64::from(encoding.reception.jitter()) * 1000.0 / f64::from(encoding.clock_rate.max(1)),
        width: encoding.size.0,
        height: encoding.size.1,
        bitrate: rate.bytes_per_second(now) * 8,
        active: encoding.heard_within(now, SILENCE),
        layers: layer_stats(now, encoding),
    }
}

fn layer_stats(now: Instant, encoding: &Encoding) -> Vec<LayerStats> {
    if !encoding.scalability.is_layered() {
        return Vec::new();
    }
    let mut layers = encoding.layers(now, 0);
    layers.sort_by_key(|rate| (rate.size.0, rate.bitrate, rate.layer));
    let row = |rate: LayerRate| LayerStats {
        spatial: rate.layer.spatial,
        temporal: rate.layer.temporal,
        width: rate.size.0,
        height: rate.size.1,
        bitrate: rate.bitrate,
        frame_rate: f64::from(rate.pictures) / 10.0,
        active: rate.active,
    };
    layers.into_iter().map(row).collect()
}

fn tap_stats(track: &Track, tap: &Tap) -> TapStats {
    let (counters, level) = (&tap.counters, tap.queue.level());
    let (rid, codec) = tap.reads();
    TapStats {
        tap: tap.id,
        track: track.id,
        rid: rid.map(|rid| rid.to_string()),
        codec,
        frames: counters.frames,
        bytes: counters.bytes,
        key_frames: counters.key_frames,
        lost_packets: counters.lost_packets,
        damaged: counters.damaged,
        skipped: counters.skipped,
        dropped: level.dropped,
        queued_frames: level.frames,
        queued_bytes: level.bytes,
        waiting_packets: tap.waiting(),
        synced: tap.synced(),
    }
}

fn source_stats(track: &Track) -> Option<SourceStats> {
    let writer = track.writer.as_ref()?;
    let encoding = &track.encodings[0].counters;
    Some(SourceStats {
        track: track.id,
        ssrc: writer.ssrc,
        frames: writer.counters.frames,
        key_frames: encoding.key_frames,
        packets: encoding.packets,
        bytes: encoding.bytes,
        refused: writer.counters.refused,
        key_frames_needed: writer.counters.key_frames_needed,
    })
}
