//! A publisher, viewers and a network that may be bad.

mod common;

use std::time::Duration;

use common::net::{Link, Net};
use common::publisher::{Media, Publisher, Stream, extension};
use common::scene::{self, AUDIO, VIDEO, ViewerOptions};
use common::viewer::Viewer;
use live777_media::command::{Command, TrackId, TransportId};
use live777_media::srtp::Profile;
use live777_media::worker::Reply;

const GCM: Profile = Profile::AeadAes128Gcm;
const CM: Profile = Profile::AesCm128HmacSha1_80;

fn camera_stream(net: &Net) -> Stream {
    Stream::video(Media::H264, 5000, net.now)
}

fn camera(net: &mut Net) -> Publisher {
    let video = camera_stream(net);
    let audio = Stream::audio(7500, net.now);
    scene::publish(net, 0, 1, GCM, vec![(VIDEO, vec![video]), (AUDIO, vec![audio])])
}

fn viewers(net: &mut Net, options: &[ViewerOptions]) -> Vec<Viewer> {
    (2..).zip(options).map(|(id, options)| scene::view(net, 0, id, *options)).collect()
}

#[test]
fn viewers_of_every_profile_get_everything() {
    let mut net = Net::new(1, 1);
    let mut publisher = camera(&mut net);
    let profiles = [GCM, Profile::AeadAes256Gcm, CM];
    let options = profiles.map(|profile| ViewerOptions { profile, ..ViewerOptions::default() });
    let mut viewers = viewers(&mut net, &options);
    scene::run(&mut net, &mut publisher, &mut viewers, 5.0);
    for viewer in &viewers {
        let (video, audio) = (viewer.receiver(0), viewer.receiver(1));
        assert!(video.shown.len() >= 145, "{}", video.shown.len());
        assert!(audio.shown.len() >= 240, "{}", audio.shown.len());
        assert_eq!((video.lost(), audio.lost(), video.repaired), (0, 0, 0));
        assert!(video.longest_gap(net.now) < Duration::from_millis(60));
    }
}

/// Packets that are sent again as they were come a round trip behind the newest: 300 of them at 25 Mbit/s.
#[test]
fn plain_retransmissions_of_a_fast_publisher_are_in_time() {
    let mut net = Net::new(21, 1);
    let video =
        Stream { rtx: None, packets_per_frame: 100, interval: Duration::from_millis(33), ..camera_stream(&net) };
    let mut publisher = scene::publish(&mut net, 0, 1, GCM, vec![(VIDEO, vec![video])]);
    net.link = Link { loss: 0.02, delay: Duration::from_millis(50), ..Link::default() };
    scene::run(&mut net, &mut publisher, &mut [], 5.0);
    let Ok(Reply::Stats(stats)) = net.workers[0].command(net.now, Command::Stats) else { panic!("stats") };
    let track = &stats.tracks[0];
    assert!(track.repaired > 200, "{track:?}");
    assert_eq!(track.lost, 0, "{track:?}");
}

#[test]
fn two_hundred_viewers_lose_nothing_for_a_minute() {
    let mut net = Net::new(2, 1);
    let mut publisher = camera(&mut net);
    let options: Vec<_> = (0..200)
        .map(|n| ViewerOptions { profile: if n % 4 == 0 { CM } else { GCM }, ..ViewerOptions::default() })
        .collect();
    let mut viewers = viewers(&mut net, &options);
    scene::run(&mut net, &mut publisher, &mut viewers, 60.0);
    publisher.streams.iter_mut().for_each(|stream| stream.active = false);
    scene::run(&mut net, &mut publisher, &mut viewers, 0.2);
    let sent: u32 = publisher.streams[0].frame;
    for viewer in &viewers {
        let video = viewer.receiver(0);
        assert_eq!((video.lost(), video.skipped, video.repaired, viewer.replays), (0, 0, 0, 0));
        let first = video.shown[0].number;
        assert!(first <= 1, "the picture begins with the first key frame");
        assert_eq!(video.shown.len() as u32, sent - first);
        assert!(viewer.receiver(1).shown.len() >= 2990);
    }
    let gso = net.runs.iter().filter(|&&run| run >= 4).count();
    assert!(gso > 200 * 1700, "frames of four packets leave as one run: {gso}");
}

#[test]
fn five_percent_loss_each_way_freezes_nobody() {
    for seed in 0..4 {
        let mut net = Net::new(100 + seed, 1);
        let mut publisher = camera(&mut net);
        let options = [
            ViewerOptions::default(),
            ViewerOptions { rtx: false, ..ViewerOptions::default() },
            ViewerOptions { profile: CM, ..ViewerOptions::default() },
            ViewerOptions { profile: CM, rtx: false, ..ViewerOptions::default() },
        ];
        let mut viewers = viewers(&mut net, &options);
        scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
        net.link = Link { loss: 0.05, delay: Duration::from_millis(20), jitter: Duration::from_millis(4) };
        scene::run(&mut net, &mut publisher, &mut viewers, 20.0);
        assert!(publisher.streams[0].nacked > 50, "the publisher was asked");
        for (index, viewer) in viewers.iter().enumerate() {
            let video = viewer.receiver(0);
            let gap = video.longest_gap(net.now);
            assert!(gap < Duration::from_millis(500), "seed {seed} viewer {index}: {gap:?}");
            assert!(video.shown.len() > 600, "seed {seed} viewer {index}: {}", video.shown.len());
            assert_eq!(video.repaired > 0, options[index].rtx);
        }
    }
}

#[test]
fn a_publisher_without_rtx_repeats_packets_as_they_were() {
    let mut net = Net::new(7, 1);
    let video = Stream { rtx: None, ..Stream::video(Media::H264, 5000, net.now) };
    let mut publisher = scene::publish(&mut net, 0, 1, GCM, vec![(VIDEO, vec![video])]);
    let mut viewers = viewers(&mut net, &[ViewerOptions { audio: None, ..ViewerOptions::default() }]);
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    net.link = Link { loss: 0.05, ..Link::default() };
    scene::run(&mut net, &mut publisher, &mut viewers, 10.0);
    assert!(viewers[0].receiver(0).longest_gap(net.now) < Duration::from_millis(500));
    let Ok(Reply::Stats(stats)) = net.workers[0].command(net.now, Command::Stats) else { panic!("stats") };
    assert!(stats.tracks[0].repaired > 20 && stats.tracks[0].nacks_sent > 20, "{:?}", stats.tracks[0]);
}

#[test]
fn headers_are_the_viewers() {
    let mut net = Net::new(8, 1);
    let mut publisher = camera(&mut net);
    let mut viewers =
        viewers(&mut net, &[ViewerOptions::default(), ViewerOptions { rtx: false, ..Default::default() }]);
    for viewer in &mut viewers {
        viewer.transport_cc = Some(extension::TRANSPORT_CC);
        viewer.receivers.iter_mut().for_each(|receiver| receiver.keep_packets = true);
    }
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    let (video, audio) = (viewers[0].receiver(0), viewers[0].receiver(1));
    for packet in &video.packets {
        assert_eq!(packet.extension(extension::MID), Some(&b"0"[..]));
        assert_eq!(packet.payload_type, 102);
        assert_eq!(packet.extension(extension::ABS_SEND_TIME).map(<[u8]>::len), Some(3));
    }
    for packet in &audio.packets {
        assert_eq!(packet.extension(extension::MID), Some(&b"1"[..]));
        assert_eq!(packet.extension(extension::AUDIO_LEVEL), Some(&[0x85][..]));
        assert_eq!(packet.payload_type, 109);
    }
    let mut sequences = [&video.transport_sequences[..], &audio.transport_sequences[..]].concat();
    sequences.sort_unstable();
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "one number per packet of the transport");
    let plain = viewers[1].receiver(0);
    assert!(plain.transport_sequences.is_empty(), "a packet that may be repeated verbatim carries no stamps");
    assert!(plain.packets.iter().all(|packet| packet.padding == 0));
}

#[test]
fn sequence_and_timestamps_go_on_when_the_publisher_comes_back_as_another() {
    let mut net = Net::new(9, 1);
    let mut first = camera(&mut net);
    let mut viewers =
        viewers(&mut net, &[ViewerOptions::default(), ViewerOptions { profile: CM, ..Default::default() }]);
    for viewer in &mut viewers {
        viewer.receivers[0].keep_packets = true;
    }
    scene::run(&mut net, &mut first, &mut viewers, 3.0);
    let worker = &mut net.workers[0];
    worker.command(net.now, Command::CloseTransport { transport: TransportId(1) }).unwrap();
    scene::run(&mut net, &mut first, &mut viewers, 2.0);

    let (video, audio) = (TrackId(12), TrackId(11));
    let stream = Stream { payload_type: 120, rtx: Some((777, 121)), ..Stream::video(Media::H264, 40_000, net.now) };
    let sound = Stream::audio(41_000, net.now);
    let mut second = scene::publish(&mut net, 0, 50, GCM, vec![(video, vec![stream]), (audio, vec![sound])]);
    for id in [2, 3] {
        scene::attach(&mut net.workers[0], net.now, scene::video_subscription(id), video, (120, 102));
        scene::attach(&mut net.workers[0], net.now, scene::audio_subscription(id), audio, (111, 109));
    }
    scene::run(&mut net, &mut second, &mut viewers, 3.0);
    for viewer in &viewers {
        let video = viewer.receiver(0);
        assert_eq!((video.lost(), video.skipped), (0, 0), "sequence numbers go on by one");
        assert!(video.shown.len() >= 2 * 85, "{}", video.shown.len());
        let wall = (video.shown.last().unwrap().at - video.shown[0].at).as_secs_f64();
        let media = f64::from(video.shown.last().unwrap().timestamp.wrapping_sub(video.shown[0].timestamp)) / 90_000.0;
        assert!((wall - media).abs() < 0.05, "timestamps go on by elapsed time: {wall} {media}");
        assert!(video.packets.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1)));
        assert_eq!(viewer.receiver(1).lost(), 0);
    }
}

#[test]
fn an_ssrc_that_nobody_announced_takes_over_from_a_silent_one() {
    let mut net = Net::new(15, 1);
    let mut publisher = camera(&mut net);
    let mut viewers = viewers(&mut net, &[ViewerOptions::default()]);
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    publisher.streams[0].active = false;
    scene::run(&mut net, &mut publisher, &mut viewers, 0.3);
    let mut stream = Stream::video(Media::H264, 61_000, net.now);
    stream.rtx = None;
    publisher.streams.push(stream);
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    let video = viewers[0].receiver(0);
    assert_eq!((video.lost(), video.skipped), (0, 0));
    assert!(video.shown.len() >= 80, "{}", video.shown.len());
    // An SSRC beside one that sends is somebody's mistake: it must not tear the picture.
    publisher.streams.push(Stream::video(Media::H264, 62_000, net.now));
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    let video = viewers[0].receiver(0);
    assert_eq!((video.lost(), video.skipped), (0, 0));
    let Ok(Reply::Stats(stats)) = net.workers[0].command(net.now, Command::Stats) else { panic!("stats") };
    assert_eq!(stats.tracks[0].ssrc, 61_000);
    assert!(stats.transports[0].datagrams_ignored >= 100);
}

#[test]
fn numbers_go_on_when_the_codec_changes() {
    let mut net = Net::new(13, 1);
    let mut first = camera(&mut net);
    let mut viewers = viewers(&mut net, &[ViewerOptions::default()]);
    viewers[0].receivers[0].keep_packets = true;
    scene::run(&mut net, &mut first, &mut viewers, 2.0);
    let video = TrackId(12);
    let stream = Stream::video(Media::Vp8 { width: 640, height: 480 }, 40_000, net.now);
    let mut second = scene::publish(&mut net, 0, 50, GCM, vec![(video, vec![stream])]);
    scene::attach(&mut net.workers[0], net.now, scene::video_subscription(2), video, (96, 104));
    scene::run(&mut net, &mut second, &mut viewers, 2.0);
    let seen = viewers[0].receiver(0);
    assert_eq!((seen.lost(), seen.skipped), (0, 0));
    let types: Vec<u8> = seen.packets.iter().map(|packet| packet.payload_type).collect();
    assert!(types.is_sorted() && types[0] == 102 && types.last() == Some(&104));
    assert!(seen.shown.windows(2).all(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) < 90_000));
}

#[test]
fn nobody_begins_in_the_middle_of_a_key_frame() {
    let mut net = Net::new(14, 1);
    let video = Stream { key_every: 15, ..Stream::video(Media::H264, 5000, net.now) };
    let mut publisher = scene::publish(&mut net, 0, 1, GCM, vec![(VIDEO, vec![video])]);
    publisher.deaf = true;
    scene::run(&mut net, &mut publisher, &mut [], 0.2);
    net.link.loss = 0.3;
    let options = ViewerOptions { audio: None, ..ViewerOptions::default() };
    for id in 2..40 {
        let mut viewers = [scene::view(&mut net, 0, id, options)];
        net.spared = Some(viewers[0].session.path);
        viewers[0].receivers[0].keep_packets = true;
        scene::run(&mut net, &mut publisher, &mut viewers, 3.0);
        let first = viewers[0].receiver(0).packets.iter().min_by_key(|packet| packet.sequence);
        assert_eq!(first.expect("a key frame came whole").payload[0], 24, "the parameter sets come first");
        let transport = TransportId(id);
        net.workers[0].command(net.now, Command::CloseTransport { transport }).unwrap();
    }
}

#[test]
fn padding_only_packets_leave_no_gap() {
    for rtx in [true, false] {
        let mut net = Net::new(10, 1);
        let video = Stream { padding_packets: 3, ..Stream::video(Media::H264, 5000, net.now) };
        let mut publisher = scene::publish(&mut net, 0, 1, GCM, vec![(VIDEO, vec![video])]);
        let mut viewers = viewers(&mut net, &[ViewerOptions { rtx, audio: None, ..ViewerOptions::default() }]);
        scene::run(&mut net, &mut publisher, &mut viewers, 5.0);
        let video = viewers[0].receiver(0);
        assert_eq!((video.lost(), video.skipped, video.repaired), (0, 0, 0));
        assert!(video.shown.len() >= 145);
        assert_eq!(video.received, video.shown.len() as u64 * 4, "padding is not forwarded");
        // NACKs of packets on both sides of offset changes are answered with the right packet: `show` checks it.
        net.link = Link { loss: 0.05, jitter: Duration::from_millis(3), ..Link::default() };
        net.spared = Some(publisher.session.path);
        scene::run(&mut net, &mut publisher, &mut viewers, 10.0);
        let video = viewers[0].receiver(0);
        assert!(video.longest_gap(net.now) < Duration::from_millis(300), "{:?}", video.longest_gap(net.now));
        assert!(video.shown.len() >= 445, "{}", video.shown.len());
    }
}

#[test]
fn a_paused_viewer_gets_nothing_and_resumes_at_a_key_frame() {
    let mut net = Net::new(11, 1);
    let mut publisher = camera(&mut net);
    let mut viewers = viewers(&mut net, &[ViewerOptions::default()]);
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    let subscription = scene::video_subscription(2);
    net.workers[0].command(net.now, Command::Pause { subscription, paused: true }).unwrap();
    scene::run(&mut net, &mut publisher, &mut viewers, 0.1);
    let before = viewers[0].receiver(0).received;
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert_eq!(viewers[0].receiver(0).received, before);
    let plis = publisher.streams[0].plis;
    net.workers[0].command(net.now, Command::Pause { subscription, paused: false }).unwrap();
    scene::run(&mut net, &mut publisher, &mut viewers, 0.5);
    assert_eq!(publisher.streams[0].plis, plis + 1);
    let video = viewers[0].receiver(0);
    assert!(video.received > before + 40);
    assert_eq!((video.lost(), video.skipped), (0, 0));
}

#[test]
fn viewers_before_the_keys_and_after_the_track_is_gone_cost_nothing() {
    let mut net = Net::new(12, 1);
    let mut publisher = camera(&mut net);
    let mut viewers = viewers(&mut net, &[ViewerOptions::default()]);
    scene::run(&mut net, &mut publisher, &mut viewers, 0.5);
    let worker = &mut net.workers[0];
    worker.command(net.now, Command::RemoveTrack { track: VIDEO }).unwrap();
    worker.command(net.now, Command::RemoveTrack { track: VIDEO }).expect_err("it is gone");
    scene::run(&mut net, &mut publisher, &mut viewers, 0.5);
    let worker = &mut net.workers[0];
    worker.command(net.now, Command::Unsubscribe { subscription: scene::video_subscription(2) }).unwrap();
    worker.command(net.now, Command::CloseTransport { transport: TransportId(2) }).unwrap();
    scene::run(&mut net, &mut publisher, &mut viewers, 0.5);
    assert_eq!(viewers[0].byes, [200 + 9], "what was left said goodbye");
}
