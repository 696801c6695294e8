//! VP8 without a picture: encrypted RTP packets of one size, as a publisher sends them.

use std::io;

use live777_media::srtp::{MasterKey, Outbound, Profile};

use crate::invalid;

/// Of all video packets here.
pub const PAYLOAD_TYPE: u8 = 96;

const PACKET: usize = 1200;
const HEADER: usize = 12;
const TAG_ROOM: usize = 16;
const SSRC: u32 = 0x7770_0001;
/// RTP clock of video (90 kHz) between two frames, 30 a second.
const FRAME_TICKS: u32 = 3000;
/// VP8 payload descriptor with its S bit, then the start of a key frame of 640x360 (RFC 7741 section 4.3).
const KEY_FRAME: [u8; 11] = [0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01];
/// Payload descriptor of a packet that continues a frame.
const CONTINUED: u8 = 0x00;

/// The frames of one publisher, in order.
pub struct Video {
    outbound: Outbound,
    index: u64,
    timestamp: u32,
}

impl Video {
    /// # Errors
    /// When the profile is unknown or the key does not fit it.
    pub fn new(profile: &str, key: &str, salt: &str, first_sequence: u16) -> io::Result<Self> {
        let profile = Profile::from_name(profile).ok_or_else(|| invalid("PROFILE is not known"))?;
        let key = MasterKey::new(&unhex(key)?, &unhex(salt)?);
        let outbound = Outbound::new(profile, &key).map_err(|error| invalid(&error.to_string()))?;
        Ok(Self { outbound, index: first_sequence.into(), timestamp: u32::from(first_sequence) * FRAME_TICKS })
    }

    /// The next frame, of so many packets, and the length of each on the wire. Every frame is a key frame.
    pub fn frame(&mut self, packets: usize) -> (Vec<u8>, usize) {
        let mut run = Vec::with_capacity(packets * (PACKET + TAG_ROOM));
        let mut wire_length = 0;
        for position in 0..packets {
            let mut packet = packet(self.index as u16, self.timestamp, position, packets);
            wire_length = self.outbound.seal_rtp(&mut packet, HEADER, PACKET, self.index);
            run.extend_from_slice(&packet[..wire_length]);
            self.index += 1;
        }
        self.timestamp = self.timestamp.wrapping_add(FRAME_TICKS);
        (run, wire_length)
    }
}

fn packet(sequence: u16, timestamp: u32, position: usize, burst: usize) -> [u8; PACKET + TAG_ROOM] {
    let mut packet = [0x5a; PACKET + TAG_ROOM];
    let marker = if position + 1 == burst { 0x80 } else { 0 };
    packet[0] = 0x80;
    packet[1] = marker | PAYLOAD_TYPE;
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
    packet[8..12].copy_from_slice(&SSRC.to_be_bytes());
    if position == 0 {
        packet[HEADER..HEADER + KEY_FRAME.len()].copy_from_slice(&KEY_FRAME);
    } else {
        packet[HEADER] = CONTINUED;
    }
    packet
}

fn unhex(text: &str) -> io::Result<Vec<u8>> {
    let digit = |index: usize| text.get(index..index + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..text.len()).step_by(2).map(|index| digit(index).ok_or_else(|| invalid("not hexadecimal"))).collect()
}
