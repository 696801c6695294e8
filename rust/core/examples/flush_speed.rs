//! What it costs to forward a packet, without the send: one publisher, 500 viewers, a `Transmit` that discards.
//!
//! `cargo run --release --example flush_speed`

mod crowd;

use std::time::{Duration, Instant};

use crowd::{Crowd, Discard, PAYLOAD};
use live777_media::rtp::ExtensionKind;
use live777_media::srtp::Profile;
use live777_media::worker::GopLimits;

const VIEWERS: u64 = 500;

/// Nanoseconds per forwarded packet, and packets per run.
fn measure(profile: Profile, burst: usize, extended: bool) -> (f64, f64) {
    let ids = [(4, ExtensionKind::Mid), (3, ExtensionKind::TransportCc), (2, ExtensionKind::AbsSendTime)];
    let mut crowd = Crowd::new(GopLimits { bytes: 4 << 20, span: Duration::from_secs(5), replays: 64 }, 1);
    for id in 2..2 + VIEWERS {
        crowd.view(id, profile, if extended { &ids } else { &[] });
    }
    let mut out = Discard::default();
    crowd.worker.flush(crowd.now, &mut out);
    let mut round = |out: &mut Discard| {
        for _ in 0..burst {
            crowd.frame(0, 1, false);
        }
        let start = Instant::now();
        crowd.worker.flush(crowd.now, out);
        crowd.now += Duration::from_millis(2);
        start.elapsed()
    };
    for _ in 0..20 {
        round(&mut out);
    }
    let rounds = 51 + 400 / burst;
    out = Discard::default();
    // The best tenth: other work on the machine is not ours to count.
    let mut spent: Vec<Duration> = (0..rounds).map(|_| round(&mut out)).collect();
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
