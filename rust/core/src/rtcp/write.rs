//! Writing compound packets.

use super::parse::{ReportBlock, SenderInfo};

/// Appends packets to a buffer; the order is the caller's (RFC 3550 section 6.1: a report first, then SDES).
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> CompoundWriter<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> CompoundWriter<'a> {
        CompoundWriter { out }
    }

    fn packet(&mut self, count: u8, packet_type: u8, body: impl FnOnce(&mut Vec<u8>)) {
        let start = self.out.len();
        self.out.extend_from_slice(&[0x80 | count & 0x1f, packet_type, 0, 0]);
        body(self.out);
        debug_assert_eq!((self.out.len() - start) % 4, 0);
        let words = ((self.out.len() - start) / 4 - 1) as u16;
        self.out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
    }

    /// SR without report blocks.
    pub fn sender_report(&mut self, ssrc: u32, info: &SenderInfo) {
        self.packet(0, 200, |out| {
            out.extend_from_slice(&ssrc.to_be_bytes());
            out.extend_from_slice(&info.ntp.to_be_bytes());
            for word in [info.rtp_timestamp, info.packets, info.octets] {
                out.extend_from_slice(&word.to_be_bytes());
            }
        });
    }

    /// RR; more than 31 blocks go into further packets.
    pub fn receiver_report(&mut self, ssrc: u32, reports: &[ReportBlock]) {
        let mut rest = reports;
        loop {
            let (now, later) = rest.split_at(rest.len().min(31));
            self.packet(now.len() as u8, 201, |out| {
                out.extend_from_slice(&ssrc.to_be_bytes());
                for report in now {
                    write_block(out, report);
                }
            });
            rest = later;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// SDES with one CNAME, cut at 255 bytes.
    pub fn source_description(&mut self, ssrc: u32, cname: &str) {
        let cname = &cname.as_bytes()[..cname.len().min(255)];
        self.packet(1, 202, |out| {
            out.extend_from_slice(&ssrc.to_be_bytes());
            out.extend_from_slice(&[1, cname.len() as u8]);
            out.extend_from_slice(cname);
            // At least one zero ends the chunk.
            let zeros = 4 - (2 + cname.len()) % 4;
            out.resize(out.len() + zeros, 0);
        });
    }

    /// BYE.
    pub fn bye(&mut self, ssrc: u32) {
        self.packet(1, 203, |out| out.extend_from_slice(&ssrc.to_be_bytes()));
    }

    /// Generic NACK of sequence numbers in order.
    pub fn nack(&mut self, sender_ssrc: u32, media_ssrc: u32, lost: &[u16]) {
        let mut rest = lost;
        self.packet(1, 205, |out| {
            out.extend_from_slice(&sender_ssrc.to_be_bytes());
            out.extend_from_slice(&media_ssrc.to_be_bytes());
            while let Some((&first, tail)) = rest.split_first() {
                let covered = tail.iter().take_while(|&&sequence| (1..=16).contains(&sequence.wrapping_sub(first)));
                let mask = covered.clone().fold(0u16, |mask, &sequence| mask | 1 << (sequence.wrapping_sub(first) - 1));
                rest = &tail[covered.count()..];
                out.extend_from_slice(&first.to_be_bytes());
                out.extend_from_slice(&mask.to_be_bytes());
            }
        });
    }

    /// PLI.
    pub fn picture_loss(&mut self, sender_ssrc: u32, media_ssrc: u32) {
        self.packet(1, 206, |out| {
            out.extend_from_slice(&sender_ssrc.to_be_bytes());
            out.extend_from_slice(&media_ssrc.to_be_bytes());
        });
    }

    /// FIR; a repetition of the same request keeps its command number (RFC 5104 section 4.3.1.1).
    pub fn full_intra(&mut self, sender_ssrc: u32, media_ssrc: u32, command: u8) {
        self.packet(4, 206, |out| {
            out.extend_from_slice(&sender_ssrc.to_be_bytes());
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&media_ssrc.to_be_bytes());
            out.extend_from_slice(&[command, 0, 0, 0]);
        });
    }

    /// REMB (draft-alvestrand-rmcat-remb-03); `bitrate` in bit/s, for at most 255 sources.
    pub fn remb(&mut self, sender_ssrc: u32, bitrate: u64, sources: &[u32]) {
        let sources = &sources[..sources.len().min(255)];
        let exponent = (64 - bitrate.leading_zeros()).saturating_sub(18);
        let mantissa = (bitrate >> exponent) as u32;
        self.packet(15, 206, |out| {
            out.extend_from_slice(&sender_ssrc.to_be_bytes());
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(b"REMB");
            let word = (sources.len() as u32) << 24 | exponent << 18 | mantissa;
            out.extend_from_slice(&word.to_be_bytes());
            for source in sources {
                out.extend_from_slice(&source.to_be_bytes());
            }
        });
    }
}

fn write_block(out: &mut Vec<u8>, report: &ReportBlock) {
    let lost = report.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff).to_be_bytes();
    out.extend_from_slice(&report.ssrc.to_be_bytes());
    out.extend_from_slice(&[report.fraction_lost, lost[1], lost[2], lost[3]]);
    for word in [report.highest_sequence, report.jitter, report.last_sr, report.delay_since_last_sr] {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Arrival, Packet, Packets, lost_sequences, write_transport_feedback};
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut CompoundWriter<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut CompoundWriter::new(&mut out));
        out
    }

    #[test]
    fn a_compound_reads_back() {
        let info = SenderInfo { ntp: 0x0123_4567_89ab_cdef, rtp_timestamp: 7, packets: 8, octets: 9 };
        let report =
            ReportBlock { ssrc: 5, fraction_lost: 3, cumulative_lost: -2, jitter: 4, ..ReportBlock::default() };
        let bytes = written(|writer| {
            writer.sender_report(1, &info);
            writer.source_description(1, "abcd");
            writer.receiver_report(2, &[report]);
            writer.picture_loss(3, 4);
            writer.full_intra(3, 4, 9);
            writer.remb(3, 2_500_000, &[4]);
            writer.bye(1);
        });
        let packets: Vec<_> = Packets::new(&bytes).collect();
        assert!(matches!(packets[0], Packet::SenderReport { ssrc: 1, info: read, .. } if read == info));
        assert_eq!(packets[1], Packet::SourceDescription);
        assert_eq!(packets[2].reports().collect::<Vec<_>>(), [report]);
        assert_eq!(packets[3], Packet::PictureLoss { media_ssrc: 4 });
        assert!(matches!(packets[4], Packet::FullIntra { entries: [0, 0, 0, 4, 9, 0, 0, 0] }));
        assert!(matches!(packets[5], Packet::Remb { bitrate } if bitrate.abs_diff(2_500_000) < 16));
        assert_eq!(packets[6], Packet::Bye { ssrc: 1 });
        assert_eq!(packets.len(), 7);
    }

    #[test]
    fn an_estimate_that_no_number_holds_is_the_highest() {
        const MOST: u64 = 0x3_ffff << 46;
        let cases = [(0, 7, 7), (3, 5, 40), (46, 0x3_ffff, MOST), (47, 0x3_ffff, MOST), (63, 2, MOST), (63, 0, 0)];
        for (exponent, mantissa, bitrate) in cases {
            let bits = (exponent << 18 | mantissa as u32).to_be_bytes();
            let mut bytes = written(|writer| writer.remb(3, 1, &[4]));
            bytes[17..20].copy_from_slice(&bits[1..]);
            assert_eq!(Packets::new(&bytes).next(), Some(Packet::Remb { bitrate }), "{mantissa} << {exponent}");
        }
    }

    #[test]
    fn a_malformed_packet_ends_it_and_an_unknown_one_does_not() {
        let mut bytes = written(|writer| writer.picture_loss(1, 2));
        bytes.extend_from_slice(&[0x80, 207, 0, 0]);
        bytes.extend_from_slice(&written(|writer| writer.bye(3)));
        bytes.extend_from_slice(&[0x80, 200, 0xff, 0xff, 1, 2, 3, 4]);
        let packets: Vec<_> = Packets::new(&bytes).collect();
        assert_eq!(packets.len(), 3);
        assert_eq!(packets[2], Packet::Bye { ssrc: 3 });
    }

    proptest! {
        #[test]
        fn any_nack_reads_back(mut lost in proptest::collection::btree_set(any::<u16>(), 1..60)) {
            lost.insert(65535);
            let lost: Vec<u16> = lost.into_iter().collect();
            let bytes = written(|writer| writer.nack(1, 2, &lost));
            let Some(Packet::Nack { media_ssrc: 2, pairs }) = Packets::new(&bytes).next() else {
                return Err(TestCaseError::fail("not a NACK"));
            };
            prop_assert_eq!(lost_sequences(pairs).collect::<Vec<_>>(), lost);
        }

        #[test]
        fn any_transport_feedback_reads_back(
            base in any::<u16>(),
            reference in -0x80_0000i32..0x80_0000,
            deltas in proptest::collection::vec(
                prop_oneof![3 => Just(None), 5 => (0i16..256).prop_map(Some), 1 => any::<i16>().prop_map(Some)], 1..400),
        ) {
            let arrivals: Vec<Arrival> = (0u16..).zip(&deltas)
                .map(|(index, &delta)| Arrival { sequence: base.wrapping_add(index), delta }).collect();
            let mut bytes = Vec::new();
            write_transport_feedback(&mut bytes, 1, 2, reference, 3, &arrivals);
            prop_assert_eq!(bytes.len() % 4, 0);
            let Some(Packet::TransportFeedback(feedback)) = Packets::new(&bytes).next() else {
                return Err(TestCaseError::fail("not transport feedback"));
            };
            prop_assert_eq!(feedback.reference_time, reference);
            prop_assert_eq!(feedback.arrivals().collect::<Vec<_>>(), arrivals);
            let received = deltas.iter().flatten().count() as u32;
            prop_assert_eq!(feedback.counts(), (received, deltas.len() as u32 - received));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for packet in Packets::new(&bytes) {
                packet.reports().for_each(drop);
                if let Packet::TransportFeedback(feedback) = packet {
                    feedback.arrivals().for_each(drop);
                }
            }
        }
    }
}
