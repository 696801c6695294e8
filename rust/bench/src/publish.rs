//! A publisher without WebRTC: VP8 packets of 1200 bytes, encrypted beforehand, sent in bursts.
//!
//! It is its own last viewer: a burst follows when the one before has come back, so that the gateway is always busy and
//! two bursts never meet in its socket.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use live777_media::srtp::{MasterKey, Outbound, Profile};
use socket2::{SockAddr, Socket};

use crate::segmented::Segments;
use crate::{Arguments, invalid};

const PACKET: usize = 1200;
const HEADER: usize = 12;
const TAG_ROOM: usize = 16;
const PAYLOAD_TYPE: u8 = 96;
const SSRC: u32 = 0x7770_0001;
/// RTP clock of video (90 kHz) between two bursts, as if each were a frame of 30 a second.
const FRAME_TICKS: u32 = 3000;
/// VP8 payload descriptor with its S bit, then the start of a key frame of 640x360 (RFC 7741 section 4.3).
const KEY_FRAME: [u8; 11] = [0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01];
/// Payload descriptor of a packet that continues a frame.
const CONTINUED: u8 = 0x00;

/// How long a burst may be under way.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends, then prints how many packets it was and how long it took.
pub fn run(arguments: &mut Arguments) -> io::Result<()> {
    let profile: String = arguments.next("PROFILE")?;
    let profile = Profile::from_name(&profile).ok_or_else(|| invalid("PROFILE is not known"))?;
    let key = unhex(&arguments.next::<String>("KEY_HEX")?)?;
    let salt = unhex(&arguments.next::<String>("SALT_HEX")?)?;
    let to: SocketAddr = arguments.next("TO")?;
    let first_sequence: u16 = arguments.next("FIRST_SEQUENCE")?;
    let burst: usize = arguments.next("BURST")?;
    let bursts: usize = arguments.next("BURSTS")?;

    let mut socket = Socket::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let to = SockAddr::from(to);
    let mut outbound =
        Outbound::new(profile, &MasterKey::new(&key, &salt)).map_err(|error| invalid(&error.to_string()))?;
    let mut wire_length = 0;
    let mut runs = Vec::with_capacity(bursts);
    for index in 0..bursts {
        let mut run = Vec::with_capacity(burst * (PACKET + TAG_ROOM));
        for position in 0..burst {
            let sequence = usize::from(first_sequence) + index * burst + position;
            let mut packet = packet(sequence as u16, index as u32 * FRAME_TICKS, position, burst);
            wire_length = outbound.seal_rtp(&mut packet, HEADER, PACKET, sequence as u64);
            run.extend_from_slice(&packet[..wire_length]);
        }
        runs.push(run);
    }

    let segments = Segments::of(u16::try_from(wire_length).map_err(|_| invalid("BURSTS is zero"))?);
    let start = Instant::now();
    for run in &runs {
        if burst > 1 {
            segments.send(&socket, &to, run)?
        } else {
            socket.send_to(run, &to)?
        };
        await_return(&mut socket, burst)?;
    }
    println!(r#"{{"packets":{},"seconds":{:.4}}}"#, burst * bursts, start.elapsed().as_secs_f64());
    Ok(())
}

/// Reads until so many media packets have come; RTCP and STUN do not count.
fn await_return(socket: &mut Socket, packets: usize) -> io::Result<()> {
    let mut buffer = [0; 2048];
    let mut missing = packets;
    while missing > 0 {
        let length = socket.read(&mut buffer).map_err(|_| io::Error::other("a burst did not come back"))?;
        if length > 1 && buffer[1] & 0x7f == PAYLOAD_TYPE {
            missing -= 1;
        }
    }
    Ok(())
}

/// One packet of a frame of `burst` packets; every frame is a key frame.
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
