//! ICE in mid-session: restarts, addresses that change, TCP connections that end, and whoever would like to be the peer.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::net::{Net, Peer};
use common::publisher::{Media, Publisher, Stream};
use common::scene::{self, AUDIO, VIDEO, ViewerOptions};
use common::session::Session;
use common::viewer::Viewer;
use live777_media::command::{Command, TransportId};
use live777_media::event::{Event, Path, SocketId};
use live777_media::srtp::Profile;
use live777_media::stats::{Stats, TransportStats};
use live777_media::worker::Reply;

const GCM: Profile = Profile::AeadAes128Gcm;
/// Between two pictures, and a little more: one that waits for NACK and repair.
const UNINTERRUPTED: Duration = Duration::from_millis(150);

fn scene(seed: u64) -> (Net, Publisher, [Viewer; 1]) {
    let mut net = Net::new(seed, 1);
    let video = Stream::video(Media::H264, 5000, net.now);
    let tracks = vec![(VIDEO, vec![video]), (AUDIO, vec![Stream::audio(7500, net.now)])];
    let mut publisher = scene::publish(&mut net, 0, 1, GCM, tracks);
    let mut viewers = [scene::view(&mut net, 0, 2, ViewerOptions::default())];
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    net.events.clear();
    (net, publisher, viewers)
}

fn stats(net: &mut Net) -> Stats {
    match net.workers[0].command(net.now, Command::Stats) {
        Ok(Reply::Stats(stats)) => *stats,
        other => panic!("{other:?}"),
    }
}

fn transport(net: &mut Net, id: u64) -> TransportStats {
    stats(net).transports.into_iter().find(|row| row.transport == TransportId(id)).expect("it is there")
}

fn elsewhere(port: u16) -> Path {
    Path { socket: SocketId::shared(0), remote: SocketAddr::from(([192, 0, 2, 9], port)) }
}

fn over_tcp(number: u64, port: u16) -> Path {
    Path { socket: SocketId::connection(number, 0), ..elsewhere(port) }
}

/// The paths that were selected since the last look.
fn selected(net: &mut Net, id: u64) -> Vec<Path> {
    let of = |(_, event)| match event {
        Event::IceConnected { transport, path } if transport == TransportId(id) => Some(path),
        _ => None,
    };
    net.events.drain(..).filter_map(of).collect()
}

fn longest_gap(net: &Net, viewers: &[Viewer]) -> Duration {
    viewers[0].receivers[0].longest_gap(net.now)
}

/// Both ends of the publisher's session and of the viewer's begin ICE anew; the peers hear of it a second later.
#[test]
fn media_flows_while_ice_restarts() {
    let (mut net, mut publisher, mut viewers) = scene(1);
    publisher.session.restart(&mut net.workers[0], net.now, 1);
    viewers[0].session.restart(&mut net.workers[0], net.now, 1);
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert_eq!(selected(&mut net, 2), [], "the old pair is kept until the new one is proved");

    // A check of the new generation from a new address proves that address, and moves nothing.
    viewers[0].session.nominates = false;
    viewers[0].session.follow_restart(net.now, 1);
    let check = viewers[0].session.check();
    net.inject(0, elsewhere(777), check);
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert_eq!((selected(&mut net, 2), transport(&mut net, 2).path), (vec![], Some(viewers[0].session.path)));

    viewers[0].session.nominates = true;
    viewers[0].session.path = elsewhere(777);
    viewers[0].session.follow_restart(net.now, 1);
    publisher.session.follow_restart(net.now, 1);
    scene::run(&mut net, &mut publisher, &mut viewers, 5.0);
    assert_eq!(transport(&mut net, 2).path, Some(elsewhere(777)));
    let gap = longest_gap(&net, &viewers);
    assert!(gap < UNINTERRUPTED, "{gap:?}");
    assert_eq!(viewers[0].receiver(0).skipped, 0);
}

#[test]
fn a_restart_that_the_peer_never_hears_of_changes_nothing() {
    let (mut net, mut publisher, mut viewers) = scene(2);
    for generation in 1..4 {
        publisher.session.restart(&mut net.workers[0], net.now, generation);
        viewers[0].session.restart(&mut net.workers[0], net.now, generation);
        scene::run(&mut net, &mut publisher, &mut viewers, 20.0);
    }
    let gap = longest_gap(&net, &viewers);
    assert!(gap < UNINTERRUPTED, "{gap:?}");
    assert!(!net.events.iter().any(|(_, event)| matches!(event, Event::IceLost { .. })));

    // The last one counts; the ones before it are void.
    for (generation, counts) in [(2, false), (3, true)] {
        let (path, port) = (viewers[0].session.path, 800 + generation as u16);
        viewers[0].session.follow_restart(net.now, generation);
        let check = viewers[0].session.check();
        net.inject(0, elsewhere(port), check);
        viewers[0].session.follow_restart(net.now, 0);
        viewers[0].session.checks = false;
        scene::run(&mut net, &mut publisher, &mut viewers, 0.1);
        assert_eq!(transport(&mut net, 2).path, Some(if counts { elsewhere(port) } else { path }), "{generation}");
    }
    // Now it is proved, and the old password is of no use any more.
    let old = viewers[0].session.check();
    net.inject(0, elsewhere(900), old);
    scene::run(&mut net, &mut publisher, &mut viewers, 0.1);
    assert_eq!(transport(&mut net, 2).path, Some(elsewhere(803)));
}

/// A NAT gives the peer another port; it nominates with its next check, as browsers do.
#[test]
fn a_rebound_peer_that_nominates_goes_on_at_once() {
    let (mut net, mut publisher, mut viewers) = scene(3);
    let before = viewers[0].session.path;
    viewers[0].session.path = elsewhere(777);
    publisher.session.path = elsewhere(778);
    // Not before it has proved itself: neither its media nor anything else.
    let unknown = stats(&mut net).worker.unknown_datagrams;
    (publisher.session.checks, viewers[0].session.checks) = (false, false);
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert_eq!(transport(&mut net, 2).path, Some(before));
    assert!(stats(&mut net).worker.unknown_datagrams > unknown + 100, "the publisher's media");

    (publisher.session.checks, viewers[0].session.checks) = (true, true);
    (publisher.session.check_at, viewers[0].session.check_at) = (net.now, net.now);
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert_eq!(selected(&mut net, 2), [elsewhere(777)]);
    let shown = viewers[0].receiver(0).shown.len();
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    assert!(viewers[0].receiver(0).shown.len() >= shown + 58);

    // DTLS comes from there, too.
    net.events.clear();
    net.inject(0, elsewhere(777), vec![22; 30]);
    net.inject(0, elsewhere(779), vec![22; 30]);
    scene::run(&mut net, &mut publisher, &mut viewers, 0.1);
    assert_eq!(net.events.iter().filter(|(_, event)| matches!(event, Event::Dtls { .. })).count(), 1);
}

/// RFC 7675 asks for checks, not for nominations: aiortc's have none. Its media says where it is.
#[test]
fn a_rebound_peer_that_does_not_nominate_is_found_by_its_media() {
    let (mut net, mut publisher, mut viewers) = scene(4);
    viewers[0].session.nominates = false;
    viewers[0].session.path = elsewhere(777);
    viewers[0].session.check_at = net.now;
    scene::run(&mut net, &mut publisher, &mut viewers, 2.5);
    assert_eq!(selected(&mut net, 2), [elsewhere(777)]);
    let shown = viewers[0].receiver(0).shown.len();
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    assert!(viewers[0].receiver(0).shown.len() >= shown + 55);
}

#[test]
fn whoever_overhears_a_session_cannot_have_it() {
    let (mut net, mut publisher, mut viewers) = scene(5);
    let path = viewers[0].session.path;
    let check = viewers[0].session.check();
    net.inject(0, path, check.clone());
    scene::run(&mut net, &mut publisher, &mut viewers, 0.1);
    let before = transport(&mut net, 2);

    // The same check from another address; the same with another ending; one with a password that was guessed.
    net.inject(0, elsewhere(1), check.clone());
    let mut forged = check.clone();
    *forged.last_mut().unwrap() ^= 1;
    net.inject(0, elsewhere(2), forged);
    let mut guessed = scene::view(&mut net, 0, 9, ViewerOptions { track: None, audio: None, ..Default::default() });
    let foreign = guessed.session.check();
    net.inject(0, elsewhere(3), foreign);
    // Captured media, and reports that ask for something.
    let report = viewers[0].session.seal_rtcp(&common::wire::write_pli(1, 207));
    for port in 1..=4 {
        net.inject(0, elsewhere(port), report.clone());
        net.inject(0, elsewhere(port), vec![22; 40]);
    }
    net.events.clear();
    scene::run(&mut net, &mut publisher, &mut viewers, 3.0);
    let after = transport(&mut net, 2);
    assert_eq!((after.path, selected(&mut net, 2)), (Some(path), vec![]));
    assert_eq!(after.datagrams_ignored, before.datagrams_ignored + 1, "the repeated check");
    assert!(net.events.iter().all(|(_, event)| !matches!(event, Event::Dtls { transport, .. } if transport.0 == 2)));
    let gap = longest_gap(&net, &viewers);
    assert!(gap < UNINTERRUPTED, "{gap:?}");

    // The peer itself is answered when it repeats one.
    net.inject(0, path, check);
    scene::run(&mut net, &mut publisher, &mut viewers, 0.1);
    assert_eq!(transport(&mut net, 2).datagrams_ignored, after.datagrams_ignored);
}

#[test]
fn a_viewer_plays_over_tcp_and_comes_back_by_another_connection() {
    let (mut net, mut publisher, mut viewers) = scene(6);
    viewers[0].session.path = over_tcp(1, 777);
    viewers[0].session.check_at = net.now;
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert_eq!(selected(&mut net, 2), [over_tcp(1, 777)]);
    assert!(net.workers[0].knows(over_tcp(1, 777)) && !net.workers[0].knows(over_tcp(2, 777)));

    // The connection ends: nothing is sent there, though the UDP path that was proved before is.
    let old = Path { remote: SocketAddr::from(([10, 0, 0, 2], 5000)), ..elsewhere(0) };
    net.workers[0].disconnected(net.now, over_tcp(1, 777));
    let sent = transport(&mut net, 2);
    assert_eq!((sent.path, sent.connected), (Some(old), false));
    assert!(!net.workers[0].knows(over_tcp(1, 777)));
    assert_eq!(net.workers[0].poll_released(), None, "whoever says so knows it");

    viewers[0].session.path = over_tcp(2, 778);
    viewers[0].session.check_at = net.now;
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert_eq!(transport(&mut net, 2).path, Some(over_tcp(2, 778)));
    let shown = viewers[0].receiver(0).shown.len();
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert!(viewers[0].receiver(0).shown.len() >= shown + 29);

    // The session ends: so does its connection, after the goodbye.
    net.workers[0].command(net.now, Command::CloseTransport { transport: TransportId(2) }).unwrap();
    assert_eq!(net.workers[0].poll_released(), Some(SocketId::connection(2, 0)));
    assert_eq!(net.workers[0].poll_released(), None);
    let mut peers: [(&mut dyn Peer, usize); 2] = [(&mut publisher, 0), (&mut viewers[0], 0)];
    net.run(Duration::from_millis(100), &mut peers);
    assert!(!viewers[0].byes.is_empty());
}

/// Without UDP there is nowhere to go until the peer has connected again; media goes on then.
#[test]
fn a_peer_with_nothing_but_tcp_may_reconnect() {
    let (mut net, mut publisher, _) = scene(7);
    let mut viewer = scene::view(&mut net, 0, 3, ViewerOptions::default());
    viewer.session.path = over_tcp(5, 1);
    let mut viewers = [viewer];
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert_eq!(transport(&mut net, 3).path, Some(over_tcp(5, 1)));
    net.workers[0].disconnected(net.now, over_tcp(5, 1));
    assert_eq!(transport(&mut net, 3).path, None);
    let received = viewers[0].receiver(0).received;
    viewers[0].session.checks = false;
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert_eq!(viewers[0].receiver(0).received, received);
    (viewers[0].session.checks, viewers[0].session.check_at) = (true, net.now);
    viewers[0].session.path = over_tcp(6, 2);
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    let shown = viewers[0].receiver(0).shown.len();
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert!(viewers[0].receiver(0).shown.len() >= shown + 29);
    // It never comes back: consent is lost after half a minute, and its connection let go.
    viewers[0].session.checks = false;
    viewers[0].reports = false;
    viewers[0].receivers.iter_mut().for_each(|receiver| receiver.nacks = false);
    scene::run(&mut net, &mut publisher, &mut viewers, 31.0);
    assert_eq!(net.workers[0].poll_released(), Some(SocketId::connection(6, 0)));
}

/// A transport with a socket of its own is found there and nowhere else.
#[test]
fn a_connection_does_not_lead_to_a_transport_with_its_own_socket() {
    let (mut net, mut publisher, mut viewers) = scene(8);
    for own_socket in [true, false] {
        let mut session = Session::open(&mut net.workers[0], net.now, 40, GCM);
        let transport = session.id;
        net.workers[0].command(net.now, Command::CloseTransport { transport }).unwrap();
        let open = Command::OpenTransport { transport, ice: session.parameters(), own_socket };
        net.workers[0].command(net.now, open).unwrap();
        let check = session.check();
        net.inject(0, over_tcp(1, 1), check);
        scene::run(&mut net, &mut publisher, &mut viewers, 0.1);
        assert_eq!(net.workers[0].knows(over_tcp(1, 1)), !own_socket);
        net.workers[0].command(net.now, Command::CloseTransport { transport }).unwrap();
    }
}

/// Each check from another address: the oldest path makes room, its connection is let go, and what others have stays.
#[test]
fn a_peer_has_so_many_paths_and_no_more() {
    let (mut net, mut publisher, mut viewers) = scene(9);
    let session = &mut viewers[0].session;
    (session.checks, session.nominates) = (false, false);
    let number = |n: u64| over_tcp(n, 1000 + n as u16);
    for n in 1..=20 {
        let check = viewers[0].session.check();
        net.inject(0, number(n), check);
        scene::run(&mut net, &mut publisher, &mut viewers, 0.1);
    }
    let known: Vec<u64> = (1..=20).filter(|&n| net.workers[0].knows(number(n))).collect();
    assert_eq!(known, (6..=20).collect::<Vec<_>>(), "and the selected one");
    let released: Vec<u64> = std::iter::from_fn(|| net.workers[0].poll_released()).map(SocketId::number).collect();
    assert_eq!(released, [5, 4, 3, 2, 1]);
    assert!(net.workers[0].knows(viewers[0].session.path) && net.workers[0].knows(publisher.session.path));
    net.workers[0].command(net.now, Command::CloseTransport { transport: TransportId(2) }).unwrap();
    assert!(!(1..=20).any(|n| net.workers[0].knows(number(n))) && !net.workers[0].knows(viewers[0].session.path));
    assert!(net.workers[0].knows(publisher.session.path));
    assert_eq!(std::iter::from_fn(|| net.workers[0].poll_released()).count(), 15);
}
