//! The classes of what `Engine.poll` returns: the response, and one per event.

use std::net::SocketAddr;
use std::sync::Arc;

use live777_media::command::CommandError;
use live777_media::event::Event;
use live777_media::tap::queue::FrameQueue;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::error::describe;
use crate::frame::Frame;
use crate::queue::{Notification, Value};
use crate::record::record;
use crate::stats::Stats;

/// The answer to the command that carried `request`. `value` is set by `stats`, `dump` and `open_transport`.
#[pyclass(frozen, get_all, module = "live777py._media")]
pub struct Response {
    request: u64,
    error: Option<&'static str>,
    message: Option<&'static str>,
    value: Option<Py<PyAny>>,
}

#[pymethods]
impl Response {
    fn __repr__(&self) -> String {
        let Self { request, error, .. } = self;
        match error {
            Some(error) => format!("Response(request={request}, error={error:?})"),
            None => format!("Response(request={request})"),
        }
    }
}

impl Response {
    fn new(py: Python<'_>, request: u64, result: Result<Value, CommandError>) -> PyResult<Self> {
        let (error, message) = result.as_ref().err().copied().map(describe).unzip();
        let value = match result {
            Ok(Value::Stats(snapshots)) => Some(Stats::new(py, snapshots)?.into_py_any(py)?),
            Ok(Value::Dump(text)) => Some(text.into_py_any(py)?),
            Ok(Value::Addresses(addresses)) => {
                let addresses: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
                Some(addresses.into_py_any(py)?)
            }
            Ok(Value::Nothing) | Err(_) => None,
        };
        Ok(Self { request, error, message, value })
    }
}

record! {
    /// The first nominated pair, or a later migration: `remote` is `ip:port`, `local` the socket's `ip:port`.
    IceConnected { transport: u64, local: String, remote: String, protocol: &'static str }
}
record! {
    /// A STUN server saw the socket `local` as `address`, both `ip:port`.
    ReflexiveAddress { transport: u64, local: String, address: String }
}
record! {
    /// Consent expired: no authenticated packet for 30 s (RFC 7675). The transport still exists; close it.
    IceLost { transport: u64 }
}
record! {
    /// First media of an encoding, or a change of its payload type or picture size (0x0 while unknown).
    TrackStarted { track: u64, rid: Option<String>, ssrc: u32, payload_type: u8, width: u16, height: u16 }
}
record! {
    /// No packet of the track for two seconds.
    TrackSilent { track: u64 }
}
record! {
    /// The subscription forwards another encoding from this key frame on.
    LayerChanged { subscription: u64, rid: Option<String>, spatial: u8, temporal: u8 }
}
record! {
    /// The track is gone. What the last `FramesReady` told of can still be taken; nothing follows.
    TapEnded { tap: u64 }
}
record! {
    /// A viewer or a tap of the source `track` waits for a key frame. Repeated twice a second until one is written.
    KeyFrameNeeded { track: u64 }
}
record! {
    /// The engine gave up on a worker (`reason` says why); every transport of it is gone.
    Closed { worker: usize, reason: String }
}

/// One DTLS datagram from an address that ICE authenticated.
#[pyclass(frozen, get_all, module = "live777py._media")]
pub struct Dtls {
    transport: u64,
    data: Py<PyBytes>,
}

#[pymethods]
impl Dtls {
    fn __repr__(&self, py: Python<'_>) -> String {
        format!("Dtls(transport={}, data=<{} bytes>)", self.transport, self.data.as_bytes(py).len())
    }
}

/// A tap has frames. It is not said again before they are taken.
#[pyclass(frozen, module = "live777py._media")]
pub struct FramesReady {
    #[pyo3(get)]
    tap: u64,
    queue: Arc<FrameQueue>,
}

#[pymethods]
impl FramesReady {
    fn take(&self, py: Python<'_>) -> PyResult<(Py<PyList>, u64)> {
        let (frames, dropped) = self.queue.take();
        let frames = PyList::new(
            py,
            frames.into_iter().map(|frame| Py::new(py, Frame::from(frame))).collect::<PyResult<Vec<_>>>()?,
        )?;
        Ok((frames.unbind(), dropped))
    }

    fn __repr__(&self) -> String {
        format!("FramesReady(tap={})", self.tap)
    }
}

/// Builds the Python object of a notification.
pub fn into_object(py: Python<'_>, notification: Notification) -> PyResult<Py<PyAny>> {
    match notification {
        Notification::Response { request, result } => Response::new(py, request, result)?.into_py_any(py),
        Notification::Closed { worker, reason } => Closed { worker, reason }.into_py_any(py),
        Notification::Event { event, local } => match event {
            Event::IceConnected { transport, path } => {
                let remote = path.remote.to_string();
                let protocol = if path.socket.is_connection() { "tcp" } else { "udp" };
                IceConnected { transport: transport.0, local: text(local), remote, protocol }.into_py_any(py)
            }
            Event::ReflexiveAddress { transport, address, .. } => {
                let address = address.to_string();
                ReflexiveAddress { transport: transport.0, local: text(local), address }.into_py_any(py)
            }
            Event::IceLost { transport } => IceLost { transport: transport.0 }.into_py_any(py),
            Event::Dtls { transport, data } => {
                Dtls { transport: transport.0, data: PyBytes::new(py, &data).unbind() }.into_py_any(py)
            }
            Event::TrackStarted { track, rid, ssrc, payload_type, width, height } => {
                TrackStarted { track: track.0, rid, ssrc, payload_type, width, height }.into_py_any(py)
            }
            Event::TrackSilent { track } => TrackSilent { track: track.0 }.into_py_any(py),
            Event::LayerChanged { subscription, rid, spatial, temporal } => {
                LayerChanged { subscription: subscription.0, rid, spatial, temporal }.into_py_any(py)
            }
            Event::FramesReady { tap, queue } => FramesReady { tap: tap.0, queue }.into_py_any(py),
            Event::TapEnded { tap } => TapEnded { tap: tap.0 }.into_py_any(py),
            Event::KeyFrameNeeded { track } => KeyFrameNeeded { track: track.0 }.into_py_any(py),
        },
    }
}

fn text(address: Option<SocketAddr>) -> String {
    address.map_or_else(String::new, |address| address.to_string())
}
