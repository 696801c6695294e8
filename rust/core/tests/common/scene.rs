//! A publisher and viewers, wired up the usual way.

use std::time::{Duration, Instant};

use live777_media::codec::Codec;
use live777_media::command::{
    CodecParameters, Command, EncodingParameters, Kind, SubscriptionId, SubscriptionParameters, TrackId,
    TrackParameters, TransportId,
};
use live777_media::rtp::ExtensionKind;
use live777_media::srtp::Profile;
use live777_media::worker::Worker;

use super::net::{Net, Peer};
use super::publisher::{Media, Publisher, Stream, extension};
use super::scalable::Form;
use super::session::Session;
use super::viewer::{Receiver, Viewer};

pub const AUDIO: TrackId = TrackId(1);
pub const VIDEO: TrackId = TrackId(2);
pub const LOCAL_SSRC: u32 = 99;
const VP8: Media = Media::Vp8 { width: 0, height: 0 };
const VP9: Media = Media::Scalable(Form::Vp9 { flexible: true });
const AV1: Media = Media::Scalable(Form::Av1);

/// Extension ids of all m-sections.
pub fn extensions() -> Vec<(u8, ExtensionKind)> {
    vec![
        (extension::MID, ExtensionKind::Mid),
        (extension::RID, ExtensionKind::Rid),
        (extension::REPAIRED_RID, ExtensionKind::RepairedRid),
        (extension::TRANSPORT_CC, ExtensionKind::TransportCc),
        (extension::ABS_SEND_TIME, ExtensionKind::AbsSendTime),
        (extension::AUDIO_LEVEL, ExtensionKind::AudioLevel),
        (extension::DEPENDENCY, ExtensionKind::DependencyDescriptor),
    ]
}

pub fn codec(media: Media, payload_type: u8, rtx_payload_type: Option<u8>) -> CodecParameters {
    let (codec, clock_rate, video) = match media {
        Media::H264 => (Codec::H264, 90_000, true),
        Media::Vp8 { .. } | Media::Scalable(Form::Vp8 { .. }) => (Codec::Vp8, 90_000, true),
        Media::Scalable(Form::Vp9 { .. }) => (Codec::Vp9, 90_000, true),
        Media::Scalable(Form::Av1) => (Codec::Av1, 90_000, true),
        Media::Opus => (Codec::Opus, 48_000, false),
    };
    CodecParameters {
        payload_type,
        codec,
        clock_rate,
        rtx_payload_type,
        nack: video,
        pli: video,
        fir: video,
        transport_cc: true,
        remb: false,
        parameter_sets: Vec::new(),
    }
}

/// Parameters of a track that consists of these streams.
pub fn track_parameters(streams: &[&Stream]) -> TrackParameters {
    let first = streams[0];
    TrackParameters {
        kind: if first.media == Media::Opus { Kind::Audio } else { Kind::Video },
        mid: Some(first.mid.to_owned()),
        codecs: vec![codec(first.media, first.payload_type, first.rtx.map(|(_, payload_type)| payload_type))],
        encodings: streams
            .iter()
            .map(|stream| match stream.rid {
                Some(rid) => EncodingParameters { rid: Some(rid.to_owned()), ..EncodingParameters::default() },
                None => EncodingParameters {
                    rid: None,
                    ssrc: Some(stream.ssrc),
                    rtx_ssrc: stream.rtx.map(|(ssrc, _)| ssrc),
                },
            })
            .collect(),
        extensions: extensions(),
        local_ssrc: LOCAL_SSRC,
    }
}

/// Opens a publisher's transport and adds a track per `(id, streams)`.
pub fn publish(
    net: &mut Net,
    worker: usize,
    id: u64,
    profile: Profile,
    tracks: Vec<(TrackId, Vec<Stream>)>,
) -> Publisher {
    let session = Session::open(&mut net.workers[worker], net.now, id, profile);
    let mut streams = Vec::new();
    for (track, members) in tracks {
        let parameters = track_parameters(&members.iter().collect::<Vec<_>>());
        let command = Command::AddTrack { transport: TransportId(id), track, parameters };
        net.workers[worker].command(net.now, command).expect("add track");
        streams.extend(members);
    }
    session.install_keys(&mut net.workers[worker], net.now).expect("keys");
    Publisher::new(session, net.now, streams)
}

/// How a viewer is made.
#[derive(Clone, Copy)]
pub struct ViewerOptions {
    pub profile: Profile,
    pub rtx: bool,
    pub media: Media,
    pub track: Option<TrackId>,
    pub audio: Option<TrackId>,
    /// It has negotiated the dependency descriptor.
    pub descriptor: bool,
}

impl Default for ViewerOptions {
    fn default() -> ViewerOptions {
        ViewerOptions {
            profile: Profile::AeadAes128Gcm,
            rtx: true,
            media: Media::H264,
            track: Some(VIDEO),
            audio: Some(AUDIO),
            descriptor: true,
        }
    }
}

pub fn video_subscription(id: u64) -> SubscriptionId {
    SubscriptionId(id * 10)
}

pub fn audio_subscription(id: u64) -> SubscriptionId {
    SubscriptionId(id * 10 + 1)
}

pub fn attach(worker: &mut Worker, now: Instant, subscription: SubscriptionId, track: TrackId, types: (u8, u8)) {
    let command = Command::Attach { subscription, track, payload_types: vec![types] };
    worker.command(now, command).expect("attach");
}

/// Opens a viewer's transport with a video and an audio subscription.
pub fn view(net: &mut Net, worker: usize, id: u64, options: ViewerOptions) -> Viewer {
    let now = net.now;
    let session = Session::open(&mut net.workers[worker], now, id, options.profile);
    let (ssrc, rtx) = (id as u32 * 100 + 7, options.rtx.then_some(id as u32 * 100 + 8));
    let mut negotiated = extensions();
    negotiated.retain(|&(id, _)| options.descriptor || id != extension::DEPENDENCY);
    let video = SubscriptionParameters {
        kind: Kind::Video,
        mid: Some("0".to_owned()),
        ssrc,
        rtx_ssrc: rtx,
        rid: None,
        cname: format!("viewer{id}"),
        codecs: vec![
            codec(Media::H264, 102, rtx.map(|_| 103)),
            codec(VP8, 104, rtx.map(|_| 105)),
            codec(VP9, 112, rtx.map(|_| 113)),
            codec(AV1, 114, rtx.map(|_| 115)),
        ],
        extensions: negotiated,
    };
    let audio = SubscriptionParameters {
        kind: Kind::Audio,
        mid: Some("1".to_owned()),
        ssrc: ssrc + 2,
        rtx_ssrc: None,
        rid: None,
        cname: format!("viewer{id}"),
        codecs: vec![codec(Media::Opus, 109, None)],
        extensions: extensions(),
    };
    let worker = &mut net.workers[worker];
    for (subscription, parameters) in [(video_subscription(id), video), (audio_subscription(id), audio)] {
        let command = Command::Subscribe { transport: TransportId(id), subscription, parameters };
        worker.command(now, command).expect("subscribe");
    }
    if let Some(track) = options.track {
        let types = match options.media {
            Media::H264 => (96, 102),
            Media::Scalable(Form::Vp9 { .. }) => (96, 112),
            Media::Scalable(Form::Av1) => (96, 114),
            _ => (96, 104),
        };
        attach(worker, now, video_subscription(id), track, types);
    }
    if let Some(track) = options.audio {
        attach(worker, now, audio_subscription(id), track, (111, 109));
    }
    session.install_keys(worker, now).expect("keys");
    Viewer::new(session, now, vec![Receiver::new(ssrc, rtx, true), Receiver::new(ssrc + 2, None, false)])
}

/// Runs a scene whose peers all talk to worker 0.
pub fn run(net: &mut Net, publisher: &mut Publisher, viewers: &mut [Viewer], seconds: f64) {
    let mut peers: Vec<(&mut dyn Peer, usize)> = vec![(publisher, 0)];
    peers.extend(viewers.iter_mut().map(|viewer| (viewer as &mut dyn Peer, 0)));
    net.run(Duration::from_secs_f64(seconds), &mut peers);
}
