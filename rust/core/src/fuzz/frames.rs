//! Targets of what makes frames of packets, and packets of frames.

use std::time::{Duration, Instant};

use crate::codec::Codec;
use crate::command::{CodecParameters, EncodingParameters, Kind, TapId};
use crate::depacketise::{Depacketiser, red};
use crate::egress::burst::{COPIED, Element, LayerTag, Packet, Source};
use crate::frame::{Frame, MAX_FRAME};
use crate::packetise::{MAX_PAYLOAD, Packetiser, Payloads};
use crate::receive::clock::NtpClock;
use crate::tap::{Tap, View};
use crate::track::clock::ClockPoint;
use crate::track::encoding::Encoding;

const CODECS: [Codec; 6] = [Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus];
/// A short queue, so that it is full now and then.
const CAPACITY: usize = 20_000;

/// The bytes as payloads, each behind its length: no depacketiser panics, and a frame that it gives can be sent again and is the
/// same then. (H.264 and H.265 promise that only of units without start codes in them.)
pub fn fuzz_depacketise(bytes: &[u8]) {
    let _ = red::primary(bytes);
    for codec in CODECS {
        let mut depacketiser = Depacketiser::new(codec).expect("media");
        let mut frame = Vec::new();
        let mut rest = bytes;
        while let Some((&len, tail)) = rest.split_first() {
            let (payload, after) = tail.split_at(usize::from(len).min(tail.len()));
            rest = after;
            let _ = depacketiser.starts_frame(payload);
            if depacketiser.push(payload, &mut frame).is_err() {
                depacketiser.reset();
                frame.clear();
            } else if len % 3 == 0 {
                match depacketiser.finish(&mut frame) {
                    Ok(Some(picture)) => {
                        assert!(!frame.is_empty() || codec == Codec::Opus);
                        send_again(codec, &frame, picture.key_frame);
                        frame.clear();
                    }
                    Ok(None) => assert!(matches!(codec, Codec::H264 | Codec::H265 | Codec::Av1)),
                    Err(_) => {
                        depacketiser.reset();
                        frame.clear();
                    }
                }
            }
        }
    }
}

fn send_again(codec: Codec, frame: &[u8], key_frame: bool) {
    let mut payloads = Payloads::default();
    let packetised = Packetiser::new(codec).expect("media").packetise(frame, key_frame, &mut payloads);
    assert!(payloads.iter().all(|payload| !payload.is_empty() && payload.len() <= MAX_PAYLOAD));
    if matches!(codec, Codec::H264 | Codec::H265) || frame.is_empty() {
        return;
    }
    assert!(packetised.is_ok(), "{codec:?} {frame:?}");
    let mut depacketiser = Depacketiser::new(codec).expect("media");
    let mut again = Vec::new();
    for payload in payloads.iter() {
        depacketiser.push(payload, &mut again).expect("our own");
    }
    assert!(depacketiser.finish(&mut again).is_ok_and(|picture| picture.is_some()));
    assert_eq!(again, frame, "{codec:?}");
}

/// Any bytes as a frame: no packetiser panics, and no payload is empty or too long.
pub fn fuzz_packetise(bytes: &[u8]) {
    for codec in CODECS {
        let mut payloads = Payloads::default();
        if Packetiser::new(codec).expect("media").packetise(bytes, true, &mut payloads).is_ok() {
            assert!(payloads.iter().len() > 0);
            assert!(payloads.iter().all(|payload| !payload.is_empty() && payload.len() <= MAX_PAYLOAD));
        }
    }
}

/// Any packets in any order at any time: what waits is bounded, and time runs back at a first sender report only.
pub fn fuzz_tap(bytes: &[u8]) {
    let Some((&choice, steps)) = bytes.split_first() else { return };
    let codec = CODECS[usize::from(choice) % CODECS.len()];
    let start = Instant::now();
    let ntp = NtpClock::new(start, 1_800_000_000_000_000);
    let codecs = [96, 97].map(|payload_type| CodecParameters {
        payload_type,
        codec: if payload_type == 96 { codec } else { Codec::Vp8 },
        clock_rate: 90_000,
        rtx_payload_type: None,
        nack: choice & 0x80 != 0,
        pli: true,
        fir: false,
        transport_cc: false,
        remb: false,
        parameter_sets: Vec::new(),
    });
    let mut encodings = [0, 1].map(|_| Encoding::new(EncodingParameters::default(), Kind::Video));
    let mut tap = Tap::new(TapId(1), Kind::Video, CAPACITY, Duration::from_millis(u64::from(choice & 0x40)));
    let (mut now, mut sequence, mut timestamp, mut best) = (start, 1u64 << 16, 0u32, 0u8);
    let mut newest: Option<Frame> = None;
    for (index, step) in steps.as_chunks::<4>().0.iter().enumerate() {
        let [kind, a, b, c] = *step;
        now += Duration::from_millis(u64::from(c >> 3));
        sequence = (sequence + u64::from(a >> 6)).saturating_sub(u64::from(b >> 7) * 3);
        timestamp = timestamp.wrapping_add(if kind == 0 { u32::from(a) << 24 } else { u32::from(b & 3) * 3000 });
        if c & 7 == 7 {
            best ^= 1;
        }
        encodings[0].generation = encodings[0].generation.wrapping_add(u16::from(kind == 0xff));
        if kind == 0xfe {
            encodings[usize::from(a & 1)].clock = Some(ClockPoint { instant: now, rtp_timestamp: timestamp });
        }
        let payload = &steps[index * 4..(index * 4 + usize::from(a)).min(steps.len())];
        let encoding = kind >> 5 & 1;
        let packet = Packet {
            start: 0,
            header_len: 12,
            payload_len: payload.len() as u16,
            source: Source { encoding, generation: encodings[usize::from(encoding)].generation },
            payload_type: 96 + (kind >> 6 & u8::from(kind & 0x18 == 0)),
            marker: kind & 1 == 1,
            key_frame: false,
            late_key_frame: false,
            sequence,
            timestamp,
            arrival: now,
            elements: [Element::NONE; COPIED.len()],
            pictures: None,
            dependency_frame: None,
            layers: LayerTag::NONE,
        };
        let view =
            View { encodings: &encodings, codecs: &codecs, best: Some(best), is_source: kind & 2 == 2, ntp: &ntp };
        tap.push(&packet, payload, &view);
        if kind & 4 == 4 {
            tap.handle_timeout(now, &view);
        }
        let _ = tap.poll_ready(now, &ntp);
        let _ = tap.take_wish();
        assert!(tap.waiting() <= 2 * 4096 && tap.queue.level().bytes <= CAPACITY);
        if kind & 0x10 == 0 {
            for frame in tap.queue.take().0 {
                assert!(frame.data.len() <= 2 * MAX_FRAME);
                if let Some(newest) = &newest {
                    let goes_on = frame.clock_rate == newest.clock_rate && frame.timestamp > newest.timestamp;
                    let reported = frame.synced && !newest.synced;
                    assert!(!goes_on || reported || frame.wallclock >= newest.wallclock, "{newest:?} {frame:?}");
                }
                if newest.as_ref().is_none_or(|newest| frame.timestamp > newest.timestamp) {
                    newest = Some(Frame { data: Vec::new(), ..frame });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run_from_environment;
    use super::*;

    /// Payloads that each codec takes, each behind its length, with lengths that end a frame among them.
    fn corpus() -> Vec<Vec<u8>> {
        let payloads: [&[&[u8]]; 6] = [
            &[&[0x78, 0, 4, 0x67, 0x42, 0xc0, 0x1f, 0, 2, 0x68, 0xce], &[0x7c, 0x85, 0x88], &[0x7c, 0x45, 0x11]],
            &[&[0x60, 1, 0, 3, 0x40, 1, 2, 0, 3, 0x42, 1, 2], &[0x62, 1, 0x93, 7], &[0x62, 1, 0x53, 7, 7, 7]],
            &[&[0x90, 0x80, 7, 0x10, 2, 0, 0x9d, 1, 0x2a, 0, 5, 0xd0, 2], &[0x80, 0x80, 7, 1, 2, 3]],
            &[&[0xae, 5, 0, 7, 0x10, 2, 0x80, 1, 0x68, 0x82, 0x49, 0x83], &[0xac, 5, 3, 7, 1, 1]],
            &[&[0x68, 4, 0x0a, 2, 7, 7, 0x30, 0x10, 1], &[0xd0, 3, 4], &[0x90, 5, 6, 7, 8, 9]],
            &[&[0xfc, 1, 2], &[0xfc]],
        ];
        let with_lengths = |list: &&[&[u8]]| list.iter().flat_map(|one| [&[one.len() as u8], *one].concat()).collect();
        payloads.iter().map(with_lengths).collect()
    }

    #[test]
    fn depacketise() {
        run_from_environment(fuzz_depacketise, &corpus());
    }

    #[test]
    fn packetise() {
        let mut corpus = corpus();
        corpus.push([&[0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x65][..], &[7; 1500]].concat());
        corpus.push([&[0x12, 0, 0x0a, 1, 7, 0x32, 0xdc, 0x0b][..], &[7; 1500]].concat());
        run_from_environment(fuzz_packetise, &corpus);
    }

    #[test]
    fn tap() {
        let calm =
            |choice: u8| [choice].into_iter().chain((0..200u8).flat_map(|step| [0x19, 0x4c, step & 1, 0x40])).collect();
        let rough = (0..250u8).flat_map(|step| [step, step.wrapping_mul(37), step << 3, !step]).collect();
        let mut corpus: Vec<Vec<u8>> = (0..6).map(calm).collect();
        corpus.push(rough);
        run_from_environment(fuzz_tap, &corpus);
    }
}
