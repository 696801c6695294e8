//! The type aliases of the stub, so that what a type checker may import is there at runtime too.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

const LITERALS: [(&str, &[&str]); 5] = [
    ("Kind", &["audio", "video"]),
    ("SrtpProfile", &["AEAD_AES_128_GCM", "AEAD_AES_256_GCM", "AES128_CM_HMAC_SHA1_80"]),
    ("ErrorCode", &["unknown_id", "id_in_use", "invalid_state", "invalid_argument", "limit_reached", "no_socket"]),
    ("FrameCodec", &["H264", "H265", "VP8", "VP9", "AV1", "opus", "PCMU", "PCMA", "G722"]),
    ("IceRole", &["lite", "controlling", "controlled"]),
];

const EVENTS: [&str; 11] = [
    "IceConnected",
    "ReflexiveAddress",
    "IceLost",
    "Dtls",
    "TrackStarted",
    "TrackSilent",
    "LayerChanged",
    "FramesReady",
    "TapEnded",
    "KeyFrameNeeded",
    "Closed",
];

/// Adds them to the module, whose classes must be there already. stubtest wants a union of `Literal`s, not a `Literal`
/// of several values, which means the same.
pub fn add<'py>(module: &Bound<'py, PyModule>) -> PyResult<()> {
    let typing = module.py().import("typing")?;
    let (literal, union) = (typing.getattr("Literal")?, typing.getattr("Union")?);
    let union_of = |members: Vec<Bound<'py, PyAny>>| union.get_item(PyTuple::new(module.py(), members)?);
    for (name, values) in LITERALS {
        let members = values.iter().map(|value| literal.get_item(value)).collect::<PyResult<_>>()?;
        module.setattr(name, union_of(members)?)?;
    }
    let classes = EVENTS.iter().map(|name| module.getattr(name)).collect::<PyResult<_>>()?;
    module.setattr("Event", union_of(classes)?)
}
