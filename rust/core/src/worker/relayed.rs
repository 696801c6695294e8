//! Tracks that travel between workers.

use std::sync::Arc;
use std::time::Instant;

use crate::egress::burst::PacketBuffer;
use crate::relay::{RelayMessage, RouteId};
use crate::track::Origin;
use crate::worker::Worker;

impl Worker {
    /// Shares the burst's packets of exported tracks with their routes.
    pub(super) fn export(&mut self) {
        for &slot in &self.touched {
            let Some(track) = self.objects.tracks.get(slot) else { continue };
            if track.routes.is_empty() {
                continue;
            }
            let mut shared = PacketBuffer::default();
            for &index in &track.burst {
                let packet = &self.burst.packets()[index];
                shared.push(*packet, self.burst.plaintext(packet));
            }
            let burst = Arc::new(shared);
            for &route in &track.routes {
                self.notices.relay(route, RelayMessage::Packets { track: track.id, burst: Arc::clone(&burst) });
            }
        }
    }

    /// Gives a new route what its viewers can be shown at once.
    pub(super) fn export_past(&mut self, slot: usize, route: RouteId) {
        let track = &self.objects.tracks[slot];
        // What is in the burst follows with the burst.
        let number =
            |&index: &usize| (self.burst.packets()[index].source.encoding, self.burst.packets()[index].sequence);
        let follows: Vec<_> = track.burst.iter().map(number).collect();
        let mut past = PacketBuffer::default();
        for (index, encoding) in (0..).zip(&track.encodings) {
            let (Some(group), Some(newest)) = (encoding.gop.open(), encoding.gop.newest()) else { continue };
            let numbers = (group.first..=newest.sequence).filter(|&sequence| !follows.contains(&(index, sequence)));
            for (packet, plaintext) in numbers.filter_map(|sequence| encoding.history.peek(sequence)) {
                past.push(*packet, plaintext);
            }
        }
        if !past.is_empty() {
            self.notices.relay(route, RelayMessage::Past { track: track.id, burst: Arc::new(past) });
        }
    }

    /// Tells the routes of a track where the RTP clocks of its encodings stand.
    pub(super) fn export_clocks(&mut self, slot: usize) {
        let track = &self.objects.tracks[slot];
        for (index, encoding) in track.encodings.iter().enumerate() {
            for &route in &track.routes {
                let message = RelayMessage::Clock { track: track.id, encoding: index as u8, point: encoding.clock };
                self.notices.relay(route, message);
            }
        }
    }

    pub(super) fn take_relayed(&mut self, now: Instant, message: RelayMessage) {
        match message {
            RelayMessage::Packets { track, burst } => {
                let Ok(slot) = self.objects.track(track) else { return };
                if !self.objects.tracks[slot].is_imported() {
                    return;
                }
                for packet in burst.packets() {
                    if usize::from(packet.source.encoding) < self.objects.tracks[slot].encodings.len() {
                        self.forward(now, slot, *packet, true, burst.plaintext(packet));
                    }
                }
                self.schedule_track(now, slot);
            }
            RelayMessage::Past { track, burst } => {
                let Ok(slot) = self.objects.track(track) else { return };
                let track = &self.objects.tracks[slot];
                if !track.is_imported() || track.heard.is_some() {
                    return;
                }
                for &packet in burst.packets() {
                    if usize::from(packet.source.encoding) < self.objects.tracks[slot].encodings.len() {
                        self.keep(packet.arrival, slot, packet, true, burst.plaintext(&packet));
                    }
                }
                let track = &mut self.objects.tracks[slot];
                (track.silent, track.heard) = (false, Some(now));
                track.choose(now);
                self.want_key_frames_for_all(now, slot, None);
            }
            RelayMessage::Clock { track, encoding, point } => {
                let Ok(slot) = self.objects.track(track) else { return };
                if let Some(encoding) = self.objects.tracks[slot].encodings.get_mut(usize::from(encoding)) {
                    encoding.clock = point;
                }
            }
            RelayMessage::KeyFrameRequest { track, encoding } => {
                let Ok(slot) = self.objects.track(track) else { return };
                if let Some(encoding) = self.objects.tracks[slot].encodings.get_mut(usize::from(encoding)) {
                    encoding.key_frame_requests.want();
                    self.send_key_frame_requests(now, slot);
                }
            }
        }
    }

    /// Asks the origin of an imported track.
    pub(super) fn relay_key_frame_request(&mut self, slot: usize, encoding: u8) {
        let track = &self.objects.tracks[slot];
        if let Origin::Route(route) = track.origin {
            self.notices.relay(route, RelayMessage::KeyFrameRequest { track: track.id, encoding });
        }
    }
}
