//! A viewer: a small jitter buffer with NACK and PLI that keeps account of what could be shown.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault};
use std::time::{Duration, Instant};

use live777_media::event::Path;

use live777_media::receive::remb::RembEstimate;
use live777_media::receive::twcc::TwccRecorder;

use super::net::Peer;
use super::publisher::extension;
use super::session::{Opened, Session};
use super::wire::{self, ReportBlock, Rtcp, Rtp};

/// A frame that could be shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub at: Instant,
    pub timestamp: u32,
    pub number: u32,
    /// Of the media's SSRC at the publisher, by the fill byte: not set here.
    pub size: usize,
}

/// One media SSRC of a viewer.
pub struct Receiver {
    pub ssrc: u32,
    pub rtx: Option<u32>,
    /// It is video, and goes on at a key frame that is whole, whatever is missing before it: as decoders do.
    pub jumps: bool,
    pub nacks: bool,
    pub shown: Vec<Shown>,
    pub received: u64,
    pub repaired: u64,
    pub packets: Vec<Rtp>,
    pub keep_packets: bool,
    pub skipped: u64,
    pub plis: u64,
    /// It asks for a key frame, whatever it has.
    pub asks: bool,
    pub transport_sequences: Vec<u16>,
    /// Timestamp, marker and hash of the payload of each number.
    seen: HashMap<u64, (u32, bool, u64)>,
    first: Option<u64>,
    next: u64,
    highest: u64,
    buffer: BTreeMap<u64, Rtp>,
    missing: BTreeMap<u64, (Instant, u32)>,
    stuck: Option<Instant>,
    frame: Vec<Rtp>,
    reported: (u64, u64),
    broken: bool,
    pub reports: Vec<(Instant, Rtcp)>,
}

/// As the publisher of these tests writes them.
fn begins_key_frame(payload: &[u8]) -> bool {
    match payload {
        [0x90, 0xe0, _, _, _, _, frame, ..] => frame & 1 == 0,
        [24, ..] => true,
        _ => false,
    }
}

impl Receiver {
    pub fn new(ssrc: u32, rtx: Option<u32>, nacks: bool) -> Receiver {
        Receiver {
            ssrc,
            rtx,
            jumps: false,
            nacks,
            shown: Vec::new(),
            received: 0,
            repaired: 0,
            packets: Vec::new(),
            keep_packets: false,
            asks: false,
            skipped: 0,
            plis: 0,
            seen: HashMap::new(),
            transport_sequences: Vec::new(),
            first: None,
            next: 0,
            highest: 0,
            buffer: BTreeMap::new(),
            missing: BTreeMap::new(),
            stuck: None,
            frame: Vec::new(),
            reported: (0, 0),
            broken: true,
            reports: Vec::new(),
        }
    }

    fn extend(&self, sequence: u16) -> u64 {
        if self.first.is_none() {
            return u64::from(sequence) + 65_536;
        }
        let difference = sequence.wrapping_sub(self.highest as u16) as i16;
        self.highest.wrapping_add_signed(i64::from(difference))
    }

    fn take(&mut self, now: Instant, packet: Rtp) {
        let sequence = self.extend(packet.sequence);
        if self.first.is_none() {
            (self.first, self.next, self.highest) = (Some(sequence), sequence, sequence);
        }
        let payload = BuildHasherDefault::<DefaultHasher>::default().hash_one(&packet.payload);
        let content = (packet.timestamp, packet.marker, payload);
        let before = *self.seen.entry(sequence).or_insert(content);
        assert_eq!(before, content, "number {sequence} has left with another timestamp, marker or payload");
        if self.keep_packets {
            self.packets.push(packet.clone());
        }
        if sequence > self.highest {
            for lost in self.highest + 1..sequence {
                self.missing.insert(lost, (now + Duration::from_millis(5), 0));
            }
            self.highest = sequence;
        }
        self.missing.remove(&sequence);
        if sequence >= self.next {
            self.buffer.insert(sequence, packet);
        }
        self.play(now);
    }

    fn play(&mut self, now: Instant) {
        self.play_in_order(now);
        if let Some(start) = self.whole_key_frame() {
            self.skipped += start - self.next;
            self.missing = self.missing.split_off(&start);
            self.buffer = self.buffer.split_off(&start);
            self.next = start;
            self.frame.clear();
            self.play_in_order(now);
        }
    }

    /// The first packet of a key frame that is here behind a gap.
    fn whole_key_frame(&self) -> Option<u64> {
        let starts = self.buffer.iter().filter(|(_, packet)| self.jumps && begins_key_frame(&packet.payload));
        let mut starts = starts.map(|(&sequence, first)| (sequence, first.timestamp));
        starts.find_map(|(start, timestamp)| {
            let frame = (start..).map_while(|sequence| self.buffer.get(&sequence));
            let mut frame = frame.take_while(|packet| packet.timestamp == timestamp);
            frame.any(|packet| packet.marker).then_some(start)
        })
    }

    fn play_in_order(&mut self, now: Instant) {
        while let Some(packet) = self.buffer.remove(&self.next) {
            self.next += 1;
            self.stuck = None;
            if packet.payload.is_empty() {
                continue;
            }
            if self.frame.first().is_some_and(|first| first.timestamp != packet.timestamp) {
                self.frame.clear();
            }
            let marker = packet.marker;
            self.frame.push(packet);
            if marker {
                self.show(now);
            }
        }
        if !self.buffer.is_empty() {
            self.stuck.get_or_insert(now);
        }
    }

    /// Checks the finished frame against what the publisher wrote at the end of each payload.
    fn show(&mut self, now: Instant) {
        let frame = std::mem::take(&mut self.frame);
        let tail = |packet: &Rtp| {
            let tail = &packet.payload[packet.payload.len() - 8..];
            let half = |at: usize| u16::from_be_bytes([tail[at], tail[at + 1]]);
            (u32::from_be_bytes(tail[..4].try_into().unwrap()), half(4), half(6))
        };
        let (number, _, count) = tail(&frame[0]);
        let whole = frame.len() == usize::from(count)
            && frame.iter().enumerate().all(|(index, packet)| tail(packet) == (number, index as u16, count));
        if whole {
            let size = frame[0].payload.len();
            self.shown.push(Shown { at: now, timestamp: frame[0].timestamp, number, size });
        }
    }

    /// The longest time without a new frame, from the first frame to `end`.
    pub fn longest_gap(&self, end: Instant) -> Duration {
        let times = self.shown.iter().map(|shown| shown.at).chain([end]);
        let mut last = None;
        let mut longest = Duration::ZERO;
        for at in times {
            if let Some(last) = last.replace(at) {
                longest = longest.max(at - last);
            }
        }
        longest
    }

    /// Of the numbers since the last call, in 1/256; repaired ones count as lost.
    fn fraction_lost(&mut self) -> u8 {
        let (highest, received) = std::mem::replace(&mut self.reported, (self.highest, self.received));
        let expected = self.highest - highest.max(self.first.unwrap_or(self.highest));
        let lost = expected.saturating_sub(self.received - received);
        (lost * 256 / expected.max(1)).min(255) as u8
    }

    pub fn lost(&self) -> usize {
        self.missing.len()
    }

    pub fn highest(&self) -> u64 {
        self.highest
    }

    fn poll(&mut self, now: Instant) -> (Vec<u16>, bool) {
        let mut lost = Vec::new();
        let mut pli = std::mem::take(&mut self.asks);
        if self.nacks {
            for (&sequence, (due, tries)) in &mut self.missing {
                if *due <= now && *tries < 12 {
                    *due = now + Duration::from_millis(40);
                    *tries += 1;
                    lost.push(sequence as u16);
                }
            }
        }
        if self.stuck.is_some_and(|since| now - since > Duration::from_millis(1000)) {
            // Give up on what is missing and go on behind it.
            let next = *self.buffer.keys().next().expect("stuck on something");
            self.skipped += next - self.next;
            self.missing = self.missing.split_off(&next);
            self.next = next;
            self.frame.clear();
            self.stuck = None;
            self.plis += 1;
            pli = true;
            self.play(now);
        }
        (lost, pli)
    }
}

/// What a viewer sends back about the path.
pub enum Feedback {
    /// Transport-wide feedback. `clock` is ahead of the true time.
    TransportCc { recorder: TwccRecorder, clock: Duration },
    /// An estimate by loss and throughput, every second.
    Remb { estimate: RembEstimate, bytes: u64, lost: (u64, u64), at: Instant },
}

impl Feedback {
    pub fn transport_cc() -> Option<Feedback> {
        Some(Feedback::TransportCc { recorder: TwccRecorder::default(), clock: Duration::from_secs(1000) })
    }

    pub fn remb(now: Instant) -> Option<Feedback> {
        Some(Feedback::Remb { estimate: RembEstimate::default(), bytes: 0, lost: (0, 0), at: now })
    }
}

pub struct Viewer {
    pub session: Session,
    pub receivers: Vec<Receiver>,
    pub replays: u64,
    pub transport_cc: Option<u8>,
    /// What is known of the path is sent back, every 100 ms.
    pub feedback: Option<Feedback>,
    /// Of so many feedbacks one is sent.
    pub feedback_kept: u32,
    told: u32,
    pub byes: Vec<u32>,
    /// Our own receiver reports: (fraction lost, jitter).
    pub reports: bool,
    /// Fraction lost that all reports tell, in 1/256; None for what was lost since the last one.
    pub claimed_loss: Option<u8>,
    report_at: Instant,
    poll_at: Instant,
    feedback_at: Instant,
    last_report: Option<(Instant, u64)>,
}

pub const VIEWER_SSRC: u32 = 1;

impl Viewer {
    pub fn new(session: Session, now: Instant, receivers: Vec<Receiver>) -> Viewer {
        Viewer {
            session,
            receivers,
            replays: 0,
            transport_cc: None,
            feedback: None,
            feedback_kept: 1,
            told: 0,
            byes: Vec::new(),
            reports: true,
            claimed_loss: Some(0),
            report_at: now + Duration::from_millis(700),
            poll_at: now,
            feedback_at: now,
            last_report: None,
        }
    }

    pub fn receiver(&self, index: usize) -> &Receiver {
        &self.receivers[index]
    }

    /// The feedback that is due.
    fn tell(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut reports = Vec::new();
        match &mut self.feedback {
            Some(Feedback::TransportCc { recorder, .. }) => {
                while recorder.pending() {
                    let mut report = Vec::new();
                    recorder.write(&mut report, VIEWER_SSRC, self.receivers[0].ssrc);
                    reports.push(report);
                }
            }
            Some(Feedback::Remb { estimate, lost, at, .. }) if now - *at >= Duration::from_secs(1) => {
                *at = now;
                let video = &self.receivers[0];
                let (highest, received) = std::mem::replace(lost, (video.highest, video.received));
                let expected = (video.highest - highest).max(1);
                let fraction = 1.0 - ((video.received - received) as f64 / expected as f64).min(1.0);
                let bitrate = estimate.update(now, if highest == 0 { 0.0 } else { fraction });
                reports.push(wire::write_remb(VIEWER_SSRC, bitrate));
            }
            _ => {}
        }
        reports
    }
}

impl Peer for Viewer {
    fn path(&self) -> Path {
        self.session.path
    }

    fn receive(&mut self, now: Instant, datagram: &[u8]) {
        match self.session.open_media(datagram) {
            None => {}
            Some(Opened::Replay(ssrc, _)) => {
                assert!(self.receivers.iter().all(|receiver| receiver.rtx != Some(ssrc)));
                self.replays += 1;
            }
            Some(Opened::Rtp(mut packet)) => {
                match &mut self.feedback {
                    Some(Feedback::TransportCc { recorder, clock }) => {
                        if let Some(data) = packet.extension(extension::TRANSPORT_CC) {
                            recorder.received(now + *clock, u16::from_be_bytes([data[0], data[1]]));
                        }
                    }
                    Some(Feedback::Remb { estimate, bytes, .. }) => {
                        estimate.received(datagram.len() + 28);
                        *bytes += datagram.len() as u64;
                    }
                    None => {}
                }
                for receiver in &mut self.receivers {
                    if let Some(id) = self.transport_cc
                        && let Some(data) = packet.extension(id)
                        && (packet.ssrc == receiver.ssrc || receiver.rtx == Some(packet.ssrc))
                    {
                        receiver.transport_sequences.push(u16::from_be_bytes([data[0], data[1]]));
                    }
                    if packet.ssrc == receiver.ssrc {
                        receiver.received += 1;
                        receiver.take(now, packet);
                        break;
                    }
                    if receiver.rtx == Some(packet.ssrc) {
                        assert!(
                            matches!(packet.payload_type, 103 | 105 | 113 | 115),
                            "RTX has a payload type of its own"
                        );
                        receiver.repaired += 1;
                        packet.sequence = u16::from_be_bytes([packet.payload[0], packet.payload[1]]);
                        packet.payload.drain(..2);
                        packet.ssrc = receiver.ssrc;
                        receiver.take(now, packet);
                        break;
                    }
                }
            }
            Some(Opened::Rtcp(packets)) => {
                for packet in packets {
                    match &packet {
                        Rtcp::SenderReport { ssrc, ntp, .. } => {
                            self.last_report = Some((now, *ntp));
                            if let Some(receiver) = self.receivers.iter_mut().find(|receiver| receiver.ssrc == *ssrc) {
                                receiver.reports.push((now, packet));
                            }
                        }
                        Rtcp::Bye { ssrcs } => self.byes.extend(ssrcs),
                        _ => {}
                    }
                }
            }
        }
    }

    fn send(&mut self, now: Instant, out: &mut Vec<(Path, Vec<u8>)>) {
        self.session.poll(now, out);
        if now >= self.poll_at {
            self.poll_at = now + Duration::from_millis(10);
            for index in 0..self.receivers.len() {
                let ssrc = self.receivers[index].ssrc;
                let (lost, pli) = self.receivers[index].poll(now);
                let mut compound = wire::write_empty_report(VIEWER_SSRC);
                if !lost.is_empty() {
                    compound.extend(wire::write_nack(VIEWER_SSRC, ssrc, &lost));
                }
                if pli {
                    compound.extend(wire::write_pli(VIEWER_SSRC, ssrc));
                }
                if compound.len() > 8 {
                    let sealed = self.session.seal_rtcp(&compound);
                    out.push((self.session.path, sealed));
                }
            }
        }
        if now >= self.feedback_at {
            self.feedback_at = now + Duration::from_millis(100);
            for report in self.tell(now) {
                self.told += 1;
                if !(self.told / 2).is_multiple_of(self.feedback_kept) {
                    continue;
                }
                let sealed = self.session.seal_rtcp(&report);
                out.push((self.session.path, sealed));
            }
        }
        if self.reports && now >= self.report_at {
            self.report_at = now + Duration::from_secs(1);
            for index in 0..self.receivers.len() {
                let receiver = &mut self.receivers[index];
                let (lsr, dlsr) = match self.last_report {
                    Some((at, ntp)) => ((ntp >> 16) as u32, ((now - at).as_micros() * 65_536 / 1_000_000) as u32),
                    None => (0, 0),
                };
                let block = ReportBlock {
                    ssrc: receiver.ssrc,
                    fraction: self.claimed_loss.unwrap_or(receiver.fraction_lost()),
                    lost: 0,
                    highest: receiver.highest as u32,
                    jitter: 90,
                    lsr,
                    dlsr,
                };
                let sealed = self.session.seal_rtcp(&wire::write_report(VIEWER_SSRC, &block));
                out.push((self.session.path, sealed));
            }
        }
    }

    fn next(&self) -> Instant {
        let reports = if self.reports { self.report_at } else { self.poll_at };
        self.session.next(self.poll_at).min(self.poll_at).min(reports).min(self.feedback_at)
    }
}
