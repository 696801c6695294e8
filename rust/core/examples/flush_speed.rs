//! What it costs to forward a packet, without the send: one publisher, 500 viewers, a `Transmit` that discards.
//!
//! `cargo run --release --example flush_speed`

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

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

const VIEWERS: u64 = 500;
const PAYLOAD: usize = 1188;
const PASSWORD: &str = "a password of enough length";

#[derive(Default)]
struct Discard {
    datagrams: u64,
    runs: u64,
}

impl Transmit for Discard {
    fn transmit(&mut self, path: Path, datagrams: &[u8], segment: usize) {
        black_box((path, datagrams));
        self.datagrams += datagrams.len().div_ceil(segment) as u64;
        self.runs += 1;
    }
}

fn keys(profile: Profile) -> MasterKey {
    let row = profile.parameters();
    MasterKey::new(&vec![7; row.key_len], &vec![9; row.salt_len])
}

fn path(id: u64) -> Path {
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

/// Nanoseconds per forwarded packet, and packets per run.
fn measure(profile: Profile, burst: usize, extended: bool) -> (f64, f64) {
    let mut now = Instant::now();
    let mut worker = Worker::new(WorkerConfig {
        seed: 1,
        epoch: now,
        epoch_unix_micros: 1_700_000_000_000_000,
        gop: GopLimits { bytes: 4 << 20, span: Duration::from_secs(5), replays: 64 },
    });
    let ids = [(4, ExtensionKind::Mid), (3, ExtensionKind::TransportCc), (2, ExtensionKind::AbsSendTime)];
    let extensions = if extended { ids.to_vec() } else { Vec::new() };
    connect(&mut worker, now, 1, Profile::AeadAes128Gcm);
    let parameters = TrackParameters {
        kind: Kind::Video,
        mid: Some("0".to_owned()),
        codecs: vec![codec(96, 97)],
        encodings: vec![EncodingParameters { ssrc: Some(5), ..EncodingParameters::default() }],
        extensions: Vec::new(),
        local_ssrc: 99,
    };
    worker.command(now, Command::AddTrack { transport: TransportId(1), track: TrackId(1), parameters }).expect("track");
    for id in 2..2 + VIEWERS {
        connect(&mut worker, now, id, profile);
        let (transport, subscription) = (TransportId(id), SubscriptionId(id));
        let parameters = SubscriptionParameters {
            kind: Kind::Video,
            mid: Some("0".to_owned()),
            ssrc: 1000 + id as u32,
            rtx_ssrc: Some(9000 + id as u32),
            rid: None,
            cname: "viewer".to_owned(),
            codecs: vec![codec(102, 103)],
            extensions: extensions.clone(),
        };
        worker.command(now, Command::Subscribe { transport, subscription, parameters }).expect("subscribe");
        let payload_types = vec![(96, 102)];
        worker.command(now, Command::Attach { subscription, track: TrackId(1), payload_types }).expect("attach");
    }
    let mut sender = Outbound::new(Profile::AeadAes128Gcm, &keys(Profile::AeadAes128Gcm)).expect("keys");
    let mut out = Discard::default();
    worker.flush(now, &mut out);
    let mut index = 1_u64;
    let mut packet = vec![0; 12 + PAYLOAD + 16];
    let mut round = |worker: &mut Worker, out: &mut Discard| {
        for _ in 0..burst {
            packet.fill(0x41);
            packet[..2].copy_from_slice(&[0x80, 96]);
            packet[2..4].copy_from_slice(&(index as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&(index as u32 * 3000).to_be_bytes());
            packet[8..12].copy_from_slice(&5_u32.to_be_bytes());
            packet[12] = if index == 1 { 0x65 } else { 0x41 };
            let len = sender.seal_rtp(&mut packet, 12, 12 + PAYLOAD, index);
            worker.handle_datagram(now, path(1), &mut packet[..len]);
            index += 1;
        }
        let start = Instant::now();
        worker.flush(now, out);
        now += Duration::from_millis(2);
        start.elapsed()
    };
    for _ in 0..20 {
        round(&mut worker, &mut out);
    }
    let rounds = 51 + 400 / burst;
    out = Discard::default();
    // The best tenth: other work on the machine is not ours to count.
    let mut spent: Vec<Duration> = (0..rounds).map(|_| round(&mut worker, &mut out)).collect();
    spent.sort_unstable();
    let per_packet = spent[rounds / 10].as_nanos() as f64 / (burst as f64 * VIEWERS as f64);
    assert_eq!(out.datagrams, rounds as u64 * burst as u64 * VIEWERS, "every packet left");
    (per_packet, out.datagrams as f64 / out.runs as f64)
}

fn main() {
    println!("{VIEWERS} viewers, packets of {} bytes, ns per forwarded packet (packets per run)", 12 + PAYLOAD);
    for (name, profile) in [("GCM-128", Profile::AeadAes128Gcm), ("CM-80", Profile::AesCm128HmacSha1_80)] {
        for extended in [false, true] {
            let cells = [1, 4, 12].map(|burst| {
                let (nanos, run) = measure(profile, burst, extended);
                format!("burst {burst}: {nanos:6.0} ({run:.0})")
            });
            let header = if extended { "MID, transport-cc, abs-send-time" } else { "bare header" };
            println!("{name:8} {}  {header}", cells.join("  "));
        }
    }
}
