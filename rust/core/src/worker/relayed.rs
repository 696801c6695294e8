//! Tracks that travel between workers.

use std::sync::Arc;
use std::time::Instant;

use crate::egress::burst::PacketBuffer;
use crate::relay::RelayMessage;
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
