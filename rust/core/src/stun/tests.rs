//! RFC 5769 and what a peer may not do.
