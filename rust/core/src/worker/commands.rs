//! Execution of commands. Each checks everything before it changes anything.

use std::time::{Duration, Instant};

use crate::command::{
    Command, CommandError, IceParameters, IceRole, SubscriptionId, SubscriptionParameters, TrackId, TrackParameters,
    TransportId,
};
use crate::event::{Path, SocketId};
use crate::ice::Outcome;
use crate::layer::Choice;
use crate::relay::RouteId;
use crate::srtp::{Inbound, MasterKey, Outbound, Profile};
use crate::subscription::Subscription;
use crate::track::{Origin, Track};
use crate::transport::Transport;
use crate::worker::{Reply, Worker};

/// Objects of each kind that one worker takes.
const MAX_OBJECTS: usize = 65_536;
/// SSRCs that one transport may ever send.
const MAX_SSRCS: usize = 1024;
/// Routes that one track is exported to.
const MAX_ROUTES: usize = 64;
/// Encodings of one track. Browsers send three.
const MAX_ENCODINGS: usize = 16;

/// Who chooses another layer keeps what it has for so long, while the publisher is asked for a key frame: what is cached
/// would take it back in time.
const PATIENCE: Duration = Duration::from_millis(500);

impl Worker {
    pub(super) fn execute(&mut self, now: Instant, command: Command) -> Result<Reply, CommandError> {
        match command {
            Command::OpenTransport { transport, ice, own_socket } => {
                self.open_transport(now, transport, &ice, own_socket)?;
            }
            Command::CloseTransport { transport } => self.close_transport(now, transport)?,
            Command::AddRemoteCandidate { transport, address, sockets, priority } => {
                self.add_remote_candidate(now, transport, address, &sockets, priority)?;
            }
            Command::DiscoverReflexive { transport, server, sockets } => {
                self.discover_reflexive(now, transport, server, &sockets)?;
            }
            Command::RestartIce { transport, ice } => self.restart_ice(now, transport, &ice)?,
            Command::SendDtls { transport, data } => self.send_dtls(transport, &data)?,
            Command::InstallKeys { transport, profile, local, remote } => {
                self.install_keys(now, transport, profile, &local, &remote)?;
            }
            Command::AddTrack { transport, track, parameters } => {
                let slot = self.objects.transport(transport)?;
                let track = self.add_track(track, Origin::Transport(slot), parameters)?;
                self.objects.transports[slot].learn_track(track, &self.objects.tracks[track]);
                self.schedule_transport(slot);
            }
            Command::RemoveTrack { track } => {
                let slot = self.objects.track(track)?;
                self.drop_track(now, slot);
            }
            Command::Subscribe { transport, subscription, parameters } => {
                self.subscribe(transport, subscription, parameters)?;
            }
            Command::Unsubscribe { subscription } => {
                let slot = self.objects.subscription(subscription)?;
                self.objects.remove_subscription(slot);
            }
            Command::Attach { subscription, track, payload_types } => {
                self.attach(now, subscription, track, &payload_types)?;
            }
            Command::Detach { subscription } => {
                let slot = self.objects.subscription(subscription)?;
                self.objects.detach(slot);
            }
            Command::SelectLayer { subscription, choice } => self.select_layer(now, subscription, choice)?,
            Command::Pause { subscription, paused } => {
                let slot = self.objects.subscription(subscription)?;
                let subscription = &mut self.objects.subscriptions[slot];
                if subscription.paused != paused {
                    subscription.pause(paused);
                    self.want_key_frame_for(now, slot);
                }
            }
            Command::RequestKeyFrame { track } => {
                let slot = self.objects.track(track)?;
                self.want_key_frames(now, slot);
            }
            Command::OpenTap { tap, track, capacity, interval, past } => {
                self.open_tap(now, tap, track, capacity, interval, past)?;
            }
            Command::CloseTap { tap } => self.close_tap(tap)?,
            Command::OpenSource { track, parameters } => self.open_source(track, &parameters)?,
            Command::WriteFrame { track, frame } => self.write_frame(now, track, &frame)?,
            Command::Export { track, route } => self.add_route(now, track, route)?,
            Command::Unexport { track, route } => {
                let slot = self.objects.track(track)?;
                self.objects.tracks[slot].routes.retain(|&other| other != route);
            }
            Command::Import { track, route, parameters } => {
                self.add_track(track, Origin::Route(route), parameters)?;
            }
            Command::Stats => return Ok(Reply::Stats(Box::new(self.stats(now)))),
            Command::Dump => return Ok(Reply::Dump(self.dump(now))),
        }
        Ok(Reply::Done)
    }

    fn open_transport(
        &mut self,
        now: Instant,
        id: TransportId,
        ice: &IceParameters,
        own_socket: bool,
    ) -> Result<(), CommandError> {
        self.objects.transport_is_new(id)?;
        if ice.local_ufrag.is_empty() || ice.local_pwd.is_empty() || self.by_ufrag.contains_key(&*ice.local_ufrag) {
            return Err(CommandError::InvalidArgument);
        }
        if self.objects.transports.len() >= MAX_OBJECTS {
            return Err(CommandError::LimitReached);
        }
        let transport = Transport::new(id, ice, own_socket, self.random.next(), now);
        let slot = self.objects.insert_transport(transport);
        self.by_ufrag.insert(ice.local_ufrag.as_str().into(), slot);
        if ice.role != IceRole::Lite {
            self.askers.push(slot);
        }
        self.schedule_transport(slot);
        Ok(())
    }

    fn close_transport(&mut self, now: Instant, id: TransportId) -> Result<(), CommandError> {
        let slot = self.objects.transport(id)?;
        self.send_bye(slot);
        while let Some(&subscription) = self.objects.transports[slot].subscriptions.last() {
            self.objects.remove_subscription(subscription);
        }
        while let Some(&track) = self.objects.transports[slot].tracks.last() {
            self.drop_track(now, track);
        }
        self.by_ufrag.retain(|_, owner| *owner != slot);
        self.forget_paths(slot);
        self.askers.retain(|owner| *owner != slot);
        self.answering.retain(|owner| *owner != slot);
        self.objects.remove_transport(slot);
        Ok(())
    }

    fn add_remote_candidate(
        &mut self,
        now: Instant,
        id: TransportId,
        address: std::net::SocketAddr,
        sockets: &[SocketId],
        priority: u32,
    ) -> Result<(), CommandError> {
        let slot = self.objects.transport(id)?;
        let agent = &mut self.objects.transports[slot].agent;
        for &socket in sockets {
            agent.add_remote_candidate(Path { socket, remote: address }, priority);
        }
        let outcome = agent.handle_timeout(now);
        self.apply(now, slot, &outcome);
        Ok(())
    }

    fn discover_reflexive(
        &mut self,
        now: Instant,
        id: TransportId,
        server: std::net::SocketAddr,
        sockets: &[SocketId],
    ) -> Result<(), CommandError> {
        let slot = self.objects.transport(id)?;
        for &socket in sockets {
            self.objects.transports[slot].agent.discover_reflexive(now, Path { socket, remote: server });
        }
        if !self.askers.contains(&slot) {
            self.askers.push(slot);
        }
        self.apply(now, slot, &Outcome::default());
        Ok(())
    }

    fn restart_ice(&mut self, now: Instant, id: TransportId, ice: &IceParameters) -> Result<(), CommandError> {
        let slot = self.objects.transport(id)?;
        if ice.local_ufrag.is_empty() || ice.local_pwd.is_empty() {
            return Err(CommandError::InvalidArgument);
        }
        if self.by_ufrag.get(&*ice.local_ufrag).is_some_and(|&owner| owner != slot) {
            return Err(CommandError::InvalidArgument);
        }
        let agent = &mut self.objects.transports[slot].agent;
        agent.restart(ice, now);
        self.by_ufrag.retain(|ufrag, owner| *owner != slot || agent.local_ufrags().any(|known| known == &**ufrag));
        self.by_ufrag.insert(ice.local_ufrag.as_str().into(), slot);
        self.askers.retain(|&owner| owner != slot);
        if ice.role != IceRole::Lite {
            self.askers.push(slot);
        }
        self.apply(now, slot, &Outcome::default());
        Ok(())
    }

    fn send_dtls(&mut self, id: TransportId, data: &[u8]) -> Result<(), CommandError> {
        let slot = self.objects.transport(id)?;
        let path = self.objects.transports[slot].agent.send_path().ok_or(CommandError::InvalidState)?;
        self.outbox.push(path, data);
        Ok(())
    }

    fn install_keys(
        &mut self,
        now: Instant,
        id: TransportId,
        profile: Profile,
        local: &MasterKey,
        remote: &MasterKey,
    ) -> Result<(), CommandError> {
        let slot = self.objects.transport(id)?;
        let transport = &mut self.objects.transports[slot];
        if transport.outbound.is_some() {
            return Err(CommandError::InvalidState);
        }
        let outbound = Outbound::new(profile, local).map_err(|_| CommandError::InvalidArgument)?;
        let inbound = Inbound::new(profile, remote).map_err(|_| CommandError::InvalidArgument)?;
        transport.outbound = Some(outbound);
        transport.inbound = Some(inbound);
        for (path, mut datagram) in transport.take_held() {
            self.handle_media(now, slot, path, &mut datagram);
        }
        self.awaken(now, slot);
        self.schedule_transport(slot);
        Ok(())
    }

    pub(super) fn add_track(
        &mut self,
        id: TrackId,
        origin: Origin,
        parameters: TrackParameters,
    ) -> Result<usize, CommandError> {
        self.objects.track_is_new(id)?;
        let sound = !parameters.encodings.is_empty()
            && parameters.encodings.len() <= MAX_ENCODINGS
            && !parameters.codecs.is_empty()
            && parameters.codecs.iter().all(|codec| codec.payload_type < 128 && codec.clock_rate > 0);
        if !sound {
            return Err(CommandError::InvalidArgument);
        }
        if self.objects.tracks.len() >= MAX_OBJECTS {
            return Err(CommandError::LimitReached);
        }
        Ok(self.objects.insert_track(Track::new(id, origin, parameters)))
    }

    fn subscribe(
        &mut self,
        transport: TransportId,
        id: SubscriptionId,
        parameters: SubscriptionParameters,
    ) -> Result<(), CommandError> {
        let transport = self.objects.transport(transport)?;
        self.objects.subscription_is_new(id)?;
        let ssrcs = [Some(parameters.ssrc), parameters.rtx_ssrc];
        let used = &self.objects.transports[transport].used_ssrcs;
        if parameters.rtx_ssrc == Some(parameters.ssrc)
            || !Subscription::names_fit(&parameters)
            || ssrcs.iter().flatten().any(|ssrc| used.contains(ssrc))
            || parameters.codecs.iter().any(|codec| codec.payload_type >= 128 || codec.clock_rate == 0)
        {
            return Err(CommandError::InvalidArgument);
        }
        if used.len() >= MAX_SSRCS {
            return Err(CommandError::LimitReached);
        }
        if self.objects.subscriptions.len() >= MAX_OBJECTS {
            return Err(CommandError::LimitReached);
        }
        self.objects.transports[transport].used_ssrcs.extend(ssrcs.into_iter().flatten());
        let (first, first_rtx) = (self.random.first_sequence(), self.random.first_sequence());
        let subscription = Subscription::new(id, transport, parameters, first, first_rtx);
        self.objects.insert_subscription(subscription);
        Ok(())
    }

    fn attach(
        &mut self,
        now: Instant,
        subscription: SubscriptionId,
        track: TrackId,
        payload_types: &[(u8, u8)],
    ) -> Result<(), CommandError> {
        let slot = self.objects.subscription(subscription)?;
        let track_slot = self.objects.track(track)?;
        let subscription = &self.objects.subscriptions[slot];
        if subscription.kind != self.objects.tracks[track_slot].kind || !subscription.accepts(payload_types) {
            return Err(CommandError::InvalidArgument);
        }
        self.objects.detach(slot);
        let track = &mut self.objects.tracks[track_slot];
        track.subscriptions.push(slot);
        self.objects.subscriptions[slot].attach(track_slot, payload_types, track);
        let transport = self.objects.subscriptions[slot].transport;
        self.begin_sender_reports(now, transport);
        self.adapt(now, transport);
        self.want_key_frame_for(now, slot);
        Ok(())
    }

    fn select_layer(&mut self, now: Instant, id: SubscriptionId, choice: Choice) -> Result<(), CommandError> {
        let slot = self.objects.subscription(id)?;
        let subscription = &mut self.objects.subscriptions[slot];
        subscription.choose(choice, subscription.track.and_then(|track| self.objects.tracks.get(track)));
        let transport = subscription.transport;
        self.adapt(now, transport);
        self.objects.subscriptions[slot].patient_until = Some(now + PATIENCE);
        self.want_key_frame_for(now, slot);
        self.schedule_transport(transport);
        Ok(())
    }

    fn add_route(&mut self, now: Instant, track: TrackId, route: RouteId) -> Result<(), CommandError> {
        let slot = self.objects.track(track)?;
        let track = &mut self.objects.tracks[slot];
        if track.routes.contains(&route) {
            return Err(CommandError::InvalidState);
        }
        if track.routes.len() >= MAX_ROUTES {
            return Err(CommandError::LimitReached);
        }
        track.routes.push(route);
        self.export_past(slot, route);
        self.export_clocks(slot);
        self.want_key_frames(now, slot);
        Ok(())
    }

    fn drop_track(&mut self, now: Instant, slot: usize) {
        self.end_taps(now, slot);
        self.touched.retain(|&track| track != slot);
        self.objects.remove_track(slot);
    }
}
