//! Tracks read as whole frames: which packets reach a tap, and when its reader hears of it.

use std::time::{Duration, Instant};

use crate::command::{CommandError, TapId, TrackId};
use crate::depacketise::Depacketiser;
use crate::egress::burst::Source;
use crate::event::Event;
use crate::tap::{Tap, View};
use crate::track::{Origin, Track};
use crate::worker::Worker;

/// Taps of one track.
const MAX_TAPS: usize = 16;

impl Worker {
    pub(super) fn open_tap(
        &mut self,
        now: Instant,
        id: TapId,
        track: TrackId,
        capacity: usize,
        interval: Duration,
        past: Duration,
    ) -> Result<(), CommandError> {
        let slot = self.objects.track(track)?;
        self.objects.tap_is_new(id)?;
        let track = &mut self.objects.tracks[slot];
        if track.codecs.iter().all(|codec| Depacketiser::new(codec.codec).is_none()) {
            return Err(CommandError::InvalidArgument);
        }
        if track.taps.len() >= MAX_TAPS {
            return Err(CommandError::LimitReached);
        }
        track.taps.push(Tap::new(id, track.kind, capacity, interval));
        self.objects.note_tap(id, slot);
        self.show_past(now, slot, past);
        self.note_tap_needs(slot, None);
        self.send_key_frame_requests(now, slot);
        Ok(())
    }

    pub(super) fn close_tap(&mut self, id: TapId) -> Result<(), CommandError> {
        let slot = self.objects.forget_tap(id)?;
        self.objects.tracks[slot].taps.retain(|tap| tap.id != id);
        Ok(())
    }

    /// Hands the newest tap of a track the group of pictures that is under way, if its key frame is at most `past` old.
    fn show_past(&mut self, now: Instant, slot: usize, past: Duration) {
        let track = &mut self.objects.tracks[slot];
        // What is in the burst follows with the burst.
        let follows = track.burst.iter().map(|&index| &self.burst.packets()[index]);
        let follows: Vec<_> = follows.map(|packet| (packet.source, packet.sequence)).collect();
        let (view, taps, _) = track.tapped(&self.ntp);
        let (Some(target), Some(tap)) = (view.target(), taps.last_mut()) else { return };
        let encoding = &view.encodings[usize::from(target.encoding)];
        let (Some(group), Some(newest)) = (encoding.gop.group(), encoding.gop.newest()) else { return };
        if group.age(now) > past {
            return;
        }
        for sequence in (group.first..=newest.sequence).filter(|&sequence| !follows.contains(&(target, sequence))) {
            if let Some((packet, plaintext)) = encoding.history.peek(sequence) {
                tap.push(packet, &plaintext[usize::from(packet.header_len)..], &view);
            }
        }
        self.settle_taps(now, slot);
    }

    /// Hands the burst's packets of a track to its taps.
    pub(super) fn feed_taps(&mut self, now: Instant, slot: usize) {
        let burst = &self.burst;
        let (view, taps, indices) = self.objects.tracks[slot].tapped(&self.ntp);
        for tap in taps {
            for &index in indices {
                let packet = &burst.packets()[index];
                tap.push(packet, burst.payload(packet), &view);
            }
        }
        self.settle_taps(now, slot);
    }

    /// Gives up the packets that taps have waited for too long, and tells of what was not to be told sooner.
    pub(super) fn taps_due(&mut self, now: Instant, slot: usize) {
        let (view, taps, _) = self.objects.tracks[slot].tapped(&self.ntp);
        taps.iter_mut().for_each(|tap| tap.handle_timeout(now, &view));
        self.settle_taps(now, slot);
    }

    /// The track is about to go: its taps get what there is, and their readers hear that it is the last.
    pub(super) fn end_taps(&mut self, now: Instant, slot: usize) {
        if self.objects.tracks[slot].taps.is_empty() {
            return;
        }
        self.feed_taps(now, slot);
        let (view, taps, _) = self.objects.tracks[slot].tapped(&self.ntp);
        taps.iter_mut().for_each(|tap| tap.finish(&view));
        for tap in std::mem::take(&mut self.objects.tracks[slot].taps) {
            if tap.queue.has_news() {
                tap.queue.announce();
                self.notices.event(Event::FramesReady { tap: tap.id, queue: tap.queue });
            }
            self.notices.event(Event::TapEnded { tap: tap.id });
            // It is known as long as its track is.
            let _ = self.objects.forget_tap(tap.id);
        }
    }

    /// Notes which encoding the taps of a track wait for, but for the one whose key frame is on its way.
    pub(super) fn note_tap_needs(&mut self, slot: usize, coming: Option<u8>) {
        let track = &mut self.objects.tracks[slot];
        let Some(target) = track.best.filter(|&target| coming != Some(target)) else { return };
        let encoding = &mut track.encodings[usize::from(target)];
        let flowing = Source { encoding: target, generation: encoding.generation };
        if track.kind == crate::command::Kind::Video && track.taps.iter().any(|tap| tap.source() != Some(flowing)) {
            encoding.key_frame_requests.want();
        }
    }

    /// Does what the taps of a track ask for after they have worked.
    fn settle_taps(&mut self, now: Instant, slot: usize) {
        let Track { taps, encodings, .. } = &mut self.objects.tracks[slot];
        let mut wishes = false;
        for tap in taps {
            if let Some(encoding) = tap.take_wish().and_then(|index| encodings.get_mut(usize::from(index))) {
                encoding.key_frame_requests.want();
                wishes = true;
            }
            if tap.poll_ready(now, &self.ntp) {
                self.notices.event(Event::FramesReady { tap: tap.id, queue: tap.queue.clone() });
            }
        }
        if wishes {
            self.send_key_frame_requests(now, slot);
        }
        self.schedule_track(now, slot);
    }
}

impl Track {
    /// What its taps see, its taps, and its packets in the burst.
    fn tapped<'a>(&'a mut self, ntp: &'a crate::receive::clock::NtpClock) -> (View<'a>, &'a mut [Tap], &'a [usize]) {
        let Track { taps, encodings, codecs, best, origin, burst, .. } = self;
        let is_source = *origin == Origin::Source;
        (View { encodings, codecs, best: *best, is_source, ntp }, taps, burst)
    }
}
