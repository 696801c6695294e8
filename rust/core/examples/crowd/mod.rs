//! A worker with one publisher of H264 in one or more encodings, its viewers, and a `Transmit` that discards. Time is virtual.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Instant;

use live777_media::codec::Codec;
use live777_media::command::{
    CodecParameters, Command, EncodingParameters, IceParameters, IceRole, Kind, SubscriptionId, SubscriptionParameters,
    TrackId, TrackParameters, TransportId,
};
use live777_media::event::{Path, SocketId};
use live777_media::rtp::ExtensionKind;
use live777_media::srtp::{MasterKey, Outbound, Profile};
use live777_media::stun::{Builder, Class, IntegrityKey, TransactionId};
use live777_media::worker::{GopLimits, Transmit, Worker, WorkerConfig};

/// Bytes of a packet without its header.
pub const PAYLOAD: usize = 1188;
/// Of the first encoding.
const SSRC: u32 = 5;
const PASSWORD: &str = "a password of enough length";

/// What left, where nobody looks at it.
#[allow(dead_code)]
#[derive(Default)]
pub struct Discard {
    pub datagrams: u64,
    pub runs: u64,
}

impl Transmit for Discard {
    fn transmit(&mut self, path: Path, datagrams: &[u8], segment: usize) {
        black_box((path, datagrams));
        self.datagrams += datagrams.len().div_ceil(segment) as u64;
        self.runs += 1;
    }
}

pub fn keys(profile: Profile) -> MasterKey {
    let row = profile.parameters();
    MasterKey::new(&vec![7; row.key_len], &vec![9; row.salt_len])
}

pub fn path(id: u64) -> Path {
    Path { socket: SocketId::shared(0), remote: SocketAddr::from(([10, 0, (id >> 8) as u8, id as u8], 5000)) }
}

fn connect(worker: &mut Worker, now: Instant, id: u64, profile: Profile) {
    let transport = TransportId(id);
    let ufrag = format!("ufrag{id}");
    let ice = IceParameters {
        role: IceRole::Lite,
        local_ufrag: ufrag.clone(),
        local_pwd: PASSWORD.to_owned(),
        remote_ufrag: None,
        remote_pwd: None,
    };
    worker.command(now, Command::OpenTransport { transport, ice, own_socket: false }).expect("open");
    let keys = Command::InstallKeys { transport, profile, local: keys(profile), remote: keys(profile) };
    worker.command(now, keys).expect("keys");
    let mut check = Vec::new();
    Builder::new(&mut check, Class::Request, TransactionId([1; 12]))
        .username(&ufrag, "peer")
        .priority(1)
        .controlling(1)
        .use_candidate()
        .finish(&IntegrityKey::new(PASSWORD));
    worker.handle_datagram(now, path(id), &mut check);
}

fn codec(payload_type: u8, rtx: u8) -> CodecParameters {
    CodecParameters {
        payload_type,
        codec: Codec::H264,
        clock_rate: 90_000,
        rtx_payload_type: Some(rtx),
        nack: true,
        pli: true,
        fir: false,
        transport_cc: true,
        remb: false,
        parameter_sets: Vec::new(),
    }
}

/// What one encoding has sent.
#[derive(Clone, Copy, Default)]
struct Sent {
    packets: u64,
    frames: u32,
}

/// A worker, its publisher's keys and how far that is.
pub struct Crowd {
    pub worker: Worker,
    pub now: Instant,
    sender: Outbound,
    encodings: Vec<Sent>,
    packet: Vec<u8>,
}

impl Crowd {
    /// A publisher of so many encodings who has sent nothing.
    pub fn new(gop: GopLimits, encodings: u32) -> Crowd {
        let now = Instant::now();
        let config = WorkerConfig {
            seed: 1,
            epoch: now,
            epoch_unix_micros: 1_700_000_000_000_000,
            gop,
            bandwidth_estimation: true,
        };
        let mut worker = Worker::new(config);
        connect(&mut worker, now, 1, Profile::AeadAes128Gcm);
        let parameters = TrackParameters {
            kind: Kind::Video,
            mid: Some("0".to_owned()),
            codecs: vec![codec(96, 97)],
            encodings: (0..encodings)
                .map(|index| EncodingParameters { ssrc: Some(SSRC + index), ..EncodingParameters::default() })
                .collect(),
            extensions: Vec::new(),
            local_ssrc: 99,
        };
        let command = Command::AddTrack { transport: TransportId(1), track: TrackId(1), parameters };
        worker.command(now, command).expect("track");
        let sender = Outbound::new(Profile::AeadAes128Gcm, &keys(Profile::AeadAes128Gcm)).expect("keys");
        let encodings = vec![Sent::default(); encodings as usize];
        Crowd { worker, now, sender, encodings, packet: vec![0; 12 + PAYLOAD + 16] }
    }

    /// A viewer, connected and attached. The publisher is 1.
    pub fn view(&mut self, id: u64, profile: Profile, extensions: &[(u8, ExtensionKind)]) {
        connect(&mut self.worker, self.now, id, profile);
        let (transport, subscription) = (TransportId(id), SubscriptionId(id));
        let parameters = SubscriptionParameters {
            kind: Kind::Video,
            mid: Some("0".to_owned()),
            ssrc: 1000 + id as u32,
            rtx_ssrc: Some(9000 + id as u32),
            rid: None,
            cname: "viewer".to_owned(),
            codecs: vec![codec(102, 103)],
            extensions: extensions.to_vec(),
        };
        self.worker.command(self.now, Command::Subscribe { transport, subscription, parameters }).expect("subscribe");
        let payload_types = vec![(96, 102)];
        let attach = Command::Attach { subscription, track: TrackId(1), payload_types };
        self.worker.command(self.now, attach).expect("attach");
    }

    /// An encoding sends a frame of so many packets; its first frame is a key frame, and others are if `key`.
    pub fn frame(&mut self, encoding: usize, packets: usize, key: bool) {
        let Sent { packets: before, frames } = self.encodings[encoding];
        for number in 0..packets {
            let begins = number == 0 && (key || frames == 0);
            let index = before + number as u64 + 1;
            self.packet.fill(0x41);
            self.packet[..2].copy_from_slice(&[0x80, 96 | u8::from(number + 1 == packets) << 7]);
            self.packet[2..4].copy_from_slice(&(index as u16).to_be_bytes());
            self.packet[4..8].copy_from_slice(&(frames * 3000).to_be_bytes());
            self.packet[8..12].copy_from_slice(&(SSRC + encoding as u32).to_be_bytes());
            self.packet[12] = if begins { 0x65 } else { 0x41 };
            let len = self.sender.seal_rtp(&mut self.packet, 12, 12 + PAYLOAD, index);
            self.worker.handle_datagram(self.now, path(1), &mut self.packet[..len]);
        }
        self.encodings[encoding] = Sent { packets: before + packets as u64, frames: frames + 1 };
    }
}
