//! One UDP GSO message, as the engine's shell sends it.

use std::io::{self, IoSlice};
use std::mem::size_of;

use socket2::{MsgHdr, SockAddr, Socket};

const HEADER: usize = size_of::<libc::cmsghdr>();

/// The UDP_SEGMENT control message for datagrams of one size.
pub struct Segments([u8; HEADER + size_of::<usize>()]);

impl Segments {
    /// Datagrams of `size` bytes.
    pub fn of(size: usize) -> Self {
        let size = u16::try_from(size).expect("no datagram is longer");
        let mut bytes = [0; HEADER + size_of::<usize>()];
        bytes[..size_of::<usize>()].copy_from_slice(&(HEADER + size_of::<u16>()).to_ne_bytes());
        bytes[HEADER - 8..HEADER - 4].copy_from_slice(&libc::SOL_UDP.to_ne_bytes());
        bytes[HEADER - 4..HEADER].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
        bytes[HEADER..HEADER + size_of::<u16>()].copy_from_slice(&size.to_ne_bytes());
        Self(bytes)
    }

    /// Sends a run of such datagrams.
    ///
    /// # Errors
    /// What sendmsg(2) says.
    pub fn send(&self, socket: &Socket, to: &SockAddr, datagrams: &[u8]) -> io::Result<usize> {
        let data = [IoSlice::new(datagrams)];
        socket.sendmsg(&MsgHdr::new().with_addr(to).with_buffers(&data).with_control(&self.0), 0)
    }
}
