//! What the choice of layers costs: 500 viewers of three layers, each of whom sends transport-wide feedback ten times a
//! second. For each feedback the CPU time of all that follows from it: it is decrypted and read, the estimate is made, a layer is
//! chosen. One JSON document.
//!
//! `cargo run --release --example decision_speed`

mod crowd;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crowd::{Crowd, keys, path};
use live777_media::event::Path;
use live777_media::receive::twcc::TwccRecorder;
use live777_media::rtp::ExtensionKind;
use live777_media::srtp::{Outbound, Profile};
use live777_media::worker::{GopLimits, Transmit};

const VIEWERS: u64 = 500;
const FRAMES: u32 = 300;
const INTERVAL: Duration = Duration::from_micros(33_333);
/// Packets of a frame of each layer.
const LAYERS: [usize; 3] = [6, 2, 1];
/// Frames from one feedback to the next.
const FEEDBACK: u32 = 3;
const TRANSPORT_CC: u8 = 3;
const PROFILE: Profile = Profile::AeadAes128Gcm;

/// The transport-wide numbers that came to each viewer.
#[derive(Default)]
struct Arrivals(HashMap<SocketAddr, Vec<u16>>);

impl Transmit for Arrivals {
    fn transmit(&mut self, path: Path, datagrams: &[u8], segment: usize) {
        let numbers = datagrams.chunks(segment).filter_map(transport_number);
        self.0.entry(path.remote).or_default().extend(numbers);
    }
}

/// Of an RTP packet with one-byte header extensions (RFC 8285 section 4.2).
fn transport_number(packet: &[u8]) -> Option<u16> {
    let rtcp = (192..224).contains(&packet[1]);
    let extended = !rtcp && packet[0] & 0x10 != 0 && packet[12..14] == [0xbe, 0xde];
    let mut rest = extended.then(|| &packet[16..])?;
    loop {
        let (&head, after) = rest.split_first()?;
        let (id, len) = (head >> 4, usize::from(head & 15) + 1);
        match id {
            0 => rest = after,
            TRANSPORT_CC => return Some(u16::from_be_bytes([after[0], after[1]])),
            _ => rest = after.get(len..)?,
        }
    }
}

struct Viewer {
    remote: SocketAddr,
    recorder: TwccRecorder,
    sender: Outbound,
}

fn main() {
    let mut crowd = Crowd::new(GopLimits { bytes: 4 << 20, span: Duration::from_secs(5), replays: 512 }, 3);
    let mut viewers = HashMap::new();
    for id in 2..2 + VIEWERS {
        crowd.view(id, PROFILE, &[(TRANSPORT_CC, ExtensionKind::TransportCc)]);
        let sender = Outbound::new(PROFILE, &keys(PROFILE)).expect("keys");
        viewers.insert(id, Viewer { remote: path(id).remote, recorder: TwccRecorder::default(), sender });
    }
    let mut arrivals = Arrivals::default();
    let (mut spent, mut packets) = (Vec::new(), 0_usize);
    for frame in 0..FRAMES {
        for (encoding, count) in LAYERS.into_iter().enumerate() {
            crowd.frame(encoding, count, frame % 60 == 0);
        }
        crowd.worker.flush(crowd.now, &mut arrivals);
        crowd.worker.handle_timeout(crowd.now, &mut arrivals);
        for (&id, viewer) in &mut viewers {
            for number in arrivals.0.remove(&viewer.remote).unwrap_or_default() {
                viewer.recorder.received(crowd.now, number);
                packets += 1;
            }
            // Not all in one frame, as in life.
            if u64::from(frame) % u64::from(FEEDBACK) == id % u64::from(FEEDBACK) && viewer.recorder.pending() {
                let mut report = Vec::new();
                viewer.recorder.write(&mut report, 7, 1000 + id as u32);
                let len = report.len();
                report.resize(len + 64, 0);
                let sealed = viewer.sender.seal_rtcp(&mut report, len).expect("room");
                let start = Instant::now();
                crowd.worker.handle_datagram(crowd.now, path(id), &mut report[..sealed]);
                spent.push(start.elapsed());
            }
        }
        crowd.now += INTERVAL;
    }
    // The dearest hundredth is what other programs did to this one.
    spent.sort_unstable();
    let kept = &spent[..spent.len() * 99 / 100];
    let mean = kept.iter().sum::<Duration>().as_nanos() as f64 / kept.len() as f64 / 1000.0;
    let median = spent[spent.len() / 2].as_nanos() as f64 / 1000.0;
    let each = packets as f64 / spent.len() as f64;
    println!(
        r#"{{"viewers": {VIEWERS}, "feedbacks": {}, "packets_each": {each:.1}, "mean_us": {mean:.3}, "median_us": {median:.3}}}"#,
        spent.len()
    );
}
