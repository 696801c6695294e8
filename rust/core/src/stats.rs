//! Counters of every object, as a snapshot (`live777py/_media.pyi` has the same nouns).

use crate::codec::Codec;
use crate::command::{SubscriptionId, TapId, TrackId, TransportId};
use crate::event::Path;
use crate::subscription::Subscription;
use crate::subscription::drops::Drops;
use crate::track::Track;
use crate::transport::Transport;

/// Everything that a worker counts.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// The worker as a whole.
    pub worker: WorkerStats,
    /// One row per transport.
    pub transports: Vec<TransportStats>,
    /// One row per encoding of each track that a transport of this worker publishes; imported tracks are not listed.
    pub tracks: Vec<TrackStats>,
    /// One row per subscription.
    pub subscriptions: Vec<SubscriptionStats>,
    /// One row per tap.
    pub taps: Vec<TapStats>,
    /// One row per source.
    pub sources: Vec<SourceStats>,
}

/// Counters of one worker. Monotonic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerStats {
    /// Datagrams handed to `handle_datagram`.
    pub datagrams_received: u64,
    /// Datagrams handed to `Transmit`.
    pub datagrams_sent: u64,
    /// Calls of `Transmit::transmit`.
    pub runs_sent: u64,
    /// Datagrams that belong to no transport, or are of no known kind.
    pub unknown_datagrams: u64,
    /// Events dropped because control did not drain them.
    pub events_dropped: u64,
    /// Packets of tracks times the subscriptions to them: `packets_forwarded` less `packets_replayed`, and `dropped`.
    pub packets_offered: u64,
    /// What its objects counted.
    pub totals: Totals,
}

/// The counters of all objects that a worker has or had, added up: they stay when an object goes. The fields are those of
/// the rows below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field has the name and the meaning of the row's")]
pub struct Totals {
    pub packets_received: u64,
    pub packets_sent: u64,
    pub srtp_rejected: u64,
    pub datagrams_ignored: u64,
    pub lost: u64,
    pub repaired: u64,
    pub nacks_sent: u64,
    pub plis_sent: u64,
    pub key_frames: u64,
    pub retransmitted: u64,
    pub nacks_received: u64,
    pub nacks_unanswered: u64,
    pub plis_received: u64,
    pub packets_forwarded: u64,
    pub packets_replayed: u64,
    pub dropped: Drops,
}

impl Totals {
    /// Adds what a transport counted.
    pub(crate) fn add_transport(&mut self, transport: &Transport) {
        self.packets_received += transport.counters.packets_received;
        self.packets_sent += transport.counters.packets_sent;
        self.srtp_rejected += transport.counters.srtp_rejected;
        self.datagrams_ignored += transport.ignored.total();
    }

    /// Adds what a track counted; an imported one is counted by its own worker.
    pub(crate) fn add_track(&mut self, track: &Track) {
        if track.transport().is_none() {
            return;
        }
        for encoding in &track.encodings {
            self.lost += encoding.lost();
            self.repaired += encoding.counters.repaired;
            self.nacks_sent += encoding.counters.nacks_sent;
            self.plis_sent += encoding.key_frame_requests.sent;
            self.key_frames += encoding.counters.key_frames;
        }
    }

    /// Adds what a subscription counted.
    pub(crate) fn add_subscription(&mut self, subscription: &Subscription) {
        self.retransmitted += subscription.counters.retransmitted;
        self.nacks_received += subscription.counters.nacks_received;
        self.nacks_unanswered += subscription.counters.nacks_unanswered;
        self.plis_received += subscription.counters.plis_received;
        self.packets_forwarded += subscription.counters.packets;
        self.packets_replayed += subscription.counters.replayed;
        self.dropped.add(&subscription.counters.dropped);
    }
}

/// Counters of one transport.
#[derive(Clone, Copy, Debug)]
pub struct TransportStats {
    /// Which one.
    pub transport: TransportId,
    /// ICE has a selected pair and consent.
    pub connected: bool,
    /// The selected pair.
    pub path: Option<Path>,
    /// Authenticated RTP and RTCP packets.
    pub packets_received: u64,
    /// Their size on the wire, in bytes.
    pub bytes_received: u64,
    /// RTP and RTCP packets sent.
    pub packets_sent: u64,
    /// Their size on the wire, in bytes.
    pub bytes_sent: u64,
    /// Datagrams that failed SRTP authentication or the replay check.
    pub srtp_rejected: u64,
    /// Datagrams that no rule accepted; the sum of the reasons in `dump`.
    pub datagrams_ignored: u64,
    /// Round trip from receiver reports, in milliseconds.
    pub rtt_ms: Option<f64>,
    /// What the path to a viewer has been seen to carry, in bits per second, UDP and IP included. None while nothing is
    /// known of it, and where it is not estimated.
    pub available_bitrate: Option<u64>,
    /// Since the last authenticated RTP, RTCP or STUN packet, in milliseconds; None before the first.
    pub silent_ms: Option<f64>,
}

/// Counters of one encoding of a published track.
#[derive(Clone, Debug)]
pub struct TrackStats {
    /// Which track.
    pub track: TrackId,
    /// Where it is published.
    pub transport: TransportId,
    /// Restriction identifier of the encoding.
    pub rid: Option<String>,
    /// SSRC of the newest packet, 0 before the first.
    pub ssrc: u32,
    /// Payload type of the newest packet, 0 before the first.
    pub payload_type: u8,
    /// Media packets, repaired ones included.
    pub packets: u64,
    /// Their RTP header and payload, in bytes.
    pub bytes: u64,
    /// Packets that never came, repair included.
    pub lost: u64,
    /// Packets that came by retransmission.
    pub repaired: u64,
    /// Packets that came behind later ones, without having been asked for.
    pub reordered: u64,
    /// Generic NACK packets sent.
    pub nacks_sent: u64,
    /// PLI or FIR sent.
    pub plis_sent: u64,
    /// Key frames seen.
    pub key_frames: u64,
    /// Pictures that were whole and could be decoded, 0 of sound.
    pub frames: u64,
    /// Times that no new picture was whole when it was due, the one that lasts included.
    pub freezes: u64,
    /// How long in all, in milliseconds.
    pub freeze_ms: f64,
    /// From the opening of the transport to the first packet, in milliseconds.
    pub first_packet_ms: Option<f64>,
    /// The same to the first key frame, when it was whole.
    pub first_key_frame_ms: Option<f64>,
    /// Interarrival jitter (RFC 3550 section 6.4.1), in milliseconds.
    pub jitter_ms: f64,
    /// Picture width in pixels, 0 while unknown.
    pub width: u16,
    /// Picture height in pixels, 0 while unknown.
    pub height: u16,
    /// Of RTP header and payload over the last second, in bits per second.
    pub bitrate: u64,
    /// Whether it has sent lately: what is not active cannot be switched to now.
    pub active: bool,
    /// What can be had of it, from the cheapest to the best; empty where it has no layers.
    pub layers: Vec<LayerStats>,
}

/// One choice of layers of an encoding, and what it costs.
#[derive(Clone, Copy, Debug)]
pub struct LayerStats {
    /// Highest spatial layer.
    pub spatial: u8,
    /// Highest temporal layer.
    pub temporal: u8,
    /// Picture width in pixels, 0 while unknown.
    pub width: u16,
    /// Picture height in pixels, 0 while unknown.
    pub height: u16,
    /// Of these layers and all below them, in bits per second.
    pub bitrate: u64,
    /// Pictures per second.
    pub frame_rate: f64,
    /// Whether it is sent: what is not active cannot be switched to now.
    pub active: bool,
}

/// Counters of one tap.
#[derive(Clone, Debug)]
pub struct TapStats {
    /// Which one.
    pub tap: TapId,
    /// What it reads.
    pub track: TrackId,
    /// Encoding that it reads now.
    pub rid: Option<String>,
    /// What the frames are, once that is known.
    pub codec: Option<Codec>,
    /// Frames queued.
    pub frames: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Key frames among them.
    pub key_frames: u64,
    /// Packets waited for in vain.
    pub lost_packets: u64,
    /// Frames of which a part was lost or malformed.
    pub damaged: u64,
    /// Frames before the first key frame of a source.
    pub skipped: u64,
    /// Frames that the full queue has forgotten.
    pub dropped: u64,
    /// Frames in the queue.
    pub queued_frames: usize,
    /// Bytes that they occupy.
    pub queued_bytes: usize,
    /// Packets that wait for one before them.
    pub waiting_packets: usize,
    /// A sender report says when the newest frame was sampled.
    pub synced: bool,
}

/// Counters of one source.
#[derive(Clone, Debug)]
pub struct SourceStats {
    /// Which track.
    pub track: TrackId,
    /// Its SSRC.
    pub ssrc: u32,
    /// Frames written.
    pub frames: u64,
    /// Key frames among them.
    pub key_frames: u64,
    /// Packets that they became.
    pub packets: u64,
    /// Header and payload of these, in bytes.
    pub bytes: u64,
    /// Frames that could not be packetised.
    pub refused: u64,
    /// Requests for a key frame.
    pub key_frames_needed: u64,
}

/// Counters of one subscription.
#[derive(Clone, Debug)]
pub struct SubscriptionStats {
    /// Which one.
    pub subscription: SubscriptionId,
    /// Where it leaves.
    pub transport: TransportId,
    /// What it carries now.
    pub track: Option<TrackId>,
    /// Encoding that is forwarded now.
    pub rid: Option<String>,
    /// Its highest spatial layer that is forwarded.
    pub spatial: u8,
    /// Its highest temporal layer.
    pub temporal: u8,
    /// Media packets sent, without retransmissions.
    pub packets: u64,
    /// Their RTP header and payload, in bytes.
    pub bytes: u64,
    /// Retransmissions sent.
    pub retransmitted: u64,
    /// Sequence numbers asked for by NACK.
    pub nacks_received: u64,
    /// Those of them that the history could not answer.
    pub nacks_unanswered: u64,
    /// PLI and FIR received.
    pub plis_received: u64,
    /// Those of `packets` that it was shown of the past.
    pub replayed: u64,
    /// Packets of its track that did not leave when they came; `WorkerStats` has the reasons.
    pub dropped: u64,
    /// Packets that the viewer has missed so far, by its newest receiver report.
    pub lost: u64,
    /// From the newest receiver report, 0.0-1.0.
    pub fraction_lost: f64,
    /// From the newest receiver report, in milliseconds.
    pub jitter_ms: f64,
}
