//! One published source, its encodings, and who gets it.

pub mod clock;
pub mod encoding;
pub mod gop;
pub mod key_frames;
pub mod rate;
pub mod scalability;
pub mod writer;

use std::time::{Duration, Instant};

use crate::command::{CodecParameters, Kind, TrackId, TrackParameters};
use crate::egress::burst::Packet;
use crate::event::Event;
use crate::layer::{Choice, Layer, LayerRate};
use crate::relay::RouteId;
use crate::subscription::Subscription;
use crate::tap::Tap;
use crate::timers::Scheduled;
use encoding::Encoding;
use writer::Writer;

/// Without a packet for this long a track is silent, and an encoding is not chosen.
pub const SILENCE: Duration = Duration::from_secs(2);
/// How often the best encoding is chosen anew.
pub const CHOICE_INTERVAL: Duration = Duration::from_millis(500);
/// Beyond this, sender reports of two encodings contradict their arrival, and are not believed.
const MAX_CLOCK_ERROR: Duration = Duration::from_secs(2);

/// Where a track's packets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Slot of the publisher's transport.
    Transport(usize),
    /// Another worker; key frame requests go back there.
    Route(RouteId),
    /// Control, which writes it frame by frame.
    Source,
}

/// The state of one track.
#[derive(Debug)]
pub struct Track {
    /// Its id.
    pub id: TrackId,
    /// Where packets come from.
    pub origin: Origin,
    /// Audio or video.
    pub kind: Kind,
    /// The m-section.
    pub mid: Option<String>,
    /// SSRC of our RTCP about it.
    pub local_ssrc: u32,
    /// Negotiated payload types.
    pub codecs: Vec<CodecParameters>,
    /// At least one.
    pub encodings: Vec<Encoding>,
    /// Slots of its subscriptions.
    pub subscriptions: Vec<usize>,
    /// Who reads it as frames.
    pub taps: Vec<Tap>,
    /// The writing end of a source.
    pub writer: Option<Box<Writer>>,
    /// Workers that import it.
    pub routes: Vec<RouteId>,
    /// Its packets in the current burst.
    pub burst: Vec<usize>,
    /// The encoding that viewers get who do not choose.
    pub best: Option<u8>,
    /// Newest packet of any encoding.
    pub heard: Option<Instant>,
    /// Control has been told that it is silent.
    pub silent: bool,
    /// Next timer.
    pub scheduled: Scheduled,
    /// Header extensions that the publisher negotiated.
    pub extensions: Vec<(u8, crate::rtp::ExtensionKind)>,
    /// Next time to choose the best encoding.
    pub choose_at: Option<Instant>,
}

impl Track {
    /// A track that has received nothing.
    pub fn new(id: TrackId, origin: Origin, parameters: TrackParameters) -> Track {
        let encodings = parameters.encodings.into_iter().map(|one| Encoding::new(one, parameters.kind)).collect();
        Track {
            id,
            origin,
            kind: parameters.kind,
            mid: parameters.mid,
            local_ssrc: parameters.local_ssrc,
            codecs: parameters.codecs,
            encodings,
            subscriptions: Vec::new(),
            taps: Vec::new(),
            writer: None,
            routes: Vec::new(),
            burst: Vec::new(),
            best: None,
            heard: None,
            silent: true,
            scheduled: None,
            extensions: parameters.extensions,
            choose_at: None,
        }
    }

    /// The codec with this payload type.
    pub fn codec(&self, payload_type: u8) -> Option<&CodecParameters> {
        self.codecs.iter().find(|codec| codec.payload_type == payload_type)
    }

    /// The codec whose retransmissions have this payload type.
    pub fn codec_of_rtx(&self, payload_type: u8) -> Option<&CodecParameters> {
        self.codecs.iter().find(|codec| codec.rtx_payload_type == Some(payload_type))
    }

    /// The encoding with this rid.
    pub fn encoding_of(&self, rid: &str) -> Option<u8> {
        let index = self.encodings.iter().position(|encoding| encoding.rid.as_deref() == Some(rid))?;
        Some(index as u8)
    }

    /// Slot of the publisher's transport, if it is on this worker.
    pub fn transport(&self) -> Option<usize> {
        match self.origin {
            Origin::Transport(slot) => Some(slot),
            Origin::Route(_) | Origin::Source => None,
        }
    }

    /// Whether another worker has it, counts it and tells of it.
    pub fn is_imported(&self) -> bool {
        matches!(self.origin, Origin::Route(_))
    }

    /// The event that tells of an encoding as it is now.
    pub fn started(&self, encoding: u8) -> Event {
        let encoding = &self.encodings[usize::from(encoding)];
        Event::TrackStarted {
            track: self.id,
            rid: encoding.rid.clone(),
            ssrc: encoding.ssrc,
            payload_type: encoding.payload_type,
            width: encoding.size.0,
            height: encoding.size.1,
        }
    }

    /// Whether an encoding cannot be compared with the others before its key frame tells its size.
    pub fn is_unmeasured(&self, encoding: u8) -> bool {
        let several = self.kind == Kind::Video && self.encodings.len() > 1;
        several && self.encodings[usize::from(encoding)].size == (0, 0)
    }

    /// Whether anybody wants its packets.
    pub fn is_watched(&self) -> bool {
        !self.subscriptions.is_empty() || !self.routes.is_empty() || !self.taps.is_empty()
    }

    /// What to forward: what control has chosen, else what suits the viewer's network, else the best. While the encoding
    /// that was chosen is not sent, what flows goes on, and the best takes its place when it ends too; but a strict
    /// subscription waits.
    #[inline]
    pub fn target(&self, subscription: &Subscription) -> Option<Layer> {
        if subscription.strict {
            return subscription.named.map(Layer::whole);
        }
        let choice = &subscription.choice;
        if choice.is_pinned() {
            let named = subscription.named.filter(|&named| self.is_alive(named));
            let flows = || subscription.source().map(|source| source.encoding).filter(|&flows| self.is_alive(flows));
            let encoding = match (named, subscription.named) {
                (Some(named), _) => Some(named),
                (None, Some(_)) => flows().or(self.best),
                (None, None) => self.best,
            };
            return encoding.map(|encoding| self.best_within(choice, encoding));
        }
        let target = subscription.target.filter(|target| self.is_alive(target.encoding));
        target.or_else(|| {
            let encoding = if choice.limits_size() { self.largest_within(choice) } else { None };
            encoding.or(self.best).map(|encoding| self.best_within(choice, encoding))
        })
    }

    /// The largest living encoding that a choice allows, else the smallest.
    fn largest_within(&self, choice: &Choice) -> Option<u8> {
        let area = |size: (u16, u16)| u32::from(size.0) * u32::from(size.1);
        let alive = || (0..).zip(&self.encodings).filter(|(_, encoding)| encoding.alive && encoding.size != (0, 0));
        let within = alive().filter(|(_, encoding)| choice.allows_size(encoding.size));
        let chosen = within.max_by_key(|(_, encoding)| area(encoding.size));
        chosen.or_else(|| alive().min_by_key(|(_, encoding)| area(encoding.size))).map(|(index, _)| index)
    }

    /// The highest layers of an encoding that a choice allows.
    fn best_within(&self, choice: &Choice, encoding: u8) -> Layer {
        let lowest = |named: Option<u8>, limit: Option<u8>| named.into_iter().chain(limit).min().unwrap_or(Layer::ALL);
        let mut spatial = lowest(choice.spatial, choice.max_spatial);
        if choice.limits_size()
            && let Some(one) = self.encodings.get(usize::from(encoding))
            && let Some(fits) = one.scalability.largest_within(choice)
        {
            spatial = spatial.min(fits);
        }
        Layer { encoding, spatial, temporal: lowest(choice.temporal, choice.max_temporal) }
    }

    /// What viewers can choose from, from the cheapest to the best.
    pub fn layers(&self, now: Instant) -> Vec<LayerRate> {
        let encodings = (0..).zip(&self.encodings);
        let mut layers: Vec<LayerRate> = encodings.flat_map(|(index, encoding)| encoding.layers(now, index)).collect();
        layers.sort_by_key(|rate| (u32::from(rate.size.0) * u32::from(rate.size.1), rate.bitrate, rate.layer));
        layers
    }

    /// Whether there is anything to choose from.
    pub fn is_layered(&self) -> bool {
        self.encodings.len() > 1 || self.encodings.iter().any(|encoding| encoding.scalability.is_layered())
    }

    fn is_alive(&self, encoding: u8) -> bool {
        self.encodings.get(usize::from(encoding)).is_some_and(|encoding| encoding.alive)
    }

    /// Chooses the best of the living encodings: the largest picture, then the highest rate. A higher rate alone must be
    /// clearly higher, lest two equal encodings take turns. Returns true if the choice has changed.
    pub fn choose(&mut self, now: Instant) -> bool {
        self.choose_at = Some(now + CHOICE_INTERVAL);
        for encoding in &mut self.encodings {
            encoding.alive = encoding.heard_within(now, SILENCE);
        }
        let current = self.best.filter(|best| self.encodings[usize::from(*best)].alive);
        let mut best = current;
        let mut best_rank = current.map(|current| {
            let (area, rate) = self.encodings[usize::from(current)].rank(now);
            (area, rate + rate / 4)
        });
        for index in 0..self.encodings.len() {
            if !self.encodings[index].alive || current == Some(index as u8) {
                continue;
            }
            let rank = self.encodings[index].rank(now);
            if best_rank.is_none_or(|best| rank > best) {
                (best, best_rank) = (Some(index as u8), Some(rank));
            }
        }
        // A silent publisher goes on with what it last sent best.
        let best = best.or(self.best);
        let changed = best != self.best;
        self.best = best;
        changed
    }

    /// The viewer's timestamp for the first packet of another source. Between encodings of this track the sender reports
    /// say it exactly; else it goes on by elapsed time. The very first source keeps its timestamps.
    pub fn handover(&self, subscription: &Subscription, packet: &Packet) -> u32 {
        let Some(clock_rate) = self.codec(packet.payload_type).map(|codec| codec.clock_rate) else {
            return packet.timestamp;
        };
        let Some(elapsed) = subscription.continuity.timestamp_at(packet.arrival, clock_rate) else {
            return packet.timestamp;
        };
        let exact = || {
            let (old, offset) = subscription.continuity.last()?;
            if old == packet.source {
                return Some(packet.timestamp.wrapping_add(offset));
            }
            let new = self.encodings.get(usize::from(packet.source.encoding))?.clock?;
            let old =
                self.encodings.get(usize::from(old.encoding)).filter(|now| now.generation == old.generation)?.clock?;
            let ahead = packet.timestamp.wrapping_sub(new.rtp_timestamp);
            let exact = old.at(new.instant, clock_rate).wrapping_add(ahead).wrapping_add(offset);
            let error = (exact.wrapping_sub(elapsed) as i32).unsigned_abs();
            (u64::from(error) <= u64::from(clock_rate) * MAX_CLOCK_ERROR.as_secs()).then_some(exact)
        };
        exact().unwrap_or(elapsed)
    }

    /// When its timer is due: key frame requests, choice, silence, taps.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let requests = self.encodings.iter().filter_map(|encoding| encoding.key_frame_requests.due(now));
        let silence = self.heard.filter(|_| !self.silent).map(|heard| heard + SILENCE);
        let choice = self.choose_at.filter(|_| self.encodings.len() > 1 && !self.silent);
        let taps = self.taps.iter().filter_map(Tap::deadline);
        requests.chain(silence).chain(choice).chain(taps).min()
    }
}
