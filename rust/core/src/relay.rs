//! What workers tell each other when the viewers of a track sit on another thread than its publisher.
//!
//! The origin *exports* a track to a route; the other worker *imports* it under the same [`TrackId`]. Packets travel as
//! one shared burst of plaintext RTP, so that a further route costs a reference count. An imported track behaves like
//! a local one: it has its own history, which begins with the group of pictures that the origin is in, answers its own
//! NACKs and merges the key frame requests of its viewers into
//! one request that travels back.

use std::sync::Arc;

use crate::command::TrackId;
pub use crate::egress::burst::{Element, Packet, PacketBuffer, PictureNumbers, Source};
use crate::track::clock::ClockPoint;

/// One direction from this worker to another. The shell chooses the numbers (the index of the other worker will do).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub u32);

/// One message between two workers. Cheap to clone.
#[derive(Clone, Debug)]
pub enum RelayMessage {
    /// The packets of a track within one burst, in order of arrival.
    Packets {
        /// The exported track.
        track: TrackId,
        /// Plaintext RTP of all its encodings.
        burst: Arc<PacketBuffer>,
    },
    /// What there is of the groups of pictures that the encodings of a track are in, in order: the first message about a
    /// track. It is kept to be shown, and not forwarded.
    Past {
        /// The exported track.
        track: TrackId,
        /// Plaintext RTP.
        burst: Arc<PacketBuffer>,
    },
    /// What sender reports of the publisher say of the RTP clock of an encoding.
    Clock {
        /// The exported track.
        track: TrackId,
        /// Index of the encoding in the track's parameters.
        encoding: u8,
        /// On the clock that all workers share; `None` if they are not believed (any more).
        point: Option<ClockPoint>,
    },
    /// A viewer of the importing worker needs a key frame. Travels back to the origin.
    KeyFrameRequest {
        /// The imported track.
        track: TrackId,
        /// Index of the encoding in the track's parameters.
        encoding: u8,
    },
}
