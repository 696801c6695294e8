//! What it costs to show 500 viewers who come at once the group of pictures that is under way, without the send, and how
//! soon they are at the live edge: 2.4 Mbit/s, two seconds after the key frame, a `Transmit` that discards.
//!
//! `cargo run --release --example replay_speed`

mod crowd;

use std::time::{Duration, Instant};

use crowd::{Crowd, Discard};
use live777_media::srtp::Profile;
use live777_media::worker::GopLimits;

const VIEWERS: u64 = 500;
const INTERVAL: Duration = Duration::from_micros(33_333);
const PACKETS_PER_FRAME: usize = 8;
/// Seconds from one key frame to the next, in frames.
const GOP: u32 = 120;

/// Of this thread: other work on the machine is not ours to count.
fn cpu_time() -> Duration {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(line.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("a number"))
}

fn main() {
    println!("{VIEWERS} viewers at once");
    for replays in [64, 256, 512] {
        let mut crowd = Crowd::new(GopLimits { bytes: 4 << 20, span: Duration::from_secs(5), replays }, 1);
        let mut out = Discard::default();
        for frame in 0..GOP + 60 {
            crowd.frame(0, PACKETS_PER_FRAME, frame == GOP);
            crowd.worker.flush(crowd.now, &mut out);
            crowd.now += INTERVAL;
        }
        for id in 2..2 + VIEWERS {
            crowd.view(id, Profile::AeadAes128Gcm, &[]);
        }
        let (begun, mut next_frame) = (crowd.now, crowd.now);
        let (mut turns, mut edge, before) = (Vec::new(), None, cpu_time());
        out = Discard::default();
        for frame in 0..60 {
            crowd.now = next_frame;
            crowd.frame(0, PACKETS_PER_FRAME, frame + 60 == GOP);
            next_frame += INTERVAL;
            let mut due = Some(crowd.now);
            while let Some(at) = due.filter(|at| *at < next_frame) {
                crowd.now = at.max(crowd.now);
                let start = Instant::now();
                crowd.worker.handle_timeout(crowd.now, &mut out);
                turns.push(start.elapsed());
                due = crowd.worker.poll_timeout();
            }
            let live = u64::from(frame + 1) * PACKETS_PER_FRAME as u64 * VIEWERS;
            let past = 60 * PACKETS_PER_FRAME as u64 * VIEWERS;
            if edge.is_none() && out.datagrams >= live + past {
                edge = Some(crowd.now - begun);
            }
        }
        let edge = edge.map_or("at the next key frame".to_owned(), |at| format!("after {} ms", at.as_millis()));
        let spent = cpu_time() - before;
        turns.sort_unstable();
        println!(
            "{replays:>4} replays: {:.0} ns a packet, {:.1} packets a run, {:.2} of a core for 2 s, 99 of 100 turns take at \
             most {:.1} ms, all at the edge {edge}",
            spent.as_nanos() as f64 / out.datagrams as f64,
            out.datagrams as f64 / out.runs as f64,
            spent.as_secs_f64() / 2.0,
            turns[turns.len() * 99 / 100].as_secs_f64() * 1000.0,
        );
    }
}
