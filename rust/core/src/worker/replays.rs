//! Viewers who are shown the group of pictures that was under way when they came.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::command::Kind;
use crate::egress::burst::{Packet, Source};
use crate::egress::flush::{Extra, announce};
use crate::egress::write::Sending;
use crate::layer::Layer;
use crate::objects::Objects;
use crate::subscription::Subscription;
use crate::subscription::replay::{Frame, Replay};
use crate::track::encoding::Encoding;
use crate::transport::Transport;
use crate::worker::{Transmit, Worker};

/// Between two turns of the replays.
const SLICE: Duration = Duration::from_millis(4);
/// Bytes that replays copy before they are sent: as many as stay in the cache.
const MAX_COPIED: usize = 64 * 1024;
/// Least rate of a publisher, in bytes per second: that of a still picture says little.
const MIN_RATE: u64 = 62_500;
/// Fourths of the publisher's rate, to a viewer whose link is not known. A replay at a rate that the link does not carry
/// loses seconds, not milliseconds, and headers and sound come on top of it.
const UNKNOWN_LINK: u64 = 7;
/// Eighths of what the link carries, where that is known, in bytes per second ...
const KNOWN_LINK: u64 = 7;
/// ... at most this ...
const MAX_RATE: u64 = 5_000_000;
/// ... and at least so many fourths of the publisher's rate: what is slower never catches up.
const SLOWEST: u64 = 5;

/// The replays of a worker.
#[derive(Debug, Default)]
pub(super) struct Replays {
    /// Slots of the subscriptions that are shown a group.
    active: Vec<usize>,
    /// Slots of those that wait for their turn.
    waiting: VecDeque<usize>,
    at: Option<Instant>,
}

impl Replays {
    /// When the next packets leave.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.at
    }

    /// Whether somebody is shown a group of this source.
    pub(super) fn concern(&self, subscriptions: &Slab<Subscription>, track: usize, source: Source) -> bool {
        self.active.iter().any(|&key| {
            let subscription = subscriptions.get(key).filter(|other| other.track == Some(track));
            subscription.and_then(|other| other.replay.as_ref()).is_some_and(|replay| replay.source == source)
        })
    }

    /// Replays in progress and waiting, for `dump`.
    pub(super) fn len(&self) -> (usize, usize) {
        (self.active.len(), self.waiting.len())
    }
}

/// What became of a replay in one turn.
enum Turn {
    Goes,
    /// The viewer is at the live edge, or gets something else by now.
    Done,
    /// What it was shown is no longer there.
    Lost,
}

/// A viewer that asks for a key frame so soon after its first packet, and has reported none, was not ready for them:
/// Firefox drops what comes before it has set up its receivers. What it asked for before is on its way at first.
const NOT_READY: Range<Duration> = Duration::from_millis(100)..Duration::from_millis(1000);

impl Worker {
    /// Shows a viewer that was not ready once more what it was shown.
    pub(super) fn replay_again(&mut self, now: Instant, key: usize) {
        let subscription = &mut self.objects.subscriptions[key];
        let since = |begun| now.saturating_duration_since(begun);
        let Some(begun) = subscription.replayed.take_if(|&mut begun| since(begun) >= NOT_READY.start) else { return };
        let early = since(begun) < NOT_READY.end;
        let Some(source) = subscription.source().filter(|_| early && !subscription.paused) else { return };
        if self.begin_replay(now, key, source.encoding) {
            self.objects.subscriptions[key].replayed = None;
        }
    }

    /// Begins to show a subscription what is cached of `encoding`, or puts it in the queue. Returns false if it has to wait.
    pub(super) fn begin_replay(&mut self, now: Instant, key: usize, encoding: u8) -> bool {
        let subscription = &self.objects.subscriptions[key];
        let Some(slot) = subscription.track else { return false };
        let transport = &self.objects.transports[subscription.transport];
        let track = &self.objects.tracks[slot];
        let cached = track.encodings[usize::from(encoding)].gop.open().is_some();
        if !cached || track.kind != Kind::Video || transport.path.is_none() || transport.outbound.is_none() {
            return false;
        }
        self.replays.active.retain(|&other| other != key);
        if self.replays.active.len() >= self.limits.replays {
            if !self.replays.waiting.contains(&key) {
                self.replays.waiting.push_back(key);
            }
            return false;
        }
        let source = Source { encoding, generation: track.encodings[usize::from(encoding)].generation };
        let left = subscription.continuity.last().is_some_and(|(last, _)| last != source);
        let begun = begin(&mut self.objects, now, key, source);
        if begun && left {
            let transport = self.objects.subscriptions[key].transport;
            self.objects.transports[transport].egress.forget(key);
        }
        if begun {
            let track = &self.objects.tracks[slot];
            let subscription = &mut self.objects.subscriptions[key];
            announce(track, subscription, &mut self.notices);
            subscription.replayed = (subscription.counters.packets == 0).then_some(now);
            self.replays.active.push(key);
            self.replays.at.get_or_insert(now);
        }
        begun
    }

    /// Lets the replays go on. Call it when no live packet is in the burst.
    pub(super) fn turn_replays(&mut self, now: Instant, out: &mut impl Transmit) {
        if self.replays.at.is_none_or(|at| now < at) {
            return;
        }
        let mut active = std::mem::take(&mut self.replays.active);
        let mut lost = Vec::new();
        active.retain(|&key| {
            let turn = self.turn_replay(now, key);
            if self.burst.size() >= MAX_COPIED {
                self.send_burst(now, out);
                self.burst.clear();
            }
            if matches!(turn, Turn::Lost) {
                lost.push(key);
            }
            matches!(turn, Turn::Goes)
        });
        self.replays.active = active;
        if !self.burst.is_empty() {
            self.send_burst(now, out);
            self.burst.clear();
        }
        for key in lost {
            self.want_key_frame_for(now, key);
        }
        while self.replays.active.len() < self.limits.replays
            && let Some(key) = self.replays.waiting.pop_front()
        {
            if self.objects.subscriptions.contains(key) {
                self.want_key_frame_for(now, key);
            }
        }
        self.replays.at = (!self.replays.active.is_empty()).then(|| now + SLICE);
    }

    fn turn_replay(&mut self, now: Instant, key: usize) -> Turn {
        let Some(subscription) = self.objects.subscriptions.get_mut(key) else { return Turn::Done };
        let Some(mut replay) = subscription.replay.take() else { return Turn::Done };
        let slot = subscription.track.filter(|_| subscription.source() == Some(replay.source));
        let Some(slot) = slot else { return Turn::Done };
        let encoding = &self.objects.tracks[slot].encodings[usize::from(replay.source.encoding)];
        let transport = &mut self.objects.transports[subscription.transport];
        let kept = encoding.generation == replay.source.generation && encoding.gop.group().is_some();
        if transport.path.is_none() || !kept {
            subscription.continuity.stop();
            return Turn::Lost;
        }
        if let Some(pacer) = &mut transport.egress.pacer {
            pacer.earn(now);
        }
        let most = replay.earn(now, rate(now, encoding, transport));
        let mut sent = 0;
        loop {
            let encoding = &self.objects.tracks[slot].encodings[usize::from(replay.source.encoding)];
            let (Some(group), Some(newest)) = (encoding.gop.group().copied(), encoding.gop.newest().copied()) else {
                break;
            };
            let subscription = &mut self.objects.subscriptions[key];
            if replay.next > newest.sequence {
                subscription.continuity.end_replay(replay.next);
                return Turn::Done;
            }
            let Some((packet, plaintext)) = encoding.history.peek(replay.next) else {
                replay.pass_over();
                continue;
            };
            if packet.payload_len == 0 {
                subscription.continuity.skip(packet);
                replay.next += 1;
                continue;
            }
            let Some(payload_type) = subscription.payload_type(packet.payload_type) else {
                subscription.continuity.skip(packet);
                replay.next += 1;
                continue;
            };
            if !subscription.selection.now().passes(&packet.layers) {
                subscription.continuity.leave_out(packet);
                replay.next += 1;
                continue;
            }
            let begins = replay.frame.is_none_or(|frame| frame.timestamp != packet.timestamp);
            if begins && replay.next < group.first {
                replay.jump(group.first);
                let offset = subscription.continuity.last().map_or(0, |(_, offset)| offset);
                if let Some((first, _)) = encoding.history.peek(group.first) {
                    let live = newest.timestamp.wrapping_add(offset);
                    subscription.continuity.begin_replay(first, newest.timestamp, live, group.frames);
                }
                continue;
            }
            // On a link that is known to be narrow a key frame at once is lost, not late.
            let pacer = self.objects.transports[subscription.transport].egress.pacer.as_ref();
            let may = pacer.map_or(!begins || replay.has_credit(), |pacer| pacer.is_open() && replay.has_credit());
            if sent >= most || !may {
                break;
            }
            replay.pay(plaintext.len());
            if begins {
                replay.frames += 1;
                let stamp = if packet.timestamp == newest.timestamp {
                    packet.timestamp
                } else {
                    let clock_rate = encoding.clock_rate.max(1);
                    let age =
                        now.saturating_duration_since(newest.arrival).as_micros() * u128::from(clock_rate) / 1_000_000;
                    let after = group.frames.saturating_sub(replay.frames);
                    replay.stamp(newest.timestamp, age as u32, encoding.gop.interval(clock_rate), after)
                };
                replay.last = Some(stamp);
                replay.frame = Some(Frame { timestamp: packet.timestamp, stamp });
            }
            let stamp = replay.frame.map_or(packet.timestamp, |frame| frame.stamp);
            if let Some(segment) = subscription.continuity.replay(now, packet, stamp) {
                subscription.selection.note_sent(packet, &encoding.scalability);
                let outgoing = subscription.outgoing(segment, packet, payload_type);
                let transport = &mut self.objects.transports[subscription.transport];
                if transport.egress.extras.is_empty() {
                    self.answering.push(subscription.transport);
                }
                if let Some(pacer) = &mut transport.egress.pacer {
                    pacer.pay(plaintext.len());
                }
                let packet = self.burst.push(*packet, plaintext);
                transport.egress.extras.push(Extra { subscription: key, packet, outgoing, sending: Sending::Replayed });
            }
            sent += 1;
            replay.advance();
        }
        self.objects.subscriptions[key].replay = Some(replay);
        Turn::Goes
    }
}

/// Points a subscription at the first packet of the cached group.
fn begin(objects: &mut Objects, now: Instant, key: usize, source: Source) -> bool {
    let subscription = &mut objects.subscriptions[key];
    let Some(track) = subscription.track.map(|slot| &objects.tracks[slot]) else { return false };
    let encoding = &track.encodings[usize::from(source.encoding)];
    let (Some(group), Some(newest)) = (encoding.gop.open(), encoding.gop.newest()) else { return false };
    let Some((first, _)) = encoding.history.peek(group.first) else { return false };
    if first.source != source || subscription.payload_type(first.payload_type).is_none() {
        return false;
    }
    let edge = Packet { timestamp: newest.timestamp, arrival: newest.arrival, ..*first };
    let live = track.handover(subscription, &edge);
    let target = track.target(subscription).filter(|target| target.encoding == source.encoding);
    subscription.choose_layers(target.unwrap_or(Layer::whole(source.encoding)), track);
    subscription.continuity.begin_replay(first, newest.timestamp, live, group.frames);
    let last = subscription.continuity.newest_in_source();
    subscription.replay = Some(Box::new(Replay::new(now, source, group.first, last)));
    true
}

/// Bytes per second at which a viewer is shown the past.
fn rate(now: Instant, encoding: &Encoding, transport: &Transport) -> u64 {
    let publisher = encoding.gop.bytes_per_second(now).max(MIN_RATE);
    if let Some(limit) = transport.bitrate_limit() {
        return limit / 8 * 9 / 10;
    }
    match transport.available_bitrate() {
        Some(bitrate) => (bitrate / 8 * KNOWN_LINK / 8).min(MAX_RATE).max(publisher * SLOWEST / 4),
        None => publisher * UNKNOWN_LINK / 4,
    }
}
