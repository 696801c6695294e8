//! What comes from the wrong place, comes twice, or is not what it says.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::net::{Net, Peer, Random, Wire};
use common::publisher::{Media, Publisher, Stream};
use common::scene::{self, AUDIO, VIDEO, ViewerOptions};
use common::session::Session;
use common::wire::{self, Rtp};
use live777_media::command::{Command, CommandError, TrackId, TransportId};
use live777_media::event::{Event, Path, SocketId};
use live777_media::srtp::{MasterKey, Profile};
use live777_media::stats::{Stats, TransportStats};
use live777_media::worker::Reply;

const GCM: Profile = Profile::AeadAes128Gcm;
const CLIENT_HELLO: [u8; 20] = [22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0, 0, 0, 0, 0, 0];

fn camera(net: &mut Net) -> Publisher {
    let video = Stream::video(Media::H264, 5000, net.now);
    scene::publish(net, 0, 1, GCM, vec![(VIDEO, vec![video]), (AUDIO, vec![Stream::audio(7500, net.now)])])
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

fn dtls_events(net: &mut Net) -> usize {
    net.events.drain(..).filter(|(_, event)| matches!(event, Event::Dtls { .. })).count()
}

/// S01: also between the answer and the first check.
#[test]
fn dtls_from_an_address_that_ice_never_saw_is_ignored() {
    let mut net = Net::new(1, 1);
    let mut session = Session::open(&mut net.workers[0], net.now, 1, GCM);
    for path in [session.path, elsewhere(1)] {
        net.workers[0].handle_datagram(net.now, path, &mut CLIENT_HELLO.to_vec());
    }
    net.settle();
    assert_eq!((dtls_events(&mut net), stats(&mut net).worker.unknown_datagrams), (0, 2));

    let check = session.check();
    net.workers[0].handle_datagram(net.now, session.path, &mut check.clone());
    net.workers[0].handle_datagram(net.now, session.path, &mut CLIENT_HELLO.to_vec());
    net.workers[0].handle_datagram(net.now, elsewhere(1), &mut CLIENT_HELLO.to_vec());
    net.settle();
    assert_eq!((dtls_events(&mut net), stats(&mut net).worker.unknown_datagrams), (1, 3));
}

/// S02.
#[test]
fn second_keys_are_refused_and_the_first_stay() {
    let mut net = Net::new(2, 1);
    let mut publisher = camera(&mut net);
    let mut viewers = [scene::view(&mut net, 0, 2, ViewerOptions::default())];
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    let key = || MasterKey::new(&[0; 16], &[0; 12]);
    for transport in [1, 2].map(TransportId) {
        let command = Command::InstallKeys { transport, profile: GCM, local: key(), remote: key() };
        assert_eq!(net.workers[0].command(net.now, command).unwrap_err(), CommandError::InvalidState);
    }
    let shown = viewers[0].receiver(0).shown.len();
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert!(viewers[0].receiver(0).shown.len() >= shown + 29);
}

/// S06.
#[test]
fn oversized_and_lying_packets_are_ignored() {
    let mut net = Net::new(3, 1);
    let mut publisher = camera(&mut net);
    let mut viewers = [scene::view(&mut net, 0, 2, ViewerOptions::default())];
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    let path = publisher.session.path;
    let accepted = transport(&mut net, 1).packets_received;
    for first in [0, 22, 0x80, 0x90, 0xbf, 255] {
        for second in [0, 96, 200, 201, 205] {
            let mut huge = vec![first; 65_507];
            huge[1] = second;
            net.workers[0].handle_datagram(net.now, path, &mut huge);
            net.workers[0].handle_datagram(net.now, elsewhere(4), &mut huge);
        }
    }
    assert_eq!(transport(&mut net, 1).packets_received, accepted, "nothing of that was taken");

    // Authentic, but with lengths that lie.
    let rtp = Rtp {
        payload_type: 96,
        marker: false,
        sequence: 5,
        timestamp: 0,
        ssrc: 5000,
        extensions: Vec::new(),
        payload: vec![0x41; 100],
        padding: 0,
    };
    let mut padded = rtp.write();
    padded[0] |= 0x20;
    *padded.last_mut().unwrap() = 200;
    let sealed = publisher.session.seal_rtp(&padded, publisher.streams[0].sequence + 50);
    net.inject(0, path, sealed);
    let mut reports = vec![
        vec![0x80, 200, 0xff, 0xff, 0, 0, 0, 1],
        vec![0x9f, 201, 0, 1, 0, 0, 0, 1],
        vec![0x81, 205, 0, 2, 0, 0, 0, 1, 0, 0, 0, 207],
        vec![0x8f, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0xff, 0xff, 0, 0, 0, 0],
        vec![0x84, 206, 0, 0],
        vec![0xa1, 203, 0, 1, 0, 0, 0, 255],
    ];
    reports.push([wire::write_empty_report(1), vec![0x80, 202, 0xff, 0xff]].concat());
    for report in reports.iter().filter(|report| report.len() >= 8) {
        let sealed = publisher.session.seal_rtcp(report);
        net.inject(0, path, sealed);
        let sealed = viewers[0].session.seal_rtcp(report);
        net.inject(0, viewers[0].session.path, sealed);
    }
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    let video = viewers[0].receiver(0);
    assert_eq!((video.lost(), video.skipped), (0, 0));
    assert!(video.shown.len() >= 85, "{}", video.shown.len());
    assert!(transport(&mut net, 1).datagrams_ignored > 0);
}

/// S19: two publishers on one port may number and name their streams alike.
#[test]
fn equal_ssrcs_of_two_publishers_do_not_meet() {
    let mut net = Net::new(4, 1);
    let mut first = camera(&mut net);
    let stream = Stream { payload_size: 700, ..Stream::video(Media::H264, 5000, net.now) };
    let other = TrackId(20);
    let mut second = scene::publish(&mut net, 0, 3, GCM, vec![(other, vec![stream])]);
    let mut one = scene::view(&mut net, 0, 10, ViewerOptions::default());
    let options = ViewerOptions { track: Some(other), audio: None, ..ViewerOptions::default() };
    let mut two = scene::view(&mut net, 0, 11, options);
    let mut peers: [(&mut dyn Peer, usize); 4] = [(&mut first, 0), (&mut second, 0), (&mut one, 0), (&mut two, 0)];
    net.run(Duration::from_secs(3), &mut peers);
    for (viewer, size) in [(&one, 1100), (&two, 700)] {
        let video = viewer.receiver(0);
        assert_eq!((video.lost(), video.skipped), (0, 0));
        assert!(video.shown.len() >= 85 && video.shown.iter().all(|shown| shown.size == size));
    }
}

/// S22.
#[test]
fn replayed_and_forged_media_is_dropped() {
    let mut net = Net::new(5, 1);
    let mut publisher = camera(&mut net);
    let mut viewers = [scene::view(&mut net, 0, 2, ViewerOptions::default())];
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    let path = publisher.session.path;
    let mut captured = Vec::new();
    publisher.send(publisher.next().max(net.now), &mut captured);
    while captured.len() < 50 {
        net.now = publisher.next().max(net.now);
        publisher.send(net.now, &mut captured);
    }
    captured.push((path, publisher.session.seal_rtcp(&wire::write_empty_report(5000))));
    let mut wire_out = Wire::default();
    for (path, datagram) in &captured {
        net.workers[0].handle_datagram(net.now, *path, &mut datagram.clone());
    }
    net.workers[0].flush(net.now, &mut wire_out);
    let (sent, before) = (wire_out.datagrams.len(), transport(&mut net, 1));
    let media = captured.iter().filter(|(_, datagram)| datagram[0] >= 128).count() as u64;
    let mut random = Random::new(9);
    for (path, datagram) in &captured {
        if datagram[0] < 128 {
            continue;
        }
        net.workers[0].handle_datagram(net.now, *path, &mut datagram.clone());
        let mut forged = datagram.clone();
        let at = random.below(forged.len() as u64 - 12) as usize + 12;
        forged[at] ^= 1 << random.below(8);
        forged[3] = forged[3].wrapping_add(64);
        net.workers[0].handle_datagram(net.now, *path, &mut forged);
    }
    net.workers[0].flush(net.now, &mut wire_out);
    assert_eq!(wire_out.datagrams.len(), sent, "nothing was forwarded twice");
    let after = transport(&mut net, 1);
    assert_eq!(after.packets_received, before.packets_received);
    assert_eq!(after.srtp_rejected, before.srtp_rejected + 2 * media);
}

#[test]
fn media_before_the_keys_is_held_and_bounded() {
    let mut net = Net::new(6, 1);
    let mut session = Session::open(&mut net.workers[0], net.now, 1, GCM);
    let stream = Stream::video(Media::H264, 5000, net.now);
    let parameters = scene::track_parameters(&[&stream]);
    let command = Command::AddTrack { transport: session.id, track: VIDEO, parameters };
    net.workers[0].command(net.now, command).unwrap();
    let check = session.check();
    net.workers[0].handle_datagram(net.now, session.path, &mut check.clone());
    for index in 0..40_u64 {
        let packet = Rtp {
            payload_type: 96,
            marker: true,
            sequence: index as u16,
            timestamp: 0,
            ssrc: 5000,
            extensions: Vec::new(),
            payload: vec![0x65; 50],
            padding: 0,
        };
        let mut sealed = session.seal_rtp(&packet.write(), index);
        net.workers[0].handle_datagram(net.now, session.path, &mut sealed);
    }
    session.install_keys(&mut net.workers[0], net.now).unwrap();
    net.settle();
    assert_eq!(stats(&mut net).tracks[0].packets, 32);
    assert_eq!(transport(&mut net, 1).datagrams_ignored, 8);
}

#[test]
fn a_peer_that_roams_keeps_its_session() {
    let mut net = Net::new(7, 1);
    let mut publisher = camera(&mut net);
    let mut viewers = [scene::view(&mut net, 0, 2, ViewerOptions::default())];
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    for (session, port) in [(&mut viewers[0].session, 777), (&mut publisher.session, 778)] {
        session.path = elsewhere(port);
        session.check_at = net.now;
    }
    net.events.clear();
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    let moved: Vec<_> = net.events.iter().filter(|(_, event)| matches!(event, Event::IceConnected { .. })).collect();
    assert_eq!(moved.len(), 2, "{moved:?}");
    assert_eq!(transport(&mut net, 2).path, Some(elsewhere(777)));
    let video = viewers[0].receiver(0);
    assert!(video.shown.len() >= 85 && video.skipped == 0, "{} {}", video.shown.len(), video.skipped);
}

/// Another transport's peer that forges a sender's address, or is given a port by a NAT, does not keep it from its owner.
#[test]
fn a_path_belongs_to_whoever_proved_itself_last() {
    let mut net = Net::new(11, 1);
    let mut publisher = camera(&mut net);
    let mut viewers = [scene::view(&mut net, 0, 2, ViewerOptions::default())];
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    let forged = Session::open(&mut net.workers[0], net.now, 3, GCM).check();
    net.workers[0].handle_datagram(net.now, publisher.session.path, &mut forged.clone());
    scene::run(&mut net, &mut publisher, &mut viewers, 2.6);
    let shown = viewers[0].receiver(0).shown.len();
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert!(viewers[0].receiver(0).shown.len() >= shown + 28, "the publisher has its path back");
}

#[test]
fn a_silent_peer_loses_consent_and_nothing_more_is_sent_to_it() {
    let mut net = Net::new(8, 1);
    let mut publisher = camera(&mut net);
    let mut viewers = [scene::view(&mut net, 0, 2, ViewerOptions::default())];
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    net.events.clear();
    let quiet = &mut viewers[0];
    (quiet.session.checks, quiet.reports) = (false, false);
    quiet.receivers.iter_mut().for_each(|receiver| receiver.nacks = false);
    scene::run(&mut net, &mut publisher, &mut viewers, 29.0);
    assert!(net.events.iter().all(|(_, event)| !matches!(event, Event::IceLost { .. })));
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    let lost = net.events.iter().filter(|(_, event)| matches!(event, Event::IceLost { transport } if transport.0 == 2));
    assert_eq!(lost.count(), 1);
    let received = viewers[0].receiver(0).received;
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert_eq!(viewers[0].receiver(0).received, received);
    assert!(!transport(&mut net, 2).connected);
}

#[test]
fn an_ssrc_is_never_sent_twice_under_the_same_keys() {
    let mut net = Net::new(9, 1);
    let mut viewer = scene::view(&mut net, 0, 2, ViewerOptions { track: None, audio: None, ..Default::default() });
    let worker = &mut net.workers[0];
    worker.command(net.now, Command::Unsubscribe { subscription: scene::video_subscription(2) }).unwrap();
    let parameters = live777_media::command::SubscriptionParameters {
        kind: live777_media::command::Kind::Video,
        mid: None,
        ssrc: viewer.receivers.remove(0).ssrc,
        rtx_ssrc: None,
        rid: None,
        cname: "x".to_owned(),
        codecs: vec![scene::codec(Media::H264, 102, None)],
        extensions: Vec::new(),
    };
    let subscription = live777_media::command::SubscriptionId(999);
    let command = Command::Subscribe { transport: TransportId(2), subscription, parameters };
    assert_eq!(worker.command(net.now, command).unwrap_err(), CommandError::InvalidArgument);
}

/// Feedback does not wait for the next STUN check because the very first packet was of no use.
#[test]
fn an_unknown_first_packet_does_not_hold_up_the_reports() {
    let mut net = Net::new(12, 1);
    let mut publisher = camera(&mut net);
    publisher.streams.iter_mut().for_each(|stream| stream.next_at += Duration::from_millis(100));
    let unknown = Rtp {
        payload_type: 35,
        marker: false,
        sequence: 1,
        timestamp: 0,
        ssrc: 1234,
        extensions: Vec::new(),
        payload: vec![0; 50],
        padding: 0,
    };
    scene::run(&mut net, &mut publisher, &mut [], 0.05);
    let sealed = publisher.session.seal_rtp(&unknown.write(), 1);
    net.inject(0, publisher.session.path, sealed);
    scene::run(&mut net, &mut publisher, &mut [], 1.0);
    let reports = publisher.rtcp.iter().filter(|(_, rtcp)| matches!(rtcp, wire::Rtcp::ReceiverReport { .. }));
    assert!(reports.count() > 0, "{:?}", publisher.rtcp);
}

/// Any bytes, from any address, into a worker that is at work.
#[test]
fn fuzz_of_a_live_worker() {
    let seconds = std::env::var("LIVE777_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    let mut rounds = 0;
    let mut net = Net::new(10, 1);
    let mut random = Random::new(4711);
    let mut publisher = camera(&mut net);
    let mut viewers = [
        scene::view(&mut net, 0, 2, ViewerOptions::default()),
        scene::view(&mut net, 0, 3, ViewerOptions { rtx: false, ..ViewerOptions::default() }),
    ];
    while rounds < 40 || std::time::Instant::now() < end {
        rounds += 1;
        for _ in 0..200 {
            let path = match random.below(4) {
                0 => publisher.session.path,
                1 => viewers[0].session.path,
                2 => viewers[1].session.path,
                _ => elsewhere(random.next() as u16),
            };
            let mut bytes: Vec<u8> = (0..random.below(300)).map(|_| random.next() as u8).collect();
            if let Some(first) = bytes.first_mut() {
                *first = [0, 1, 22, 0x80, 0x81, 0x90, 0xb0, 0xff][random.below(8) as usize];
            }
            if bytes.len() > 20 && random.chance(0.5) {
                bytes[1] = [96, 97, 111, 200, 201, 205, 206][random.below(7) as usize];
                bytes[8..12].copy_from_slice(&[5000_u32, 6000, 7500, 207][random.below(4) as usize].to_be_bytes());
            }
            // Half of it is authentic: the worst a peer with keys can do.
            let datagram = if bytes.len() > 12 && bytes[0] >> 6 == 2 && random.chance(0.5) {
                let peer =
                    if path == publisher.session.path { &mut publisher.session } else { &mut viewers[0].session };
                if (192..224).contains(&bytes[1]) {
                    peer.seal_rtcp(&bytes)
                } else if live777_media::rtp::Header::parse(&bytes).is_ok() {
                    let (_, sequence) = wire::ssrc_and_sequence(&bytes);
                    peer.seal_rtp(&bytes, u64::from(sequence))
                } else {
                    bytes
                }
            } else {
                bytes
            };
            net.inject(0, path, datagram);
        }
        scene::run(&mut net, &mut publisher, &mut [], 0.05);
        let Ok(Reply::Dump(text)) = net.workers[0].command(net.now, Command::Dump) else { panic!("dump") };
        assert!(text.lines().count() > 8);
    }
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
}
