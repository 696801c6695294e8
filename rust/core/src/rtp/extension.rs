//! RTP header extensions (RFC 8285): which ones are known, and the elements of a packet in either form.

/// The extensions that the engine reads, writes or carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExtensionKind {
    /// RFC 9143.
    Mid,
    /// RFC 8852.
    Rid,
    /// RFC 8852, of a retransmission.
    RepairedRid,
    /// draft-holmer-rmcat-transport-wide-cc-extensions-01.
    TransportCc,
    /// libwebrtc's abs-send-time.
    AbsSendTime,
    /// RFC 6464.
    AudioLevel,
    /// AV1 RTP specification, appendix A.
    DependencyDescriptor,
    /// 3GPP TS 26.114.
    VideoOrientation,
    /// libwebrtc's playout-delay.
    PlayoutDelay,
    /// RFC 9626.
    FrameMarking,
}

const URIS: [(ExtensionKind, &str); 10] = [
    (ExtensionKind::Mid, "urn:ietf:params:rtp-hdrext:sdes:mid"),
    (ExtensionKind::Rid, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"),
    (ExtensionKind::RepairedRid, "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"),
    (ExtensionKind::TransportCc, "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"),
    (ExtensionKind::AbsSendTime, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"),
    (ExtensionKind::AudioLevel, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
    (
        ExtensionKind::DependencyDescriptor,
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
    ),
    (ExtensionKind::VideoOrientation, "urn:3gpp:video-orientation"),
    (ExtensionKind::PlayoutDelay, "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"),
    (ExtensionKind::FrameMarking, "urn:ietf:params:rtp-hdrext:framemarking"),
];

impl ExtensionKind {
    /// `None` for an extension that the engine does not know.
    pub fn from_uri(uri: &str) -> Option<ExtensionKind> {
        URIS.iter().find(|(_, known)| *known == uri).map(|(kind, _)| *kind)
    }

    /// The URI in `a=extmap`.
    pub fn uri(self) -> &'static str {
        URIS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, uri)| uri)
    }
}

/// Extension ids of one m-section. Ids above 15 occur in the two-byte form only; they are looked up all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionMap(Vec<(u8, ExtensionKind)>);

impl ExtensionMap {
    /// Later entries with an id that is taken are ignored.
    pub fn new(entries: &[(u8, ExtensionKind)]) -> ExtensionMap {
        let mut map = ExtensionMap::default();
        for &(id, kind) in entries {
            if map.kind(id).is_none() {
                map.0.push((id, kind));
            }
        }
        map
    }

    /// What an id stands for.
    pub fn kind(&self, id: u8) -> Option<ExtensionKind> {
        self.0.iter().find(|(known, _)| *known == id).map(|(_, kind)| *kind)
    }

    /// The id of an extension.
    pub fn id(&self, kind: ExtensionKind) -> Option<u8> {
        self.0.iter().find(|(_, known)| *known == kind).map(|(id, _)| *id)
    }
}

/// Elements as `(id, offset in the packet, data)`. A malformed element ends the iteration; earlier ones count.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    packet: &'a [u8],
    at: usize,
    end: usize,
    two_byte: bool,
}

impl<'a> Elements<'a> {
    pub(super) fn new(packet: &'a [u8], profile: u16, start: usize, len: usize) -> Elements<'a> {
        // RFC 8285 section 4.3: the low four bits of the two-byte profile are the application's.
        let two_byte = profile & 0xfff0 == 0x1000;
        let known = two_byte || profile == 0xbede;
        let end = if known { start + len } else { start }.min(packet.len());
        Elements { packet, at: start, end, two_byte }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let first = *self.packet[..self.end].get(self.at)?;
            let (id, len, data) = if self.two_byte {
                if first == 0 {
                    self.at += 1;
                    continue;
                }
                (first, usize::from(*self.packet[..self.end].get(self.at + 1)?), self.at + 2)
            } else {
                match first >> 4 {
                    0 => {
                        // Padding is a zero byte; a zero id with a length is skipped with its data.
                        self.at += if first == 0 { 1 } else { 2 + usize::from(first & 0x0f) };
                        continue;
                    }
                    15 => return None,
                    id => (id, usize::from(first & 0x0f) + 1, self.at + 1),
                }
            };
            self.at = data + len;
            return Some((id, data, self.packet[..self.end].get(data..data + len)?));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(profile: u16, body: &[u8]) -> Vec<(u8, Vec<u8>)> {
        Elements::new(body, profile, 0, body.len()).map(|(id, _, data)| (id, data.to_vec())).collect()
    }

    #[test]
    fn one_byte_form_with_padding() {
        let body = [0x10, 0xaa, 0x00, 0x22, 1, 2, 3, 0x00];
        assert_eq!(elements(0xbede, &body), [(1, vec![0xaa]), (2, vec![1, 2, 3])]);
    }

    #[test]
    fn id_15_ends_the_one_byte_form() {
        assert_eq!(elements(0xbede, &[0x10, 1, 0xf0, 2, 0x20, 3]), [(1, vec![1])]);
    }

    #[test]
    fn two_byte_form_with_application_bits_and_an_empty_element() {
        let body = [16, 2, 1, 2, 0, 3, 0, 5, 1, 9];
        assert_eq!(elements(0x1007, &body), [(16, vec![1, 2]), (3, vec![]), (5, vec![9])]);
    }

    #[test]
    fn a_length_past_the_end_ends_it() {
        assert_eq!(elements(0xbede, &[0x10, 7, 0x2f, 1, 2]), [(1, vec![7])]);
        assert_eq!(elements(0x1000, &[1, 200, 1]), []);
        assert_eq!(elements(0x1000, &[1]), []);
    }

    #[test]
    fn an_unknown_profile_has_no_elements() {
        assert_eq!(elements(0xabcd, &[0x10, 7]), []);
    }

    #[test]
    fn a_packet_that_was_cut_after_its_header_was_read() {
        for profile in [0xbede, 0x1000, 0xabcd] {
            assert_eq!(Elements::new(&[1, 2], profile, 20, 8).count(), 0);
        }
    }

    #[test]
    fn every_kind_has_its_uri() {
        for (kind, uri) in URIS {
            assert_eq!(ExtensionKind::from_uri(uri), Some(kind));
            assert_eq!(kind.uri(), uri);
        }
    }
}
