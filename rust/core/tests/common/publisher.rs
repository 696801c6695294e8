//! A publisher: paced frames, simulcast, RTX, key frames on request.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use live777_media::event::Path;

use super::net::Peer;
use super::scalable::{self, Form};
use super::session::{Opened, Session};
use super::wire::{self, Rtcp, Rtp};

/// Extension ids that all peers of these tests use.
pub mod extension {
    pub const MID: u8 = 1;
    pub const RID: u8 = 2;
    pub const REPAIRED_RID: u8 = 3;
    pub const TRANSPORT_CC: u8 = 4;
    pub const ABS_SEND_TIME: u8 = 5;
    pub const AUDIO_LEVEL: u8 = 6;
    pub const DEPENDENCY: u8 = 7;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    H264,
    Vp8 {
        width: u16,
        height: u16,
    },
    /// With spatial and temporal layers, see [`super::scalable`].
    Scalable(Form),
    Opus,
}

/// One SSRC and its retransmissions.
pub struct Stream {
    pub media: Media,
    pub ssrc: u32,
    pub payload_type: u8,
    pub rtx: Option<(u32, u8)>,
    pub mid: &'static str,
    pub rid: Option<&'static str>,
    pub packets_per_frame: u16,
    pub payload_size: usize,
    pub interval: Duration,
    pub key_every: u32,
    /// Times the packets of another frame that a key frame has.
    pub key_factor: u16,
    pub clock_rate: u32,
    /// Padding-only packets after each frame.
    pub padding_packets: u16,
    pub sequence: u64,
    pub timestamp: u32,
    pub picture_id: u16,
    pub tl0: u8,
    pub frame: u32,
    pub active: bool,
    pub next_at: Instant,
    pub force_key: bool,
    /// Parameter sets come with key frames.
    pub described: bool,
    pub plis: u32,
    pub nacked: u32,
    pub rtx_sequence: u64,
    pub packets: u32,
    pub octets: u32,
    pub sent: HashMap<u16, Rtp>,
    pub last: (Instant, u32),
    /// Number of the newest key picture, of a scalable stream.
    pub key_frame: u32,
    /// How long the encoder takes: reports tell of it.
    pub lateness: Duration,
}

impl Stream {
    pub fn video(media: Media, ssrc: u32, now: Instant) -> Stream {
        Stream {
            media,
            ssrc,
            payload_type: 96,
            rtx: Some((ssrc + 1000, 97)),
            mid: "v",
            rid: None,
            packets_per_frame: 4,
            payload_size: 1100,
            interval: Duration::from_micros(33_333),
            key_every: 90,
            key_factor: 1,
            clock_rate: 90_000,
            padding_packets: 0,
            sequence: u64::from(ssrc % 1000) + 65_000,
            timestamp: ssrc.wrapping_mul(7919),
            picture_id: (ssrc % 5000) as u16,
            tl0: ssrc as u8,
            frame: 0,
            active: true,
            next_at: now,
            force_key: false,
            described: true,
            plis: 0,
            nacked: 0,
            rtx_sequence: 1,
            packets: 0,
            octets: 0,
            sent: HashMap::new(),
            last: (now, 0),
            key_frame: 0,
            lateness: Duration::ZERO,
        }
    }

    pub fn audio(ssrc: u32, now: Instant) -> Stream {
        Stream {
            media: Media::Opus,
            payload_type: 111,
            rtx: None,
            mid: "a",
            packets_per_frame: 1,
            payload_size: 100,
            interval: Duration::from_millis(20),
            clock_rate: 48_000,
            ..Stream::video(Media::Opus, ssrc, now)
        }
    }

    fn payload(&self, key: bool, index: u16, count: u16) -> Vec<u8> {
        let first = index == 0;
        let mut payload = match (self.media, key) {
            (Media::Opus, _) => vec![0xfc],
            (Media::H264, true) if first && self.described => {
                // STAP-A with SPS (640x360 baseline), PPS and a slice of the IDR picture.
                let sps: &[u8] = &[0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x70, 0x11];
                let mut stap = vec![24, 0, sps.len() as u8];
                stap.extend_from_slice(sps);
                stap.extend_from_slice(&[0, 4, 0x68, 0xcb, 0x83, 0xcb]);
                let rest = self.payload_size - stap.len() - 2;
                stap.extend_from_slice(&(rest as u16).to_be_bytes());
                stap.push(0x65);
                stap
            }
            (Media::H264, _) => vec![if key { 0x65 } else { 0x41 }],
            (Media::Vp8 { width, height }, _) => {
                // Extended descriptor with a 15-bit picture id, TL0PICIDX and TID.
                let mut descriptor = vec![0x80 | u8::from(first) << 4, 0xe0];
                descriptor.extend_from_slice(&(0x8000 | self.picture_id).to_be_bytes());
                descriptor.extend_from_slice(&[self.tl0, 0]);
                if first {
                    descriptor.extend_from_slice(&[if key { 0x10 } else { 0x11 }, 0, 0]);
                    if key {
                        descriptor.extend_from_slice(&[0x9d, 0x01, 0x2a]);
                        descriptor.extend_from_slice(&width.to_le_bytes());
                        descriptor.extend_from_slice(&height.to_le_bytes());
                    }
                }
                descriptor
            }
            (Media::Scalable(_), _) => unreachable!("made by `scalable`"),
        };
        payload.resize(self.payload_size - 8, self.frame as u8);
        payload.extend_from_slice(&self.frame.to_be_bytes());
        payload.extend_from_slice(&index.to_be_bytes());
        payload.extend_from_slice(&count.to_be_bytes());
        payload
    }

    pub fn extensions(&self, repair: bool) -> Vec<(u8, Vec<u8>)> {
        let mut out = vec![(extension::MID, self.mid.as_bytes().to_vec())];
        if let Some(rid) = self.rid {
            let id = if repair { extension::REPAIRED_RID } else { extension::RID };
            out.push((id, rid.as_bytes().to_vec()));
        }
        if self.media == Media::Opus {
            out.push((extension::AUDIO_LEVEL, vec![0x85]));
        }
        out
    }

    /// The packets of the next frame.
    fn frame(&mut self, now: Instant) -> Vec<Rtp> {
        let key = self.media != Media::Opus && (self.frame.is_multiple_of(self.key_every) || self.force_key);
        self.force_key &= !key;
        if let Media::Scalable(form) = self.media {
            let packets = scalable::picture(self, form, key);
            self.advance(now);
            return packets;
        }
        let count = self.packets_per_frame * if key { self.key_factor } else { 1 };
        let mut packets: Vec<Rtp> = (0..count)
            .map(|index| Rtp {
                payload_type: self.payload_type,
                marker: index + 1 == count,
                sequence: 0,
                timestamp: self.timestamp,
                ssrc: self.ssrc,
                extensions: self.extensions(false),
                payload: self.payload(key, index, count),
                padding: 0,
            })
            .collect();
        for _ in 0..self.padding_packets {
            packets.push(Rtp { marker: false, payload: Vec::new(), padding: 200, ..packets[0].clone() });
        }
        self.advance(now);
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        self.tl0 = self.tl0.wrapping_add(1);
        packets
    }

    fn advance(&mut self, now: Instant) {
        self.last = (now, self.timestamp);
        self.frame += 1;
        self.timestamp = self
            .timestamp
            .wrapping_add((self.interval.as_micros() as u64 * u64::from(self.clock_rate) / 1_000_000) as u32);
    }
}

pub struct Publisher {
    pub session: Session,
    pub streams: Vec<Stream>,
    pub rtcp: Vec<(Instant, Rtcp)>,
    pub sender_reports: bool,
    /// Difference of the publisher's clock from ours, in seconds of NTP.
    pub clock_ahead: u64,
    pub keep_rtcp: bool,
    pub transport_sequence: Option<u16>,
    /// Key frame requests are counted and ignored, as OBS does.
    pub deaf: bool,
    reports_at: Instant,
    queue: Vec<(Path, Vec<u8>)>,
    start: Instant,
}

impl Publisher {
    pub fn new(session: Session, now: Instant, streams: Vec<Stream>) -> Publisher {
        Publisher {
            session,
            streams,
            rtcp: Vec::new(),
            sender_reports: true,
            clock_ahead: 5000,
            keep_rtcp: true,
            transport_sequence: None,
            deaf: false,
            reports_at: now + Duration::from_millis(500),
            queue: Vec::new(),
            start: now,
        }
    }

    fn ntp(&self, now: Instant) -> u64 {
        let elapsed = now - self.start;
        let seconds = 3_900_000_000 + self.clock_ahead + elapsed.as_secs();
        (seconds << 32) | ((u64::from(elapsed.subsec_micros()) << 32) / 1_000_000)
    }

    /// A sealed sender report of one stream.
    pub fn sender_report(&mut self, stream: usize, now: Instant) -> Vec<u8> {
        let ntp = self.ntp(now);
        let stream = &self.streams[stream];
        let (at, timestamp) = stream.last;
        let ahead = (now - at + stream.lateness).as_micros() as u64 * u64::from(stream.clock_rate) / 1_000_000;
        let rtp = timestamp.wrapping_add(ahead as u32);
        let report = wire::write_sender_report(stream.ssrc, ntp, rtp, stream.packets, stream.octets);
        self.session.seal_rtcp(&report)
    }

    /// Seals a packet of a stream under a number of its own and queues it.
    fn push(&mut self, stream: usize, mut packet: Rtp) {
        let numbered = &mut self.streams[stream];
        let index = numbered.sequence;
        numbered.sequence += 1;
        packet.sequence = index as u16;
        if let Some(sequence) = &mut self.transport_sequence {
            *sequence = sequence.wrapping_add(1);
            packet.extensions.push((extension::TRANSPORT_CC, sequence.to_be_bytes().to_vec()));
        }
        if packet.padding == 0 {
            numbered.packets += 1;
            numbered.octets += packet.payload.len() as u32;
        }
        numbered.sent.insert(packet.sequence, packet.clone());
        let sealed = self.session.seal_rtp(&packet.write(), index);
        self.queue.push((self.session.path, sealed));
    }

    fn repair(&mut self, media: u32, lost: &[u16]) {
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.ssrc == media) else { return };
        stream.nacked += lost.len() as u32;
        let newest = stream.sequence - 1;
        for &sequence in lost {
            let Some(original) = stream.sent.get(&sequence).filter(|packet| packet.padding == 0) else { continue };
            let index = newest - u64::from((newest as u16).wrapping_sub(sequence));
            let (packet, index) = match stream.rtx {
                Some((ssrc, payload_type)) => {
                    let mut payload = sequence.to_be_bytes().to_vec();
                    payload.extend_from_slice(&original.payload);
                    let index = stream.rtx_sequence;
                    stream.rtx_sequence += 1;
                    let mut extensions = stream.extensions(true);
                    let descriptor = original.extensions.iter().filter(|(id, _)| *id == extension::DEPENDENCY);
                    extensions.extend(descriptor.cloned());
                    let sequence = index as u16;
                    (Rtp { payload_type, ssrc, sequence, payload, extensions, ..original.clone() }, index)
                }
                None => (original.clone(), index),
            };
            let sealed = self.session.seal_rtp(&packet.write(), index);
            self.queue.push((self.session.path, sealed));
        }
    }
}

impl Peer for Publisher {
    fn path(&self) -> Path {
        self.session.path
    }

    fn receive(&mut self, now: Instant, datagram: &[u8]) {
        let Some(Opened::Rtcp(packets)) = self.session.open_media(datagram) else { return };
        for packet in packets {
            match &packet {
                Rtcp::Nack { media, lost, .. } => self.repair(*media, lost),
                Rtcp::Pli { media, .. } | Rtcp::Fir { ssrc: media } => {
                    if let Some(stream) = self.streams.iter_mut().find(|stream| stream.ssrc == *media) {
                        stream.plis += 1;
                        stream.force_key = !self.deaf;
                        stream.described |= !self.deaf && matches!(packet, Rtcp::Fir { .. });
                    }
                }
                _ => {}
            }
            if self.keep_rtcp {
                self.rtcp.push((now, packet));
            }
        }
    }

    fn send(&mut self, now: Instant, out: &mut Vec<(Path, Vec<u8>)>) {
        self.session.poll(now, out);
        for index in 0..self.streams.len() {
            while self.streams[index].active && self.streams[index].next_at <= now {
                let interval = self.streams[index].interval;
                self.streams[index].next_at += interval;
                for packet in self.streams[index].frame(now) {
                    self.push(index, packet);
                }
            }
        }
        if self.sender_reports && now >= self.reports_at {
            self.reports_at = now + Duration::from_secs(1);
            for index in 0..self.streams.len() {
                let report = self.sender_report(index, now);
                out.push((self.session.path, report));
            }
        }
        out.append(&mut self.queue);
    }

    fn next(&self) -> Instant {
        if !self.queue.is_empty() {
            return self.start;
        }
        let frames = self.streams.iter().filter(|stream| stream.active).map(|stream| stream.next_at);
        let reports = self.sender_reports.then_some(self.reports_at);
        let checks = self.session.checks.then_some(self.session.check_at);
        let far = self.start + Duration::from_secs(86_400);
        frames.chain(reports).chain(checks).min().unwrap_or(far)
    }
}
