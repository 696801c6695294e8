//! Reading a compound packet. What is malformed ends it, what is unknown is skipped; what came before counts.

use super::transport_cc::TransportFeedback;

/// Sender information of an SR (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// NTP timestamp, 32.32 fixed point seconds since 1900.
    pub ntp: u64,
    /// The same instant in RTP clock units.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload octets sent.
    pub octets: u32,
}

/// One reception report (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source that is reported on.
    pub ssrc: u32,
    /// Fraction lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Cumulative packets lost, 24 bits signed.
    pub cumulative_lost: i32,
    /// Extended highest sequence number received.
    pub highest_sequence: u32,
    /// Interarrival jitter in RTP clock units.
    pub jitter: u32,
    /// Middle 32 bits of the NTP timestamp of the last SR, 0 before any.
    pub last_sr: u32,
    /// Delay since that SR in 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    /// Length on the wire in bytes.
    pub const LEN: usize = 24;

    fn read(bytes: &[u8]) -> Option<ReportBlock> {
        let b: &[u8; ReportBlock::LEN] = bytes.first_chunk()?;
        // 24 bits signed: shifted up and back down, the sign comes along.
        let cumulative_lost = i32::from_be_bytes([b[5], b[6], b[7], 0]) >> 8;
        Some(ReportBlock {
            ssrc: word(b, 0),
            fraction_lost: b[4],
            cumulative_lost,
            highest_sequence: word(b, 8),
            jitter: word(b, 12),
            last_sr: word(b, 16),
            delay_since_last_sr: word(b, 20),
        })
    }
}

/// One RTCP packet. Lists stay in the buffer and are read by their iterator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// SR; read its blocks with [`Packet::reports`].
    SenderReport {
        /// Sender.
        ssrc: u32,
        /// What it sent.
        info: SenderInfo,
        /// Report blocks, raw.
        blocks: &'a [u8],
    },
    /// RR; read its blocks with [`Packet::reports`].
    ReceiverReport {
        /// Reporter.
        ssrc: u32,
        /// Report blocks, raw.
        blocks: &'a [u8],
    },
    /// SDES, uninterpreted.
    SourceDescription,
    /// BYE of the first source in it.
    Bye {
        /// The source that leaves.
        ssrc: u32,
    },
    /// Generic NACK (RFC 4585 section 6.2.1); read with [`lost_sequences`].
    Nack {
        /// The source that packets are missed of.
        media_ssrc: u32,
        /// PID and BLP pairs, raw.
        pairs: &'a [u8],
    },
    /// Picture loss indication.
    PictureLoss {
        /// The source whose picture is lost.
        media_ssrc: u32,
    },
    /// Full intra request (RFC 5104) for one source; further entries are further requests for other sources.
    FullIntra {
        /// FCI entries of 8 bytes: SSRC, command number, reserved.
        entries: &'a [u8],
    },
    /// Receiver estimated maximum bitrate.
    Remb {
        /// Bit per second.
        bitrate: u64,
    },
    /// Transport-wide feedback.
    TransportFeedback(TransportFeedback<'a>),
    /// Anything else that is well-formed.
    Other {
        /// RTCP packet type.
        packet_type: u8,
    },
}

impl<'a> Packet<'a> {
    /// Report blocks of an SR or RR.
    pub fn reports(&self) -> impl Iterator<Item = ReportBlock> + use<'a> {
        let blocks = match *self {
            Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. } => blocks,
            _ => &[],
        };
        blocks.chunks_exact(ReportBlock::LEN).filter_map(ReportBlock::read)
    }
}

/// Sequence numbers that a NACK's pairs name.
pub fn lost_sequences(pairs: &[u8]) -> impl Iterator<Item = u16> + '_ {
    pairs.chunks_exact(4).flat_map(|pair| {
        let first = u16::from_be_bytes([pair[0], pair[1]]);
        let mask = u16::from_be_bytes([pair[2], pair[3]]);
        std::iter::once(first)
            .chain((0..16).filter(move |bit| mask >> bit & 1 == 1).map(move |bit| first.wrapping_add(bit + 1)))
    })
}

/// The packets of a decrypted compound (or reduced-size, RFC 5506) packet.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Packets<'a> {
    /// Any bytes.
    pub fn new(compound: &'a [u8]) -> Packets<'a> {
        Packets { rest: compound }
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        while let [first, packet_type, high, low, ..] = *self.rest {
            let len = 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
            if first >> 6 != 2 || len > self.rest.len() {
                break;
            }
            let (packet, rest) = self.rest.split_at(len);
            self.rest = rest;
            let mut body = &packet[4..];
            if first & 0x20 != 0 {
                match body.last() {
                    Some(&padding) if padding != 0 && usize::from(padding) <= body.len() => {
                        body = &body[..body.len() - usize::from(padding)];
                    }
                    _ => break,
                }
            }
            if let Some(packet) = read(packet_type, first & 0x1f, body) {
                return Some(packet);
            }
        }
        self.rest = &[];
        None
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// `None` for a packet that is too short for what it says it is.
fn read(packet_type: u8, count: u8, body: &[u8]) -> Option<Packet<'_>> {
    let ssrc = |at: usize| body.get(at..at + 4).map(|_| word(body, at));
    match (packet_type, count) {
        (200, _) => {
            let fixed: &[u8; 24] = body.first_chunk()?;
            Some(Packet::SenderReport {
                ssrc: word(fixed, 0),
                info: SenderInfo {
                    ntp: u64::from(word(fixed, 4)) << 32 | u64::from(word(fixed, 8)),
                    rtp_timestamp: word(fixed, 12),
                    packets: word(fixed, 16),
                    octets: word(fixed, 20),
                },
                blocks: blocks(&body[24..], count),
            })
        }
        (201, _) => Some(Packet::ReceiverReport { ssrc: ssrc(0)?, blocks: blocks(&body[4..], count) }),
        (202, _) => Some(Packet::SourceDescription),
        (203, 0) => Some(Packet::Other { packet_type }),
        (203, _) => Some(Packet::Bye { ssrc: ssrc(0)? }),
        (205, 1) => Some(Packet::Nack { media_ssrc: ssrc(4)?, pairs: &body[8..] }),
        (205, 15) => TransportFeedback::read(body.get(8..)?).map(Packet::TransportFeedback),
        (206, 1) => Some(Packet::PictureLoss { media_ssrc: ssrc(4)? }),
        (206, 4) => Some(Packet::FullIntra { entries: body.get(8..)? }),
        (206, 15) => read_remb(body.get(8..)?).or(Some(Packet::Other { packet_type })),
        _ => Some(Packet::Other { packet_type }),
    }
}

/// As many whole blocks as are there, at most what the header says.
fn blocks(bytes: &[u8], count: u8) -> &[u8] {
    let len = (ReportBlock::LEN * usize::from(count)).min(bytes.len() - bytes.len() % ReportBlock::LEN);
    &bytes[..len]
}

const MAX_REMB: u64 = 0x3_ffff << 46;

/// draft-alvestrand-rmcat-remb-03.
fn read_remb(fci: &[u8]) -> Option<Packet<'_>> {
    let fixed: &[u8; 8] = fci.first_chunk()?;
    if &fixed[..4] != b"REMB" {
        return None;
    }
    let exponent = u32::from(fixed[5] >> 2);
    let mantissa = u64::from(word(fixed, 4) & 0x0003_ffff);
    // What 64 bits do not hold is the most that 18 of them can say.
    let fits = exponent <= mantissa.leading_zeros();
    Some(Packet::Remb { bitrate: if fits { mantissa << exponent } else { MAX_REMB } })
}
