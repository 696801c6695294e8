//! Every object of a worker: dense slots for the packet path, ids for control.

use rustc_hash::FxHashMap;
use slab::Slab;

use crate::command::{CommandError, SubscriptionId, TapId, TrackId, TransportId};
use crate::stats::Totals;
use crate::subscription::Subscription;
use crate::track::Track;
use crate::transport::Transport;

/// The tables. A slot is valid until its object is removed, and nothing else refers to it after that.
#[derive(Default)]
pub struct Objects {
    /// All transports.
    pub transports: Slab<Transport>,
    /// All tracks, imported ones included.
    pub tracks: Slab<Track>,
    /// All subscriptions.
    pub subscriptions: Slab<Subscription>,
    /// What the objects that are gone had counted.
    gone: Totals,
    transport_ids: FxHashMap<TransportId, usize>,
    track_ids: FxHashMap<TrackId, usize>,
    subscription_ids: FxHashMap<SubscriptionId, usize>,
    /// Slot of the track that each tap reads; the track owns the tap.
    tap_ids: FxHashMap<TapId, usize>,
}

impl Objects {
    /// The slot of a transport.
    pub fn transport(&self, id: TransportId) -> Result<usize, CommandError> {
        self.transport_ids.get(&id).copied().ok_or(CommandError::UnknownId)
    }

    /// The slot of a track.
    pub fn track(&self, id: TrackId) -> Result<usize, CommandError> {
        self.track_ids.get(&id).copied().ok_or(CommandError::UnknownId)
    }

    /// The slot of a subscription.
    pub fn subscription(&self, id: SubscriptionId) -> Result<usize, CommandError> {
        self.subscription_ids.get(&id).copied().ok_or(CommandError::UnknownId)
    }

    /// Refuses an id that is in use.
    pub fn transport_is_new(&self, id: TransportId) -> Result<(), CommandError> {
        if self.transport_ids.contains_key(&id) { Err(CommandError::IdInUse) } else { Ok(()) }
    }

    /// Refuses an id that is in use.
    pub fn track_is_new(&self, id: TrackId) -> Result<(), CommandError> {
        if self.track_ids.contains_key(&id) { Err(CommandError::IdInUse) } else { Ok(()) }
    }

    /// Refuses an id that is in use.
    pub fn subscription_is_new(&self, id: SubscriptionId) -> Result<(), CommandError> {
        if self.subscription_ids.contains_key(&id) { Err(CommandError::IdInUse) } else { Ok(()) }
    }

    /// Refuses an id that is in use.
    pub fn tap_is_new(&self, id: TapId) -> Result<(), CommandError> {
        if self.tap_ids.contains_key(&id) { Err(CommandError::IdInUse) } else { Ok(()) }
    }

    /// Notes that a track has a tap.
    pub fn note_tap(&mut self, id: TapId, track: usize) {
        self.tap_ids.insert(id, track);
    }

    /// Forgets a tap; the slot of its track.
    pub fn forget_tap(&mut self, id: TapId) -> Result<usize, CommandError> {
        self.tap_ids.remove(&id).ok_or(CommandError::UnknownId)
    }

    /// Stores a transport.
    pub fn insert_transport(&mut self, transport: Transport) -> usize {
        let id = transport.id;
        let slot = self.transports.insert(transport);
        self.transport_ids.insert(id, slot);
        slot
    }

    /// Stores a track and notes it at its transport.
    pub fn insert_track(&mut self, track: Track) -> usize {
        let (id, transport) = (track.id, track.transport());
        let slot = self.tracks.insert(track);
        self.track_ids.insert(id, slot);
        if let Some(transport) = transport {
            self.transports[transport].tracks.push(slot);
        }
        slot
    }

    /// Stores a subscription and notes it at its transport: video before audio, so that a short audio packet ends a run
    /// of video.
    pub fn insert_subscription(&mut self, subscription: Subscription) -> usize {
        let (id, transport, kind) = (subscription.id, subscription.transport, subscription.kind);
        let slot = self.subscriptions.insert(subscription);
        self.subscription_ids.insert(id, slot);
        let list = &mut self.transports[transport].subscriptions;
        match kind {
            crate::command::Kind::Video => list.insert(0, slot),
            crate::command::Kind::Audio => list.push(slot),
        }
        slot
    }

    /// Removes a transport that has no tracks and subscriptions any more.
    pub fn remove_transport(&mut self, slot: usize) -> Transport {
        let transport = self.transports.remove(slot);
        self.gone.add_transport(&transport);
        self.transport_ids.remove(&transport.id);
        give_back(&mut self.transports);
        transport
    }

    /// Removes a track; its subscriptions stay, detached.
    pub fn remove_track(&mut self, slot: usize) -> Track {
        let track = self.tracks.remove(slot);
        self.gone.add_track(&track);
        self.track_ids.remove(&track.id);
        give_back(&mut self.tracks);
        for &subscription in &track.subscriptions {
            let state = &mut self.subscriptions[subscription];
            self.transports[state.transport].egress.forget(subscription);
            state.detach();
        }
        if let Some(transport) = track.transport() {
            let transport = &mut self.transports[transport];
            transport.tracks.retain(|&other| other != slot);
            transport.forget_track(slot);
        }
        track
    }

    /// Removes a subscription.
    pub fn remove_subscription(&mut self, slot: usize) -> Subscription {
        self.detach(slot);
        let subscription = self.subscriptions.remove(slot);
        self.gone.add_subscription(&subscription);
        self.subscription_ids.remove(&subscription.id);
        give_back(&mut self.subscriptions);
        let transport = &mut self.transports[subscription.transport];
        transport.subscriptions.retain(|&other| other != slot);
        transport.egress.extras.retain(|extra| extra.subscription != slot);
        subscription
    }

    /// What all objects that are or were have counted.
    pub fn totals(&self) -> Totals {
        let mut totals = self.gone;
        self.transports.iter().for_each(|(_, transport)| totals.add_transport(transport));
        self.tracks.iter().for_each(|(_, track)| totals.add_track(track));
        self.subscriptions.iter().for_each(|(_, subscription)| totals.add_subscription(subscription));
        totals
    }

    /// Unbinds a subscription from its track, if it has one.
    pub fn detach(&mut self, slot: usize) {
        let subscription = &mut self.subscriptions[slot];
        self.transports[subscription.transport].egress.forget(slot);
        if let Some(track) = subscription.track {
            subscription.detach();
            self.tracks[track].subscriptions.retain(|&other| other != slot);
        }
    }
}

/// Returns the memory of slots at the end that a crowd has left. Each attempt walks all slots, so it is made only when
/// the number of objects passes a power of two.
fn give_back<T>(slab: &mut Slab<T>) {
    let count = slab.len();
    if (count == 0 || count.is_power_of_two()) && slab.capacity() > 64.max(4 * count) {
        slab.shrink_to_fit();
    }
}
