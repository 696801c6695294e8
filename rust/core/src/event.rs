//! What a worker tells control: the notification half of the boundary.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::command::{SubscriptionId, TapId, TrackId, TransportId};
use crate::tap::queue::FrameQueue;

/// One of a worker's sockets: an address that all its transports share, one that a single transport has to itself, or a
/// TCP connection. None is ever named twice, as transports are not: what came late for a closed socket finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketId(u64);

/// Bits of the index.
const INDEX_BITS: u32 = 8;
/// Set in the name of a TCP connection.
const CONNECTION: u64 = 1 << 63;
/// Bits of the number of a transport or connection.
const NUMBER_BITS: u32 = u64::BITS - INDEX_BITS - 1;

impl SocketId {
    /// The shared socket on the worker's address number `index`.
    pub const fn shared(index: u8) -> SocketId {
        SocketId(index as u64)
    }

    /// A transport's own socket on that address. None for a transport whose number is 0 or has more than 55 bits.
    pub const fn own(transport: TransportId, index: u8) -> Option<SocketId> {
        if transport.0 == 0 || transport.0 >> NUMBER_BITS != 0 {
            return None;
        }
        Some(SocketId(transport.0 << INDEX_BITS | index as u64))
    }

    /// A TCP connection (RFC 6544) that was made to the worker's listener number `index`. Of `number`, 55 bits count.
    pub const fn connection(number: u64, index: u8) -> SocketId {
        SocketId(CONNECTION | number << INDEX_BITS | index as u64)
    }

    /// Whether it is a TCP connection.
    pub const fn is_connection(self) -> bool {
        self.0 & CONNECTION != 0
    }

    /// The transport that alone uses it; None for a shared one, and for a connection, which whoever proves itself uses.
    pub const fn owner(self) -> Option<TransportId> {
        match self.0 >> INDEX_BITS {
            0 => None,
            _ if self.is_connection() => None,
            transport => Some(TransportId(transport)),
        }
    }

    /// Of a connection: what it was made from.
    pub const fn number(self) -> u64 {
        (self.0 & !CONNECTION) >> INDEX_BITS
    }

    /// The whole name as a number, and back.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// See [`SocketId::to_bits`].
    pub const fn from_bits(bits: u64) -> SocketId {
        SocketId(bits)
    }

    /// Which of the worker's addresses, UDP or TCP, it is bound to.
    pub const fn index(self) -> u8 {
        self.0 as u8
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.owner() {
            None if self.is_connection() => write!(f, "{} connection {}", self.index(), self.number()),
            None => write!(f, "{}", self.index()),
            Some(transport) => write!(f, "{} of transport {}", self.index(), transport.0),
        }
    }
}

/// Where a datagram came from or goes to: one of the worker's sockets and a remote address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// Our end.
    pub socket: SocketId,
    /// The other end.
    pub remote: SocketAddr,
}

/// One notification.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are named for their types")]
pub enum Event {
    /// The first nominated pair, or a migration to another.
    IceConnected { transport: TransportId, path: Path },
    /// A STUN server has seen a datagram of this socket come from `address` (RFC 8445 section 5.1.1.2).
    ReflexiveAddress { transport: TransportId, socket: SocketId, address: SocketAddr },
    /// Consent expired (RFC 7675). The transport still exists.
    IceLost { transport: TransportId },
    /// One DTLS datagram from an address that ICE authenticated.
    Dtls { transport: TransportId, data: Vec<u8> },
    /// First media of an encoding, or a change of its payload type or picture size (0x0 while unknown).
    TrackStarted { track: TrackId, rid: Option<String>, ssrc: u32, payload_type: u8, width: u16, height: u16 },
    /// No packet of the track for two seconds.
    TrackSilent { track: TrackId },
    /// The subscription forwards another encoding, or other layers of it, from now on.
    LayerChanged { subscription: SubscriptionId, rid: Option<String>, spatial: u8, temporal: u8 },
    /// A tap has frames; not said again before they are taken.
    FramesReady { tap: TapId, queue: Arc<FrameQueue> },
    /// The track of a tap is gone.
    TapEnded { tap: TapId },
    /// Somebody waits for a key frame of a source.
    KeyFrameNeeded { track: TrackId },
}

impl Event {
    /// Whether peers cannot provoke any number of these, and control relies on each.
    pub fn is_essential(&self) -> bool {
        matches!(self, Event::IceLost { .. } | Event::FramesReady { .. } | Event::TapEnded { .. })
    }

    /// The socket that the event is about.
    pub fn socket(&self) -> Option<SocketId> {
        match self {
            Event::IceConnected { path, .. } => Some(path.socket),
            Event::ReflexiveAddress { socket, .. } => Some(*socket),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_named_by_its_transport_and_never_like_a_shared_one() {
        let own = SocketId::own(TransportId(7), 2).expect("a usable number");
        assert_eq!((own.owner(), own.index()), (Some(TransportId(7)), 2));
        assert_eq!((SocketId::shared(2).owner(), SocketId::shared(2).index()), (None, 2));
        assert_eq!(SocketId::from_bits(own.to_bits()), own);
        assert_eq!((own.to_string(), SocketId::shared(255).to_string()), ("2 of transport 7".into(), "255".into()));
        let largest = TransportId((1 << 55) - 1);
        assert_eq!(SocketId::own(largest, 255).and_then(SocketId::owner), Some(largest));
        assert!(!SocketId::own(largest, 255).expect("a usable number").is_connection());
        assert_eq!((SocketId::own(TransportId(0), 1), SocketId::own(TransportId(1 << 55), 1)), (None, None));
    }

    #[test]
    fn a_connection_is_nobodys_own() {
        for number in [0, 1, (1 << 55) - 1] {
            let connection = SocketId::connection(number, 3);
            assert!(connection.is_connection() && !SocketId::shared(3).is_connection());
            assert_eq!((connection.owner(), connection.number(), connection.index()), (None, number, 3));
            assert_eq!(SocketId::from_bits(connection.to_bits()), connection);
        }
        assert_eq!(SocketId::connection(9, 3).to_string(), "3 connection 9");
    }
}
