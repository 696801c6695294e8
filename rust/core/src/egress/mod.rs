//! From a burst of received packets to one run of datagrams per viewer.
//!
//! The order is by destination: for each transport that the burst concerns, its subscriptions decide on the burst's
//! packets, [`plan`] groups them into runs, [`write`] puts header and payload into one arena and seals them there, and
//! each run leaves with one send. Viewers whose profile has an HMAC wait for each other, so that their tags are
//! computed side by side.

pub mod burst;
pub mod flush;
pub mod header;
pub mod pacer;
pub mod plan;
pub mod write;
