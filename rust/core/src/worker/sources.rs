//! Tracks that are written as whole frames.

use std::time::{Duration, Instant};

use crate::command::{CommandError, SourceParameters, TrackId, WrittenFrame};
use crate::egress::burst::{COPIED, Element, LayerTag, Packet, Source};
use crate::track::clock::ClockPoint;
use crate::track::writer::{HEADER_LEN, Writer};
use crate::track::{Origin, Track};
use crate::worker::Worker;
use crate::worker::receive::pictures;

/// A wall clock that is further from ours is not one that viewers can be told.
const MAX_CLOCK_DISTANCE: Duration = Duration::from_secs(3600);

impl Worker {
    pub(super) fn open_source(&mut self, id: TrackId, parameters: &SourceParameters) -> Result<(), CommandError> {
        let track = parameters.track_parameters();
        let writer = Writer::new(parameters.codec.clone(), &mut self.random).ok_or(CommandError::InvalidArgument)?;
        let slot = self.add_track(id, Origin::Source, track)?;
        let track = &mut self.objects.tracks[slot];
        track.encodings[0].ssrc = writer.ssrc;
        track.writer = Some(Box::new(writer));
        Ok(())
    }

    /// Cuts a frame into packets and lets them flow.
    pub(super) fn write_frame(&mut self, now: Instant, id: TrackId, frame: &WrittenFrame) -> Result<(), CommandError> {
        let slot = self.objects.track(id)?;
        let track = &mut self.objects.tracks[slot];
        let mut writer = track.writer.take().ok_or(CommandError::InvalidState)?;
        let packets = writer.begin(frame);
        let timestamp = frame.timestamp as u32;
        let point = frame.wallclock.and_then(|unix| self.ntp.instant(now, unix, MAX_CLOCK_DISTANCE));
        if let (Some(instant), Ok(_)) = (point, packets) {
            track.encodings[0].clock = Some(ClockPoint { instant, rtp_timestamp: timestamp });
            if writer.tells_clock(now) {
                self.export_clocks(slot);
            }
        }
        let generation = self.objects.tracks[slot].encodings[0].generation;
        let (payload_type, codec) = (writer.codec.payload_type, writer.codec.codec);
        for index in 0..packets.unwrap_or(0) {
            let (sequence, marker, plaintext) = writer.packet(index, timestamp);
            let payload = &plaintext[HEADER_LEN..];
            let packet = Packet {
                start: 0,
                header_len: HEADER_LEN as u16,
                payload_len: payload.len() as u16,
                source: Source { encoding: 0, generation },
                payload_type,
                marker,
                key_frame: codec.is_key_frame_start(payload).unwrap_or(true),
                late_key_frame: false,
                sequence,
                timestamp,
                arrival: now,
                elements: [Element::NONE; COPIED.len()],
                pictures: pictures(codec, payload),
                dependency_frame: None,
                layers: LayerTag::NONE,
            };
            self.forward(now, slot, packet, true, plaintext);
        }
        self.objects.tracks[slot].writer = Some(writer);
        packets.map(|_| ()).map_err(|_| CommandError::InvalidArgument)
    }
}

impl Track {
    /// Counts a request for a key frame; the id, for the event.
    pub fn needs_key_frame(&mut self) -> TrackId {
        if let Some(writer) = &mut self.writer {
            writer.counters.key_frames_needed += 1;
        }
        self.id
    }
}
