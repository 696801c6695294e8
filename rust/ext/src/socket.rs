//! One UDP socket of a worker: non-blocking, large buffers, UDP_GRO on receive, UDP_SEGMENT (GSO) on send.

#![allow(unsafe_code)]

use std::io::{self, IoSlice};
use std::mem::size_of;
use std::net::SocketAddr;
use std::ops::AddAssign;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use socket2::{Domain, MsgHdr, Protocol, SockAddr, Socket, Type};

use crate::os::wait_writable;

/// Holds the largest UDP datagram and the largest run that UDP_GRO hands over.
pub const RECEIVE_BUFFER: usize = 65_536;

/// What we ask of the kernel; it grants less where `net.core.[rw]mem_max` says so.
const KERNEL_BUFFER: usize = 8 << 20;

/// Room for one control message that carries an int; aligned as cmsghdr wants it.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// One read: a datagram, or a run of datagrams of `segment` bytes each from one sender, the last may be shorter.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    pub remote: SocketAddr,
    pub length: usize,
    pub segment: usize,
}

/// What became of the datagrams of one `send`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub datagrams: u64,
    pub calls: u64,
    pub errors: u64,
}

impl AddAssign for Sent {
    fn add_assign(&mut self, other: Self) {
        self.datagrams += other.datagrams;
        self.calls += other.calls;
        self.errors += other.errors;
    }
}

/// How far segmentation offload is to be trusted on this socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offload {
    /// The kernel knows the option; no run has left yet.
    Probed,
    /// A run has left: a later EINVAL or EMSGSIZE speaks of one path's MTU, not of this kernel.
    Proven,
    /// Refused once by kernel or device; never asked again.
    Refused,
}

/// How long a full send buffer may hold up the thread: at 1 Gbit/s the kernel frees half a megabyte in that time.
const SEND_PATIENCE: Duration = Duration::from_millis(5);

pub struct UdpSocket {
    socket: Socket,
    local: SocketAddr,
    offload: Offload,
    /// The last wait for room in the send buffer was in vain: nobody waits again until a datagram has left.
    congested: bool,
}

impl UdpSocket {
    /// Binds without address reuse: a port in use is an error, never a shared one.
    ///
    /// # Errors
    /// What socket(2), bind(2) or getsockname(2) say.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.set_recv_buffer_size(KERNEL_BUFFER)?;
        socket.set_send_buffer_size(KERNEL_BUFFER)?;
        socket.bind(&address.into())?;
        let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        // A kernel without GRO delivers datagrams one by one, which is all that is lost.
        let _ = set_option(&socket, libc::UDP_GRO, 1);
        let offload =
            if set_option(&socket, libc::UDP_SEGMENT, 0).is_ok() { Offload::Probed } else { Offload::Refused };
        Ok(Self { socket, local, offload, congested: false })
    }

    /// One more socket on the address of each of these, on a port that the system chooses.
    ///
    /// # Errors
    /// See [`UdpSocket::bind`]; none is bound then.
    pub fn bind_beside(addresses: &[SocketAddr]) -> io::Result<Vec<Self>> {
        let any_port = |&(mut address): &SocketAddr| {
            address.set_port(0);
            Self::bind(address)
        };
        addresses.iter().map(any_port).collect()
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether runs leave as one message.
    pub fn uses_gso(&self) -> bool {
        self.offload != Offload::Refused
    }

    /// Reads one datagram or one GRO run. `None`: it was longer than the buffer and is lost.
    ///
    /// # Errors
    /// What recvmsg(2) says; WouldBlock when the socket is dry.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        let mut control = Control([0; 64]);
        let mut data = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: all-zero is a valid msghdr; every pointer put into it refers to a live local or to `buffer` with its
        // true length, and recvmsg writes no further. `try_init` is told the length of the name that was written.
        let ((length, message), remote) = unsafe {
            SockAddr::try_init(|name, name_length| {
                let mut message: libc::msghdr = std::mem::zeroed();
                message.msg_name = name.cast();
                message.msg_namelen = *name_length;
                message.msg_iov = &raw mut data;
                message.msg_iovlen = 1;
                message.msg_control = control.0.as_mut_ptr().cast();
                message.msg_controllen = control.0.len() as _;
                let length = libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, 0);
                *name_length = message.msg_namelen;
                usize::try_from(length).map(|length| (length, message)).map_err(|_| io::Error::last_os_error())
            })?
        };
        let Some(remote) = remote.as_socket() else { return Ok(None) };
        if message.msg_flags & libc::MSG_TRUNC != 0 {
            return Ok(None);
        }
        // SAFETY: `message` is as recvmsg left it and `control`, which it points into, is alive.
        let segment = unsafe { coalesced_size(&message) };
        Ok(Some(Received { remote, length, segment: segment.filter(|&size| size > 0).unwrap_or(length) }))
    }

    /// Sends datagrams of `segment` bytes each (the last may be shorter) to one address: as one message where the
    /// kernel segments, else one by one. Nothing that goes wrong is fatal to UDP: it is counted.
    pub fn send(&mut self, remote: SocketAddr, datagrams: &[u8], segment: usize) -> Sent {
        let name = SockAddr::from(remote);
        let mut sent = Sent::default();
        if datagrams.len() > segment && self.uses_gso() {
            sent.calls += 1;
            match self.with_patience(|socket| send_segmented(socket, &name, datagrams, segment)) {
                Ok(()) => {
                    self.offload = Offload::Proven;
                    sent.datagrams += datagrams.len().div_ceil(segment) as u64;
                    return sent;
                }
                Err(error) if !is_refusal(&error) => {
                    sent.errors += datagrams.len().div_ceil(segment) as u64;
                    return sent;
                }
                Err(error) => {
                    let one_path = matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EMSGSIZE));
                    if !(one_path && self.offload == Offload::Proven) {
                        self.offload = Offload::Refused;
                    }
                }
            }
        }
        for datagram in datagrams.chunks(segment.max(1)) {
            sent.calls += 1;
            match self.with_patience(|socket| socket.send_to(datagram, &name)) {
                Ok(_) => sent.datagrams += 1,
                Err(_) => sent.errors += 1,
            }
        }
        sent
    }
}

impl UdpSocket {
    /// Sends; where the kernel's buffer is full, waits a little and tries once more.
    fn with_patience<T>(&mut self, mut send: impl FnMut(&Socket) -> io::Result<T>) -> io::Result<T> {
        let mut result = send(&self.socket);
        if is_full(&result) && !self.congested {
            wait_writable(self.socket.as_raw_fd(), SEND_PATIENCE);
            result = send(&self.socket);
        }
        self.congested = is_full(&result);
        result
    }
}

fn is_full<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Errors by which a kernel or a device says that it cannot segment (or not this size), the datagrams being unsent.
fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINVAL | libc::EIO | libc::ENOPROTOOPT | libc::EOPNOTSUPP | libc::EMSGSIZE)
    )
}

fn set_option(socket: &Socket, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("an int has four bytes");
    // SAFETY: the value pointed at is an int and its size is passed.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, option, (&raw const value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The segment size of a GRO run.
///
/// # Safety
/// `message` must have been filled by recvmsg and its control buffer must be alive.
unsafe fn coalesced_size(message: &libc::msghdr) -> Option<usize> {
    // SAFETY: the macros walk only within msg_controllen, which the kernel has set.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while let Some(found) = header.as_ref() {
            if found.cmsg_level == libc::SOL_UDP && found.cmsg_type == libc::UDP_GRO {
                let size = libc::CMSG_DATA(header).cast::<libc::c_int>().read_unaligned();
                return usize::try_from(size).ok();
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    None
}

/// One sendmsg(2) that the kernel, or the device, splits into datagrams of `segment` bytes.
fn send_segmented(socket: &Socket, name: &SockAddr, datagrams: &[u8], segment: usize) -> io::Result<()> {
    let segment = u16::try_from(segment).map_err(|_| io::Error::from_raw_os_error(libc::EMSGSIZE))?;
    let data = [IoSlice::new(datagrams)];
    let control = segment_message(segment);
    socket.sendmsg(&MsgHdr::new().with_addr(name).with_buffers(&data).with_control(&control), 0).map(|_| ())
}

/// The bytes of a UDP_SEGMENT control message: cmsghdr, then a u16, padded to a whole number of words.
fn segment_message(segment: u16) -> [u8; size_of::<libc::cmsghdr>() + size_of::<usize>()] {
    const HEADER: usize = size_of::<libc::cmsghdr>();
    let mut bytes = [0; HEADER + size_of::<usize>()];
    bytes[..size_of::<usize>()].copy_from_slice(&(HEADER + size_of::<u16>()).to_ne_bytes());
    bytes[HEADER - 8..HEADER - 4].copy_from_slice(&libc::SOL_UDP.to_ne_bytes());
    bytes[HEADER - 4..HEADER].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
    bytes[HEADER..HEADER + size_of::<u16>()].copy_from_slice(&segment.to_ne_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::os::Poller;

    const LOOPBACK: &str = "127.0.0.1:0";

    fn pair() -> (UdpSocket, UdpSocket) {
        let address = LOOPBACK.parse().expect("an address");
        (UdpSocket::bind(address).expect("bound"), UdpSocket::bind(address).expect("bound"))
    }

    /// Everything that arrives until `count` datagrams are there.
    fn collect(socket: &UdpSocket, count: usize) -> Vec<Vec<u8>> {
        let mut buffer = vec![0; RECEIVE_BUFFER];
        let mut datagrams = Vec::new();
        let mut poller = Poller::new([socket.as_raw_fd()]);
        let deadline = Instant::now() + Duration::from_secs(5);
        while datagrams.len() < count {
            poller.wait(Some(deadline.saturating_duration_since(Instant::now()))).expect("ppoll works");
            assert!(poller.is_ready(0), "{} of {count} datagrams came", datagrams.len());
            while let Ok(Some(run)) = socket.receive(&mut buffer) {
                datagrams.extend(buffer[..run.length].chunks(run.segment).map(<[u8]>::to_vec));
            }
        }
        datagrams
    }

    fn run_of(lengths: &[usize]) -> Vec<u8> {
        lengths.iter().enumerate().flat_map(|(index, &length)| vec![index as u8; length]).collect()
    }

    #[test]
    fn a_run_is_one_call_and_arrives_as_datagrams() {
        let (mut sender, receiver) = pair();
        let sent = sender.send(receiver.local(), &run_of(&[1200, 1200, 1200, 17]), 1200);
        assert_eq!(sent, Sent { datagrams: 4, calls: 1, errors: 0 });
        let lengths: Vec<usize> = collect(&receiver, 4).iter().map(Vec::len).collect();
        assert_eq!(lengths, [1200, 1200, 1200, 17]);
    }

    #[test]
    fn a_kernel_that_refuses_to_segment_is_asked_once() {
        let (mut sender, receiver) = pair();
        // Without UDP checksums the kernel does not segment: EINVAL, as from one that cannot.
        set_no_check(&sender);
        let run = run_of(&[100, 100, 50]);
        assert_eq!(sender.send(receiver.local(), &run, 100), Sent { datagrams: 3, calls: 4, errors: 0 });
        assert!(!sender.uses_gso());
        assert_eq!(sender.send(receiver.local(), &run, 100), Sent { datagrams: 3, calls: 3, errors: 0 });
        assert_eq!(collect(&receiver, 6).len(), 6);
    }

    #[test]
    fn one_narrow_path_does_not_end_offload_for_all() {
        let (mut sender, receiver) = pair();
        sender.send(receiver.local(), &run_of(&[100, 100]), 100);
        set_no_check(&sender);
        assert_eq!(sender.send(receiver.local(), &run_of(&[100, 100]), 100).datagrams, 2);
        assert!(sender.uses_gso());
    }

    #[test]
    fn failures_are_counted() {
        let (mut sender, _receiver) = pair();
        let unreachable = "[::1]:9".parse().expect("an address");
        assert_eq!(sender.send(unreachable, &[0; 10], 10), Sent { datagrams: 0, calls: 1, errors: 1 });
        assert_eq!(sender.send(unreachable, &[0; 30], 10).errors, 3);
    }

    #[test]
    fn a_full_buffer_is_waited_for_once_until_something_leaves() {
        let (mut socket, _) = pair();
        let mut tries = 0;
        let mut refuse = |_: &Socket| {
            tries += 1;
            io::Result::<()>::Err(io::ErrorKind::WouldBlock.into())
        };
        assert!(socket.with_patience(&mut refuse).is_err());
        assert!(socket.with_patience(&mut refuse).is_err());
        assert_eq!(tries, 3);
        assert!(socket.with_patience(|_| Ok(())).is_ok());
        assert!(!socket.congested);
    }

    #[test]
    fn a_port_in_use_is_an_error() {
        let (first, _) = pair();
        let error = UdpSocket::bind(first.local()).err().expect("refused");
        assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
    }

    #[test]
    fn the_largest_datagram_is_received_whole() {
        let (mut sender, receiver) = pair();
        assert_eq!(sender.send(receiver.local(), &vec![7; 65_507], 65_507).errors, 0);
        assert_eq!(collect(&receiver, 1)[0].len(), 65_507);
    }

    fn set_no_check(socket: &UdpSocket) {
        let on: libc::c_int = 1;
        let length = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: the value pointed at is an int and its size is passed.
        let result = unsafe {
            let value = (&raw const on).cast();
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, value, length)
        };
        assert_eq!(result, 0);
    }
}
