//! Targets of what is read once a datagram is decrypted: RTP, RTCP, payloads, and the numbers in them.

use std::time::{Duration, Instant};

use crate::codec::dependency::{Descriptor, MAX_LEN, limit_active};
use crate::codec::{Codec, vp8};
use crate::egress::burst::{COPIED, DEPENDENCY, Element, LayerTag, Packet as MediaPacket, Source};
use crate::layer::Layer;
use crate::receive::clock::PublisherClock;
use crate::receive::history::History;
use crate::receive::nack::{Arrival, NackGenerator};
use crate::receive::remb::RembEstimate;
use crate::receive::report::{ReceptionStats, round_trip};
use crate::receive::rtx;
use crate::receive::twcc::TwccRecorder;
use crate::rtcp::{CompoundWriter, Packet, Packets, SenderInfo, lost_sequences, write_transport_feedback};
use crate::rtp::{Header, Unwrapper};
use crate::track::scalability::{Filter, Forwarded, Scalability};

const CODECS: [Codec; 6] = [Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus];

/// RTP: what a header says lies within the packet, and every element where its offset says.
pub fn fuzz_rtp(bytes: &[u8]) {
    let Ok(header) = Header::parse(bytes) else { return };
    assert!((12..=bytes.len()).contains(&header.header_len));
    assert!(header.extension_start + header.extension_len <= header.header_len);
    for (_, offset, data) in header.elements(bytes) {
        assert!(offset >= header.extension_start && offset + data.len() <= header.header_len);
        assert_eq!(&bytes[offset..offset + data.len()], data);
    }
    // A header outlives a packet that is cut.
    assert!(header.elements(&bytes[..bytes.len() / 2]).count() <= bytes.len());
    if let Ok(padding) = header.padding_len(bytes) {
        let payload = &bytes[header.header_len..bytes.len() - padding];
        let _ = rtx::decapsulate(payload);
        fuzz_payload(payload);
    }
}

/// RTCP: every list ends, and what is read can be written and is read again.
pub fn fuzz_rtcp(bytes: &[u8]) {
    assert!(Packets::new(bytes).count() <= bytes.len() / 4);
    for packet in Packets::new(bytes) {
        assert!(packet.reports().count() <= 31);
        for block in packet.reports() {
            let _ = round_trip(&block, 0x8000_0000_0000_0000);
            assert!((-0x80_0000..=0x7f_ffff).contains(&block.cumulative_lost));
        }
        match packet {
            Packet::Nack { media_ssrc, pairs } => {
                let lost: Vec<u16> = lost_sequences(pairs).collect();
                assert!(lost.len() <= pairs.len() / 4 * 17);
                // More than a datagram's NACKs do not fit the length of one packet.
                let lost = &lost[..lost.len().min(1000)];
                let mut out = Vec::new();
                CompoundWriter::new(&mut out).nack(1, media_ssrc, lost);
                let Some(Packet::Nack { pairs, .. }) = Packets::new(&out).next() else { panic!("{out:?}") };
                assert!(lost.iter().all(|lost| lost_sequences(pairs).any(|again| again == *lost)));
            }
            Packet::Remb { bitrate } => {
                let mut out = Vec::new();
                CompoundWriter::new(&mut out).remb(1, bitrate, &[]);
                assert_eq!(Packets::new(&out).next(), Some(Packet::Remb { bitrate }));
            }
            Packet::TransportFeedback(feedback) => {
                let (received, lost) = feedback.counts();
                assert!(received + lost <= u32::from(feedback.packet_count));
                let arrivals: Vec<_> = feedback.arrivals().collect();
                assert!(arrivals.len() <= usize::from(feedback.packet_count));
                let mut out = Vec::new();
                write_transport_feedback(&mut out, 1, 2, feedback.reference_time, feedback.feedback_count, &arrivals);
                let Some(Packet::TransportFeedback(again)) = Packets::new(&out).next() else { panic!("{out:?}") };
                assert!(again.arrivals().eq(arrivals));
                assert_eq!(again.reference_time, feedback.reference_time);
            }
            _ => {}
        }
    }
}

/// Payloads: no codec panics, and a size is never empty.
pub fn fuzz_payload(bytes: &[u8]) {
    for codec in CODECS {
        let _ = codec.is_key_frame_start(bytes);
        assert!(codec.picture_size(bytes).is_none_or(|(width, height)| width > 0 && height > 0), "{codec:?}");
    }
    if let Some(descriptor) = vp8::Descriptor::parse(bytes) {
        assert!(descriptor.len <= bytes.len());
        assert!(descriptor.picture_id.is_none_or(|(at, _)| at < descriptor.len));
        assert!(descriptor.tl0_picture_index.is_none_or(|(at, _)| at < descriptor.len));
    }
}

/// Dependency descriptors: the bytes are one after another, a length before each, as a publisher might send them.
pub fn fuzz_descriptor(bytes: &[u8]) {
    let mut structure = None;
    let mut rest = bytes;
    while let Some((&len, tail)) = rest.split_first() {
        let (data, tail) = tail.split_at(usize::from(len).min(tail.len()));
        rest = tail;
        let Some(descriptor) = Descriptor::parse(data, structure.as_ref()) else { continue };
        structure = descriptor.structure.clone().or(structure);
        let Some(known) = &structure else { panic!("a frame without a structure") };
        assert!(descriptor.spatial_id < 4 && descriptor.temporal_id < 8);
        assert_eq!((descriptor.targets.present | descriptor.targets.switch) & !known.all(), 0);
        for target in 0..known.targets {
            assert_eq!(known.contained(target) >> target & 1, 1, "a target contains itself");
        }
        let mut out = [0; MAX_LEN];
        if let Some(len) = limit_active(data, known.targets, 1, u32::MAX, true, &mut out) {
            let before = if descriptor.structure.is_some() { None } else { Some(known) };
            let after = Descriptor::parse(&out[..len], before).expect("what is written can be read");
            let active = Some(descriptor.active.unwrap_or(u32::MAX) & 1);
            assert_eq!(after, Descriptor { active, ..descriptor });
        }
    }
}

/// A packet of these bytes, which are its payload, or its dependency descriptor.
fn media_packet(now: Instant, bytes: &[u8], descriptor: bool, sequence: u64) -> MediaPacket {
    let mut elements = [Element::NONE; COPIED.len()];
    if descriptor {
        elements[DEPENDENCY] = Element { kind: DEPENDENCY as u8, offset: 0, len: bytes.len() as u8 };
    }
    MediaPacket {
        start: 0,
        header_len: 0,
        payload_len: bytes.len() as u16,
        source: Source::default(),
        payload_type: 96,
        marker: false,
        key_frame: false,
        late_key_frame: false,
        sequence,
        timestamp: (sequence / 4) as u32,
        arrival: now,
        elements,
        pictures: None,
        dependency_frame: None,
        layers: LayerTag::NONE,
    }
}

/// The layers of an encoding, whatever its packets say: a viewer's filters always let something through.
pub fn fuzz_layers(bytes: &[u8]) {
    let now = Instant::now();
    let codec = [Codec::Vp8, Codec::Vp9, Codec::Av1][usize::from(bytes.first().copied().unwrap_or(0)) % 3];
    let mut scalability = Scalability::default();
    let mut forwarded = Forwarded::default();
    let mut held = scalability.filter(Layer::whole(0));
    for (sequence, piece) in (1 << 16..).zip(bytes.chunks(40)) {
        let mut packet = media_packet(now, piece, codec == Codec::Av1, sequence);
        scalability.note(now, &mut packet, codec, piece);
        let layer = Layer { encoding: 0, spatial: piece[0] & 3, temporal: piece[0] >> 2 & 3 };
        let wanted = scalability.filter(layer);
        assert!(wanted.mask != 0 && wanted.is_within(&Filter::ALL));
        if let Some(higher) = scalability.step(&packet.layers, &held, &wanted, &forwarded) {
            assert!(held.is_within(&higher));
            held = higher;
        }
        if piece[0] & 0x30 == 0 {
            held = scalability.common(&held, &wanted).unwrap_or(wanted);
        }
        forwarded.insert(packet.layers.frame);
        assert!(forwarded.contains(packet.layers.frame) || scalability.has_references());
        assert!(scalability.rates(now).len() <= 32);
    }
}

/// The receive side, whatever numbers come whenever: every list stays bounded, every report fits a datagram.
pub fn fuzz_receive(bytes: &[u8]) {
    let start = Instant::now();
    let mut now = start;
    let (mut media, mut transport) = (0u16, 0u16);
    let mut unwrapper = Unwrapper::default();
    let mut nacks = NackGenerator::default();
    let mut reception = ReceptionStats::default();
    let mut history = History::new(128);
    let mut recorder = TwccRecorder::default();
    let mut estimate = RembEstimate::default();
    let mut clock = PublisherClock::default();
    for step in bytes.as_chunks::<4>().0 {
        let [kind, a, b, c] = *step;
        let word = u16::from_be_bytes([a, b]);
        now += Duration::from_millis(u64::from(c >> 2));
        // Mostly small steps, now and then any number.
        media =
            if kind & 0x0f == 0 { word } else { media.wrapping_add(u16::from(a >> 6)).wrapping_sub(u16::from(b >> 6)) };
        transport = if kind & 0xf0 == 0 { word } else { transport.wrapping_add(u16::from(a & 3)) };
        let sequence = unwrapper.unwrap(media);
        assert_eq!(sequence as u16, media);
        let arrival = nacks.received(now, sequence);
        assert!(nacks.missing() <= 500 && (arrival != Arrival::Jump || nacks.missing() == 0));
        let mut asked = Vec::new();
        nacks.poll(now, Some(Duration::from_millis(u64::from(b))), &mut asked);
        assert!(asked.len() <= nacks.missing() && !asked.contains(&media));
        assert_eq!(nacks.poll_timeout().is_some(), nacks.missing() > 0);

        reception.received(now, sequence, u32::from(word) << (c & 15), 90_000);
        history.insert(now, sequence, word, step);
        let newest = matches!(arrival, Arrival::InOrder | Arrival::Gap | Arrival::Jump);
        assert!(!newest || history.get(now, sequence).is_some_and(|(memo, packet)| *memo == word && packet == step));
        estimate.received(usize::from(word));

        recorder.received(now, transport);
        let info = SenderInfo { ntp: u64::from(word) << (c & 63), rtp_timestamp: 0, packets: 0, octets: 0 };
        if kind & 1 == 1 {
            let _ = clock.sender_report(now, &info);
            reception.sender_report(now, &info);
        }
        if kind & 2 == 2 {
            let block = reception.report(now, 1).expect("a packet came");
            let bitrate = estimate.update(now, f64::from(block.fraction_lost) / 256.0);
            assert!((100_000..=100_000_000).contains(&bitrate));
        }
        while kind & 4 == 4 && recorder.pending() {
            let mut out = Vec::new();
            recorder.write(&mut out, 1, 2);
            assert!(!out.is_empty() && out.len() < 1100);
            assert!(matches!(Packets::new(&out).next(), Some(Packet::TransportFeedback(_))));
        }
    }
    assert!(history.memory() < 128 * 1024);
}

#[cfg(test)]
mod tests {
    use super::super::tests::run_from_environment;
    use super::*;
    use crate::codec::dependency::tests::key_frame;
    use crate::rtcp::ReportBlock;

    const FIXTURES: [&[u8]; 9] = [
        include_bytes!("../../fixtures/h264_x264_1280x720.bin"),
        include_bytes!("../../fixtures/h264_x264_1918x1077_yuv422_10bit.bin"),
        include_bytes!("../../fixtures/h264_x264_320x180_intra_refresh.bin"),
        include_bytes!("../../fixtures/h265_x265_1918x1078_cropped.bin"),
        include_bytes!("../../fixtures/h265_kvazaar_1280x720.bin"),
        include_bytes!("../../fixtures/vp8_libvpx_1280x720.bin"),
        include_bytes!("../../fixtures/vp9_libvpx_1917x1077_profile1.bin"),
        include_bytes!("../../fixtures/av1_svt_1280x720.bin"),
        include_bytes!("../../fixtures/av1_rav1e_318x238.bin"),
    ];

    /// The head of the first packet of each fixture.
    fn first_packets() -> Vec<Vec<u8>> {
        FIXTURES.iter().map(|fixture| fixture[2..].iter().take(160).copied().collect()).collect()
    }

    #[test]
    fn descriptors() {
        let key = key_frame();
        let with_len = |data: &[u8]| [&[data.len() as u8], data].concat();
        let delta = with_len(&[0xc2, 0, 6]);
        let custom = with_len(&[0xc1, 0, 7, 0x7b, 0xa2, 0xf4, 0xab, 0x09, 0x00]);
        let corpus = [with_len(&key), [with_len(&key), delta.clone(), custom].concat(), delta];
        run_from_environment(fuzz_descriptor, &corpus);
    }

    #[test]
    fn layers() {
        let mut vp9 = vec![0; 120];
        vp9[0] = 0xbb;
        vp9[40] = 0xfc;
        vp9[80] = 0xb8;
        let mut av1 = vec![2];
        av1.extend(key_frame());
        let vp8 = [0x90, 0xe0, 0x81, 0x23, 7, 0x60, 0x10].repeat(30);
        run_from_environment(fuzz_layers, &[vp9, av1, vp8, [[0xc2, 0, 6]; 40].concat()]);
    }

    #[test]
    fn rtp() {
        let mut corpus = first_packets();
        // CSRCs, one-byte elements and padding; two-byte elements with application bits.
        let mut head = vec![0xb2, 0xe0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5];
        corpus.push(head.clone());
        head[0] = 0xb0;
        head.truncate(12);
        corpus.push([&head[..], &[0xbe, 0xde, 0, 2, 0x10, b'0', 0x22, 1, 2, 3, 0, 0, 9, 9, 0, 3]].concat());
        corpus.push([&head[..], &[0x10, 0x07, 0, 2, 1, 0, 0, 20, 3, 1, 2, 3, 9, 9, 0, 1]].concat());
        run_from_environment(fuzz_rtp, &corpus);
    }

    #[test]
    fn payload() {
        let corpus: Vec<_> = first_packets().into_iter().map(|packet| packet[12..].to_vec()).collect();
        run_from_environment(fuzz_payload, &corpus);
    }

    #[test]
    fn rtcp() {
        let info = SenderInfo { ntp: 7 << 32, rtp_timestamp: 9, packets: 1, octets: 2 };
        let blocks = [ReportBlock { ssrc: 4, last_sr: 5, ..ReportBlock::default() }; 2];
        let write = |fill: &dyn Fn(&mut CompoundWriter<'_>)| {
            let mut out = Vec::new();
            fill(&mut CompoundWriter::new(&mut out));
            out
        };
        let mut corpus = vec![
            write(&|compound| {
                compound.sender_report(1, &info);
                compound.source_description(1, "somebody");
            }),
            write(&|compound| {
                compound.receiver_report(1, &blocks);
                compound.nack(1, 2, &[1, 2, 18, 65_535, 0]);
                compound.picture_loss(1, 2);
                compound.full_intra(1, 2, 3);
            }),
            write(&|compound| {
                compound.remb(1, 2_500_000, &[2, 3]);
                compound.bye(1);
            }),
            // An extended report, which nobody here reads.
            vec![0x80, 207, 0, 4, 0, 0, 0, 1, 4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8],
        ];
        let start = Instant::now();
        let mut recorder = TwccRecorder::default();
        for step in (0..60u16).filter(|step| step % 7 != 3) {
            recorder.received(
                start + Duration::from_millis(u64::from(step) * u64::from(step)),
                65_500u16.wrapping_add(step),
            );
        }
        let mut feedback = Vec::new();
        recorder.write(&mut feedback, 1, 2);
        corpus.push(feedback);
        run_from_environment(fuzz_rtcp, &corpus);
    }

    #[test]
    fn receive() {
        let calm = (0..120u8).flat_map(|step| [0x77, 0x40 | step & 3, 0, step & 0x1f]).collect();
        let rough = (0..120u8).flat_map(|step| [step, step.wrapping_mul(37), step << 3, !step]).collect();
        run_from_environment(fuzz_receive, &[calm, rough]);
    }
}
