//! A publisher without WebRTC: video encrypted beforehand, sent in bursts.
//!
//! It is its own last viewer: a burst follows when the one before has come back, so that the gateway is always busy and
//! two bursts never meet in its socket.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use socket2::{SockAddr, Socket};

use crate::segmented::Segments;
use crate::video::{PAYLOAD_TYPE, Video};
use crate::{Arguments, invalid};

/// How long a burst may be under way.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends, then prints how many packets it was and how long it took.
pub fn run(arguments: &mut Arguments) -> io::Result<()> {
    let profile: String = arguments.next("PROFILE")?;
    let key: String = arguments.next("KEY_HEX")?;
    let salt: String = arguments.next("SALT_HEX")?;
    let to: SocketAddr = arguments.next("TO")?;
    let mut video = Video::new(&profile, &key, &salt, arguments.next("FIRST_SEQUENCE")?)?;
    let burst: usize = arguments.next("BURST")?;
    let bursts: usize = arguments.next("BURSTS")?;

    let mut socket = Socket::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let to = SockAddr::from(to);
    let runs: Vec<_> = (0..bursts).map(|_| video.frame(burst)).collect();
    let (_, wire_length) = runs.first().ok_or_else(|| invalid("BURSTS is zero"))?;
    let segments = Segments::of(*wire_length);

    let start = Instant::now();
    for (run, _) in &runs {
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
