//! `live777py._media`: the shell around the media plane. UDP sockets, one thread per worker, and the Python classes of
//! `live777py/_media.pyi`; no idea of its own.
//!
//! A command goes `engine` -> `switchboard` (which worker?) -> `queue` -> `thread` -> [`live777_media::worker::Worker`];
//! its response and every event come back through one [`queue::Output`] that `Engine.poll` empties.

#![deny(unsafe_code)]

mod aliases;
mod annexb;
mod engine;
mod error;
mod events;
mod frame;
mod os;
mod params;
mod queue;
mod record;
mod routes;
mod snapshot;
mod socket;
mod stats;
mod switchboard;
mod tcp;
mod thread;

#[pyo3::pymodule(gil_used = false)]
mod _media {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::annexb::length_prefixed;
    #[pymodule_export]
    use crate::engine::Engine;
    #[pymodule_export]
    use crate::error::EngineClosed;
    #[pymodule_export]
    use crate::events::{
        Closed, Dtls, FramesReady, IceConnected, IceLost, KeyFrameNeeded, LayerChanged, ReflexiveAddress, Response,
        TapEnded, TrackSilent, TrackStarted,
    };
    #[pymodule_export]
    use crate::frame::Frame;
    #[pymodule_export]
    use crate::params::{
        CodecParameters, EncodingParameters, IceParameters, SourceParameters, SubscriptionParameters, TrackParameters,
    };
    #[pymodule_export]
    use crate::stats::{
        LayerStats, SourceStats, Stats, SubscriptionStats, TapStats, TrackStats, TransportStats, WorkerStats,
    };

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// The stub names what there is to import, hence no `__all__`.
    #[pymodule_init]
    fn complete(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.delattr("__all__")?;
        crate::aliases::add(module)
    }
}
