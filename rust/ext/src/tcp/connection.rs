//! One connection: its bytes, in and out.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use live777_media::framing::{self, Deframer, framed_len};
use socket2::Socket;

use super::Queued;

/// Bytes that wait for a peer to read on: about a second of a good picture. Later ones are of no use to it.
const OUTPUT_LIMIT: usize = 512 << 10;
/// Of its memory that a connection keeps when nothing waits.
const OUTPUT_KEPT: usize = 64 << 10;
/// Unsent bytes that the kernel takes: what is in its hands cannot be dropped any more, and is late for every peer that
/// reads slowly.
const UNSENT_LIMIT: u32 = 128 << 10;
/// Reads in a row before others have their turn.
const READ_LIMIT: usize = 8;

/// What reading has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Open,
    /// The peer has closed it, or the network.
    Ended,
    /// It is no stream of datagrams.
    Nonsense,
}

pub struct Connection {
    socket: Socket,
    pub remote: SocketAddr,
    /// Number of the listener that it was made to.
    pub listener: u8,
    /// Its peer is known to the worker.
    pub proven: bool,
    /// The worker has let go of it: what waits is still sent, what comes is not read.
    pub leaving: bool,
    /// It is in the list of those that have something to send.
    pub dirty: bool,
    /// It is watched for room.
    pub waits: bool,
    input: Deframer,
    output: Vec<u8>,
    /// Bytes of `output` that have left.
    sent: usize,
}

impl Connection {
    pub fn new(socket: Socket, listener: u8, remote: SocketAddr) -> Self {
        // Both only make it quicker.
        let _ = socket.set_tcp_nodelay(true);
        let _ = socket.set_tcp_notsent_lowat(UNSENT_LIMIT);
        Self {
            socket,
            remote,
            listener,
            proven: false,
            leaving: false,
            dirty: false,
            waits: false,
            input: Deframer::default(),
            output: Vec::new(),
            sent: 0,
        }
    }

    /// Reads what is there, up to a bound.
    pub fn receive(&mut self, buffer: &mut [u8], mut take: impl FnMut(&mut [u8])) -> Stream {
        for _ in 0..READ_LIMIT {
            match read(&self.socket, buffer) {
                Ok(0) => return Stream::Ended,
                Ok(_) if self.leaving => {}
                Ok(length) => {
                    if self.input.push(&mut buffer[..length], &mut take).is_err() {
                        return Stream::Nonsense;
                    }
                    if length < buffer.len() {
                        return Stream::Open;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Stream::Open,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Stream::Ended,
            }
        }
        Stream::Open
    }

    #[cfg(test)]
    pub fn output_memory(&self) -> usize {
        self.output.capacity()
    }

    pub fn has_output(&self) -> bool {
        self.sent < self.output.len()
    }

    /// Queues datagrams of `segment` bytes each, the last may be shorter: whole ones, or none.
    pub fn queue(&mut self, datagrams: &[u8], segment: usize) -> Queued {
        let mut queued = Queued::default();
        for datagram in datagrams.chunks(segment.max(1)) {
            queued.datagrams += 1;
            if self.output.len() - self.sent + framed_len(datagram.len()) > OUTPUT_LIMIT {
                queued.dropped += 1;
            } else {
                framing::append(&mut self.output, datagram);
            }
        }
        queued
    }

    /// Writes as much as the kernel takes.
    ///
    /// # Errors
    /// What send(2) says, fullness excepted: the connection is broken.
    pub fn send(&mut self) -> io::Result<()> {
        while self.has_output() {
            match self.socket.send_with_flags(&self.output[self.sent..], libc::MSG_NOSIGNAL) {
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Moved to the front once it is more than what is left: each byte a few times at most.
                    if self.sent > self.output.len() / 2 {
                        self.output.drain(..self.sent);
                        self.sent = 0;
                    }
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.output.shrink_to(OUTPUT_KEPT);
        self.sent = 0;
        Ok(())
    }
}

fn read(mut socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    io::Read::read(&mut socket, buffer)
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
