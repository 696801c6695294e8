//! To which encoding an SSRC belongs that the SDP did not name.

use std::time::{Duration, Instant};

use crate::egress::burst::{COPIED, Element};
use crate::rtp::{ExtensionKind, ExtensionMap, Header};
use crate::transport::bindings::Binding;
use crate::transport::ignored::Reason;
use crate::worker::Worker;

/// An SSRC takes over an encoding from another one that has been silent for this long.
const TAKEOVER: Duration = Duration::from_millis(200);

/// What the header extensions of a packet say, found in one walk.
#[derive(Default)]
pub(super) struct Extensions {
    pub copied: [Element; COPIED.len()],
    pub mid: Option<(usize, usize)>,
    pub rid: Option<(usize, usize)>,
    pub repaired_rid: Option<(usize, usize)>,
    pub transport_sequence: Option<u16>,
}

impl Extensions {
    /// Walks the elements of a packet.
    pub fn find(header: &Header, packet: &[u8], ids: &ExtensionMap) -> Extensions {
        let mut found = Extensions::default();
        for (id, start, data) in header.elements(packet) {
            let Some(kind) = ids.kind(id) else { continue };
            let range = Some((start, start + data.len()));
            match kind {
                ExtensionKind::Mid => found.mid = range,
                ExtensionKind::Rid => found.rid = range,
                ExtensionKind::RepairedRid => found.repaired_rid = range,
                ExtensionKind::TransportCc => {
                    found.transport_sequence = data.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
                }
                _ => {
                    if let Some(kind) = COPIED.iter().position(|copied| *copied == kind) {
                        let len = data.len() as u8;
                        found.copied[kind] = Element { kind: kind as u8, offset: start as u16, len };
                    }
                }
            }
        }
        found
    }
}

impl Worker {
    /// Finds the encoding of an SSRC that the SDP did not name: by RID, then by MID, then by payload type.
    pub(super) fn learn(
        &mut self,
        now: Instant,
        slot: usize,
        header: &Header,
        packet: &[u8],
        extensions: &Extensions,
    ) -> Result<Binding, Reason> {
        let transport = &self.objects.transports[slot];
        let text = |range: Option<(usize, usize)>| {
            range.and_then(|(start, end)| std::str::from_utf8(&packet[start..end]).ok())
        };
        let mid = text(extensions.mid);
        let rid = text(extensions.rid).or(text(extensions.repaired_rid));
        let mut found = None;
        for &slot in &transport.tracks {
            let track = &self.objects.tracks[slot];
            if mid.is_some() && track.mid.is_some() && track.mid.as_deref() != mid {
                continue;
            }
            let rtx = track.codec_of_rtx(header.payload_type).is_some();
            if !rtx && track.codec(header.payload_type).is_none() {
                continue;
            }
            let encoding = match rid {
                Some(rid) => track.encoding_of(rid),
                None => self.nameless(now, slot, rtx),
            };
            // A rid names a layer of simulcast; a single encoding may be sent with one that nobody asked for.
            let encoding = encoding.or((track.encodings.len() == 1).then_some(0));
            if let Some(encoding) = encoding {
                found = Some(Binding { track: slot, encoding, rtx });
                break;
            }
        }
        let binding = found.ok_or(Reason::UnknownSource)?;
        let track = &mut self.objects.tracks[binding.track];
        let encoding = &mut track.encodings[usize::from(binding.encoding)];
        let silent = encoding.heard.is_none_or(|heard| now.saturating_duration_since(heard) >= TAKEOVER);
        let transport = &mut self.objects.transports[slot];
        let bound = transport.bindings.ssrc(binding.track, binding.encoding, binding.rtx);
        if bound.is_some() && !binding.rtx {
            if !silent {
                return Err(Reason::UnknownSource);
            }
            if encoding.heard.is_some() {
                encoding.restart();
            }
        }
        if transport.bindings.bind(header.ssrc, binding) { Ok(binding) } else { Err(Reason::TooManySources) }
    }

    /// The encoding of a packet without rid: the only one, or the first that has no SSRC yet.
    fn nameless(&self, now: Instant, track: usize, rtx: bool) -> Option<u8> {
        let track_state = &self.objects.tracks[track];
        let transport = &self.objects.transports[track_state.transport()?];
        let candidates = track_state.encodings.iter().enumerate();
        let free = candidates.clone().find(|(index, encoding)| {
            encoding.rid.is_none() && transport.bindings.ssrc(track, *index as u8, rtx).is_none()
        });
        let silent = || {
            candidates.clone().find(|(_, encoding)| {
                encoding.rid.is_none()
                    && encoding.heard.is_none_or(|heard| now.saturating_duration_since(heard) >= TAKEOVER)
            })
        };
        free.or_else(silent).map(|(index, _)| index as u8)
    }
}
