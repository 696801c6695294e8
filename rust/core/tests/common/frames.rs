//! Frames of every codec, and a track that is written and read.

use std::time::Duration;

use live777_media::codec::Codec;
use live777_media::command::{CodecParameters, Command, SourceParameters, TapId, TrackId, WrittenFrame};
use live777_media::event::Event;
use live777_media::frame::Frame;
use live777_media::worker::Worker;

use super::net::{Net, Random};

pub const CODECS: [Codec; 9] =
    [Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Pcma];
pub const SOURCE: TrackId = TrackId(70);
pub const TAP: TapId = TapId(71);

pub fn is_video(codec: Codec) -> bool {
    matches!(codec, Codec::H264 | Codec::H265 | Codec::Vp8 | Codec::Vp9 | Codec::Av1)
}

pub fn parameters(codec: Codec, nack: bool) -> CodecParameters {
    CodecParameters {
        payload_type: 96,
        codec,
        clock_rate: if is_video(codec) { 90_000 } else { 48_000 },
        rtx_payload_type: None,
        nack,
        pli: true,
        fir: false,
        transport_cc: false,
        remb: false,
        parameter_sets: Vec::new(),
    }
}

/// Bytes without zeros: nothing in them looks like a start code, and no unit ends with padding.
pub fn noise(random: &mut Random, len: usize) -> Vec<u8> {
    (0..len).map(|_| 1 + random.below(255) as u8).collect()
}

fn unit(header: &[u8], random: &mut Random, len: usize) -> Vec<u8> {
    [&[0, 0, 0, 1], header, &noise(random, len)].concat()
}

fn obu(header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut size = Vec::new();
    let mut rest = payload.len();
    while rest >= 0x80 {
        size.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    size.push(rest as u8);
    [header, &size, payload].concat()
}

/// A frame of about `size` bytes in one to four parts.
pub fn frame(codec: Codec, key_frame: bool, size: usize, random: &mut Random) -> Vec<u8> {
    let parts = 1 + random.below(4) as usize;
    let mut out = Vec::new();
    let each = size / parts + 1;
    match codec {
        Codec::H264 => {
            if key_frame {
                // SPS of 640x360, PPS, SEI.
                out.extend([0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xd9, 0, 0xa0, 0x2f, 0xf9, 0x70, 0x11]);
                out.extend([0, 0, 0, 1, 0x68, 0xcb, 0x83, 0xcb]);
            }
            if random.chance(0.3) {
                out.extend(unit(&[6, 5], random, 20));
            }
            (0..parts).for_each(|_| out.extend(unit(&[if key_frame { 0x65 } else { 0x41 }], random, each)));
        }
        Codec::H265 => {
            if key_frame {
                // VPS, an SPS with the id 0, PPS.
                for (kind, fill) in [(32_u8, 0x0c), (33, 1), (34, 0xc1)] {
                    out.extend([0, 0, 0, 1, kind << 1, 1]);
                    out.extend([fill; 13]);
                    out.push(0x80);
                }
            }
            (0..parts).for_each(|_| out.extend(unit(&[if key_frame { 19 << 1 } else { 2 }, 1], random, each)));
        }
        Codec::Vp8 if key_frame => out.extend([0x10, 2, 0, 0x9d, 1, 0x2a, 0x80, 2, 0x68, 1]),
        Codec::Vp8 => out.push(0x11),
        Codec::Vp9 if key_frame => out.extend([0x82, 0x49, 0x83, 0x42, 0x00, 0x27, 0xf0, 0x16, 0x70]),
        Codec::Vp9 => out.extend([0x86, 0]),
        Codec::Av1 => {
            if key_frame {
                // A sequence header of SVT-AV1.
                out.extend(obu(&[0x0a], &[0, 0, 0, 2, 0xab, 0xbf, 0xc3, 0x77, 0xff, 0xe6, 1]));
            }
            let first = if key_frame { 0x10 } else { 0x30 };
            out.extend(obu(&[0x32], &[&[first][..], &noise(random, each)].concat()));
            // Metadata, and tile groups with an extension.
            (1..parts).for_each(|_| out.extend(obu(&[0x2a], &noise(random, 3))));
            (1..parts).for_each(|_| out.extend(obu(&[0x26, 0x08], &noise(random, each))));
        }
        _ => {}
    }
    if out.is_empty() || matches!(codec, Codec::Vp8 | Codec::Vp9) {
        out.extend(noise(random, size + 1));
    }
    out
}

pub fn open_source(worker: &mut Worker, net_now: std::time::Instant, codec: CodecParameters) {
    let command = Command::OpenSource { track: SOURCE, parameters: SourceParameters { codec } };
    worker.command(net_now, command).expect("open source");
}

pub fn open_tap(net: &mut Net, worker: usize, track: TrackId, capacity: usize, interval: Duration) {
    let command = Command::OpenTap { tap: TAP, track, capacity, interval, past: Duration::ZERO };
    net.workers[worker].command(net.now, command).expect("open tap");
}

pub fn write(net: &mut Net, data: &[u8], timestamp: i64, wallclock: Option<i64>, key_frame: bool) {
    let frame = WrittenFrame { data: data.to_vec(), timestamp, wallclock, key_frame };
    net.workers[0].command(net.now, Command::WriteFrame { track: SOURCE, frame }).expect("written");
}

/// What the events say that there is to read, and how many frames were dropped.
pub fn read(net: &mut Net) -> (Vec<Frame>, u64) {
    let (mut frames, mut dropped) = (Vec::new(), 0);
    for (_, event) in &net.events {
        if let Event::FramesReady { queue, .. } = event {
            let (more, lost) = queue.take();
            frames.extend(more);
            dropped += lost;
        }
    }
    net.events.retain(|(_, event)| !matches!(event, Event::FramesReady { .. }));
    (frames, dropped)
}

/// The kinds of the OBUs of a temporal unit, all of which have a size.
pub fn obus(mut data: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let Some((&header, rest)) = data.split_first() {
        let mut at = usize::from(header >> 2 & 1);
        let (mut size, mut shift) = (0, 0);
        while let Some(&byte) = rest.get(at) {
            size |= usize::from(byte & 0x7f) << shift;
            (at, shift) = (at + 1, shift + 7);
            if byte & 0x80 == 0 {
                break;
            }
        }
        kinds.push(header >> 3 & 15);
        data = &rest[at + size..];
    }
    kinds
}
