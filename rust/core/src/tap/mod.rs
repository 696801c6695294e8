//! A track read as whole frames.
//!
//! A tap gets what a viewer would: the best encoding, from a key frame on. The packets of an encoding run through a
//! [`lane::Lane`]; a second lane waits for the key frame of the encoding that is better now.

mod assembly;
mod lane;
pub mod queue;
mod reorder;
mod timeline;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::codec::Codec;
use crate::command::{CodecParameters, Kind, TapId};
use crate::egress::burst::{Packet, Source};
use crate::frame::Frame;
use crate::receive::clock::NtpClock;
use crate::track::encoding::Encoding;
use assembly::Assembled;
use lane::Lane;
use queue::FrameQueue;
use timeline::{Clock, Timeline};

/// Key frames in vain, for want of parameter sets, after which no more are asked for.
const MAX_BARE: u8 = 4;

/// Counters of one tap, see `TapStats`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Frames queued.
    pub frames: u64,
    /// Their size.
    pub bytes: u64,
    /// Key frames among them.
    pub key_frames: u64,
    /// Packets waited for in vain.
    pub lost_packets: u64,
    /// Frames of which a part was lost or malformed, as far as they were seen.
    pub damaged: u64,
    /// Frames before the first key frame of a source.
    pub skipped: u64,
}

/// What a tap sees of its track.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The track's encodings.
    pub encodings: &'a [Encoding],
    /// Its payload types.
    pub codecs: &'a [CodecParameters],
    /// The best encoding.
    pub best: Option<u8>,
    /// It is written by us: its clock is true by definition.
    pub is_source: bool,
    /// Our clocks.
    pub ntp: &'a NtpClock,
}

impl View<'_> {
    /// What to read.
    pub fn target(&self) -> Option<Source> {
        let encoding = self.best?;
        Some(Source { encoding, generation: self.encodings.get(usize::from(encoding))?.generation })
    }
}

/// The state of one tap.
#[derive(Debug)]
pub struct Tap {
    /// Its id.
    pub id: TapId,
    /// Where frames go.
    pub queue: Arc<FrameQueue>,
    /// What is counted.
    pub counters: Counters,
    kind: Kind,
    /// What flows.
    flow: Option<Lane>,
    /// What is to flow from its key frame on.
    next: Option<Lane>,
    timeline: Timeline,
    /// The next frame follows something that is missing.
    gap: bool,
    /// The newest frame is placed by a sender report.
    synced: bool,
    /// Since something was lost, no key frame has come.
    broken: bool,
    /// A key frame of this encoding is needed.
    wish: Option<u8>,
    /// Least time between two announcements.
    interval: Duration,
    announce_at: Option<Instant>,
    ready: Vec<Assembled>,
}

impl Tap {
    /// A tap that has seen nothing. `capacity` in bytes.
    pub fn new(id: TapId, kind: Kind, capacity: usize, interval: Duration) -> Tap {
        Tap {
            id,
            queue: Arc::new(FrameQueue::new(capacity)),
            counters: Counters::default(),
            kind,
            flow: None,
            next: None,
            timeline: Timeline::default(),
            gap: false,
            synced: false,
            broken: false,
            wish: None,
            interval,
            announce_at: None,
            ready: Vec::new(),
        }
    }

    /// What flows.
    pub fn source(&self) -> Option<Source> {
        self.flow.as_ref().filter(|flow| flow.started).map(|flow| flow.source)
    }

    /// The encoding that flows, its rid and its codec.
    pub fn reads(&self) -> (Option<&Arc<str>>, Option<Codec>) {
        let lane = self.flow.as_ref().or(self.next.as_ref());
        (lane.and_then(|lane| lane.rid.as_ref()), lane.and_then(Lane::codec))
    }

    /// Packets that wait for one before them.
    pub fn waiting(&self) -> usize {
        self.flow.iter().chain(&self.next).map(Lane::waiting).sum()
    }

    /// Whether the newest frame is placed by a sender report.
    pub fn synced(&self) -> bool {
        self.synced
    }

    /// The encoding whose key frame is needed, if there is a new reason to ask.
    pub fn take_wish(&mut self) -> Option<u8> {
        self.wish.take().filter(|_| self.kind == Kind::Video)
    }

    /// Takes a packet of the track.
    pub fn push(&mut self, packet: &Packet, payload: &[u8], view: &View<'_>) {
        let flows = self.flow.as_ref().map(|flow| flow.source) == Some(packet.source);
        let target = view.target();
        if flows {
            if target == Some(packet.source) {
                self.next = None;
            }
        } else if target != Some(packet.source) {
            return;
        } else if self.next.as_ref().map(|next| next.source) != Some(packet.source) {
            let rid = view.encodings[usize::from(packet.source.encoding)].rid.as_deref();
            self.next = Some(Lane::new(packet.source, rid));
        }
        self.run(flows, view, |lane, counters, out| lane.push(packet, payload, view.codecs, counters, out));
    }

    /// Gives up what was waited for too long.
    pub fn handle_timeout(&mut self, now: Instant, view: &View<'_>) {
        for flows in [true, false] {
            self.run(flows, view, |lane, counters, out| lane.give_up(now, view.codecs, counters, out));
        }
    }

    /// The track is gone: whole frames that wait behind lost ones are the last.
    pub fn finish(&mut self, view: &View<'_>) {
        for flows in [true, false] {
            self.run(flows, view, |lane, counters, out| lane.finish(view.codecs, counters, out));
        }
    }

    /// When there is something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.flow.iter().chain(&self.next).filter_map(Lane::deadline).chain(self.announce_at).min()
    }

    /// Whether the reader is to be told of frames now.
    pub fn poll_ready(&mut self, now: Instant, ntp: &NtpClock) -> bool {
        if !self.queue.has_news() {
            self.announce_at = None;
            return false;
        }
        if !self.interval.is_zero()
            && *self.announce_at.get_or_insert_with(|| ntp.next_multiple(now, self.interval)) > now
        {
            return false;
        }
        self.announce_at = None;
        self.queue.announce();
        true
    }

    /// Lets a lane work and delivers what it gives.
    fn run(&mut self, flows: bool, view: &View<'_>, work: impl FnOnce(&mut Lane, &mut Counters, &mut Vec<Assembled>)) {
        let lane = if flows { &mut self.flow } else { &mut self.next };
        let Some(lane) = lane else { return };
        let source = lane.source;
        let losses = |counters: &Counters| counters.lost_packets + counters.damaged;
        let before = losses(&self.counters);
        let mut ready = std::mem::take(&mut self.ready);
        work(lane, &mut self.counters, &mut ready);
        let lost = losses(&self.counters) > before;
        let unseen = lane.has_gap();
        for frame in ready.drain(..) {
            self.deliver(source, frame, view);
        }
        self.ready = ready;
        if lost && (self.broken || unseen) {
            self.wish = Some(source.encoding);
        }
    }

    fn deliver(&mut self, source: Source, frame: Assembled, view: &View<'_>) {
        self.broken |= frame.gap;
        let switches = self.next.as_ref().is_some_and(|next| next.source == source);
        let lane = if switches { &mut self.next } else { &mut self.flow };
        let Some(lane) = lane else { return };
        if !lane.started && !frame.picture.key_frame {
            self.counters.skipped += 1;
            self.gap |= frame.gap;
            if frame.picture.bare && lane.bare < MAX_BARE {
                lane.bare += 1;
                self.wish = Some(source.encoding);
            }
            return;
        }
        lane.started = true;
        let rid = lane.rid.clone();
        if switches {
            self.gap |= self.flow.is_some();
            self.flow = self.next.take();
            self.timeline.begin();
        }
        let encoding = view.encodings.get(usize::from(source.encoding));
        let clock = Clock {
            point: encoding.filter(|encoding| encoding.generation == source.generation).and_then(|known| known.clock),
            trusted: view.is_source,
            ntp: view.ntp,
            arrival: frame.arrival,
        };
        let place = self.timeline.place(frame.timestamp, frame.clock_rate, &clock);
        self.synced = place.synced;
        let key_frame = frame.picture.key_frame;
        if key_frame {
            self.broken = false;
        }
        let gap = std::mem::take(&mut self.gap) | frame.gap | place.reset;
        self.counters.bytes += frame.data.len() as u64;
        self.counters.key_frames += u64::from(key_frame);
        let starved = self.queue.push(Frame {
            data: frame.data,
            codec: frame.codec,
            timestamp: place.timestamp,
            clock_rate: frame.clock_rate,
            wallclock: place.wallclock,
            synced: place.synced,
            key_frame,
            gap: gap && self.counters.frames > 0,
            size: if key_frame { frame.picture.size.unwrap_or_default() } else { (0, 0) },
            rid,
        });
        self.counters.frames += 1;
        if starved {
            self.wish = Some(source.encoding);
        }
    }
}
