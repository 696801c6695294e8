//! One track forwarded onto one transport: which packets pass, and under which numbers.

pub mod continuity;
pub mod drops;
pub mod replay;
pub mod retransmit;
pub mod selection;
mod stamps;

use std::time::{Duration, Instant};

use crate::codec::Codec;
use crate::command::{CodecParameters, Kind, SubscriptionId, SubscriptionParameters};
use crate::egress::burst::{Packet, Source};
use crate::egress::header::{HeaderTemplate, MAX_NAME_LEN, Names};
use crate::layer::{Choice, Layer, LayerRate};
use crate::rtp::{ExtensionKind, ExtensionMap};
use crate::track::Track;
use continuity::{Continuity, Segment};
use drops::{Drop, Drops};
use replay::Replay;
use retransmit::Retransmissions;
use selection::{Ability, Selection};

/// Marks a payload type of the track that the viewer did not negotiate.
const UNMAPPED: u8 = 0xff;

/// What a subscription does with a packet.
#[derive(Clone, Copy, Debug)]
pub enum Admission {
    /// It leaves.
    Forward(Outgoing),
    /// It is the first of a source: call [`Subscription::start`], then ask again.
    Start,
    /// It does not leave, or not now.
    Pass(Drop),
}

/// How a packet leaves.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing {
    /// The viewer's extended sequence number.
    pub sequence: u64,
    /// Offsets of its other numbers.
    pub segment: Segment,
    /// The viewer's payload type.
    pub payload_type: u8,
    /// It fills a number and carries nothing: a packet of a layer that is not for this viewer, which came late.
    pub empty: bool,
}

/// Counters of one subscription, see `SubscriptionStats`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Packets sent, without retransmissions.
    pub packets: u64,
    /// Header and payload of these packets, in bytes.
    pub bytes: u64,
    /// Payload alone: the octet count of sender reports.
    pub payload_bytes: u64,
    /// Retransmissions sent.
    pub retransmitted: u64,
    /// Packets sent again that nobody asked for, to test the path.
    pub probes: u64,
    /// Numbers asked for.
    pub nacks_received: u64,
    /// Numbers asked for that the history did not have.
    pub nacks_unanswered: u64,
    /// Numbers asked for again within a round trip, or too many at once.
    pub nacks_repeated: u64,
    /// PLI and FIR.
    pub plis_received: u64,
    /// Those of the packets sent that were offered before their time had come: they were replayed.
    pub replayed: u64,
    /// Packets of its track that did not leave when they came.
    pub dropped: Drops,
}

/// The newest receiver report about a subscription.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reception {
    /// Packets so far; repairs and duplicates may have made the viewer's own figure smaller than none.
    pub lost: u64,
    /// 0.0-1.0.
    pub fraction_lost: f64,
    /// Milliseconds.
    pub jitter_ms: f64,
}

/// The state of one subscription.
#[derive(Debug)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Slot of its transport.
    pub transport: usize,
    /// Slot of its track.
    pub track: Option<usize>,
    /// SSRC of the media.
    pub ssrc: u32,
    /// SSRC of retransmissions.
    pub rtx_ssrc: Option<u32>,
    /// Header of each packet.
    pub template: HeaderTemplate,
    /// Header of retransmissions by RFC 4588, where it differs.
    repair_template: Option<Box<HeaderTemplate>>,
    /// Numbering.
    pub continuity: Continuity,
    /// It is shown what came before it did.
    pub replay: Option<Box<Replay>>,
    /// When that began, while it may be that the viewer was not ready for it.
    pub replayed: Option<Instant>,
    /// Whether two transmissions of a packet may differ: padding and stamps are allowed.
    pub volatile: bool,
    /// Nothing flows while set.
    pub paused: bool,
    /// What control has asked for.
    pub choice: Choice,
    /// Index of the encoding that it names, if the attached track has it.
    pub named: Option<u8>,
    /// What suits the viewer's network, see [`Subscription::set_target`].
    pub target: Option<Layer>,
    /// Until then a key frame of the target is waited for; then it is shown from the last one on.
    pub patient_until: Option<Instant>,
    /// Frames were left out up to the next key frame, see [`Subscription::thin`].
    thinned: bool,
    /// It carries a layer under its own name: the chosen one or nothing.
    pub strict: bool,
    /// The spatial and temporal layers that pass.
    pub selection: Selection,
    ability: Ability,
    /// What control knows of.
    pub announced: Option<Layer>,
    /// Answered NACKs.
    pub retransmissions: Retransmissions,
    /// Next number of the retransmission stream.
    pub rtx_sequence: u64,
    /// What is counted.
    pub counters: Counters,
    /// What the viewer reports.
    pub reception: Reception,
    payload_types: [u8; 128],
    codecs: Vec<CodecParameters>,
    extensions: ExtensionMap,
    mid: Option<String>,
    rid: Option<String>,
    /// Audio or video.
    pub kind: Kind,
    /// CNAME of its SDES.
    pub cname: String,
}

impl Subscription {
    /// A subscription without a track. `first_sequence` and `first_rtx_sequence` should be random, below 2^15.
    pub fn new(
        id: SubscriptionId,
        transport: usize,
        parameters: SubscriptionParameters,
        first_sequence: u16,
        first_rtx_sequence: u16,
    ) -> Subscription {
        let extensions = ExtensionMap::new(&parameters.extensions);
        let (mid, rid) = (parameters.mid, parameters.rid);
        let (template, repair_template) = templates(mid.as_deref(), rid.as_deref(), &extensions, false);
        Subscription {
            id,
            transport,
            track: None,
            ssrc: parameters.ssrc,
            rtx_ssrc: parameters.rtx_ssrc,
            template,
            repair_template,
            continuity: Continuity::new(first_sequence),
            replay: None,
            replayed: None,
            volatile: false,
            paused: false,
            choice: Choice::default(),
            named: None,
            target: None,
            patient_until: None,
            thinned: false,
            strict: rid.is_some(),
            selection: Selection::new(),
            ability: Ability { drops: false, descriptor: false },
            announced: None,
            retransmissions: Retransmissions::default(),
            rtx_sequence: u64::from(first_rtx_sequence),
            counters: Counters::default(),
            reception: Reception::default(),
            payload_types: [UNMAPPED; 128],
            codecs: parameters.codecs,
            extensions,
            mid,
            rid,
            kind: parameters.kind,
            cname: parameters.cname,
        }
    }

    /// Whether all names that packets are to carry fit into a header.
    pub fn names_fit(parameters: &SubscriptionParameters) -> bool {
        let len = |name: &Option<String>| name.as_ref().map_or(0, String::len);
        parameters.rid.is_none() || len(&parameters.mid) + len(&parameters.rid) <= MAX_NAME_LEN
    }

    /// Headers of the stream itself, or of its retransmissions by RFC 4588.
    #[inline]
    pub fn template(&self, rtx: bool) -> &HeaderTemplate {
        match &self.repair_template {
            Some(repair) if rtx => repair,
            _ => &self.template,
        }
    }

    /// Whether each (track's, viewer's) pair leads to a negotiated payload type.
    pub fn accepts(&self, payload_types: &[(u8, u8)]) -> bool {
        !payload_types.is_empty() && payload_types.iter().all(|&(from, to)| from < 128 && self.codec(to).is_some())
    }

    /// Whether this stream or its retransmissions have the SSRC.
    pub fn sends(&self, ssrc: u32) -> bool {
        self.ssrc == ssrc || self.rtx_ssrc == Some(ssrc)
    }

    /// Binds a track, in slot `slot`, by pairs that `accepts` has accepted.
    pub fn attach(&mut self, slot: usize, payload_types: &[(u8, u8)], track: &Track) {
        self.track = Some(slot);
        self.payload_types = [UNMAPPED; 128];
        for &(from, to) in payload_types {
            self.payload_types[usize::from(from)] = to;
        }
        self.named = self.choice.rid.as_deref().and_then(|rid| track.encoding_of(rid));
        self.volatile = payload_types.iter().all(|&(_, to)| self.retransmits_as(to).is_some() || !self.answers(to));
        (self.template, self.repair_template) =
            templates(self.mid.as_deref(), self.rid.as_deref(), &self.extensions, self.volatile);
        let descriptor = self.extensions.id(ExtensionKind::DependencyDescriptor).is_some();
        let sequential =
            payload_types.iter().any(|&(_, to)| self.codec(to).is_some_and(|codec| codec.codec == Codec::Av1));
        self.ability = Ability { drops: descriptor || !sequential, descriptor };
        self.selection = Selection::new();
    }

    /// Unbinds the track. Numbers go on with the next one.
    pub fn detach(&mut self) {
        self.track = None;
        self.announced = None;
        self.replay = None;
        self.continuity.forget();
        (self.named, self.target, self.patient_until, self.thinned) = (None, None, None, false);
    }

    /// The link carries less than the least that there is: nothing more until the next key frame, if `packet` begins
    /// another frame of what flows. What was cached is not shown instead, since the viewer has seen it.
    pub fn thin(&mut self, now: Instant, packet: &Packet) {
        /// A key frame that does not come within this time is the publisher's rule.
        const PATIENCE: Duration = Duration::from_secs(10);
        let flows = self.continuity.source() == Some(packet.source) && self.replay.is_none();
        let another = self.continuity.newest_in_source().is_some_and(|newest| newest != packet.timestamp);
        if flows && another && self.kind == Kind::Video && !packet.key_frame && self.continuity.is_new(packet) {
            self.continuity.stop();
            (self.thinned, self.patient_until) = (true, Some(now + PATIENCE));
        }
    }

    /// Whether a live key frame is waited for, not one that is cached.
    pub fn is_patient(&self, now: Instant) -> bool {
        self.patient_until.is_some_and(|until| now < until) && (self.thinned || self.source().is_some())
    }

    /// Takes what control has asked for; `track` is the attached one. Then call `Worker::want_key_frame_for`.
    pub fn choose(&mut self, choice: Choice, track: Option<&Track>) {
        self.named = choice.rid.as_deref().zip(track).and_then(|(rid, track)| track.encoding_of(rid));
        self.choice = choice;
    }

    /// What to forward where control has left it open; `None` is the best that there is. It is for the estimate of the
    /// viewer's link to say, which is to keep to [`Choice::allows`]. Then call `Worker::want_key_frame_for`.
    pub fn set_target(&mut self, target: Option<Layer>) {
        self.target = target;
    }

    /// Holds or releases. A released video subscription begins anew at a key frame.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
        if paused {
            self.replay = None;
            self.continuity.stop();
        }
    }

    /// Clock rate of what it carries, in Hz.
    pub fn clock_rate(&self) -> u32 {
        let mapped = self.payload_types.iter().find(|&&mapped| mapped != UNMAPPED);
        let codec = mapped.and_then(|&mapped| self.codec(mapped)).or(self.codecs.first());
        codec.map_or(90_000, |codec| codec.clock_rate)
    }

    /// The viewer's codec with this payload type.
    pub fn codec(&self, payload_type: u8) -> Option<&CodecParameters> {
        self.codecs.iter().find(|codec| codec.payload_type == payload_type)
    }

    /// Payload type of retransmissions of the viewer's payload type, if both ends speak RFC 4588.
    pub fn retransmits_as(&self, payload_type: u8) -> Option<u8> {
        self.rtx_ssrc?;
        self.codec(payload_type)?.rtx_payload_type
    }

    /// Whether NACKs about the viewer's payload type are answered.
    pub fn answers(&self, payload_type: u8) -> bool {
        self.codec(payload_type).is_some_and(|codec| codec.nack)
    }

    /// The viewer's payload type for the track's.
    #[inline]
    pub fn payload_type(&self, payload_type: u8) -> Option<u8> {
        let mapped = self.payload_types[usize::from(payload_type & 0x7f)];
        (mapped != UNMAPPED).then_some(mapped)
    }

    /// Decides on a packet of the attached track. `target` is what to forward.
    #[inline]
    pub fn admit(&mut self, packet: &Packet, target: Option<Layer>, track: &Track) -> Admission {
        if self.paused {
            return Admission::Pass(Drop::Paused);
        }
        if let Some(replay) = &mut self.replay
            && replay.source == packet.source
            && (packet.sequence >= replay.next || self.continuity.is_new(packet))
        {
            // What was passed over, and nothing behind it has been sent.
            replay.next = replay.next.min(packet.sequence);
            return Admission::Pass(Drop::Replayed);
        }
        let mapped = self.payload_type(packet.payload_type);
        let target = target.filter(|target| target.encoding == packet.source.encoding);
        let flows = self.continuity.source() == Some(packet.source);
        if target.is_some() && !flows && mapped.is_some() && packet.key_frame && packet.payload_len > 0 {
            return Admission::Start;
        }
        let Some(payload_type) = mapped else {
            self.continuity.skip(packet);
            return Admission::Pass(Drop::Unmapped);
        };
        if packet.payload_len == 0 && self.continuity.skip(packet) {
            return Admission::Pass(Drop::Padding);
        }
        if packet.layers.layered && self.continuity.is_new(packet) && !self.follow(packet, target, track) {
            self.continuity.leave_out(packet);
            return Admission::Pass(Drop::OtherLayer);
        }
        match self.continuity.pass(packet) {
            Some(segment) => Admission::Forward(self.outgoing(segment, packet, payload_type)),
            None if flows => Admission::Pass(Drop::Late),
            None if target.is_some() => Admission::Pass(Drop::Waiting),
            None => Admission::Pass(Drop::OtherEncoding),
        }
    }

    /// Changes layers at a new packet where it is time to. Returns whether the packet passes.
    fn follow(&mut self, packet: &Packet, target: Option<Layer>, track: &Track) -> bool {
        let in_order = self.continuity.is_next(packet);
        if let Some(target) = target
            && let Some(encoding) = track.encodings.get(usize::from(target.encoding))
            && let Some(filter) = self.selection.follow(packet, in_order, target, &encoding.scalability, self.ability)
        {
            self.continuity.refilter(packet, filter);
        }
        self.selection.now().passes(&packet.layers)
    }

    /// How a packet of a segment leaves: the same each time that it is asked.
    #[inline]
    pub fn outgoing(&self, segment: Segment, packet: &Packet, payload_type: u8) -> Outgoing {
        let empty = !segment.filter.passes(&packet.layers);
        Outgoing { sequence: segment.out(packet.sequence), segment, payload_type, empty }
    }

    /// Begins to forward the source of this packet; `timestamp` is the viewer's for it.
    pub fn start(&mut self, packet: &Packet, timestamp: u32, target: Layer, track: &Track) {
        (self.replay, self.thinned) = (None, false);
        self.choose_layers(target, track);
        self.continuity.start(packet, timestamp);
    }

    /// A source begins with a key frame: the layers of it that pass.
    pub fn choose_layers(&mut self, target: Layer, track: &Track) {
        let Some(encoding) = track.encodings.get(usize::from(target.encoding)) else { return };
        let filter = self.selection.begin(target, &encoding.scalability, self.ability);
        self.continuity.set_filter(filter);
    }

    /// Whether it can get a layer among `layers` of its encoding: a viewer of AV1 without the dependency descriptor gets all
    /// pictures of the smallest size.
    pub fn can_get(&self, layer: Layer, layers: &[LayerRate]) -> bool {
        let beyond = |other: &LayerRate| {
            let other = other.layer;
            other.encoding == layer.encoding && other.spatial == 0 && other.temporal > layer.temporal
        };
        self.ability.drops || layer.spatial == 0 && !layers.iter().any(beyond)
    }

    /// Whether the viewer waits for a key frame of what flows, to get other layers of it.
    pub fn waits_for_layers(&self, target: Layer, track: &Track) -> bool {
        let encoding = track.encodings.get(usize::from(target.encoding));
        encoding.is_some_and(|one| self.selection.waits_for_key_frame(target, &one.scalability, self.ability))
    }

    /// What flows, by its numbers.
    pub fn layer(&self) -> Option<Layer> {
        let (source, now) = (self.source()?, self.selection.now());
        Some(Layer { encoding: source.encoding, spatial: now.spatial, temporal: now.temporal })
    }

    /// A packet that was sent under a number, with the numbers it had, while the track's history has it.
    pub fn sent<'a>(&self, now: Instant, track: &'a Track, out: u16) -> Option<(Outgoing, &'a Packet, &'a [u8])> {
        let (segment, sequence) = self.continuity.source_of(out)?;
        let encoding = track.encodings.get(usize::from(segment.source.encoding))?;
        let (packet, plaintext) = encoding.history.get(now, sequence)?;
        let payload_type = self.payload_type(packet.payload_type)?;
        let sent = packet.source == segment.source && self.answers(payload_type);
        let segment = self.continuity.stamped(segment, packet).filter(|_| sent)?;
        Some((self.outgoing(segment, packet, payload_type), packet, plaintext))
    }

    /// What flows now.
    pub fn source(&self) -> Option<Source> {
        self.continuity.source()
    }
}

/// Headers of the stream, and of its retransmissions where these are others. `volatile` allows stamps.
fn templates(
    mid: Option<&str>,
    rid: Option<&str>,
    extensions: &ExtensionMap,
    volatile: bool,
) -> (HeaderTemplate, Option<Box<HeaderTemplate>>) {
    let template = |rid_kind| HeaderTemplate::new(Names { mid, rid, rid_kind }, extensions, volatile);
    (template(ExtensionKind::Rid), rid.map(|_| Box::new(template(ExtensionKind::RepairedRid))))
}
