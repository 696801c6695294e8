//! Nanoseconds per 1200-byte packet of each way to seal and open: `cargo run --release --example srtp_speed`.
//!
//! A hundred transports take turns, so that their keys come from the cache a fan-out would have. Every figure is the
//! best of many short trials: the machine's other work only ever adds.

use std::hint::black_box;
use std::time::Instant;

use live777_media::srtp::{Inbound, MAX_RTP_OVERHEAD, MacBatch, MasterKey, Outbound, Profile};

const PLAIN_LEN: usize = 1200;
const SLOT: usize = PLAIN_LEN + MAX_RTP_OVERHEAD;
const TRANSPORTS: usize = 100;
const TRIALS: usize = 300;

fn main() {
    for profile in [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::AesCm128HmacSha1_80] {
        println!("{:<24} seal {:>5.0} ns", profile.name(), seal(profile));
        println!("{:<24} open {:>5.0} ns", profile.name(), open(profile));
    }
    println!("{:<24} encryption alone {:>5.0} ns", "AES128_CM_HMAC_SHA1_80", encrypt());
    for jobs in [1, 2, 4, 8, 12, 16, 32, 64] {
        let name = format!("seal, {jobs} in a batch");
        println!("{:<24} {name} {:>5.0} ns", "AES128_CM_HMAC_SHA1_80", batch(jobs, |_| PLAIN_LEN));
    }
    println!(
        "{:<24} seal, 64 of mixed length {:>5.0} ns",
        "AES128_CM_HMAC_SHA1_80",
        batch(64, |job| 100 + job * 541 % 1100)
    );
}

fn key(profile: Profile, transport: usize) -> MasterKey {
    let row = profile.parameters();
    MasterKey::new(&vec![transport as u8; row.key_len], &vec![transport as u8 ^ 0x55; row.salt_len])
}

fn outbounds(profile: Profile) -> Vec<Outbound> {
    (0..TRANSPORTS).map(|transport| Outbound::new(profile, &key(profile, transport)).expect("key fits")).collect()
}

/// Best time of `work`, which treats `packets` packets.
fn measure(packets: usize, mut work: impl FnMut()) -> f64 {
    let trial = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed().as_nanos() as f64 / packets as f64
    };
    (0..TRIALS).map(|_| trial(&mut work)).fold(f64::INFINITY, f64::min)
}

fn seal(profile: Profile) -> f64 {
    let mut outbounds = outbounds(profile);
    let mut packet = vec![0x80; SLOT];
    let mut index = 0;
    measure(TRANSPORTS, || {
        index += 1;
        for outbound in &mut outbounds {
            black_box(outbound.seal_rtp(&mut packet, 12, PLAIN_LEN, index));
        }
    })
}

fn encrypt() -> f64 {
    let mut outbounds = outbounds(Profile::AesCm128HmacSha1_80);
    let mut packet = vec![0x80; SLOT];
    let mut index = 0;
    measure(TRANSPORTS, || {
        index += 1;
        for outbound in &mut outbounds {
            let _ = black_box(outbound.seal_rtp_deferred(&mut packet, 12, PLAIN_LEN, index));
        }
    })
}

fn batch(jobs: usize, plain_len: impl Fn(usize) -> usize) -> f64 {
    let mut outbounds = outbounds(Profile::AesCm128HmacSha1_80);
    let mut buffer = vec![0x80; SLOT * jobs];
    let mut batch = MacBatch::new();
    let mut index = 0;
    measure(TRANSPORTS / jobs.min(TRANSPORTS) * jobs, || {
        index += 1;
        for outbounds in outbounds.chunks_exact_mut(jobs) {
            for (job, outbound) in outbounds.iter_mut().enumerate() {
                let start = job * SLOT;
                let (_, pending) = outbound.seal_rtp_deferred(&mut buffer[start..], 12, plain_len(job), index);
                if let Some(pending) = pending {
                    batch.push(start, pending);
                }
            }
            batch.finish(&mut buffer);
        }
    })
}

fn open(profile: Profile) -> f64 {
    let mut outbounds = outbounds(profile);
    let mut inbounds: Vec<Inbound> =
        (0..TRANSPORTS).map(|transport| Inbound::new(profile, &key(profile, transport)).expect("key fits")).collect();
    let mut packets = vec![vec![0x80; SLOT]; TRANSPORTS];
    let mut best = f64::INFINITY;
    for trial in 0..TRIALS {
        let sequence = trial as u16;
        for (packet, outbound) in packets.iter_mut().zip(&mut outbounds) {
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            let wire_len = outbound.seal_rtp(packet, 12, PLAIN_LEN, u64::from(sequence));
            packet.truncate(wire_len);
        }
        let start = Instant::now();
        for (packet, inbound) in packets.iter_mut().zip(&mut inbounds) {
            black_box(inbound.open_rtp(packet, 12, 0x8080_8080, sequence)).expect("sealed with the same key");
        }
        best = best.min(start.elapsed().as_nanos() as f64 / TRANSPORTS as f64);
        for packet in &mut packets {
            packet.resize(SLOT, 0);
        }
    }
    best
}
