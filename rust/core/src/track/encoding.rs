//! One encoding of a track: what is known of it and what it needs.

use std::time::{Duration, Instant};

use crate::codec::Codec;
use crate::command::{EncodingParameters, Kind};
use crate::egress::burst::Packet;
use crate::layer::{Layer, LayerRate};
use crate::receive::frames::FrameMeter;
use crate::receive::history::History;
use crate::receive::nack::NackGenerator;
use crate::receive::report::ReceptionStats;
use crate::rtp::Unwrapper;
use crate::track::clock::{ClockPoint, ReportedClock};
use crate::track::gop::Gop;
use crate::track::key_frames::KeyFrameRequests;
use crate::track::rate::RateMeter;
use crate::track::scalability::{Scalability, TargetRate};

/// Packets kept to answer NACKs and to replay from: two groups of pictures, or two seconds of 50 Mbit/s, or of 2.5 ms audio
/// frames.
const VIDEO_HISTORY: usize = 8192;
const AUDIO_HISTORY: usize = 1024;

/// Counters of one encoding, see `TrackStats`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Media packets, repaired ones included.
    pub packets: u64,
    /// Header and payload of these, in bytes.
    pub bytes: u64,
    /// Packets that came by retransmission.
    pub repaired: u64,
    /// Packets that came behind later ones, without having been asked for.
    pub reordered: u64,
    /// Packets with padding alone.
    pub padding_only: u64,
    /// Key frames.
    pub key_frames: u64,
    /// NACK packets sent.
    pub nacks_sent: u64,
    /// Packets that never came, in generations before this one.
    pub lost_before: u64,
}

/// The state of one encoding.
#[derive(Debug)]
pub struct Encoding {
    /// Restriction identifier.
    pub rid: Option<String>,
    /// SSRC that the SDP names.
    pub signalled_ssrc: Option<u32>,
    /// SSRC of retransmissions that the SDP names.
    pub signalled_rtx_ssrc: Option<u32>,
    /// SSRC of the newest packet, 0 before the first.
    pub ssrc: u32,
    /// Payload type of the newest packet.
    pub payload_type: u8,
    /// Clock rate of that payload type in Hz.
    pub clock_rate: u32,
    /// Counts restarts of the numbering.
    pub generation: u16,
    /// Picture size in pixels, 0 while unknown.
    pub size: (u16, u16),
    /// It sent lately.
    pub alive: bool,
    /// Newest packet.
    pub heard: Option<Instant>,
    /// First packet.
    pub began: Option<Instant>,
    /// Bytes per second.
    pub rate: RateMeter,
    /// Requests to the publisher.
    pub key_frame_requests: KeyFrameRequests,
    /// What sender reports say.
    pub reported: ReportedClock,
    /// The same on our clock.
    pub clock: Option<ClockPoint>,
    /// The newest packet, by arrival.
    pub newest: Option<ClockPoint>,
    /// Timestamp of the newest key frame.
    pub key_frame_timestamp: Option<u32>,
    /// It came without the parameter sets that it needs.
    pub bare: bool,
    /// What is counted.
    pub counters: Counters,
    /// Extended sequence numbers.
    pub unwrapper: Unwrapper,
    /// What is missing.
    pub nacks: NackGenerator,
    /// What to report.
    pub reception: ReceptionStats,
    /// When pictures are whole.
    pub frames: FrameMeter,
    /// What viewers may ask for again.
    pub history: History<Packet>,
    /// What new viewers can be shown of it.
    pub gop: Gop,
    /// The layers in it.
    pub scalability: Scalability,
}

impl Encoding {
    /// An encoding that has received nothing.
    pub fn new(parameters: EncodingParameters, kind: Kind) -> Encoding {
        let bound = match kind {
            Kind::Video => VIDEO_HISTORY,
            Kind::Audio => AUDIO_HISTORY,
        };
        Encoding {
            rid: parameters.rid,
            signalled_ssrc: parameters.ssrc,
            signalled_rtx_ssrc: parameters.rtx_ssrc,
            ssrc: 0,
            payload_type: 0,
            clock_rate: 0,
            generation: 0,
            size: (0, 0),
            alive: false,
            heard: None,
            began: None,
            rate: RateMeter::default(),
            key_frame_requests: KeyFrameRequests::default(),
            reported: ReportedClock::default(),
            clock: None,
            newest: None,
            key_frame_timestamp: None,
            bare: false,
            counters: Counters::default(),
            unwrapper: Unwrapper::default(),
            nacks: NackGenerator::default(),
            reception: ReceptionStats::default(),
            frames: FrameMeter::default(),
            history: History::new(bound),
            gop: Gop::default(),
            scalability: Scalability::default(),
        }
    }

    /// Takes note of a packet. Clears the packet's key frame mark where viewers cannot begin; `whole` says that they can
    /// if it is the start of a key frame. Returns true if control has to hear of a change.
    pub fn note(&mut self, now: Instant, packet: &mut Packet, codec: Codec, whole: bool, plaintext: &[u8]) -> bool {
        if self.generation != packet.source.generation {
            self.begin_generation(packet.source.generation);
        }
        let mut changed = !self.alive;
        self.alive = true;
        self.heard = Some(now);
        if packet.payload_len == 0 {
            self.counters.padding_only += 1;
            return changed;
        }
        self.counters.packets += 1;
        self.counters.bytes += plaintext.len() as u64;
        self.rate.add(now, plaintext.len());
        self.scalability.note(now, packet, codec, plaintext);
        self.newest = Some(ClockPoint { instant: now, rtp_timestamp: packet.timestamp });
        if self.payload_type != packet.payload_type {
            self.payload_type = packet.payload_type;
            changed = true;
        }
        if packet.key_frame && codec.is_key_frame_start(&[]).is_none() {
            packet.key_frame = whole;
            self.key_frame_requests.satisfy();
        } else if packet.key_frame {
            // Each part of a key frame may look like its start; viewers begin at the first.
            let first = self.key_frame_timestamp.replace(packet.timestamp) != Some(packet.timestamp);
            self.counters.key_frames += u64::from(first);
            packet.key_frame = first && whole;
            self.bare |= first && matches!(codec, Codec::H264 | Codec::H265);
            if packet.key_frame {
                self.key_frame_requests.satisfy();
            }
        }
        if let Some(size) = codec.picture_size(&plaintext[usize::from(packet.header_len)..]) {
            self.bare = false;
            changed |= size != self.size;
            self.size = size;
        }
        changed
    }

    /// What makes an encoding better than another: picture area, then bytes per second.
    pub fn rank(&mut self, now: Instant) -> (u32, u64) {
        (u32::from(self.size.0) * u32::from(self.size.1), self.rate.bytes_per_second(now))
    }

    /// Its layers, where it is number `index` of its track.
    pub fn layers(&self, now: Instant, index: u8) -> Vec<LayerRate> {
        let (alive, size, mut rate) = (self.alive, self.size, self.rate);
        let whole = LayerRate {
            layer: Layer { encoding: index, ..Layer::default() },
            size,
            bitrate: rate.steady(now) * 8,
            highest: rate.highest(now) * 8,
            pictures: 0,
            active: alive,
        };
        let rates = self.scalability.rates(now);
        if rates.is_empty() {
            return vec![whole];
        }
        let row = |rate: &TargetRate| LayerRate {
            layer: Layer { encoding: index, spatial: rate.spatial, temporal: rate.temporal },
            size: if rate.size == (0, 0) { size } else { rate.size },
            bitrate: rate.bytes_per_second * 8,
            highest: rate.highest * 8,
            pictures: rate.pictures,
            active: alive && rate.bytes_per_second > 0,
        };
        rates.iter().map(row).collect()
    }

    /// The best point of its clock: from a sender report, else from the newest packet's arrival.
    pub fn clock_point(&self) -> Option<ClockPoint> {
        self.clock.or(self.newest)
    }

    /// Packets that never came, repair included.
    pub fn lost(&self) -> u64 {
        self.counters.lost_before + self.nacks.given_up()
    }

    /// Whether it sent within `span`.
    pub fn heard_within(&self, now: Instant, span: Duration) -> bool {
        self.heard.is_some_and(|heard| now.saturating_duration_since(heard) < span)
    }

    /// Starts anew: nothing of the numbering before holds any more.
    pub fn restart(&mut self) {
        self.counters.lost_before = self.lost();
        self.reported = ReportedClock::default();
        self.unwrapper = Unwrapper::default();
        self.nacks = NackGenerator::default();
        self.reception = ReceptionStats::default();
        self.begin_generation(self.generation.wrapping_add(1));
    }

    /// Nothing before can be continued: viewers begin again at a key frame.
    pub fn begin_generation(&mut self, generation: u16) {
        self.generation = generation;
        self.alive = false;
        self.clock = None;
        self.newest = None;
        self.key_frame_timestamp = None;
        self.bare = false;
        self.history.clear();
        self.gop.clear();
        self.frames.restart();
        self.scalability.clear();
    }
}
