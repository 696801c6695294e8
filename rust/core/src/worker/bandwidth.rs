//! What the path to a viewer carries, and what follows from that: layers, probes, pace.

use std::time::{Duration, Instant};

use slab::Slab;

use crate::bandwidth::allocate::Rung;
use crate::bandwidth::automatic::Facts;
use crate::command::Kind;
use crate::egress::flush::Extra;
use crate::egress::pacer::{MAX_REPAIRS, Pacer, Waiting};
use crate::egress::write::Sending;
use crate::layer::{Layer, LayerRate};
use crate::rtcp::{ReportBlock, TransportFeedback};
use crate::subscription::Subscription;
use crate::track::Track;
use crate::transport::EgressState;
use crate::worker::Worker;

/// The choice of layers is made anew so often while nothing happens.
const REVIEW: Duration = Duration::from_millis(250);
/// A viewer that was to send transport-wide feedback and sends none by then has none.
const NO_FEEDBACK: Duration = Duration::from_secs(2);
/// A better layer is waited for so long before it is shown from its last key frame on, which takes the viewer back in time.
const PATIENCE: Duration = Duration::from_millis(2500);
/// What a packet is longer on its way than it was at the publisher: header extensions, tag, UDP and IP.
const LONGER: f64 = 1.05;
/// The same for 50 packets of sound in a second, in bit/s.
const SOUND_LONGER: u64 = 20_000;
/// A queue of the link that is waited for: it may be full, and then every other packet is lost.
const LONG_QUEUE: Duration = Duration::from_millis(150);
/// Repairs that left so long before a link was known to be full may have been lost in its queue.
const RECENT: Duration = Duration::from_millis(400);
/// Of the pictures of the layer that has most, so many are enough for a larger one.
const MOVES: f64 = 0.4;
/// Packets that a probe chooses from.
const PROBE_PACKETS: u64 = 64;

impl Worker {
    /// Takes a viewer's transport-wide feedback.
    pub(super) fn handle_transport_feedback(&mut self, now: Instant, slot: usize, feedback: &TransportFeedback<'_>) {
        if !self.bandwidth_estimation {
            return;
        }
        let transport = &mut self.objects.transports[slot];
        if transport.subscriptions.is_empty() {
            return;
        }
        let state = transport.bandwidth.get_or_insert_default();
        let congested = state.estimator.feedback(now, feedback, &mut transport.egress.log);
        self.review(now, slot, congested);
    }

    /// Takes a viewer's own estimate.
    pub(super) fn handle_remb(&mut self, now: Instant, slot: usize, bitrate: u64) {
        let transport = &mut self.objects.transports[slot];
        if !self.bandwidth_estimation || transport.subscriptions.is_empty() {
            return;
        }
        transport.bandwidth.get_or_insert_default().estimator.remb(now, bitrate);
        self.review(now, slot, true);
    }

    /// Takes the loss that a viewer reports of a video, which is all that some tell.
    pub(super) fn handle_loss(&mut self, now: Instant, slot: usize, report: &ReportBlock) {
        if !self.bandwidth_estimation {
            return;
        }
        let transport = &mut self.objects.transports[slot];
        let sent = transport.counters.bytes_sent;
        let state = transport.bandwidth.get_or_insert_default();
        let Some(rate) = state.sent_rate(now, sent) else { return };
        let congested = state.estimator.report(now, f64::from(report.fraction_lost) / 256.0, rate);
        self.review(now, slot, congested);
    }

    /// Decides anew if it is time, or if something has happened.
    fn review(&mut self, now: Instant, slot: usize, news: bool) {
        let Some(state) = &mut self.objects.transports[slot].bandwidth else { return };
        let idle = state.reviewed.is_some_and(|at| now.saturating_duration_since(at) < REVIEW);
        if news || !idle {
            self.adapt_to(now, slot, news);
        }
        self.schedule_transport(slot);
    }

    /// Chooses the layers of a transport, and its pace.
    pub(super) fn adapt(&mut self, now: Instant, slot: usize) {
        self.adapt_to(now, slot, false);
    }

    fn adapt_to(&mut self, now: Instant, slot: usize, congested: bool) {
        let transport = &mut self.objects.transports[slot];
        let ready = transport.path.filter(|_| transport.outbound.is_some() && self.bandwidth_estimation);
        let Some(path) = ready else { return };
        if transport.bandwidth.is_none() {
            let layered = transport.subscriptions.iter().any(|&key| {
                let track = self.objects.subscriptions[key].track.and_then(|track| self.objects.tracks.get(track));
                track.is_some_and(Track::is_layered)
            });
            if !layered {
                return;
            }
        }
        let mut state = transport.bandwidth.take().unwrap_or_default();
        state.reviewed = Some(now);
        let known = state.estimator.estimate().is_some();
        let began = *state.began.get_or_insert(now);
        let mut fixed = 0;
        let (mut numbered, mut repairs) = (false, false);
        state.members.clear();
        for &key in &transport.subscriptions {
            let subscription = &self.objects.subscriptions[key];
            let Some(track) = subscription.track.and_then(|track| self.objects.tracks.get(track)) else { continue };
            if subscription.paused {
                continue;
            }
            numbered |= subscription.template.takes_transport_sequence();
            repairs |= subscription.rtx_ssrc.is_some();
            if !is_automatic(subscription, track) {
                fixed += bitrate(now, subscription, track);
                continue;
            }
            let index = state.members.len();
            state.members.push(key);
            if state.ladders.len() <= index {
                state.ladders.push(Default::default());
            }
            let current = subscription.target.filter(|target| is_alive(track, *target));
            state.ladders[index].fill(rungs(now, subscription, track, known), current);
        }
        state.ladders.truncate(state.members.len());
        let waits = numbered && now.saturating_duration_since(began) < NO_FEEDBACK;
        let trusted = path.remote.ip().is_loopback() || !waits;
        let facts = Facts { fixed, trusted, probes: repairs && numbered };
        let chosen = state.automatic.decide(now, &mut state.estimator, &state.ladders, facts);
        let mut changed = false;
        for ((&key, ladder), &rung) in state.members.iter().zip(&state.ladders).zip(chosen) {
            let subscription = &mut self.objects.subscriptions[key];
            let layer = ladder.layer(rung);
            if layer == subscription.target {
                continue;
            }
            let raised = ladder.current().is_some_and(|current| rung > current);
            // Of one encoding the rest of a frame is needed: a receiver waits for its marker.
            let stays = layer.map(|layer| layer.encoding) == subscription.source().map(|source| source.encoding);
            if !raised && !stays {
                transport.egress.forget(key);
            }
            subscription.patient_until = raised.then(|| now + PATIENCE);
            subscription.set_target(layer);
            changed = true;
        }
        // Less than what is sent in any case would hold it back for nothing, unless the link does not carry that.
        let least = state.automatic.bitrate();
        let thins = !state.members.is_empty() && state.estimator.carried().is_some_and(|carried| carried < least);
        let pace = state.estimator.drain().map(|drain| drain.max(if thins { fixed } else { least }));
        match (pace, &mut transport.egress.pacer) {
            (Some(limit), Some(pacer)) => pacer.set_bitrate(limit),
            (Some(limit), none) => {
                let pacer = none.insert(Box::new(Pacer::new(limit)));
                pacer.earn(now);
                for &key in &transport.subscriptions {
                    hold_recent_repairs(now, pacer, key, &self.objects.subscriptions[key], &self.objects.tracks);
                }
            }
            (None, Some(pacer)) if pacer.is_empty() => transport.egress.pacer = None,
            (None, _) => {}
        }
        if let Some(pacer) = &mut transport.egress.pacer {
            pacer.thins = thins;
            if congested || state.estimator.queue() > LONG_QUEUE {
                pacer.owe(now, state.estimator.standing());
            } else if state.estimator.is_calm() {
                pacer.settle();
            }
        }
        let waits = transport.egress.pacer.as_ref().is_some_and(|pacer| !pacer.is_empty());
        transport.bandwidth = Some(state);
        if waits {
            self.note_pacing(slot);
        }
        if changed {
            for index in 0..self.objects.transports[slot].subscriptions.len() {
                let key = self.objects.transports[slot].subscriptions[index];
                self.want_key_frame_for(now, key);
            }
        }
        self.schedule_transport(slot);
    }

    /// Chooses anew for everybody who gets a track.
    pub(super) fn adapt_viewers(&mut self, now: Instant, track: usize) {
        if !self.objects.tracks[track].is_layered() {
            return;
        }
        for index in 0..self.objects.tracks[track].subscriptions.len() {
            let key = self.objects.tracks[track].subscriptions[index];
            self.adapt(now, self.objects.subscriptions[key].transport);
        }
    }

    /// When a transport has something to do for its estimate or its pace. Never while it has no path: nothing can be done
    /// then, and what was due would be for ever.
    pub(super) fn bandwidth_deadline(&self, slot: usize) -> Option<Instant> {
        let transport = &self.objects.transports[slot];
        if transport.path.is_none() || transport.outbound.is_none() {
            return None;
        }
        let pace = transport.egress.pacer.as_ref().and_then(|pacer| pacer.deadline());
        let state = transport.bandwidth.as_ref();
        let subscriptions = transport.subscriptions.iter().map(|&key| &self.objects.subscriptions[key]);
        let patience = subscriptions.filter_map(|subscription| subscription.patient_until).min();
        let probe = state.and_then(|state| state.estimator.deadline());
        let decision = state.and_then(|state| state.automatic.deadline());
        [pace, patience, probe, decision].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(super) fn run_bandwidth(&mut self, now: Instant, slot: usize) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        for index in 0..self.objects.transports[slot].subscriptions.len() {
            let key = self.objects.transports[slot].subscriptions[index];
            if due(self.objects.subscriptions[key].patient_until) {
                self.objects.subscriptions[key].patient_until = None;
                self.want_key_frame_for(now, key);
            }
        }
        let transport = &mut self.objects.transports[slot];
        let pace = transport.egress.pacer.as_ref().and_then(|pacer| pacer.deadline());
        if due(pace) {
            self.release_paced(now, slot);
        }
        let transport = &mut self.objects.transports[slot];
        let Some(state) = &mut transport.bandwidth else { return };
        if due(state.estimator.deadline()) {
            let bytes = state.estimator.tick(now, &mut transport.egress.log);
            if bytes > 0 {
                self.send_probe(now, slot, bytes);
            }
        }
        let Some(state) = &mut self.objects.transports[slot].bandwidth else { return };
        if due(state.automatic.deadline()) {
            self.adapt(now, slot);
        }
    }

    /// Takes into the burst what has waited for its turn.
    pub(super) fn release_all_paced(&mut self, now: Instant) {
        for index in 0..self.pacing.len() {
            self.release_paced(now, self.pacing[index]);
        }
        let transports = &mut self.objects.transports;
        self.pacing.retain(|&slot| {
            let pacer = transports.get_mut(slot).and_then(|transport| transport.egress.pacer.as_mut());
            pacer.is_some_and(|pacer| {
                pacer.noted = !pacer.is_empty();
                pacer.noted
            })
        });
    }

    /// Something waits at a transport.
    pub(super) fn note_pacing(&mut self, slot: usize) {
        if let Some(pacer) = &mut self.objects.transports[slot].egress.pacer
            && !std::mem::replace(&mut pacer.noted, true)
        {
            self.pacing.push(slot);
        }
    }

    fn release_paced(&mut self, now: Instant, slot: usize) {
        let Some(transport) = self.objects.transports.get_mut(slot) else { return };
        let EgressState { extras, pacer: Some(pacer), .. } = &mut transport.egress else { return };
        if transport.path.is_none() || transport.outbound.is_none() {
            return;
        }
        pacer.earn(now);
        let before = extras.len();
        while let Some(waiting) = pacer.release() {
            let Waiting { subscription, track, encoding, sequence, outgoing, repair } = waiting;
            let encoding = self.objects.tracks.get(track).and_then(|track| track.encodings.get(usize::from(encoding)));
            let Some((packet, plaintext)) = encoding
                .and_then(|encoding| encoding.history.peek(sequence))
                .filter(|(packet, _)| packet.source == outgoing.segment.source)
            else {
                continue;
            };
            pacer.pay(plaintext.len());
            let packet = self.burst.push(*packet, plaintext);
            let sending = if repair { Sending::Again } else { Sending::Replayed };
            extras.push(Extra { subscription, packet, outgoing, sending });
        }
        if extras.len() > before && !self.answering.contains(&slot) {
            self.answering.push(slot);
        }
    }

    /// Time passes for an estimate that nothing is heard of.
    pub(super) fn age_bandwidth(&mut self, now: Instant, slot: usize) {
        let transport = &mut self.objects.transports[slot];
        if let Some(state) = &mut transport.bandwidth {
            let changed = state.estimator.elapse(now, &transport.egress.log);
            self.review(now, slot, changed);
        }
    }

    /// Queues packets that were sent a moment ago, to be sent again by RTX: `bytes` of them.
    fn send_probe(&mut self, now: Instant, slot: usize, bytes: u64) {
        let transport = &mut self.objects.transports[slot];
        let mut left = bytes as i64;
        for &key in &transport.subscriptions {
            let subscription = &self.objects.subscriptions[key];
            let Some(track) = subscription.track.and_then(|track| self.objects.tracks.get(track)) else { continue };
            if subscription.kind != Kind::Video || subscription.rtx_ssrc.is_none() {
                continue;
            }
            let mut found = 0_usize;
            for back in (1..=PROBE_PACKETS).cycle() {
                if left <= 0 || back == PROBE_PACKETS && found == 0 {
                    break;
                }
                let out = subscription.continuity.next_out().wrapping_sub(back) as u16;
                let Some((outgoing, packet, plaintext)) = subscription.sent(now, track, out) else { continue };
                if subscription.retransmits_as(outgoing.payload_type).is_none() {
                    continue;
                }
                if transport.egress.extras.is_empty() && !self.answering.contains(&slot) {
                    self.answering.push(slot);
                }
                left -= plaintext.len() as i64;
                found += 1;
                let packet = self.burst.push(*packet, plaintext);
                transport.egress.extras.push(Extra { subscription: key, packet, outgoing, sending: Sending::Probe });
            }
        }
    }
}

/// What was sent again while nobody knew yet that the link is full has met a full queue, most likely.
fn hold_recent_repairs(now: Instant, pacer: &mut Pacer, key: usize, subscription: &Subscription, tracks: &Slab<Track>) {
    let Some((slot, track)) = subscription.track.and_then(|slot| Some((slot, tracks.get(slot)?))) else { return };
    let source = subscription.source();
    if subscription.target.is_some_and(|target| source.is_none_or(|source| source.encoding != target.encoding)) {
        return;
    }
    let recent = subscription.retransmissions.within(now, RECENT);
    // The newest have met the fullest queue; half of the room is for what will be asked for.
    for &sequence in &recent[recent.len().saturating_sub(MAX_REPAIRS / 2)..] {
        let Some((outgoing, packet, _)) = subscription.sent(now, track, sequence as u16) else { continue };
        if outgoing.sequence == sequence && source == Some(outgoing.segment.source) {
            let (encoding, sequence, repair) = (packet.source.encoding, packet.sequence, true);
            pacer.hold_repair(Waiting { subscription: key, track: slot, encoding, sequence, outgoing, repair });
        }
    }
}

/// Whether nobody but the viewer's network says what flows.
fn is_automatic(subscription: &Subscription, track: &Track) -> bool {
    subscription.kind == Kind::Video && track.is_layered() && !subscription.strict && !subscription.choice.is_pinned()
}

fn is_alive(track: &Track, layer: Layer) -> bool {
    track.encodings.get(usize::from(layer.encoding)).is_some_and(|encoding| encoding.alive)
}

/// What is sent of a track that leaves no choice, in bit/s.
fn bitrate(now: Instant, subscription: &Subscription, track: &Track) -> u64 {
    let Some(target) = track.target(subscription) else { return 0 };
    let Some(encoding) = track.encodings.get(usize::from(target.encoding)) else { return 0 };
    let (mut whole, mut bitrate) = (encoding.rate, None);
    if encoding.scalability.is_layered() {
        let layers = encoding.layers(now, target.encoding);
        let gets = |rate: &&LayerRate| rate.layer.is_within(target) && subscription.can_get(rate.layer, &layers);
        bitrate = layers.iter().filter(gets).max_by_key(|rate| rate.layer).map(|rate| rate.bitrate);
    }
    let bitrate = bitrate.unwrap_or_else(|| whole.steady(now) * 8);
    match subscription.kind {
        Kind::Audio => bitrate + SOUND_LONGER,
        Kind::Video => (bitrate as f64 * LONGER) as u64,
    }
}

/// What a viewer can get of a track now, from the cheapest to the best. `known` says that its path is: then what takes
/// nobody knows how much is not had while there is something else.
fn rungs(now: Instant, subscription: &Subscription, track: &Track, known: bool) -> impl Iterator<Item = Rung> {
    let mut layers = track.layers(now);
    layers.retain(|rate| rate.active);
    let measured = |rate: &LayerRate| track.encodings[usize::from(rate.layer.encoding)].rate.is_measured();
    if known && layers.iter().any(measured) {
        layers.retain(measured);
    }
    let all = layers.clone();
    layers.retain(|rate| subscription.can_get(rate.layer, &all));
    let smallest = layers.first().map(|rate| rate.layer);
    layers.retain(|rate| subscription.choice.allows(track, rate) || Some(rate.layer) == smallest);
    leave_out_jerky(&mut layers);
    layers.into_iter().map(|rate| Rung {
        layer: rate.layer,
        area: u32::from(rate.size.0) * u32::from(rate.size.1),
        bitrate: (rate.bitrate as f64 * LONGER) as u64,
        highest: (rate.highest as f64 * LONGER) as u64,
    })
}

/// A smaller picture that moves is better than a larger one of which but a quarter of the pictures is shown: lower temporal
/// layers than the second best are for the smallest size only, and the second best only where its pictures come, since an
/// encoder that is too slow leaves out large ones. `layers` are in order of size.
fn leave_out_jerky(layers: &mut Vec<LayerRate>) {
    let Some(smallest) = layers.first().map(|rate| rate.size) else { return };
    let picture = |rate: &LayerRate| (rate.layer.encoding, rate.layer.spatial);
    let most = layers.iter().map(|rate| rate.pictures).max().unwrap_or(0);
    let best: Vec<_> = layers.iter().map(|rate| (picture(rate), rate.layer.temporal)).collect();
    layers.retain(|rate| {
        let tops = best.iter().filter(|(other, _)| *other == picture(rate)).map(|&(_, temporal)| temporal);
        let top = tops.max().unwrap_or(0);
        let moves = f64::from(rate.pictures) >= f64::from(most) * MOVES;
        rate.size == smallest || rate.layer.temporal >= top || rate.layer.temporal + 1 == top && moves
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moving_picture_is_better_than_a_larger_one_that_jerks() {
        let rate = |width, spatial, temporal| LayerRate {
            layer: Layer { encoding: 0, spatial, temporal },
            size: (width, width / 2),
            bitrate: u64::from(width) * u64::from(temporal + 1),
            highest: 0,
            pictures: 150 >> (2 - temporal),
            active: true,
        };
        let mut layers: Vec<_> = [(240, 0), (480, 1), (960, 2)]
            .into_iter()
            .flat_map(|(width, spatial)| (0..3).map(move |temporal| rate(width, spatial, temporal)))
            .collect();
        leave_out_jerky(&mut layers);
        let left: Vec<_> = layers.iter().map(|rate| (rate.layer.spatial, rate.layer.temporal)).collect();
        assert_eq!(left, [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)]);
        let mut slow: Vec<_> = (1..3)
            .flat_map(|spatial| (0..3).map(move |temporal| rate(480 * u16::from(spatial), spatial, temporal)))
            .collect();
        slow[3..].iter_mut().for_each(|rate| rate.pictures /= 3);
        leave_out_jerky(&mut slow);
        let left: Vec<_> = slow.iter().map(|rate| (rate.layer.spatial, rate.layer.temporal)).collect();
        assert_eq!(left, [(1, 0), (1, 1), (1, 2), (2, 2)]);
        let mut plain = vec![rate(240, 0, 0), rate(480, 1, 0)];
        leave_out_jerky(&mut plain);
        assert_eq!(plain.len(), 2);
    }
}
