//! `dump`: every object, its queues and its timers.

use std::time::Instant;

use crate::codec::Codec;
use crate::dump::{Relative, Tree};
use crate::subscription::Subscription;
use crate::tap::Tap;
use crate::track::{Origin, Track};
use crate::transport::Transport;
use crate::worker::Worker;

impl Worker {
    pub(super) fn dump(&self, now: Instant) -> String {
        let mut tree = Tree::default();
        let (events, relayed) = self.notices.len();
        let (replaying, waiting) = self.replays.len();
        let objects = &self.objects;
        tree.line(format_args!(
            "worker: received {} unknown {} | queues: outbox {} burst {} events {events} relay {relayed} | timers {}, next {} | replays {replaying} waiting {waiting}",
            self.counters.datagrams_received,
            self.counters.unknown_datagrams,
            self.outbox.len(),
            self.burst.packets().len(),
            self.timers.len(),
            Relative(self.timers.next(), now),
        ));
        tree.nest(|tree| {
            for (_, transport) in &objects.transports {
                self.dump_transport(now, transport, tree);
            }
            for (_, track) in objects.tracks.iter().filter(|(_, track)| track.transport().is_none()) {
                self.dump_track(now, track, tree);
            }
        });
        tree.finish()
    }

    fn dump_transport(&self, now: Instant, transport: &Transport, tree: &mut Tree) {
        let counters = &transport.counters;
        tree.line(format_args!(
            "transport {}: ice {:?} selected {:?} lost {} | srtp {} held {} | in {}/{}B rejected {} | out {}/{}B | rtt {:?} | timer {}",
            transport.id.0,
            transport.agent.role(),
            transport.agent.selected().map(|path| path.remote),
            transport.agent.is_lost(),
            transport.outbound.as_ref().map_or("-", |outbound| outbound.profile().name()),
            transport.held_len(),
            counters.packets_received,
            counters.bytes_received,
            counters.srtp_rejected,
            counters.packets_sent,
            counters.bytes_sent,
            transport.rtt,
            Relative(transport.scheduled, now),
        ));
        tree.nest(|tree| {
            for path in transport.agent.paths() {
                tree.line(format_args!("path {} socket {}", path.remote, path.socket));
            }
            if let Some(state) = &transport.bandwidth {
                tree.line(format_args!("path: {}", state.estimator.describe()));
            }
            if let Some(pacer) = &transport.egress.pacer {
                let (repairs, packets, bytes) = pacer.len();
                tree.line(format_args!("pacer: {packets} packets, {bytes}B, and {repairs} repairs wait"));
            }
            for (reason, count) in transport.ignored.iter() {
                tree.line(format_args!("ignored {count}: {reason}"));
            }
            for (ssrc, binding) in transport.bindings.iter() {
                let track = self.objects.tracks[binding.track].id.0;
                let purpose = if binding.rtx { "rtx" } else { "media" };
                tree.line(format_args!("ssrc {ssrc}: track {track} encoding {} {purpose}", binding.encoding));
            }
            for &track in &transport.tracks {
                self.dump_track(now, &self.objects.tracks[track], tree);
            }
            for &subscription in &transport.subscriptions {
                self.dump_subscription(&self.objects.subscriptions[subscription], tree);
            }
        });
    }

    fn dump_track(&self, now: Instant, track: &Track, tree: &mut Tree) {
        let origin = match track.origin {
            Origin::Transport(_) => "local".to_owned(),
            Origin::Route(route) => format!("from route {}", route.0),
            Origin::Source => "source".to_owned(),
        };
        tree.line(format_args!(
            "track {}: {:?} mid {:?} {origin} | subscriptions {} taps {} routes {:?} | best {:?} heard {} silent {} | timer {}",
            track.id.0,
            track.kind,
            track.mid,
            track.subscriptions.len(),
            track.taps.len(),
            track.routes.iter().map(|route| route.0).collect::<Vec<_>>(),
            track.best,
            Relative(track.heard, now),
            track.silent,
            Relative(track.scheduled, now),
        ));
        tree.nest(|tree| {
            for (index, encoding) in track.encodings.iter().enumerate() {
                let counters = &encoding.counters;
                tree.line(format_args!(
                    "encoding {index}: rid {:?} ssrc {} pt {} {}x{} alive {} heard {} | packets {} padding {} repaired {} key frames {} | key frame requests: sent {} wanted {} | clock {}",
                    encoding.rid,
                    encoding.ssrc,
                    encoding.payload_type,
                    encoding.size.0,
                    encoding.size.1,
                    encoding.alive,
                    Relative(encoding.heard, now),
                    counters.packets,
                    counters.padding_only,
                    counters.repaired,
                    counters.key_frames,
                    encoding.key_frame_requests.sent,
                    encoding.key_frame_requests.is_wanted(),
                    if encoding.clock.is_some() { "from sender report" } else { "from arrival" },
                ));
            }
            for tap in &track.taps {
                dump_tap(now, tap, tree);
            }
            if let Some(writer) = &track.writer {
                let counters = &writer.counters;
                tree.line(format_args!(
                    "written: {} pt {} | frames {} refused {} key frames needed {}",
                    writer.codec.codec.name(),
                    writer.codec.payload_type,
                    counters.frames,
                    counters.refused,
                    counters.key_frames_needed,
                ));
            }
        });
    }

    fn dump_subscription(&self, subscription: &Subscription, tree: &mut Tree) {
        let track = subscription.track.and_then(|slot| self.objects.tracks.get(slot));
        let counters = &subscription.counters;
        tree.line(format_args!(
            "subscription {}: {:?} track {:?} ssrc {} rtx {:?} | choice {:?} target {:?} flows {:?} paused {} volatile {} | next {} segments {} | packets {} retransmitted {} nacks {}/{}/{} plis {} | replayed {}",
            subscription.id.0,
            subscription.kind,
            track.map(|track| track.id.0),
            subscription.ssrc,
            subscription.rtx_ssrc,
            subscription.choice,
            subscription.target,
            subscription.source(),
            subscription.paused,
            subscription.volatile,
            subscription.continuity.next_out(),
            subscription.continuity.past_len(),
            counters.packets,
            counters.retransmitted,
            counters.nacks_received,
            counters.nacks_unanswered,
            counters.nacks_repeated,
            counters.plis_received,
            counters.replayed,
        ));
        tree.nest(|tree| {
            for (reason, count) in counters.dropped.iter() {
                tree.line(format_args!("dropped {count}: {reason}"));
            }
        });
    }
}

fn dump_tap(now: Instant, tap: &Tap, tree: &mut Tree) {
    let (counters, level) = (&tap.counters, tap.queue.level());
    let (rid, codec) = tap.reads();
    tree.line(format_args!(
        "tap {}: rid {rid:?} codec {:?} flows {:?} synced {} | frames {} key {} skipped {} damaged {} lost packets {} | waits for packets {} until {} | queue {}/{}B dropped {}",
        tap.id.0,
        codec.map(Codec::name),
        tap.source(),
        tap.synced(),
        counters.frames,
        counters.key_frames,
        counters.skipped,
        counters.damaged,
        counters.lost_packets,
        tap.waiting(),
        Relative(tap.deadline(), now),
        level.frames,
        level.bytes,
        level.dropped,
    ));
}
