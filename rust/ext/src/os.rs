//! The few system calls that std does not offer: waiting on several descriptors, eventfd, the thread's clock and signals.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// How many descriptors the process may have.
pub fn descriptor_limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is one that can be written.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return 0;
    }
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

/// Wakes whoever polls its descriptor. It stays readable until [`EventFd::clear`].
pub struct EventFd(OwnedFd);

impl EventFd {
    /// Non-blocking, closed on exec, not readable.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointer.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Becomes readable. The only failure, a counter that is full, leaves it readable too.
    pub fn signal(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: `one` is eight readable bytes.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Becomes unreadable; harmless if it was.
    pub fn clear(&self) {
        let mut counter = [0_u8; 8];
        // SAFETY: `counter` is eight writable bytes.
        unsafe { libc::read(self.0.as_raw_fd(), counter.as_mut_ptr().cast(), counter.len()) };
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Descriptors to wait on, all for reading.
pub struct Poller(Vec<libc::pollfd>);

impl Poller {
    pub fn new(descriptors: impl IntoIterator<Item = RawFd>) -> Self {
        Self(descriptors.into_iter().map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect())
    }

    /// Waits until one is readable or `timeout` has passed (`None`: for ever). A signal ends the wait early.
    ///
    /// # Errors
    /// What ppoll(2) says, EINTR excepted.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(|timeout| libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the vector lives through the call and its length is passed; `timeout` is null or points at a local.
        let ready =
            unsafe { libc::ppoll(self.0.as_mut_ptr(), self.0.len() as libc::nfds_t, timeout, std::ptr::null()) };
        if ready >= 0 {
            return Ok(());
        }
        for descriptor in &mut self.0 {
            descriptor.revents = 0;
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            error => Err(error),
        }
    }

    /// Whether the last wait found something to read (or an error to collect) at this position.
    pub fn is_ready(&self, position: usize) -> bool {
        self.0[position].revents != 0
    }
}

/// Descriptors that come and go, and are readable as one: those that wait for it pay nothing for their number.
pub struct ReadySet {
    epoll: OwnedFd,
    found: Vec<libc::epoll_event>,
}

/// Descriptors that one look at a [`ReadySet`] finds; the kernel puts these behind the others for the next one.
const READY_LIMIT: usize = 64;

impl ReadySet {
    /// Empty, closed on exec.
    pub fn new() -> io::Result<Self> {
        // SAFETY: epoll_create1 takes no pointer.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
        Ok(Self { epoll: unsafe { OwnedFd::from_raw_fd(fd) }, found: Vec::new() })
    }

    /// Waits for input of this one too; `token` is what it is known by.
    pub fn add(&self, descriptor: RawFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, descriptor, token, libc::EPOLLIN)
    }

    /// Waits for room to write as well, or no longer.
    pub fn watch(&self, descriptor: RawFd, token: u64, room: bool) -> io::Result<()> {
        let events = if room { libc::EPOLLIN | libc::EPOLLOUT } else { libc::EPOLLIN };
        self.control(libc::EPOLL_CTL_MOD, descriptor, token, events)
    }

    fn control(&self, operation: libc::c_int, descriptor: RawFd, token: u64, events: libc::c_int) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: token };
        // SAFETY: `event` is a live epoll_event, which the kernel copies.
        let result = unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, descriptor, &raw mut event) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// To be called before it is closed: a process that is just being forked holds it open for a moment.
    pub fn remove(&self, descriptor: RawFd) {
        // SAFETY: EPOLL_CTL_DEL reads no event.
        unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, descriptor, std::ptr::null_mut());
        }
    }

    /// The tokens of some that are readable now, without waiting.
    pub fn ready(&mut self) -> impl Iterator<Item = u64> + '_ {
        self.found.resize(READY_LIMIT, libc::epoll_event { events: 0, u64: 0 });
        let limit = READY_LIMIT as libc::c_int;
        // SAFETY: the vector has READY_LIMIT elements, and the kernel writes no more.
        let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), self.found.as_mut_ptr(), limit, 0) };
        self.found[..usize::try_from(count).unwrap_or(0)].iter().map(|event| event.u64)
    }
}

impl AsRawFd for ReadySet {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}

/// Waits until a descriptor takes more data, or until `limit` has passed.
pub fn wait_writable(descriptor: RawFd, limit: Duration) {
    let mut poll = libc::pollfd { fd: descriptor, events: libc::POLLOUT, revents: 0 };
    let milliseconds = libc::c_int::try_from(limit.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: one pollfd is passed with its count.
    unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
}

/// CPU time that the calling thread has used, kernel included.
pub fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a writable timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Leaves every signal to the threads of Python, whose handlers must run there.
pub fn block_signals() {
    // SAFETY: sigfillset initialises the set it is given, pthread_sigmask only reads it.
    unsafe {
        let mut signals = std::mem::zeroed::<libc::sigset_t>();
        libc::sigfillset(&raw mut signals);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signals, std::ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eventfd_is_readable_between_signal_and_clear() {
        let event = EventFd::new().expect("a descriptor is free");
        let mut poller = Poller::new([event.as_raw_fd()]);
        let readable = |poller: &mut Poller| {
            poller.wait(Some(Duration::ZERO)).expect("ppoll works");
            poller.is_ready(0)
        };
        assert!(!readable(&mut poller));
        event.signal();
        event.signal();
        assert!(readable(&mut poller));
        event.clear();
        event.clear();
        assert!(!readable(&mut poller));
    }

    #[test]
    fn a_set_is_readable_while_one_of_it_is() {
        let events = [1, 2].map(|_| EventFd::new().expect("a descriptor is free"));
        let mut set = ReadySet::new().expect("a descriptor is free");
        for (event, token) in events.iter().zip([7, 8]) {
            set.add(event.as_raw_fd(), token).expect("room for two");
        }
        let mut poller = Poller::new([set.as_raw_fd()]);
        let mut tokens = |set: &mut ReadySet| {
            poller.wait(Some(Duration::ZERO)).expect("ppoll works");
            let tokens: Vec<u64> = set.ready().collect();
            assert_eq!(poller.is_ready(0), !tokens.is_empty());
            tokens
        };
        assert!(tokens(&mut set).is_empty());
        events[1].signal();
        assert_eq!(tokens(&mut set), [8]);
        events[0].signal();
        set.remove(events[1].as_raw_fd());
        assert_eq!(tokens(&mut set), [7]);
        assert!(set.add(-1, 9).is_err());
    }

    #[test]
    fn thread_time_grows_with_work() {
        let start = thread_cpu_time();
        while thread_cpu_time() == start {}
        assert!(thread_cpu_time() > start);
    }
}
