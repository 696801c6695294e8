//! RTP (RFC 3550) as it is received: header, header extensions (RFC 8285), unwrapped numbers. Nothing here allocates.

mod extension;
mod header;
mod sequence;

pub use extension::{Elements, ExtensionKind, ExtensionMap};
pub use header::{Header, HeaderError};
pub use sequence::{Unwrapper, newer};
