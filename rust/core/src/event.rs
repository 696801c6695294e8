//! What a worker tells control: the notification half of the boundary.

use std::net::SocketAddr;

use crate::command::{SubscriptionId, TrackId, TransportId};

/// Where a datagram came from or goes to: one of the worker's sockets and a remote address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// Index into the worker's sockets.
    pub socket: u8,
    /// The other end.
    pub remote: SocketAddr,
}

/// One notification.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are named for their types")]
pub enum Event {
    /// The first nominated pair, or a migration to another.
    IceConnected { transport: TransportId, path: Path },
    /// Consent expired (RFC 7675). The transport still exists.
    IceLost { transport: TransportId },
    /// One DTLS datagram from an address that ICE authenticated.
    Dtls { transport: TransportId, data: Vec<u8> },
    /// First media of an encoding, or a change of its payload type or picture size (0x0 while unknown).
    TrackStarted { track: TrackId, rid: Option<String>, ssrc: u32, payload_type: u8, width: u16, height: u16 },
    /// No packet of the track for two seconds.
    TrackSilent { track: TrackId },
    /// The subscription forwards another encoding from this key frame on.
    LayerChanged { subscription: SubscriptionId, rid: Option<String> },
}
