//! `Engine`: the calls of Python, checked, numbered and routed to the media threads.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use live777_media::command::{Command, CommandError, SubscriptionId, TapId, TrackId, TransportId, WrittenFrame};
use live777_media::event::SocketId;
use live777_media::layer::Choice;
use live777_media::srtp::{MasterKey, Profile};
use live777_media::worker::{GopLimits, Worker, WorkerConfig};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;

use crate::error::{Number, closed, invalid, system};
use crate::events;
use crate::frame::parse_wallclock;
use crate::params::{IceParameters, SourceParameters, SubscriptionParameters, TrackParameters, check_payload_type};
use crate::queue::{Output, lock};
use crate::routes::Routes;
use crate::socket::UdpSocket;
use crate::switchboard::Switchboard;
use crate::tcp::TcpListener;
use crate::thread;

/// Addresses of one worker (`SocketId::index` is a byte).
const SOCKET_LIMIT: usize = 256;
const WORKER_LIMIT: usize = 256;

/// What fits into one UDP datagram.
const DATAGRAM_LIMIT: usize = 65_507;

/// The media threads. `sockets` are the UDP addresses of each worker, `sockets[worker] = ["ip:port", ...]`; `listeners` in
/// the same way the TCP addresses where peers connect (RFC 6544), none where it is empty.
///
/// Raises `OSError` (with errno) when an address cannot be bound. Port 0 picks a free one; see `addresses()`.
#[pyclass(frozen, module = "live777py._media")]
pub struct Engine {
    addresses: Vec<Vec<SocketAddr>>,
    tcp_addresses: Vec<Vec<SocketAddr>>,
    output: Arc<Output>,
    running: Mutex<Option<Running>>,
}

struct Running {
    board: Arc<Switchboard>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// Lets every worker finish what is queued, and waits until its thread has ended.
    fn stop(self) {
        for mailbox in &self.board.mailboxes {
            mailbox.close();
        }
        for thread in self.threads {
            thread.join().expect("a media thread catches its panics");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // The threads never wait for the GIL, which the dropping thread may hold.
        let running = lock(&self.running).take();
        running.into_iter().for_each(Running::stop);
    }
}

impl Engine {
    fn board(&self) -> PyResult<Arc<Switchboard>> {
        lock(&self.running).as_ref().map(|running| Arc::clone(&running.board)).ok_or_else(closed)
    }

    /// The sockets of a transport from which an address can be reached.
    fn sockets_towards(
        &self,
        remote: SocketAddr,
        transport: TransportId,
        routes: &Routes,
    ) -> Result<Vec<SocketId>, CommandError> {
        let worker = routes.worker_of(transport).ok_or(CommandError::UnknownId)?;
        let candidates = (0..=u8::MAX).zip(&self.addresses[worker]);
        let suitable = candidates.filter(|(_, local)| can_reach(**local, remote));
        Ok(suitable.filter_map(|(index, _)| routes.socket_of(transport, index)).collect())
    }

    fn submit(&self, request: Number<u64>, command: Command) -> PyResult<()> {
        self.board()?.submit(Some(request.0), |routes| routes.plan(command));
        Ok(())
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (*, sockets, listeners=Vec::new(), gop_cache_bytes=Number(4_194_304), gop_cache_ms=Number(5000),
                        gop_cache_replays=Number(512), bandwidth_estimation=true))]
    fn new(
        py: Python<'_>,
        sockets: Vec<Vec<String>>,
        listeners: Vec<Vec<String>>,
        gop_cache_bytes: Number<usize>,
        gop_cache_ms: Number<u32>,
        gop_cache_replays: Number<usize>,
        bandwidth_estimation: bool,
    ) -> PyResult<Self> {
        let gop = GopLimits {
            bytes: if gop_cache_ms.0 == 0 { 0 } else { gop_cache_bytes.0 },
            span: Duration::from_millis(gop_cache_ms.0.into()),
            replays: gop_cache_replays.0,
        };
        let wanted = parse_sockets(&sockets)?;
        let wanted_tcp = parse_listeners(&listeners, wanted.len())?;
        let bound = bind(&wanted, UdpSocket::bind).map_err(|(at, error)| system(py, &error, Some(("UDP", at))))?;
        let bound_tcp =
            bind(&wanted_tcp, TcpListener::bind).map_err(|(at, error)| system(py, &error, Some(("TCP", at))))?;
        let addresses = bound.iter().map(|worker| worker.iter().map(UdpSocket::local).collect()).collect();
        let tcp_addresses = bound_tcp.iter().map(|worker| worker.iter().map(TcpListener::local).collect()).collect();
        let running = start(bound, bound_tcp, gop, bandwidth_estimation).map_err(|error| system(py, &error, None))?;
        let output = Arc::clone(&running.board.output);
        Ok(Self { addresses, tcp_addresses, output, running: Mutex::new(Some(running)) })
    }

    fn addresses(&self) -> Vec<Vec<String>> {
        texts(&self.addresses)
    }

    fn tcp_addresses(&self) -> Vec<Vec<String>> {
        texts(&self.tcp_addresses)
    }

    fn fileno(&self) -> RawFd {
        self.output.as_raw_fd()
    }

    fn poll(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let notifications = self.output.drain();
        notifications.into_iter().map(|notification| events::into_object(py, notification)).collect()
    }

    fn close(&self, py: Python<'_>) {
        // The lock is released first: another thread may wait for it with the GIL, which this one wants back.
        let running = lock(&self.running).take();
        py.detach(|| running.into_iter().for_each(Running::stop));
    }

    fn __repr__(&self) -> String {
        let state = if lock(&self.running).is_some() { "running" } else { "closed" };
        format!("<Engine {state} {:?}>", self.addresses)
    }

    #[pyo3(signature = (request, transport, *, worker, ice, own_socket=false))]
    fn open_transport(
        &self,
        request: Number<u64>,
        transport: Number<u64>,
        worker: Number<usize>,
        ice: &Bound<'_, IceParameters>,
        own_socket: bool,
    ) -> PyResult<()> {
        let (transport, ice) = (TransportId(transport.0), ice.get().0.clone());
        let board = self.board()?;
        let addresses = self.addresses.get(worker.0).filter(|_| own_socket);
        match UdpSocket::bind_beside(addresses.map_or(&[], Vec::as_slice)) {
            Ok(sockets) => {
                board.submit_with(Some(request.0), sockets, |routes| routes.open(worker.0, transport, ice, own_socket))
            }
            Err(_) => board.submit(Some(request.0), |_| Err(CommandError::NoSocket)),
        }
        Ok(())
    }

    fn close_transport(&self, request: Number<u64>, transport: Number<u64>) -> PyResult<()> {
        self.submit(request, Command::CloseTransport { transport: TransportId(transport.0) })
    }

    #[pyo3(signature = (request, transport, *, address, priority))]
    fn add_remote_candidate(
        &self,
        request: Number<u64>,
        transport: Number<u64>,
        address: &str,
        priority: Number<u32>,
    ) -> PyResult<()> {
        let address = parse_address("address", address)?;
        let transport = TransportId(transport.0);
        self.board()?.submit(Some(request.0), |routes| {
            let sockets = self.sockets_towards(address, transport, routes)?;
            routes.plan(Command::AddRemoteCandidate { transport, address, sockets, priority: priority.0 })
        });
        Ok(())
    }

    #[pyo3(signature = (request, transport, *, server))]
    fn discover_reflexive(&self, request: Number<u64>, transport: Number<u64>, server: &str) -> PyResult<()> {
        let server = parse_address("server", server)?;
        let transport = TransportId(transport.0);
        self.board()?.submit(Some(request.0), |routes| {
            let sockets = self.sockets_towards(server, transport, routes)?;
            routes.plan(Command::DiscoverReflexive { transport, server, sockets })
        });
        Ok(())
    }

    #[pyo3(signature = (request, transport, *, ice))]
    fn restart_ice(
        &self,
        request: Number<u64>,
        transport: Number<u64>,
        ice: &Bound<'_, IceParameters>,
    ) -> PyResult<()> {
        self.submit(request, Command::RestartIce { transport: TransportId(transport.0), ice: ice.get().0.clone() })
    }

    fn send_dtls(&self, transport: Number<u64>, data: &[u8]) -> PyResult<()> {
        if data.len() > DATAGRAM_LIMIT {
            return Err(invalid("data", format_args!("{} bytes do not fit into a datagram", data.len())));
        }
        let command = Command::SendDtls { transport: TransportId(transport.0), data: data.to_vec() };
        self.board()?.submit(None, |routes| routes.plan(command));
        Ok(())
    }

    #[pyo3(signature = (request, transport, *, profile, local_key, local_salt, remote_key, remote_salt))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn install_keys(
        &self,
        request: Number<u64>,
        transport: Number<u64>,
        profile: &str,
        local_key: &[u8],
        local_salt: &[u8],
        remote_key: &[u8],
        remote_salt: &[u8],
    ) -> PyResult<()> {
        let profile = Profile::from_name(profile).ok_or_else(|| invalid("profile", "not a profile we know"))?;
        let local = parse_key("local_key", profile, local_key, local_salt)?;
        let remote = parse_key("remote_key", profile, remote_key, remote_salt)?;
        self.submit(request, Command::InstallKeys { transport: TransportId(transport.0), profile, local, remote })
    }

    #[pyo3(signature = (request, transport, track, *, parameters))]
    fn add_track(
        &self,
        request: Number<u64>,
        transport: Number<u64>,
        track: Number<u64>,
        parameters: &Bound<'_, TrackParameters>,
    ) -> PyResult<()> {
        let (transport, track) = (TransportId(transport.0), TrackId(track.0));
        self.submit(request, Command::AddTrack { transport, track, parameters: parameters.get().0.clone() })
    }

    fn remove_track(&self, request: Number<u64>, track: Number<u64>) -> PyResult<()> {
        self.submit(request, Command::RemoveTrack { track: TrackId(track.0) })
    }

    #[pyo3(signature = (request, transport, subscription, *, parameters))]
    fn subscribe(
        &self,
        request: Number<u64>,
        transport: Number<u64>,
        subscription: Number<u64>,
        parameters: &Bound<'_, SubscriptionParameters>,
    ) -> PyResult<()> {
        let (transport, subscription) = (TransportId(transport.0), SubscriptionId(subscription.0));
        self.submit(request, Command::Subscribe { transport, subscription, parameters: parameters.get().0.clone() })
    }

    fn unsubscribe(&self, request: Number<u64>, subscription: Number<u64>) -> PyResult<()> {
        self.submit(request, Command::Unsubscribe { subscription: SubscriptionId(subscription.0) })
    }

    #[pyo3(signature = (request, subscription, track, *, payload_types))]
    fn attach(
        &self,
        request: Number<u64>,
        subscription: Number<u64>,
        track: Number<u64>,
        payload_types: Vec<(Number<u8>, Number<u8>)>,
    ) -> PyResult<()> {
        let payload_types = payload_types
            .into_iter()
            .map(|(theirs, ours)| {
                Ok((check_payload_type("payload_types", theirs.0)?, check_payload_type("payload_types", ours.0)?))
            })
            .collect::<PyResult<_>>()?;
        let (subscription, track) = (SubscriptionId(subscription.0), TrackId(track.0));
        self.submit(request, Command::Attach { subscription, track, payload_types })
    }

    fn detach(&self, request: Number<u64>, subscription: Number<u64>) -> PyResult<()> {
        self.submit(request, Command::Detach { subscription: SubscriptionId(subscription.0) })
    }

    #[pyo3(signature = (request, subscription, *, rid=None, spatial=None, temporal=None, max_width=None, max_height=None,
                        max_spatial=None, max_temporal=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn select_layer(
        &self,
        request: Number<u64>,
        subscription: Number<u64>,
        rid: Option<String>,
        spatial: Option<Number<u8>>,
        temporal: Option<Number<u8>>,
        max_width: Option<Number<u16>>,
        max_height: Option<Number<u16>>,
        max_spatial: Option<Number<u8>>,
        max_temporal: Option<Number<u8>>,
    ) -> PyResult<()> {
        let [spatial, temporal, max_spatial, max_temporal] =
            [spatial, temporal, max_spatial, max_temporal].map(|layer| layer.map(|number| number.0));
        let [max_width, max_height] = [max_width, max_height].map(|side| side.map(|number| number.0));
        let choice = Choice { rid, spatial, temporal, max_width, max_height, max_spatial, max_temporal };
        self.submit(request, Command::SelectLayer { subscription: SubscriptionId(subscription.0), choice })
    }

    #[pyo3(signature = (request, subscription, *, paused))]
    fn pause(&self, request: Number<u64>, subscription: Number<u64>, paused: bool) -> PyResult<()> {
        self.submit(request, Command::Pause { subscription: SubscriptionId(subscription.0), paused })
    }

    fn request_key_frame(&self, request: Number<u64>, track: Number<u64>) -> PyResult<()> {
        self.submit(request, Command::RequestKeyFrame { track: TrackId(track.0) })
    }

    #[pyo3(signature = (request, tap, track, *, capacity, interval_ms=Number(0), past_ms=Number(0)),
           text_signature = "($self, request, tap, track, *, capacity, interval_ms=0, past_ms=0)")]
    fn open_tap(
        &self,
        request: Number<u64>,
        tap: Number<u64>,
        track: Number<u64>,
        capacity: Number<usize>,
        interval_ms: Number<u32>,
        past_ms: Number<u32>,
    ) -> PyResult<()> {
        let interval = Duration::from_millis(interval_ms.0.into());
        let past = Duration::from_millis(past_ms.0.into());
        let (tap, track) = (TapId(tap.0), TrackId(track.0));
        self.submit(request, Command::OpenTap { tap, track, capacity: capacity.0, interval, past })
    }

    fn close_tap(&self, request: Number<u64>, tap: Number<u64>) -> PyResult<()> {
        self.submit(request, Command::CloseTap { tap: TapId(tap.0) })
    }

    #[pyo3(signature = (request, track, *, worker, parameters))]
    fn open_source(
        &self,
        request: Number<u64>,
        track: Number<u64>,
        worker: Number<usize>,
        parameters: &Bound<'_, SourceParameters>,
    ) -> PyResult<()> {
        let (track, parameters) = (TrackId(track.0), parameters.get().0.clone());
        self.board()?.submit(Some(request.0), |routes| routes.open_source(worker.0, track, parameters));
        Ok(())
    }

    fn close_source(&self, request: Number<u64>, track: Number<u64>) -> PyResult<()> {
        self.submit(request, Command::RemoveTrack { track: TrackId(track.0) })
    }

    #[pyo3(signature = (track, data, *, timestamp, wallclock=None, key_frame))]
    fn write_frame(
        &self,
        py: Python<'_>,
        track: Number<u64>,
        data: PyBuffer<u8>,
        timestamp: Number<i64>,
        wallclock: Option<f64>,
        key_frame: bool,
    ) -> PyResult<()> {
        let wallclock = wallclock.map(parse_wallclock).transpose()?;
        let frame = WrittenFrame { data: data.to_vec(py)?, timestamp: timestamp.0, wallclock, key_frame };
        let command = Command::WriteFrame { track: TrackId(track.0), frame };
        self.board()?.submit(None, |routes| routes.plan(command));
        Ok(())
    }

    fn stats(&self, request: Number<u64>) -> PyResult<()> {
        self.board()?.report(request.0, false);
        Ok(())
    }

    fn dump(&self, request: Number<u64>) -> PyResult<()> {
        self.board()?.report(request.0, true);
        Ok(())
    }
}

/// Whether a pair of these addresses makes sense: one family, and loopback only among itself (RFC 8445 section 6.1.2.2).
fn can_reach(local: SocketAddr, remote: SocketAddr) -> bool {
    local.is_ipv4() == remote.is_ipv4() && local.ip().is_loopback() == remote.ip().is_loopback()
}

fn parse_address(argument: &str, text: &str) -> PyResult<SocketAddr> {
    text.parse().map_err(|_| invalid(argument, format_args!("{text:?} is not ip:port")))
}

fn parse_sockets(sockets: &[Vec<String>]) -> PyResult<Vec<Vec<SocketAddr>>> {
    if sockets.is_empty() || sockets.len() > WORKER_LIMIT {
        return Err(invalid("sockets", format_args!("expected 1 to {WORKER_LIMIT} workers")));
    }
    if sockets.iter().any(|worker| worker.is_empty() || worker.len() > SOCKET_LIMIT) {
        return Err(invalid("sockets", format_args!("expected 1 to {SOCKET_LIMIT} addresses for each worker")));
    }
    sockets.iter().map(|worker| worker.iter().map(|text| parse_address("sockets", text)).collect()).collect()
}

/// As many workers as there are sockets for.
fn parse_listeners(listeners: &[Vec<String>], workers: usize) -> PyResult<Vec<Vec<SocketAddr>>> {
    if listeners.is_empty() {
        return Ok(vec![Vec::new(); workers]);
    }
    if listeners.len() != workers || listeners.iter().any(|worker| worker.len() > SOCKET_LIMIT) {
        return Err(invalid("listeners", format_args!("expected at most {SOCKET_LIMIT} addresses for each worker")));
    }
    listeners.iter().map(|worker| worker.iter().map(|text| parse_address("listeners", text)).collect()).collect()
}

fn texts(addresses: &[Vec<SocketAddr>]) -> Vec<Vec<String>> {
    addresses.iter().map(|worker| worker.iter().map(SocketAddr::to_string).collect()).collect()
}

fn parse_key(argument: &str, profile: Profile, key: &[u8], salt: &[u8]) -> PyResult<MasterKey> {
    let master = MasterKey::new(key, salt);
    if master.fits(profile) {
        Ok(master)
    } else {
        Err(invalid(argument, "wrong length of key or salt for the profile"))
    }
}

/// All sockets or none: what was bound before a failure is closed again.
fn bind<T>(
    wanted: &[Vec<SocketAddr>],
    bind_one: impl Fn(SocketAddr) -> std::io::Result<T>,
) -> Result<Vec<Vec<T>>, (SocketAddr, std::io::Error)> {
    let bind_one = |&address: &SocketAddr| bind_one(address).map_err(|error| (address, error));
    wanted.iter().map(|worker| worker.iter().map(bind_one).collect()).collect()
}

fn start(
    bound: Vec<Vec<UdpSocket>>,
    bound_tcp: Vec<Vec<TcpListener>>,
    gop: GopLimits,
    bandwidth_estimation: bool,
) -> std::io::Result<Running> {
    let board = Arc::new(Switchboard::new(bound.len())?);
    let epoch = Instant::now();
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch_unix_micros = u64::try_from(unix.as_micros()).unwrap_or(u64::MAX);
    let random = RandomState::new();
    let mut running = Running { board: Arc::clone(&board), threads: Vec::with_capacity(bound.len()) };
    for (index, (sockets, listeners)) in bound.into_iter().zip(bound_tcp).enumerate() {
        let seed = random.hash_one(index);
        let config = WorkerConfig { seed, epoch, epoch_unix_micros, gop, bandwidth_estimation };
        let worker = Worker::new(config);
        match thread::spawn(index, sockets, listeners, worker, Arc::clone(&board)) {
            Ok(thread) => running.threads.push(thread),
            Err(error) => {
                running.stop();
                return Err(error);
            }
        }
    }
    Ok(running)
}
