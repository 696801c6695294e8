//! Why packets of a track did not leave through a subscription to it.

use crate::tally::tally;

tally! {
    /// A reason to send a viewer nothing of a packet. A packet that is offered to a subscription leaves at once, or is counted
    /// under exactly one of these.
    Drop,
    /// A counter per reason.
    Drops {
        /// The viewer has no path or no keys yet.
        Unconnected => "not_connected",
        /// The subscription is paused.
        Paused => "paused",
        /// The encoding that the viewer is to get, before the key frame that it waits for.
        Waiting => "waiting_for_key_frame",
        /// An encoding that the viewer does not get.
        OtherEncoding => "other_encoding",
        /// A spatial or temporal layer that the viewer does not get.
        OtherLayer => "other_layer",
        /// The viewer has negotiated no payload type for it.
        Unmapped => "no_payload_type",
        /// Padding alone; the numbers behind it are closed up.
        Padding => "padding",
        /// It came late, and belongs to what was never begun or is forgotten.
        Late => "late",
        /// It follows in its turn, unless there is no use for it by then: the viewer's link is narrow.
        Paced => "paced",
        /// It follows in its turn: the viewer is being shown the group of pictures that it belongs to.
        Replayed => "replayed",
    }
}

impl Drops {
    /// Counts several.
    pub fn count_many(&mut self, reason: Drop, packets: usize) {
        self.counts[reason as usize] += packets as u64;
    }

    /// Adds what another has counted.
    pub fn add(&mut self, other: &Drops) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
    }
}
