//! The floor: the same datagrams to the same kind of receivers, and nothing but the system calls.
//!
//! The receivers have the smallest buffer the kernel gives and are never read, so that a datagram is delivered and then
//! dropped, and no reader's wake-up is charged to the sender.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::Arguments;
use crate::clock::thread_cpu_time;
use crate::segmented::Segments;

/// A 1200-byte RTP packet with the tag of GCM.
const DATAGRAM: usize = 1216;
const BURSTS: [usize; 3] = [1, 4, 12];
/// Long enough for the clock, short enough to fall between the neighbours' bursts of work.
const PACKETS_PER_TRIAL: usize = 12_000;
const TRIALS: usize = 7;

/// `RECEIVERS ROUNDS`: prints the median of all trials, nanoseconds a packet.
pub fn run(arguments: &mut Arguments) -> io::Result<()> {
    let receivers: usize = arguments.next("RECEIVERS")?;
    let rounds: usize = arguments.next("ROUNDS")?;
    let loopback = SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let bind = || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        socket.bind(&loopback)?;
        io::Result::Ok(socket)
    };
    let sinks = (0..receivers).map(|_| bind()).collect::<io::Result<Vec<_>>>()?;
    let mut targets = Vec::with_capacity(receivers);
    for sink in &sinks {
        sink.set_recv_buffer_size(1)?;
        targets.push(sink.local_addr()?);
    }
    let sender = bind()?;
    let run = vec![0x80; DATAGRAM * BURSTS[BURSTS.len() - 1]];

    let mut rows = Vec::new();
    for burst in BURSTS {
        let run = &run[..DATAGRAM * burst];
        let sendto = median(rounds, || {
            each(&targets, burst, |to| {
                for datagram in run.chunks(DATAGRAM) {
                    sender.send_to(datagram, to)?;
                }
                Ok(())
            })
        })?;
        rows.push(row("sendto", burst, sendto));
        if burst > 1 {
            let segments = Segments::of(DATAGRAM);
            let gso = median(rounds, || each(&targets, burst, |to| segments.send(&sender, to, run).map(|_| ())))?;
            rows.push(row("gso", burst, gso));
        }
    }
    println!("[{}]", rows.join(","));
    Ok(())
}

fn row(method: &str, burst: usize, nanoseconds: f64) -> String {
    format!(r#"{{"method":"{method}","burst":{burst},"ns_per_packet":{nanoseconds:.1}}}"#)
}

/// Sends bursts to one target after the other; the thread's nanoseconds a packet.
fn each(targets: &[SockAddr], burst: usize, mut send: impl FnMut(&SockAddr) -> io::Result<()>) -> io::Result<f64> {
    let bursts = PACKETS_PER_TRIAL / burst;
    let start = thread_cpu_time();
    for to in targets.iter().cycle().take(bursts) {
        send(to)?;
    }
    Ok((thread_cpu_time() - start).as_nanos() as f64 / (bursts * burst) as f64)
}

fn median(rounds: usize, mut trial: impl FnMut() -> io::Result<f64>) -> io::Result<f64> {
    trial()?;
    let mut results = (0..rounds * TRIALS).map(|_| trial()).collect::<io::Result<Vec<_>>>()?;
    results.sort_by(f64::total_cmp);
    Ok(results[results.len() / 2])
}
