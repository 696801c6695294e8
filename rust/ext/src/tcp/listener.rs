//! Where peers connect to.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel keeps until they are taken.
const BACKLOG: i32 = 1024;

/// A TCP socket that accepts, without blocking.
pub struct TcpListener {
    socket: Socket,
    local: SocketAddr,
}

impl TcpListener {
    /// A port whose last connections are not forgotten by the kernel yet may be bound again; one in use may not.
    ///
    /// # Errors
    /// What socket(2), bind(2), listen(2) or getsockname(2) say.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { socket, local })
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The next connection, non-blocking as well.
    ///
    /// # Errors
    /// What accept4(2) says; WouldBlock where there is none.
    pub fn accept(&self) -> io::Result<(Socket, SocketAddr)> {
        let (socket, remote) = self.socket.accept4(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK)?;
        let remote = remote.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok((socket, remote))
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
