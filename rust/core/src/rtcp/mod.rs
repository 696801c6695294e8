//! RTCP (RFC 3550, 4585, 5104, 5506; REMB; transport-wide feedback): packets read one by one, packets written.

mod parse;
mod transport_cc;
mod write;

pub use parse::{Packet, Packets, ReportBlock, SenderInfo, lost_sequences};
pub use transport_cc::{Arrival, TransportFeedback, write_transport_feedback};
pub use write::CompoundWriter;
