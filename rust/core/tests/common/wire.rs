//! RTP and RTCP as the peers of these tests write and read them: deliberately not the code under test.

/// One parsed RTP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rtp {
    pub payload_type: u8,
    pub marker: bool,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// Header extension elements, id and data.
    pub extensions: Vec<(u8, Vec<u8>)>,
    pub payload: Vec<u8>,
    pub padding: u8,
}

/// Length of header and extension of a packet that is still encrypted.
pub fn header_len(packet: &[u8]) -> usize {
    let fixed = 12 + 4 * usize::from(packet[0] & 15);
    if packet[0] & 0x10 == 0 {
        return fixed;
    }
    fixed + 4 + 4 * usize::from(u16::from_be_bytes([packet[fixed + 2], packet[fixed + 3]]))
}

pub fn ssrc_and_sequence(packet: &[u8]) -> (u32, u16) {
    let ssrc = u32::from_be_bytes(packet[8..12].try_into().unwrap());
    (ssrc, u16::from_be_bytes([packet[2], packet[3]]))
}

impl Rtp {
    pub fn write(&self) -> Vec<u8> {
        let mut out = vec![0x80, u8::from(self.marker) << 7 | self.payload_type];
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        if !self.extensions.is_empty() {
            out[0] |= 0x10;
            let mut body = Vec::new();
            let two_byte = self.extensions.iter().any(|(id, data)| *id > 14 || data.len() > 16);
            for (id, data) in &self.extensions {
                if two_byte {
                    body.extend_from_slice(&[*id, data.len() as u8]);
                } else {
                    body.push(id << 4 | (data.len() as u8 - 1));
                }
                body.extend_from_slice(data);
            }
            body.resize(body.len().next_multiple_of(4), 0);
            out.extend_from_slice(if two_byte { &[0x10, 0x00] } else { &[0xbe, 0xde] });
            out.extend_from_slice(&((body.len() / 4) as u16).to_be_bytes());
            out.extend_from_slice(&body);
        }
        out.extend_from_slice(&self.payload);
        if self.padding > 0 {
            out[0] |= 0x20;
            out.resize(out.len() + usize::from(self.padding), 0);
            *out.last_mut().unwrap() = self.padding;
        }
        out
    }

    pub fn read(packet: &[u8]) -> Rtp {
        assert_eq!(packet[0] >> 6, 2, "RTP version");
        let (ssrc, sequence) = ssrc_and_sequence(packet);
        let header = header_len(packet);
        let fixed = 12 + 4 * usize::from(packet[0] & 15);
        let mut extensions = Vec::new();
        if packet[0] & 0x10 != 0 {
            let two_byte = packet[fixed] == 0x10;
            let mut at = fixed + 4;
            while at < header {
                if packet[at] == 0 {
                    at += 1;
                    continue;
                }
                let (id, len) = if two_byte {
                    at += 2;
                    (packet[at - 2], usize::from(packet[at - 1]))
                } else {
                    at += 1;
                    (packet[at - 1] >> 4, usize::from(packet[at - 1] & 15) + 1)
                };
                extensions.push((id, packet[at..at + len].to_vec()));
                at += len;
            }
        }
        let padding = if packet[0] & 0x20 != 0 { *packet.last().unwrap() } else { 0 };
        Rtp {
            payload_type: packet[1] & 0x7f,
            marker: packet[1] & 0x80 != 0,
            sequence,
            timestamp: u32::from_be_bytes(packet[4..8].try_into().unwrap()),
            ssrc,
            extensions,
            payload: packet[header..packet.len() - usize::from(padding)].to_vec(),
            padding,
        }
    }

    pub fn extension(&self, id: u8) -> Option<&[u8]> {
        self.extensions.iter().find(|(other, _)| *other == id).map(|(_, data)| &**data)
    }
}

/// What the tests look at in RTCP.
#[derive(Clone, Debug, PartialEq)]
pub enum Rtcp {
    SenderReport { ssrc: u32, ntp: u64, rtp: u32, packets: u32, octets: u32 },
    ReceiverReport { ssrc: u32, blocks: Vec<ReportBlock> },
    Sdes { ssrc: u32, cname: String },
    Bye { ssrcs: Vec<u32> },
    Nack { sender: u32, media: u32, lost: Vec<u16> },
    TransportCc { media: u32, base: u16, count: u16 },
    Pli { sender: u32, media: u32 },
    Fir { ssrc: u32 },
    Remb { bitrate: u64 },
    Other(u8),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReportBlock {
    pub ssrc: u32,
    pub fraction: u8,
    pub lost: i32,
    pub highest: u32,
    pub jitter: u32,
    pub lsr: u32,
    pub dlsr: u32,
}

fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

fn be16(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

/// Reads a compound packet; panics where it is not well-formed.
pub fn read_rtcp(mut bytes: &[u8]) -> Vec<Rtcp> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let (count, kind) = (bytes[0] & 31, bytes[1]);
        let len = 4 + 4 * usize::from(be16(&bytes[2..]));
        let (packet, rest) = bytes.split_at(len);
        bytes = rest;
        out.push(match (kind, count) {
            (200, _) => Rtcp::SenderReport {
                ssrc: be32(&packet[4..]),
                ntp: u64::from(be32(&packet[8..])) << 32 | u64::from(be32(&packet[12..])),
                rtp: be32(&packet[16..]),
                packets: be32(&packet[20..]),
                octets: be32(&packet[24..]),
            },
            (201, count) => {
                let block = |block: &[u8]| ReportBlock {
                    ssrc: be32(block),
                    fraction: block[4],
                    lost: (be32(&block[4..]) << 8) as i32 >> 8,
                    highest: be32(&block[8..]),
                    jitter: be32(&block[12..]),
                    lsr: be32(&block[16..]),
                    dlsr: be32(&block[20..]),
                };
                let blocks = packet[8..].chunks_exact(24).take(usize::from(count)).map(block).collect();
                Rtcp::ReceiverReport { ssrc: be32(&packet[4..]), blocks }
            }
            (202, _) => {
                assert_eq!(packet[8], 1, "CNAME first");
                let len = usize::from(packet[9]);
                Rtcp::Sdes {
                    ssrc: be32(&packet[4..]),
                    cname: String::from_utf8(packet[10..10 + len].to_vec()).unwrap(),
                }
            }
            (203, count) => {
                Rtcp::Bye { ssrcs: packet[4..].chunks_exact(4).take(usize::from(count)).map(be32).collect() }
            }
            (205, 1) => {
                let mut lost = Vec::new();
                for item in packet[12..].chunks_exact(4) {
                    let (pid, mask) = (be16(item), be16(&item[2..]));
                    lost.push(pid);
                    lost.extend((0..16).filter(|bit| mask >> bit & 1 == 1).map(|bit| pid.wrapping_add(bit + 1)));
                }
                Rtcp::Nack { sender: be32(&packet[4..]), media: be32(&packet[8..]), lost }
            }
            (205, 15) => {
                Rtcp::TransportCc { media: be32(&packet[8..]), base: be16(&packet[12..]), count: be16(&packet[14..]) }
            }
            (206, 1) => Rtcp::Pli { sender: be32(&packet[4..]), media: be32(&packet[8..]) },
            (206, 4) => Rtcp::Fir { ssrc: be32(&packet[12..]) },
            (206, 15) if &packet[12..16] == b"REMB" => {
                let bits = be32(&packet[16..]) & 0x00ff_ffff;
                Rtcp::Remb { bitrate: u64::from(bits & 0x3_ffff) << (bits >> 18) }
            }
            (kind, _) => Rtcp::Other(kind),
        });
    }
    out
}

fn feedback(kind: u8, count: u8, sender: u32, media: u32, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80 | count, kind, 0, (2 + body.len() / 4) as u8];
    out.extend_from_slice(&sender.to_be_bytes());
    out.extend_from_slice(&media.to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// An empty receiver report, which every compound packet begins with.
pub fn write_empty_report(ssrc: u32) -> Vec<u8> {
    let mut out = vec![0x80, 201, 0, 1];
    out.extend_from_slice(&ssrc.to_be_bytes());
    out
}

pub fn write_report(ssrc: u32, block: &ReportBlock) -> Vec<u8> {
    let mut out = vec![0x81, 201, 0, 7];
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&block.ssrc.to_be_bytes());
    out.extend_from_slice(&(u32::from(block.fraction) << 24 | (block.lost as u32 & 0x00ff_ffff)).to_be_bytes());
    for word in [block.highest, block.jitter, block.lsr, block.dlsr] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out
}

pub fn write_sender_report(ssrc: u32, ntp: u64, rtp: u32, packets: u32, octets: u32) -> Vec<u8> {
    let mut out = vec![0x80, 200, 0, 6];
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&ntp.to_be_bytes());
    for word in [rtp, packets, octets] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out
}

pub fn write_nack(sender: u32, media: u32, lost: &[u16]) -> Vec<u8> {
    let body: Vec<u8> = lost.iter().flat_map(|pid| [pid.to_be_bytes(), [0, 0]].concat()).collect();
    feedback(205, 1, sender, media, &body)
}

pub fn write_pli(sender: u32, media: u32) -> Vec<u8> {
    feedback(206, 1, sender, media, &[])
}

pub fn write_remb(sender: u32, bitrate: u64) -> Vec<u8> {
    let exponent = (64 - bitrate.leading_zeros()).saturating_sub(18);
    let mut body = b"REMB".to_vec();
    body.extend_from_slice(&(1 << 24 | exponent << 18 | (bitrate >> exponent) as u32).to_be_bytes());
    body.extend_from_slice(&sender.to_be_bytes());
    feedback(206, 15, sender, 0, &body)
}

pub fn write_bye(ssrc: u32) -> Vec<u8> {
    let mut out = vec![0x81, 203, 0, 1];
    out.extend_from_slice(&ssrc.to_be_bytes());
    out
}
