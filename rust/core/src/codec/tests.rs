//! What FFmpeg's encoders and packetisers send (`fixtures/generate.py`): where key frames start, and what size they have.

use super::Codec;
use crate::rtp::Header;

/// Timestamp and payload of each packet of a fixture.
fn packets(fixture: &[u8]) -> Vec<(u32, &[u8])> {
    let mut rest = fixture;
    let mut packets = Vec::new();
    while let Some((len, tail)) = rest.split_first_chunk::<2>() {
        let (packet, tail) = tail.split_at(usize::from(u16::from_be_bytes(*len)));
        let header = Header::parse(packet).unwrap();
        packets.push((header.timestamp, &packet[header.header_len..]));
        rest = tail;
    }
    packets
}

/// Checks that exactly these pictures are key frames, that each is seen at its first packet, and that each tells its size.
#[track_caller]
fn check(codec: Codec, fixture: &[u8], size: (u16, u16), key_pictures: &[usize]) {
    let packets = packets(fixture);
    let pictures: Vec<_> = packets.chunk_by(|a, b| a.0 == b.0).collect();
    assert!(pictures.len() > *key_pictures.last().unwrap());
    for (index, picture) in pictures.iter().enumerate() {
        let start = picture.iter().position(|(_, payload)| codec.is_key_frame_start(payload).unwrap());
        let told = picture.iter().find_map(|(_, payload)| codec.picture_size(payload));
        let expected = if key_pictures.contains(&index) { (Some(0), Some(size)) } else { (None, None) };
        assert_eq!((start, told), expected, "picture {index}");
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
    h264_x264_1920x1080_interlaced: H264, (1920, 1080), [0];
    h264_x264_1917x1077_yuv444: H264, (1917, 1077), [0];
    h264_x264_1918x1077_yuv422_10bit: H264, (1918, 1077), [0];
    // One IDR, then recovery points.
    h264_x264_320x180_intra_refresh: H264, (320, 180), [0, 10, 20];
    h264_openh264_318x238: H264, (318, 238), [0];
    h265_x265_1280x720: H265, (1280, 720), [0];
    h265_x265_1918x1078_cropped: H265, (1918, 1078), [0];
    h265_x265_1918x1077_yuv422: H265, (1918, 1077), [0];
    // One IDR, then CRA pictures, in decoding order.
    h265_x265_320x180_open_gop_cra: H265, (320, 180), [0, 7, 15];
    h265_kvazaar_1280x720: H265, (1280, 720), [0];
    vp8_libvpx_1280x720: Vp8, (1280, 720), [0];
    vp8_libvpx_1918x1078: Vp8, (1918, 1078), [0];
    vp9_libvpx_1280x720: Vp9, (1280, 720), [0];
    vp9_libvpx_1918x1078: Vp9, (1918, 1078), [0];
    vp9_libvpx_1917x1077_profile1: Vp9, (1917, 1077), [0];
    vp9_libvpx_1280x720_profile2: Vp9, (1280, 720), [0];
    av1_svt_1280x720: Av1, (1280, 720), [0];
    av1_svt_1918x1078: Av1, (1918, 1078), [0];
    av1_aom_1918x1078: Av1, (1918, 1078), [0];
    av1_rav1e_318x238: Av1, (318, 238), [0];
}

#[test]
fn sound_starts_anywhere() {
    for codec in [Codec::Opus, Codec::Red, Codec::G722, Codec::Pcmu, Codec::Pcma, Codec::Other] {
        assert_eq!((codec.is_key_frame_start(&[0x80]), codec.picture_size(&[0x80])), (None, None));
    }
}

#[test]
fn names_in_any_case() {
    assert_eq!(Codec::from_name("h264"), Codec::H264);
    assert_eq!(Codec::from_name("OPUS"), Codec::Opus);
    assert_eq!(Codec::from_name("telephone-event"), Codec::Other);
}
