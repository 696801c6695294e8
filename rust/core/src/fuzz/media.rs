//! Targets of what is read once a datagram is decrypted: RTP, RTCP, payloads, and the numbers in them.

use std::time::{Duration, Instant};

use crate::codec::{Codec, vp8};
use crate::receive::clock::PublisherClock;
use crate::receive::history::History;
use crate::receive::nack::{Arrival, NackGenerator};
use crate::receive::remb::RembEstimate;
use crate::receive::report::{ReceptionStats, round_trip};
use crate::receive::rtx;
use crate::receive::twcc::TwccRecorder;
use crate::rtcp::{CompoundWriter, Packet, Packets, SenderInfo, lost_sequences, write_transport_feedback};
use crate::rtp::{Header, Unwrapper};

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
