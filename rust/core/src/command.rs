//! What control may ask of a worker: the request half of the boundary (`live777py/_media.pyi` is the other view of it).

use std::net::SocketAddr;

use crate::event::SocketId;
use crate::srtp::{MasterKey, Profile};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u64);
    };
}

id!(
    /// One peer's ICE + DTLS + SRTP. Chosen by the caller, never used twice.
    TransportId
);
id!(
    /// One published audio or video source.
    TrackId
);
id!(
    /// One track forwarded onto one transport.
    SubscriptionId
);
id!(
    /// One track read as whole frames.
    TapId
);

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// The part this end plays in ICE (RFC 8445 section 2.5, 6.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceRole {
    /// Answers checks, never sends one: a server on a reachable address.
    Lite,
    /// Full agent that nominates: the client peer.
    Controlling,
    /// Full agent that follows the other side's nomination.
    Controlled,
}

/// Credentials of both ends. The remote ones may be learned later (a PATCH).
#[derive(Clone, Debug)]
pub struct IceParameters {
    /// Our role.
    pub role: IceRole,
    /// Our ufrag: the key under which datagrams find this transport.
    pub local_ufrag: String,
    /// Our password.
    pub local_pwd: String,
    /// The peer's ufrag.
    pub remote_ufrag: Option<String>,
    /// The peer's password.
    pub remote_pwd: Option<String>,
}

/// One payload type of an m-section, with its RTX twin and its feedback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecParameters {
    /// RTP payload type, 0-127.
    pub payload_type: u8,
    /// What the payload is.
    pub codec: crate::codec::Codec,
    /// RTP clock in Hz.
    pub clock_rate: u32,
    /// Payload type of its retransmissions (RFC 4588).
    pub rtx_payload_type: Option<u8>,
    /// Generic NACK negotiated.
    pub nack: bool,
    /// PLI negotiated.
    pub pli: bool,
    /// FIR negotiated.
    pub fir: bool,
    /// Transport-wide feedback negotiated.
    pub transport_cc: bool,
    /// REMB negotiated.
    pub remb: bool,
    /// H.264 and H.265: the parameter sets that the description has (sprop), as NAL units.
    pub parameter_sets: Vec<Vec<u8>>,
}

/// One encoding of a track: known by rid, by SSRC, or by MID and payload type alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodingParameters {
    /// Restriction identifier (RFC 8851).
    pub rid: Option<String>,
    /// SSRC, where the SDP names it.
    pub ssrc: Option<u32>,
    /// SSRC of its retransmissions.
    pub rtx_ssrc: Option<u32>,
}

/// What a publisher sends in one m-section.
#[derive(Clone, Debug)]
pub struct TrackParameters {
    /// Audio or video.
    pub kind: Kind,
    /// The m-section's MID.
    pub mid: Option<String>,
    /// Accepted payload types.
    pub codecs: Vec<CodecParameters>,
    /// Accepted encodings; at least one.
    pub encodings: Vec<EncodingParameters>,
    /// Header extension id and URI.
    pub extensions: Vec<(u8, crate::rtp::ExtensionKind)>,
    /// SSRC of our RTCP about this track.
    pub local_ssrc: u32,
}

/// What a viewer gets in one m-section.
#[derive(Clone, Debug)]
pub struct SubscriptionParameters {
    /// Audio or video.
    pub kind: Kind,
    /// The m-section's MID.
    pub mid: Option<String>,
    /// SSRC of the media.
    pub ssrc: u32,
    /// SSRC of retransmissions.
    pub rtx_ssrc: Option<u32>,
    /// The encoding that it carries, as its own RID (RFC 8852). Such a subscription forwards the encoding pinned by
    /// `SelectLayer` and no other. With MID at most [`crate::egress::header::MAX_NAME_LEN`] bytes.
    pub rid: Option<String>,
    /// CNAME in SDES; one per viewer, so that audio and video are played in sync.
    pub cname: String,
    /// Payload types that the viewer accepts.
    pub codecs: Vec<CodecParameters>,
    /// Header extension id and URI.
    pub extensions: Vec<(u8, crate::rtp::ExtensionKind)>,
}

/// What a source writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceParameters {
    /// The payload type under which subscriptions find it, and the codec.
    pub codec: CodecParameters,
}

impl SourceParameters {
    /// The same as a track, for whoever imports it.
    pub fn track_parameters(&self) -> TrackParameters {
        TrackParameters {
            kind: if self.codec.codec.is_video() { Kind::Video } else { Kind::Audio },
            mid: None,
            codecs: vec![self.codec.clone()],
            encodings: vec![EncodingParameters::default()],
            extensions: Vec::new(),
            local_ssrc: 0,
        }
    }
}

/// A frame on its way into a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFrame {
    /// In the form of [`crate::frame::Frame`].
    pub data: Vec<u8>,
    /// In units of the codec's clock; the lower 32 bits go out.
    pub timestamp: i64,
    /// When it was sampled, in microseconds of Unix time.
    pub wallclock: Option<i64>,
    /// Decoding can begin here.
    pub key_frame: bool,
}

/// One request. Every one is answered by a `Result<Reply, CommandError>`.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are named for their types")]
pub enum Command {
    /// Create a transport and be ready for its first check: on the shared sockets, or only on its own ones.
    OpenTransport { transport: TransportId, ice: IceParameters, own_socket: bool },
    /// Drop a transport with its tracks and subscriptions.
    CloseTransport { transport: TransportId },
    /// A candidate of the peer, to be checked from each of these sockets. Ignored by a lite agent.
    AddRemoteCandidate { transport: TransportId, address: SocketAddr, sockets: Vec<SocketId>, priority: u32 },
    /// Ask a STUN server, from each of these sockets, for the address that they have out there.
    DiscoverReflexive { transport: TransportId, server: SocketAddr, sockets: Vec<SocketId> },
    /// New credentials; the selected pair is kept until the new ones have nominated one.
    RestartIce { transport: TransportId, ice: IceParameters },
    /// Send one DTLS datagram on the selected pair.
    SendDtls { transport: TransportId, data: Vec<u8> },
    /// SRTP keys, once per transport.
    InstallKeys { transport: TransportId, profile: Profile, local: MasterKey, remote: MasterKey },
    /// A publisher's m-section.
    AddTrack { transport: TransportId, track: TrackId, parameters: TrackParameters },
    /// Forget a track; its subscriptions stay, detached.
    RemoveTrack { track: TrackId },
    /// A viewer's m-section.
    Subscribe { transport: TransportId, subscription: SubscriptionId, parameters: SubscriptionParameters },
    /// Forget a subscription.
    Unsubscribe { subscription: SubscriptionId },
    /// Let a track flow through a subscription, from its next key frame on. (track's, subscription's) payload types.
    Attach { subscription: SubscriptionId, track: TrackId, payload_types: Vec<(u8, u8)> },
    /// Let nothing flow; the next `Attach` continues sequence numbers and timestamps.
    Detach { subscription: SubscriptionId },
    /// What to forward of the track; nothing chosen is whatever is best for the viewer.
    SelectLayer { subscription: SubscriptionId, choice: crate::layer::Choice },
    /// Hold or release a subscription.
    Pause { subscription: SubscriptionId, paused: bool },
    /// Ask the publisher for a key frame, within the rate limit.
    RequestKeyFrame { track: TrackId },
    /// Read a track as frames. `capacity` in bytes; frames are told of at multiples of `interval`.
    OpenTap { tap: TapId, track: TrackId, capacity: usize, interval: std::time::Duration, past: std::time::Duration },
    /// Read no more.
    CloseTap { tap: TapId },
    /// A track that is written; `RemoveTrack` ends it.
    OpenSource { track: TrackId, parameters: SourceParameters },
    /// Write one frame of a source.
    WriteFrame { track: TrackId, frame: WrittenFrame },
    /// Begin to hand the packets of a track to another worker (see `relay`).
    Export { track: TrackId, route: crate::relay::RouteId },
    /// Stop handing them.
    Unexport { track: TrackId, route: crate::relay::RouteId },
    /// A track of another worker: its packets come by `Worker::handle_relay`, key frame requests leave by `route`.
    Import { track: TrackId, route: crate::relay::RouteId, parameters: TrackParameters },
    /// Counters of everything.
    Stats,
    /// The whole state as text, for a person.
    Dump,
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// No object with this id.
    UnknownId,
    /// The id names an object already.
    IdInUse,
    /// Not possible now (second keys, for example).
    InvalidState,
    /// An argument contradicts another.
    InvalidArgument,
    /// A bound of the engine is reached.
    LimitReached,
    /// No UDP socket could be bound.
    NoSocket,
}
