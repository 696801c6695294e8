//! Which worker has what: the part of a command that concerns more than one media thread.
//!
//! A transport lives on one worker, its tracks and subscriptions with it. When a subscription is attached to a track of
//! another worker, the origin exports the track and the subscription's worker imports it; the last subscription there
//! that lets go undoes both.

use std::collections::HashMap;

use live777_media::command::{
    Command, CommandError, IceParameters, SourceParameters, SubscriptionId, TapId, TrackId, TrackParameters,
    TransportId,
};
use live777_media::event::SocketId;
use live777_media::relay::RouteId;

/// One command for one worker.
#[derive(Debug)]
pub struct Step {
    pub worker: usize,
    pub command: Command,
    /// It is what the caller asked for, so its result is the caller's answer; the others prepare it or clean up.
    pub asked: bool,
}

#[derive(Debug)]
struct Transport {
    worker: usize,
    own_socket: bool,
    tracks: Vec<TrackId>,
    subscriptions: Vec<SubscriptionId>,
}

#[derive(Debug)]
struct Track {
    worker: usize,
    /// None for a source.
    transport: Option<TransportId>,
    parameters: TrackParameters,
    /// How many subscriptions of each other worker it flows through.
    importers: HashMap<usize, usize>,
}

#[derive(Debug)]
struct Subscription {
    worker: usize,
    transport: TransportId,
    track: Option<TrackId>,
}

#[derive(Debug)]
struct Tap {
    worker: usize,
    track: TrackId,
}

#[derive(Debug)]
pub struct Routes {
    alive: Vec<bool>,
    transports: HashMap<TransportId, Transport>,
    tracks: HashMap<TrackId, Track>,
    subscriptions: HashMap<SubscriptionId, Subscription>,
    taps: HashMap<TapId, Tap>,
}

/// The number under which workers address each other.
fn route_to(worker: usize) -> RouteId {
    RouteId(u32::try_from(worker).expect("there are fewer workers than ports"))
}

/// What takes back a command that its worker refused, so that nothing is left of it here.
pub fn inverse(command: &Command) -> Option<Command> {
    match *command {
        Command::OpenTransport { transport, .. } => Some(Command::CloseTransport { transport }),
        Command::AddTrack { track, .. } => Some(Command::RemoveTrack { track }),
        Command::Subscribe { subscription, .. } => Some(Command::Unsubscribe { subscription }),
        Command::Attach { subscription, .. } => Some(Command::Detach { subscription }),
        Command::OpenTap { tap, .. } => Some(Command::CloseTap { tap }),
        Command::OpenSource { track, .. } => Some(Command::RemoveTrack { track }),
        _ => None,
    }
}

impl Routes {
    pub fn new(workers: usize) -> Self {
        Self {
            alive: vec![true; workers],
            transports: HashMap::new(),
            tracks: HashMap::new(),
            subscriptions: HashMap::new(),
            taps: HashMap::new(),
        }
    }

    pub fn worker_of(&self, transport: TransportId) -> Option<usize> {
        self.transports.get(&transport).map(|found| found.worker)
    }

    /// Name of the socket that a transport uses on its worker's address number `index`.
    pub fn socket_of(&self, transport: TransportId, index: u8) -> Option<SocketId> {
        let found = self.transports.get(&transport)?;
        if found.own_socket { SocketId::own(transport, index) } else { Some(SocketId::shared(index)) }
    }

    /// The steps of creating a transport on a worker.
    ///
    /// # Errors
    /// `InvalidArgument` for a worker that never was, `InvalidState` for one that has ended, `IdInUse`.
    pub fn open(
        &mut self,
        worker: usize,
        transport: TransportId,
        ice: IceParameters,
        own_socket: bool,
    ) -> Result<Vec<Step>, CommandError> {
        self.check_worker(worker)?;
        if self.transports.contains_key(&transport) {
            return Err(CommandError::IdInUse);
        }
        if own_socket && SocketId::own(transport, 0).is_none() {
            return Err(CommandError::InvalidArgument);
        }
        let home = Transport { worker, own_socket, tracks: Vec::new(), subscriptions: Vec::new() };
        self.transports.insert(transport, home);
        let command = Command::OpenTransport { transport, ice, own_socket };
        Ok(vec![Step { worker, command, asked: true }])
    }

    /// The steps of creating a source on a worker.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_source(
        &mut self,
        worker: usize,
        track: TrackId,
        parameters: SourceParameters,
    ) -> Result<Vec<Step>, CommandError> {
        self.check_worker(worker)?;
        if self.tracks.contains_key(&track) {
            return Err(CommandError::IdInUse);
        }
        let home =
            Track { worker, transport: None, parameters: parameters.track_parameters(), importers: HashMap::new() };
        self.tracks.insert(track, home);
        Ok(vec![Step { worker, command: Command::OpenSource { track, parameters }, asked: true }])
    }

    fn check_worker(&self, worker: usize) -> Result<(), CommandError> {
        match self.alive.get(worker) {
            None => Err(CommandError::InvalidArgument),
            Some(false) => Err(CommandError::InvalidState),
            Some(true) => Ok(()),
        }
    }

    /// The steps of every command but `OpenTransport`, `OpenSource`, `Stats` and `Dump`, in the order in which they must be queued.
    ///
    /// # Errors
    /// `UnknownId` and `IdInUse`; commands that workers exchange among themselves are an `InvalidArgument`.
    pub fn plan(&mut self, command: Command) -> Result<Vec<Step>, CommandError> {
        let unknown = CommandError::UnknownId;
        let asked = |worker, command| vec![Step { worker, command, asked: true }];
        match command {
            Command::AddRemoteCandidate { transport, .. }
            | Command::DiscoverReflexive { transport, .. }
            | Command::RestartIce { transport, .. }
            | Command::SendDtls { transport, .. }
            | Command::InstallKeys { transport, .. } => Ok(asked(self.worker_of(transport).ok_or(unknown)?, command)),
            Command::SelectLayer { subscription, .. } | Command::Pause { subscription, .. } => {
                Ok(asked(self.subscriptions.get(&subscription).ok_or(unknown)?.worker, command))
            }
            Command::RequestKeyFrame { track } | Command::WriteFrame { track, .. } => {
                Ok(asked(self.tracks.get(&track).ok_or(unknown)?.worker, command))
            }
            Command::OpenTap { tap, track, .. } => {
                let worker = self.tracks.get(&track).ok_or(unknown)?.worker;
                if self.taps.contains_key(&tap) {
                    return Err(CommandError::IdInUse);
                }
                self.taps.insert(tap, Tap { worker, track });
                Ok(asked(worker, command))
            }
            Command::CloseTap { tap } => Ok(asked(self.taps.remove(&tap).ok_or(unknown)?.worker, command)),
            Command::AddTrack { transport, track, ref parameters } => {
                let home = self.transports.get_mut(&transport).ok_or(unknown)?;
                if self.tracks.contains_key(&track) {
                    return Err(CommandError::IdInUse);
                }
                home.tracks.push(track);
                let worker = home.worker;
                let parameters = parameters.clone();
                let transport = Some(transport);
                self.tracks.insert(track, Track { worker, transport, parameters, importers: HashMap::new() });
                Ok(asked(worker, command))
            }
            Command::Subscribe { transport, subscription, .. } => {
                let home = self.transports.get_mut(&transport).ok_or(unknown)?;
                if self.subscriptions.contains_key(&subscription) {
                    return Err(CommandError::IdInUse);
                }
                home.subscriptions.push(subscription);
                let worker = home.worker;
                self.subscriptions.insert(subscription, Subscription { worker, transport, track: None });
                Ok(asked(worker, command))
            }
            Command::Attach { subscription, track, .. } => self.attach(subscription, track, command),
            Command::Detach { subscription } => {
                let found = self.subscriptions.get_mut(&subscription).ok_or(unknown)?;
                let (worker, track) = (found.worker, found.track.take());
                let mut steps = asked(worker, command);
                self.release(worker, track, &mut steps);
                Ok(steps)
            }
            Command::Unsubscribe { subscription } => {
                let found = self.subscriptions.remove(&subscription).ok_or(unknown)?;
                if let Some(home) = self.transports.get_mut(&found.transport) {
                    home.subscriptions.retain(|&other| other != subscription);
                }
                let mut steps = asked(found.worker, command);
                self.release(found.worker, found.track, &mut steps);
                Ok(steps)
            }
            Command::RemoveTrack { track } => {
                let found = self.tracks.get(&track).ok_or(unknown)?;
                let mut steps = asked(found.worker, command);
                if let Some(home) = found.transport.and_then(|transport| self.transports.get_mut(&transport)) {
                    home.tracks.retain(|&other| other != track);
                }
                self.remove_imports(track, &mut steps);
                Ok(steps)
            }
            Command::CloseTransport { transport } => {
                let found = self.transports.remove(&transport).ok_or(unknown)?;
                let mut steps = asked(found.worker, command);
                self.abandon(found, &mut steps);
                Ok(steps)
            }
            Command::OpenTransport { .. }
            | Command::OpenSource { .. }
            | Command::Export { .. }
            | Command::Unexport { .. }
            | Command::Import { .. }
            | Command::Stats
            | Command::Dump => Err(CommandError::InvalidArgument),
        }
    }

    /// Forgets a worker that has ended with all it had. The steps tell the others; the taps have ended.
    pub fn bury(&mut self, worker: usize) -> (Vec<Step>, Vec<TapId>) {
        self.alive[worker] = false;
        let taps = self.taps.iter().filter(|(_, found)| found.worker == worker).map(|(&id, _)| id).collect();
        let lost: Vec<TransportId> =
            self.transports.iter().filter(|(_, found)| found.worker == worker).map(|(&id, _)| id).collect();
        let mut steps = Vec::new();
        for transport in lost {
            if let Some(found) = self.transports.remove(&transport) {
                self.abandon(found, &mut steps);
            }
        }
        let sources: Vec<TrackId> =
            self.tracks.iter().filter(|(_, found)| found.worker == worker).map(|(&id, _)| id).collect();
        for track in sources {
            self.remove_imports(track, &mut steps);
        }
        steps.retain(|step| step.worker != worker);
        (steps, taps)
    }

    fn attach(
        &mut self,
        subscription: SubscriptionId,
        track: TrackId,
        command: Command,
    ) -> Result<Vec<Step>, CommandError> {
        let found = self.subscriptions.get_mut(&subscription).ok_or(CommandError::UnknownId)?;
        let origin = self.tracks.get_mut(&track).ok_or(CommandError::UnknownId)?;
        let worker = found.worker;
        let before = found.track.replace(track);
        let mut steps = Vec::new();
        if origin.worker != worker {
            let flows = origin.importers.entry(worker).or_default();
            if *flows == 0 {
                let parameters = origin.parameters.clone();
                let import = Command::Import { track, route: route_to(origin.worker), parameters };
                steps.push(Step { worker, command: import, asked: false });
                let export = Command::Export { track, route: route_to(worker) };
                steps.push(Step { worker: origin.worker, command: export, asked: false });
            }
            *flows += 1;
        }
        steps.push(Step { worker, command, asked: true });
        self.release(worker, before, &mut steps);
        Ok(steps)
    }

    /// One subscription of `worker` has let go of `track` (which may be gone by now).
    fn release(&mut self, worker: usize, track: Option<TrackId>, steps: &mut Vec<Step>) {
        let Some(track) = track else { return };
        let Some(origin) = self.tracks.get_mut(&track) else { return };
        let Some(flows) = origin.importers.get_mut(&worker) else { return };
        *flows -= 1;
        if *flows == 0 {
            origin.importers.remove(&worker);
            let unexport = Command::Unexport { track, route: route_to(worker) };
            steps.push(Step { worker: origin.worker, command: unexport, asked: false });
            steps.push(Step { worker, command: Command::RemoveTrack { track }, asked: false });
        }
    }

    /// The track is gone from its own worker: the copies on others go too.
    fn remove_imports(&mut self, track: TrackId, steps: &mut Vec<Step>) {
        let Some(gone) = self.tracks.remove(&track) else { return };
        self.taps.retain(|_, tap| tap.track != track);
        for worker in gone.importers.into_keys() {
            steps.push(Step { worker, command: Command::RemoveTrack { track }, asked: false });
        }
    }

    fn abandon(&mut self, transport: Transport, steps: &mut Vec<Step>) {
        for track in transport.tracks {
            self.remove_imports(track, steps);
        }
        for subscription in transport.subscriptions {
            if let Some(found) = self.subscriptions.remove(&subscription) {
                self.release(transport.worker, found.track, steps);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use live777_media::codec::Codec;
    use live777_media::command::{CodecParameters, IceRole, Kind, SubscriptionParameters};

    use super::*;

    const PUBLISHER: TransportId = TransportId(1);
    const TRACK: TrackId = TrackId(10);

    fn open(routes: &mut Routes, worker: usize, transport: TransportId) -> Result<Vec<Step>, CommandError> {
        let ice = IceParameters {
            role: IceRole::Lite,
            local_ufrag: String::from("ufrag"),
            local_pwd: String::from("password"),
            remote_ufrag: None,
            remote_pwd: None,
        };
        routes.open(worker, transport, ice, false)
    }

    fn add_track(transport: TransportId, track: TrackId) -> Command {
        let parameters = TrackParameters {
            kind: Kind::Video,
            mid: None,
            codecs: Vec::new(),
            encodings: Vec::new(),
            extensions: Vec::new(),
            local_ssrc: 1,
        };
        Command::AddTrack { transport, track, parameters }
    }

    fn subscribe(transport: TransportId, subscription: SubscriptionId) -> Command {
        let parameters = SubscriptionParameters {
            kind: Kind::Video,
            mid: None,
            ssrc: 1,
            rtx_ssrc: None,
            rid: None,
            cname: String::from("cname"),
            codecs: Vec::new(),
            extensions: Vec::new(),
        };
        Command::Subscribe { transport, subscription, parameters }
    }

    fn attach(subscription: u64) -> Command {
        Command::Attach { subscription: SubscriptionId(subscription), track: TRACK, payload_types: Vec::new() }
    }

    /// A publisher on worker 0; viewers 2 and 3 on worker 1 and 4 on worker 0, subscriptions 102 to 104.
    fn house() -> Routes {
        let mut routes = Routes::new(2);
        open(&mut routes, 0, PUBLISHER).expect("opens");
        routes.plan(add_track(PUBLISHER, TRACK)).expect("adds");
        for (worker, viewer) in [(1, 2), (1, 3), (0, 4)] {
            open(&mut routes, worker, TransportId(viewer)).expect("opens");
            routes.plan(subscribe(TransportId(viewer), SubscriptionId(100 + viewer))).expect("subscribes");
        }
        routes
    }

    /// Steps as `worker:Command`, the asked one with a star.
    fn names(steps: Vec<Step>) -> Vec<String> {
        let name = |step: &Step| {
            let debug = format!("{:?}", step.command);
            let end = debug.find(' ').unwrap_or(debug.len());
            format!("{}:{}{}", step.worker, &debug[..end], if step.asked { "*" } else { "" })
        };
        steps.iter().map(name).collect()
    }

    fn plan(routes: &mut Routes, command: Command) -> Vec<String> {
        names(routes.plan(command).expect("allowed"))
    }

    #[test]
    fn a_viewer_of_the_same_worker_needs_no_relay() {
        assert_eq!(plan(&mut house(), attach(104)), ["0:Attach*"]);
    }

    #[test]
    fn the_first_viewer_of_another_worker_brings_the_relay_and_the_last_one_ends_it() {
        let mut routes = house();
        assert_eq!(plan(&mut routes, attach(102)), ["1:Import", "0:Export", "1:Attach*"]);
        assert_eq!(plan(&mut routes, attach(103)), ["1:Attach*"]);
        assert_eq!(plan(&mut routes, attach(103)), ["1:Attach*"], "attached again");
        let detach = Command::Detach { subscription: SubscriptionId(102) };
        assert_eq!(plan(&mut routes, detach), ["1:Detach*"]);
        let close = Command::CloseTransport { transport: TransportId(3) };
        assert_eq!(plan(&mut routes, close), ["1:CloseTransport*", "0:Unexport", "1:RemoveTrack"]);
    }

    #[test]
    fn a_track_that_goes_takes_its_copies_with_it() {
        let mut routes = house();
        plan(&mut routes, attach(102));
        assert_eq!(plan(&mut routes, Command::RemoveTrack { track: TRACK }), ["0:RemoveTrack*", "1:RemoveTrack"]);
        let unsubscribe = Command::Unsubscribe { subscription: SubscriptionId(102) };
        assert_eq!(plan(&mut routes, unsubscribe), ["1:Unsubscribe*"]);
    }

    #[test]
    fn ids_are_checked_before_a_worker_hears_of_them() {
        let mut routes = house();
        assert_eq!(open(&mut routes, 0, PUBLISHER).unwrap_err(), CommandError::IdInUse);
        assert_eq!(open(&mut routes, 2, TransportId(9)).unwrap_err(), CommandError::InvalidArgument);
        assert_eq!(routes.plan(add_track(PUBLISHER, TRACK)).unwrap_err(), CommandError::IdInUse);
        assert_eq!(routes.plan(add_track(TransportId(9), TrackId(9))).unwrap_err(), CommandError::UnknownId);
        assert_eq!(routes.plan(attach(9)).unwrap_err(), CommandError::UnknownId);
        let close = Command::CloseTransport { transport: TransportId(9) };
        assert_eq!(routes.plan(close).unwrap_err(), CommandError::UnknownId);
    }

    #[test]
    fn a_dead_worker_is_forgotten_and_the_others_are_told() {
        let mut routes = house();
        plan(&mut routes, attach(102));
        assert_eq!(names(routes.bury(1).0), ["0:Unexport"]);
        assert_eq!(routes.worker_of(TransportId(2)), None);
        assert_eq!(open(&mut routes, 1, TransportId(9)).unwrap_err(), CommandError::InvalidState);

        let mut routes = house();
        plan(&mut routes, attach(102));
        assert_eq!(names(routes.bury(0).0), ["1:RemoveTrack"]);
        assert_eq!(routes.plan(attach(102)).unwrap_err(), CommandError::UnknownId);
    }

    #[test]
    fn what_a_worker_refuses_is_taken_back() {
        let mut routes = house();
        let undo = inverse(&subscribe(TransportId(2), SubscriptionId(7))).expect("it creates something");
        routes.plan(subscribe(TransportId(2), SubscriptionId(7))).expect("free");
        assert_eq!(plan(&mut routes, undo), ["1:Unsubscribe*"]);
        routes.plan(subscribe(TransportId(2), SubscriptionId(7))).expect("free again");
    }

    fn open_tap(tap: u64, track: TrackId) -> Command {
        let none = std::time::Duration::ZERO;
        Command::OpenTap { tap: TapId(tap), track, capacity: 1, interval: none, past: none }
    }

    fn source() -> SourceParameters {
        let codec = CodecParameters {
            payload_type: 96,
            codec: Codec::Vp8,
            clock_rate: 90_000,
            rtx_payload_type: None,
            nack: false,
            pli: false,
            fir: false,
            transport_cc: false,
            remb: false,
            parameter_sets: Vec::new(),
        };
        SourceParameters { codec }
    }

    #[test]
    fn a_tap_lives_where_its_track_does() {
        let mut routes = house();
        assert_eq!(plan(&mut routes, open_tap(1, TRACK)), ["0:OpenTap*"]);
        assert_eq!(routes.plan(open_tap(1, TRACK)).unwrap_err(), CommandError::IdInUse);
        assert_eq!(routes.plan(open_tap(2, TrackId(9))).unwrap_err(), CommandError::UnknownId);
        assert_eq!(plan(&mut routes, Command::CloseTap { tap: TapId(1) }), ["0:CloseTap*"]);
        assert_eq!(routes.plan(Command::CloseTap { tap: TapId(1) }).unwrap_err(), CommandError::UnknownId);
        // It goes with its track, and with its worker.
        plan(&mut routes, open_tap(3, TRACK));
        plan(&mut routes, Command::RemoveTrack { track: TRACK });
        assert_eq!(routes.plan(Command::CloseTap { tap: TapId(3) }).unwrap_err(), CommandError::UnknownId);
        routes.plan(add_track(PUBLISHER, TRACK)).expect("free again");
        plan(&mut routes, open_tap(4, TRACK));
        assert_eq!(routes.bury(0).1, [TapId(4)]);
        assert!(routes.taps.is_empty());
    }

    #[test]
    fn a_source_is_a_track_without_a_transport() {
        let mut routes = house();
        let track = TrackId(20);
        assert_eq!(names(routes.open_source(0, track, source()).expect("opens")), ["0:OpenSource*"]);
        assert_eq!(routes.open_source(0, track, source()).unwrap_err(), CommandError::IdInUse);
        assert_eq!(routes.open_source(9, track, source()).unwrap_err(), CommandError::InvalidArgument);
        let subscription = SubscriptionId(102);
        let attach = Command::Attach { subscription, track, payload_types: Vec::new() };
        assert_eq!(plan(&mut routes, attach), ["1:Import", "0:Export", "1:Attach*"]);
        assert_eq!(plan(&mut routes, Command::RemoveTrack { track }), ["0:RemoveTrack*", "1:RemoveTrack"]);

        let track = TrackId(21);
        routes.open_source(0, track, source()).expect("opens");
        routes.plan(Command::Attach { subscription, track, payload_types: Vec::new() }).expect("attaches");
        assert_eq!(names(routes.bury(0).0), ["1:RemoveTrack"]);
        assert_eq!(routes.open_source(0, track, source()).unwrap_err(), CommandError::InvalidState);
    }
}
