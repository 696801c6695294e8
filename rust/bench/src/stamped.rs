//! A socket whose datagrams bear the time at which the kernel took them in.
//!
//! So that what is measured ends where the receiver begins: how soon some process wakes up to read is not in it, and
//! the sender wakes nobody.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::{MaybeUninitSlice, MsgHdrMut, Socket};

const HEADER: usize = size_of::<libc::cmsghdr>();
const CONTROL: usize = HEADER + size_of::<libc::timespec>();
/// Enough for the RTP header; the rest is cut off.
pub const HEAD: usize = 12;

/// Non-blocking.
pub struct Stamped(Socket);

impl Stamped {
    /// # Errors
    /// What setsockopt(2) and fcntl(2) say.
    pub fn new(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let on: libc::c_int = 1;
        let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("an int has four bytes");
        // SAFETY: the value pointed at is an int and its size is passed.
        let result = unsafe {
            let value = (&raw const on).cast();
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, value, length)
        };
        if result == 0 { Ok(Self(socket)) } else { Err(io::Error::last_os_error()) }
    }

    /// The first bytes of the next datagram and its Unix time; `None` when there is none.
    ///
    /// # Errors
    /// What recvmsg(2) says, or that there was no time with it.
    pub fn receive(&self) -> io::Result<Option<([u8; HEAD], Duration)>> {
        let mut head = [MaybeUninit::new(0); HEAD];
        let mut control = [MaybeUninit::new(0); CONTROL];
        let mut data = [MaybeUninitSlice::new(&mut head)];
        let mut message = MsgHdrMut::new().with_buffers(&mut data).with_control(&mut control);
        match self.0.recvmsg(&mut message, 0) {
            Ok(_) if message.control_len() == CONTROL => {}
            Ok(_) => return Err(io::Error::other("a datagram came without its time")),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        // SAFETY: all of it was initialised above.
        let (head, control) = unsafe { (head.map(|byte| byte.assume_init()), control.map(|byte| byte.assume_init())) };
        let word = |at: usize| u64::from_ne_bytes(control[at..at + 8].try_into().expect("eight bytes"));
        let nanoseconds = u32::try_from(word(HEADER + 8)).map_err(io::Error::other)?;
        Ok(Some((head, Duration::new(word(HEADER), nanoseconds))))
    }
}
