//! RTCP in both directions, and what control is told.

mod common;

use std::time::{Duration, Instant};

use common::net::Net;
use common::publisher::{Media, Publisher, Stream};
use common::scene::{self, AUDIO, LOCAL_SSRC, VIDEO, ViewerOptions};
use common::viewer::Viewer;
use common::wire::{self, Rtcp};
use live777_media::command::{Command, TransportId};
use live777_media::event::Event;
use live777_media::srtp::Profile;
use live777_media::worker::Reply;

const GCM: Profile = Profile::AeadAes128Gcm;

fn camera(net: &mut Net) -> Publisher {
    let video = Stream::video(Media::H264, 5000, net.now);
    scene::publish(net, 0, 1, GCM, vec![(VIDEO, vec![video]), (AUDIO, vec![Stream::audio(7500, net.now)])])
}

/// Seconds of NTP at which the media with this timestamp is to be played, by the newest sender report.
fn play_time(reports: &[(Instant, Rtcp)], timestamp: u32, clock_rate: f64) -> f64 {
    let Some((_, Rtcp::SenderReport { ntp, rtp, .. })) = reports.last() else { panic!("no sender report") };
    *ntp as f64 / 4_294_967_296.0 + f64::from(timestamp.wrapping_sub(*rtp) as i32) / clock_rate
}

/// Distance of what is seen from what is heard, for media that was sampled at the same instant, in seconds.
fn lips(viewer: &Viewer) -> f64 {
    let (video, audio) = (viewer.receiver(0), viewer.receiver(1));
    let (picture, sound) = (video.shown.last().unwrap(), audio.shown.last().unwrap());
    let sampled = f64::from(picture.number) / 30.0 - f64::from(sound.number) / 50.0;
    let played =
        play_time(&video.reports, picture.timestamp, 90_000.0) - play_time(&audio.reports, sound.timestamp, 48_000.0);
    played - sampled
}

#[test]
fn sound_and_picture_stay_together() {
    let mut net = Net::new(1, 1);
    let mut publisher = camera(&mut net);
    let mut viewers = [scene::view(&mut net, 0, 2, ViewerOptions::default())];
    scene::run(&mut net, &mut publisher, &mut viewers, 8.0);
    assert!(viewers[0].receiver(0).reports.len() >= 7);
    assert!(lips(&viewers[0]).abs() < 0.002, "{}", lips(&viewers[0]));
}

#[test]
fn one_report_is_enough_for_both() {
    let mut net = Net::new(2, 1);
    let mut publisher = camera(&mut net);
    publisher.sender_reports = false;
    let mut viewers = [scene::view(&mut net, 0, 2, ViewerOptions::default())];
    scene::run(&mut net, &mut publisher, &mut viewers, 3.0);
    assert!(lips(&viewers[0]).abs() < 0.040, "by arrival: {}", lips(&viewers[0]));
    let report = publisher.sender_report(1, net.now);
    net.inject(0, publisher.session.path, report);
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    assert!(lips(&viewers[0]).abs() < 0.040, "by one report: {}", lips(&viewers[0]));
}

#[test]
fn sender_reports_count_and_agree_with_our_clock() {
    let mut net = Net::new(3, 1);
    let mut publisher = camera(&mut net);
    let mut viewers = [scene::view(&mut net, 0, 2, ViewerOptions::default())];
    viewers[0].claimed_loss = Some(64);
    scene::run(&mut net, &mut publisher, &mut viewers, 4.0);
    let video = viewers[0].receiver(0);
    let (at, Rtcp::SenderReport { ntp, packets, octets, .. }) = video.reports.last().unwrap() else { panic!() };
    let expected = 1_800_000_000.0 + 2_208_988_800.0 + (*at - net.link.delay - net.start).as_secs_f64();
    assert!((*ntp as f64 / 4_294_967_296.0 - expected).abs() < 0.002);
    assert!(video.received.abs_diff(u64::from(*packets)) < 130 && *octets > packets * 1000);
    let Ok(Reply::Stats(stats)) = net.workers[0].command(net.now, Command::Stats) else { panic!("stats") };
    let viewer = stats.transports.iter().find(|row| row.transport == TransportId(2)).unwrap();
    assert!((viewer.rtt_ms.unwrap() - 20.0).abs() < 1.0, "{:?}", viewer.rtt_ms);
    let row = stats.subscriptions.iter().find(|row| row.subscription == scene::video_subscription(2)).unwrap();
    assert!((row.fraction_lost - 0.25).abs() < 0.01 && (row.jitter_ms - 1.0).abs() < 0.01);
    assert_eq!(row.packets, viewers[0].receiver(0).received);
}

#[test]
fn what_was_counted_stays_when_its_object_goes() {
    let mut net = Net::new(30, 1);
    net.link.loss = 0.02;
    let mut publisher = camera(&mut net);
    let mut viewers = [scene::view(&mut net, 0, 2, ViewerOptions::default())];
    scene::run(&mut net, &mut publisher, &mut viewers, 4.0);
    let totals = |net: &mut Net| match net.workers[0].command(net.now, Command::Stats) {
        Ok(Reply::Stats(stats)) => stats.worker.totals,
        other => panic!("{other:?}"),
    };
    let before = totals(&mut net);
    let Ok(Reply::Stats(stats)) = net.workers[0].command(net.now, Command::Stats) else { panic!("stats") };
    assert_eq!(before.packets_received, stats.transports.iter().map(|row| row.packets_received).sum::<u64>());
    assert_eq!(before.repaired, stats.tracks.iter().map(|row| row.repaired).sum::<u64>());
    assert_eq!(before.nacks_received, stats.subscriptions.iter().map(|row| row.nacks_received).sum::<u64>());
    assert!(before.repaired > 0 && before.nacks_sent > 0 && before.retransmitted > 0 && before.key_frames > 0);
    for transport in [2, 1].map(TransportId) {
        net.workers[0].command(net.now, Command::CloseTransport { transport }).unwrap();
    }
    let after = totals(&mut net);
    let goodbyes = after.packets_sent - before.packets_sent;
    assert_eq!(after, live777_media::stats::Totals { packets_sent: before.packets_sent + goodbyes, ..before });
    assert!((1..8).contains(&goodbyes), "{goodbyes}");
}

#[test]
fn key_frame_requests_of_many_are_one() {
    let mut net = Net::new(4, 1);
    let video = Stream { key_every: 10_000, ..Stream::video(Media::H264, 5000, net.now) };
    let mut publisher = scene::publish(&mut net, 0, 1, GCM, vec![(VIDEO, vec![video])]);
    scene::run(&mut net, &mut publisher, &mut [], 1.0);
    assert_eq!(publisher.streams[0].plis, 0, "nobody watches");
    let options = ViewerOptions { audio: None, ..ViewerOptions::default() };
    let mut viewers: Vec<_> = (2..52).map(|id| scene::view(&mut net, 0, id, options)).collect();
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert_eq!(publisher.streams[0].plis, 1, "fifty viewers came");
    assert!(viewers.iter().all(|viewer| viewer.receiver(0).shown.len() > 20));
    for viewer in &mut viewers {
        let ssrc = viewer.receivers[0].ssrc;
        let request = viewer.session.seal_rtcp(&wire::write_pli(1, ssrc));
        net.inject(0, viewer.session.path, request);
    }
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert_eq!(publisher.streams[0].plis, 2, "fifty lost the picture");
}

#[test]
fn a_request_is_repeated_until_a_key_frame_comes() {
    let mut net = Net::new(5, 1);
    let video = Stream { key_every: 90, ..Stream::video(Media::H264, 5000, net.now) };
    let mut publisher = scene::publish(&mut net, 0, 1, GCM, vec![(VIDEO, vec![video])]);
    publisher.deaf = true;
    scene::run(&mut net, &mut publisher, &mut [], 0.5);
    let mut viewers = [scene::view(&mut net, 0, 2, ViewerOptions { audio: None, ..ViewerOptions::default() })];
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    let plis = publisher.streams[0].plis;
    assert!((4..=6).contains(&plis), "{plis}");
    assert!(viewers[0].receiver(0).shown.is_empty());
    scene::run(&mut net, &mut publisher, &mut viewers, 3.0);
    assert!(viewers[0].receiver(0).shown.len() > 50);
    assert_eq!(publisher.streams[0].plis, plis + 1, "satisfied by the regular key frame");
}

#[test]
fn a_publisher_gets_reports_and_transport_feedback() {
    let mut net = Net::new(6, 1);
    let mut publisher = camera(&mut net);
    publisher.transport_sequence = Some(65_000);
    scene::run(&mut net, &mut publisher, &mut [], 5.0);
    let reports: Vec<_> = publisher
        .rtcp
        .iter()
        .filter_map(|(at, packet)| match packet {
            Rtcp::ReceiverReport { ssrc, blocks } if !blocks.is_empty() => Some((*at - net.start, *ssrc, blocks)),
            _ => None,
        })
        .collect();
    assert!((4..=6).contains(&reports.len()), "{}", reports.len());
    assert!(reports[0].0 < Duration::from_millis(300));
    let (_, ssrc, blocks) = reports.last().unwrap();
    assert_eq!(*ssrc, LOCAL_SSRC);
    let video = blocks.iter().find(|block| block.ssrc == 5000).unwrap();
    assert_eq!((video.lost, video.fraction), (0, 0));
    assert!(video.lsr != 0 && video.dlsr > 0 && blocks.iter().any(|block| block.ssrc == 7500));
    let mut next = None;
    for (_, packet) in &publisher.rtcp {
        let Rtcp::TransportCc { base, count, .. } = packet else { continue };
        if let Some(next) = next {
            assert_eq!(*base, next, "no packet is left out");
        }
        next = Some(base.wrapping_add(*count));
    }
    let feedbacks = publisher.rtcp.iter().filter(|(_, packet)| matches!(packet, Rtcp::TransportCc { .. })).count();
    assert!((80..=105).contains(&feedbacks), "every 50 ms: {feedbacks}");
    assert!(!publisher.rtcp.iter().any(|(_, packet)| matches!(packet, Rtcp::Remb { .. })));
}

#[test]
fn a_publisher_with_remb_alone_gets_remb() {
    let mut net = Net::new(7, 1);
    let session = common::session::Session::open(&mut net.workers[0], net.now, 1, GCM);
    let stream = Stream { payload_size: 1200, packets_per_frame: 10, ..Stream::video(Media::H264, 5000, net.now) };
    let mut parameters = scene::track_parameters(&[&stream]);
    (parameters.codecs[0].transport_cc, parameters.codecs[0].remb) = (false, true);
    let command = Command::AddTrack { transport: session.id, track: VIDEO, parameters };
    net.workers[0].command(net.now, command).unwrap();
    session.install_keys(&mut net.workers[0], net.now).unwrap();
    let mut publisher = Publisher::new(session, net.now, vec![stream]);
    scene::run(&mut net, &mut publisher, &mut [], 6.0);
    let estimates: Vec<u64> = publisher
        .rtcp
        .iter()
        .filter_map(|(_, packet)| if let Rtcp::Remb { bitrate } = packet { Some(*bitrate) } else { None })
        .collect();
    assert!(estimates.len() >= 5 && estimates.is_sorted(), "{estimates:?}");
    assert!(*estimates.last().unwrap() > 2_900_000, "{estimates:?}");
}

#[test]
fn control_hears_of_tracks() {
    let mut net = Net::new(8, 1);
    let mut publisher = camera(&mut net);
    scene::run(&mut net, &mut publisher, &mut [], 1.0);
    let started = |net: &mut Net| -> Vec<_> {
        let events = net.events.drain(..).filter_map(|(_, event)| match event {
            Event::TrackStarted { track, ssrc, payload_type, width, height, .. } => {
                Some((track, ssrc, payload_type, width, height))
            }
            _ => None,
        });
        events.collect()
    };
    assert_eq!(started(&mut net), [(VIDEO, 5000, 96, 640, 360), (AUDIO, 7500, 111, 0, 0)]);
    publisher.streams[1].active = false;
    scene::run(&mut net, &mut publisher, &mut [], 3.0);
    let silent = net.events.iter().filter_map(|(_, event)| match event {
        Event::TrackSilent { track } => Some(*track),
        _ => None,
    });
    assert_eq!(silent.collect::<Vec<_>>(), [AUDIO]);
    net.events.clear();
    publisher.streams[1].active = true;
    publisher.streams[1].next_at = net.now;
    scene::run(&mut net, &mut publisher, &mut [], 1.0);
    assert_eq!(started(&mut net), [(AUDIO, 7500, 111, 0, 0)]);
}

#[test]
fn goodbye_is_said_for_all_that_was_sent() {
    let mut net = Net::new(9, 1);
    let mut publisher = camera(&mut net);
    let mut viewers = [scene::view(&mut net, 0, 2, ViewerOptions::default())];
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    for transport in [1, 2].map(TransportId) {
        net.workers[0].command(net.now, Command::CloseTransport { transport }).unwrap();
    }
    scene::run(&mut net, &mut publisher, &mut viewers, 0.2);
    assert_eq!(viewers[0].byes, [207, 208, 209]);
    assert!(publisher.rtcp.iter().any(|(_, packet)| *packet == Rtcp::Bye { ssrcs: vec![LOCAL_SSRC] }));
    let Ok(Reply::Stats(stats)) = net.workers[0].command(net.now, Command::Stats) else { panic!("stats") };
    assert!(stats.transports.is_empty() && stats.tracks.is_empty() && stats.subscriptions.is_empty());
}
