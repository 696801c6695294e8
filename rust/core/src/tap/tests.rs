//! What FFmpeg's encoders and packetisers send (`fixtures/generate.py`), made frames and sent again.

use std::time::Instant;

use super::assembly::{Assembled, Assembly, Part};
use crate::codec::Codec;
use crate::packetise::{Packetiser, Payloads};
use crate::rtp::Header;

/// The frames of a fixture. Some end with a frame that is cut off.
fn frames(codec: Codec, fixture: &[u8]) -> (Vec<Assembled>, Assembly) {
    let mut assembly = Assembly::new(codec, 90_000, Instant::now()).expect("media");
    let mut frames = Vec::new();
    let mut rest = fixture;
    while let Some((len, tail)) = rest.split_first_chunk::<2>() {
        let (packet, tail) = tail.split_at(usize::from(u16::from_be_bytes(*len)));
        rest = tail;
        let header = Header::parse(packet).expect("RTP");
        let (timestamp, marker, arrival) = (header.timestamp, header.marker, Instant::now());
        let part = Part { timestamp, marker, arrival, payload: &packet[header.header_len..] };
        assembly.push(part, &mut |frame| frames.push(frame));
    }
    (frames, assembly)
}

#[track_caller]
fn check(codec: Codec, fixture: &[u8], size: (u16, u16), key_frames: &[usize]) {
    let (frames, assembly) = frames(codec, fixture);
    assert!(frames.len() > *key_frames.last().expect("one") && assembly.damaged == 0);
    let mut packetiser = Packetiser::new(codec).expect("media");
    let mut again = Assembly::new(codec, 90_000, Instant::now()).expect("media");
    for (index, frame) in frames.iter().enumerate() {
        assert_eq!(frame.picture.key_frame, key_frames.contains(&index), "picture {index}");
        assert!(!frame.picture.key_frame || frame.picture.size == Some(size), "{:?}", frame.picture.size);
        let mut payloads = Payloads::default();
        packetiser.packetise(&frame.data, frame.picture.key_frame, &mut payloads).expect("a whole frame");
        let count = payloads.iter().len();
        let mut read = Vec::new();
        for (at, payload) in payloads.iter().enumerate() {
            let (timestamp, marker, arrival) = (frame.timestamp, at + 1 == count, Instant::now());
            again.push(Part { timestamp, marker, arrival, payload }, &mut |frame| read.push(frame));
        }
        assert_eq!(read.len(), 1, "picture {index}");
        assert!(read[0].data == frame.data && read[0].picture.key_frame == frame.picture.key_frame, "picture {index}");
    }
}

macro_rules! fixtures {
    ($($name:ident: $codec:ident, $size:expr, $keys:expr;)*) => {$(
        #[test]
        fn $name() {
            check(Codec::$codec, include_bytes!(concat!("../../fixtures/", stringify!($name), ".bin")), $size, &$keys);
        }
    )*};
}

fixtures! {
    h264_x264_1280x720: H264, (1280, 720), [0];
    h264_x264_1918x1078_cropped: H264, (1918, 1078), [0];
    h264_x264_320x180_intra_refresh: H264, (320, 180), [0, 10, 20];
    h264_openh264_318x238: H264, (318, 238), [0];
    h265_x265_1918x1078_cropped: H265, (1918, 1078), [0];
    h265_x265_320x180_open_gop_cra: H265, (320, 180), [0, 7, 15];
    h265_kvazaar_1280x720: H265, (1280, 720), [0];
    vp8_libvpx_1280x720: Vp8, (1280, 720), [0];
    vp9_libvpx_1280x720: Vp9, (1280, 720), [0];
    vp9_libvpx_1917x1077_profile1: Vp9, (1917, 1077), [0];
    av1_svt_1280x720: Av1, (1280, 720), [0];
    av1_aom_1918x1078: Av1, (1918, 1078), [0];
    av1_rav1e_318x238: Av1, (318, 238), [0];
}
