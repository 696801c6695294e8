//! Viewers who come in the middle of a group of pictures see it at once, from its key frame on.

mod common;

use std::time::Duration;

use common::net::{Narrow, Net, Peer};
use common::publisher::{Media, Publisher, Stream};
use common::scene::{self, VIDEO, ViewerOptions};
use common::viewer::Viewer;
use live777_media::command::{Command, TrackId, TransportId};
use live777_media::layer::Choice;
use live777_media::relay::RouteId;
use live777_media::srtp::Profile;
use live777_media::worker::GopLimits;

const LIMITS: GopLimits = GopLimits { bytes: 4 << 20, span: Duration::from_secs(5), replays: 64 };
const VP8: Media = Media::Vp8 { width: 640, height: 360 };
/// A key frame every four seconds.
const GOP: u32 = 120;

/// A publisher that ignores requests for key frames, and has sent for a while.
fn scene(seed: u64, media: Media, limits: GopLimits, seconds: f64) -> (Net, Publisher) {
    let mut net = Net::with_cache(seed, 1, limits);
    let video = Stream { key_every: GOP, ..Stream::video(media, 5000, net.now) };
    let mut publisher = scene::publish(&mut net, 0, 1, Profile::AeadAes128Gcm, vec![(VIDEO, vec![video])]);
    publisher.deaf = true;
    scene::run(&mut net, &mut publisher, &mut [], seconds);
    (net, publisher)
}

fn join(net: &mut Net, id: u64, media: Media) -> Viewer {
    let mut viewer = scene::view(net, 0, id, ViewerOptions { media, audio: None, ..ViewerOptions::default() });
    viewer.receivers[0].keep_packets = true;
    viewer
}

/// Time from the keys to the first picture.
fn first(viewer: &Viewer, since: std::time::Instant) -> Duration {
    viewer.receiver(0).shown.first().map_or(Duration::MAX, |shown| shown.at - since)
}

/// Numbers and timestamps without a hole or a step back, one timestamp for each frame, every frame from the first on.
fn assert_smooth(viewer: &Viewer, jumps: usize) {
    let video = viewer.receiver(0);
    assert_eq!((video.lost(), video.skipped), (0, 0));
    let steps = video.shown.windows(2).map(|pair| pair[1].number - pair[0].number);
    assert_eq!(steps.filter(|&step| step != 1).count(), jumps);
    for pair in video.shown.windows(2) {
        assert!((pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32) > 0, "{pair:?}");
    }
}

/// The newest picture of both is the same, with the same timestamp, at the same time.
fn assert_at_edge(viewer: &Viewer, publisher: &Publisher) {
    let shown = viewer.receiver(0).shown.last().expect("a picture");
    let stream = &publisher.streams[0];
    let behind = stream.frame - 1 - shown.number;
    assert!(behind <= 2, "{behind} frames behind");
    let interval = (stream.interval.as_micros() as u64 * 90_000 / 1_000_000) as u32;
    assert_eq!(stream.last.1.wrapping_sub(shown.timestamp), behind * interval, "true timestamps at the live edge");
}

#[test]
fn a_viewer_sees_the_group_from_its_key_frame_and_ends_at_the_live_edge() {
    for media in [Media::H264, VP8] {
        for (seed, seconds) in (1..).zip([4.05, 4.5, 5.5, 7.9]) {
            let (mut net, mut publisher) = scene(seed, media, LIMITS, seconds);
            let since = net.now;
            let mut viewers = [join(&mut net, 2, media)];
            scene::run(&mut net, &mut publisher, &mut viewers, 5.0);
            assert!(first(&viewers[0], since) < Duration::from_millis(60), "{:?}", first(&viewers[0], since));
            assert_eq!(viewers[0].receiver(0).shown[0].number % GOP, 0, "from the key frame on");
            let jumps = viewers[0].receiver(0).shown.windows(2).filter(|pair| pair[1].number != pair[0].number + 1);
            let jumps: Vec<_> = jumps.map(|pair| pair[1].number % GOP).collect();
            assert!(jumps.len() <= 1 && jumps.iter().all(|&number| number == 0), "to a key frame only: {jumps:?}");
            assert_smooth(&viewers[0], jumps.len());
            assert_at_edge(&viewers[0], &publisher);
        }
    }
}

#[test]
fn without_the_cache_it_waits_for_the_next_key_frame() {
    let (mut net, mut publisher) = scene(1, Media::H264, GopLimits::OFF, 5.5);
    let since = net.now;
    let mut viewers = [join(&mut net, 2, Media::H264)];
    scene::run(&mut net, &mut publisher, &mut viewers, 4.0);
    assert!(first(&viewers[0], since) > Duration::from_secs(2));
}

#[test]
fn stamps_follow_the_clock_and_the_pace_is_below_twice_the_publishers() {
    let (mut net, mut publisher) = scene(3, Media::H264, LIMITS, 5.5);
    let since = net.now;
    let mut viewers = [join(&mut net, 2, Media::H264)];
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    let shown = &viewers[0].receiver(0).shown;
    let begin = shown[0];
    // 45 frames wait; the first ones are the burst, the rest comes at 7/4 of the rate, as live frames go on coming.
    let replayed = shown.iter().take_while(|shown| shown.at - since < Duration::from_millis(500)).count();
    assert!((24..=31).contains(&replayed), "{replayed}");
    for frame in shown.iter().take(replayed).skip(4) {
        let expected = (frame.at - begin.at).as_micros() as i64 * 90 / 1000;
        let drift = i64::from(frame.timestamp.wrapping_sub(begin.timestamp)) - expected;
        assert!(drift.abs() < 90 * 40, "{drift} ticks of the clock");
    }
}

#[test]
fn the_first_viewer_of_another_worker_is_shown_it_too() {
    for (seed, media) in [(20, Media::H264), (21, VP8)] {
        let mut net = Net::with_cache(seed, 2, LIMITS);
        let video = Stream { key_every: GOP, ..Stream::video(media, 5000, net.now) };
        let parameters = scene::track_parameters(&[&video]);
        let mut publisher = scene::publish(&mut net, 0, 1, Profile::AeadAes128Gcm, vec![(VIDEO, vec![video])]);
        publisher.deaf = true;
        scene::run(&mut net, &mut publisher, &mut [], 5.5);
        // In the middle of a frame: what is in the burst travels with it, and once.
        publisher.streams[0].next_at = net.now;
        let mut out = Vec::new();
        publisher.send(net.now, &mut out);
        for (path, mut datagram) in out {
            net.workers[0].handle_datagram(net.now, path, &mut datagram);
        }
        let import = Command::Import { track: VIDEO, route: RouteId(0), parameters };
        net.workers[1].command(net.now, import).expect("import");
        net.workers[0].command(net.now, Command::Export { track: VIDEO, route: RouteId(1) }).expect("export");
        let options = ViewerOptions { media, audio: None, ..ViewerOptions::default() };
        let mut far = scene::view(&mut net, 1, 2, options);
        let since = net.now;
        net.settle();
        let mut run = |net: &mut Net, far: &mut Viewer, seconds| {
            net.run(Duration::from_secs_f64(seconds), &mut [(&mut publisher as &mut dyn Peer, 0), (far, 1)]);
        };
        run(&mut net, &mut far, 2.0);
        assert!(first(&far, since) < Duration::from_millis(60), "{:?}", first(&far, since));
        assert_eq!(far.receiver(0).shown[0].number % GOP, 0, "from the key frame on");
        assert_smooth(&far, 0);
        run(&mut net, &mut far, 3.0);
        assert_at_edge(&far, &publisher);
    }
}

/// A frame that is lost as a whole when the replay passes it, and comes by retransmission.
#[test]
fn a_frame_that_comes_after_the_replay_has_passed_it_is_shown_in_its_place() {
    let mut net = Net::with_cache(22, 1, LIMITS);
    let video = Stream { key_every: GOP, packets_per_frame: 1, payload_size: 600, ..Stream::video(VP8, 5000, net.now) };
    let mut publisher = scene::publish(&mut net, 0, 1, Profile::AeadAes128Gcm, vec![(VIDEO, vec![video])]);
    publisher.deaf = true;
    scene::run(&mut net, &mut publisher, &mut [], 4.5);
    let (mut out, mut held) = (Vec::new(), Vec::new());
    for frame in 0..4 {
        net.now = publisher.streams[0].next_at;
        publisher.send(net.now, &mut out);
        for (path, mut datagram) in out.drain(..) {
            if frame == 1 && !(192..=223).contains(&datagram[1]) {
                held.push((path, datagram));
            } else {
                net.workers[0].handle_datagram(net.now, path, &mut datagram);
            }
        }
    }
    assert_eq!(held.len(), 1);
    let mut viewers = [join(&mut net, 2, VP8)];
    let edge = publisher.streams[0].frame;
    let at_edge = |viewers: &[Viewer]| viewers[0].receiver(0).received as u32 >= edge - GOP - 1;
    while !at_edge(&viewers) {
        scene::run(&mut net, &mut publisher, &mut viewers, 0.005);
    }
    for (path, mut datagram) in held {
        net.workers[0].handle_datagram(net.now, path, &mut datagram);
    }
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert_smooth(&viewers[0], 0);
    assert_at_edge(&viewers[0], &publisher);
}

/// A link of twice the bitrate, headers and all, which keeps 200 ms of what it cannot carry at once.
#[test]
fn a_link_of_twice_the_bitrate_carries_it() {
    for (seed, seconds) in (30..).zip([4.3, 5.5, 6.7, 7.9]) {
        let (mut net, mut publisher) = scene(seed, Media::H264, LIMITS, seconds);
        // What a second of the stream is on the wire: 30 frames of 4 packets.
        net.narrow = Some(Narrow::new(2 * 30 * 4 * (1100 + 12 + 28), Duration::from_millis(200)));
        net.spared = Some(publisher.path());
        let since = net.now;
        let mut viewers = [join(&mut net, 2, Media::H264)];
        scene::run(&mut net, &mut publisher, &mut viewers, 5.0);
        assert!(first(&viewers[0], since) < Duration::from_millis(100), "{:?}", first(&viewers[0], since));
        assert_eq!(net.narrow.as_ref().map(|narrow| narrow.dropped), Some(0));
        assert!(viewers[0].receiver(0).longest_gap(net.now) < Duration::from_millis(150));
        assert_smooth(&viewers[0], usize::from(video_jumped(&viewers[0])));
        assert_at_edge(&viewers[0], &publisher);
    }
}

#[test]
fn loss_in_the_replay_is_repaired_under_the_numbers_that_were_sent() {
    for (seed, rtx) in [(11, true), (12, false), (13, true)] {
        let (mut net, mut publisher) = scene(seed, VP8, LIMITS, 7.0);
        (net.link.loss, net.spared) = (0.05, Some(publisher.path()));
        let options = ViewerOptions { media: VP8, audio: None, rtx, ..ViewerOptions::default() };
        let mut viewers = [scene::view(&mut net, 0, 2, options)];
        scene::run(&mut net, &mut publisher, &mut viewers, 5.0);
        let video = viewers[0].receiver(0);
        assert_eq!(video.skipped, 0);
        assert!(video.longest_gap(net.now) < Duration::from_millis(500), "{:?}", video.longest_gap(net.now));
        net.link.loss = 0.0;
        scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
        assert_smooth(&viewers[0], usize::from(video_jumped(&viewers[0])));
        assert_at_edge(&viewers[0], &publisher);
    }
}

fn video_jumped(viewer: &Viewer) -> bool {
    viewer.receiver(0).shown.windows(2).any(|pair| pair[1].number != pair[0].number + 1)
}

#[test]
fn a_key_frame_during_the_replay_ends_it() {
    let (mut net, mut publisher) = scene(4, VP8, LIMITS, 7.8);
    let mut viewers = [join(&mut net, 2, VP8)];
    scene::run(&mut net, &mut publisher, &mut viewers, 0.5);
    assert_smooth(&viewers[0], 1);
    assert_at_edge(&viewers[0], &publisher);
    // One that heeds requests is asked once, and ends it at once.
    let (mut net, mut publisher) = scene(5, VP8, LIMITS, 6.5);
    publisher.deaf = false;
    let mut viewers = [join(&mut net, 2, VP8)];
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    assert_eq!(publisher.streams[0].plis, 1);
    assert_smooth(&viewers[0], 1);
    assert_at_edge(&viewers[0], &publisher);
}

#[test]
fn a_group_beyond_its_bounds_is_not_kept() {
    for limits in [GopLimits { bytes: 100_000, ..LIMITS }, GopLimits { span: Duration::from_millis(900), ..LIMITS }] {
        let (mut net, mut publisher) = scene(6, Media::H264, limits, 4.5);
        let since = net.now;
        let mut early = [join(&mut net, 2, Media::H264)];
        scene::run(&mut net, &mut publisher, &mut early, 1.0);
        assert!(first(&early[0], since) < Duration::from_millis(60), "half a second is within it");
        assert_smooth(&early[0], 0);
        let since = net.now;
        let mut late = [join(&mut net, 3, Media::H264)];
        scene::run(&mut net, &mut publisher, &mut late, 3.0);
        assert!(first(&late[0], since) > Duration::from_secs(2));
    }
}

#[test]
fn a_publisher_that_goes_or_begins_anew_during_the_replay_does_no_harm() {
    let (mut net, mut publisher) = scene(7, VP8, LIMITS, 7.0);
    let mut viewers = [join(&mut net, 2, VP8)];
    scene::run(&mut net, &mut publisher, &mut viewers, 0.3);
    publisher.streams[0].active = false;
    scene::run(&mut net, &mut publisher, &mut viewers, 3.0);
    let shown = viewers[0].receiver(0).shown.last().expect("a picture").number;
    assert_eq!(shown + 1, publisher.streams[0].frame, "what was cached is shown to its end");
    assert_smooth(&viewers[0], 0);
    // Anew, under other numbers.
    publisher.streams[0].sequence += 30_000;
    (publisher.streams[0].active, publisher.streams[0].next_at) = (true, net.now);
    publisher.streams[0].force_key = true;
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    let shown = viewers[0].receiver(0).shown.last().expect("a picture").number;
    assert!(publisher.streams[0].frame - 1 - shown <= 2);
    // Gone for good, in the middle of another viewer's replay.
    let mut viewers = [join(&mut net, 3, VP8)];
    scene::run(&mut net, &mut publisher, &mut viewers, 0.05);
    net.workers[0].command(net.now, Command::RemoveTrack { track: VIDEO }).expect("removed");
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert!(!viewers[0].receiver(0).shown.is_empty());
}

#[test]
fn a_viewer_that_pauses_begins_again_at_the_key_frame() {
    let (mut net, mut publisher) = scene(8, VP8, LIMITS, 5.5);
    let mut viewers = [join(&mut net, 2, VP8)];
    let pause = |net: &mut Net, paused| {
        let command = Command::Pause { subscription: scene::video_subscription(2), paused };
        net.workers[0].command(net.now, command).expect("pause");
    };
    scene::run(&mut net, &mut publisher, &mut viewers, 0.3);
    pause(&mut net, true);
    scene::run(&mut net, &mut publisher, &mut viewers, 0.5);
    let before = viewers[0].receiver(0).shown.len();
    scene::run(&mut net, &mut publisher, &mut viewers, 0.2);
    assert_eq!(viewers[0].receiver(0).shown.len(), before);
    let at = net.now;
    pause(&mut net, false);
    scene::run(&mut net, &mut publisher, &mut viewers, 3.0);
    let again = viewers[0].receiver(0).shown[before];
    assert!(again.at - at < Duration::from_millis(60) && again.number.is_multiple_of(GOP));
    let video = viewers[0].receiver(0);
    assert_eq!((video.lost(), video.skipped), (0, 0));
    for pair in video.shown.windows(2) {
        assert!((pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32) > 0, "{pair:?}");
    }
    assert_at_edge(&viewers[0], &publisher);
}

#[test]
fn many_at_once_take_turns() {
    let (mut net, mut publisher) = scene(9, Media::H264, GopLimits { replays: 4, ..LIMITS }, 4.4);
    let mut viewers: Vec<_> = (2..14).map(|id| join(&mut net, id, Media::H264)).collect();
    scene::run(&mut net, &mut publisher, &mut viewers, 0.1);
    assert_eq!(viewers.iter().filter(|viewer| !viewer.receiver(0).shown.is_empty()).count(), 4);
    scene::run(&mut net, &mut publisher, &mut viewers, 4.9);
    for viewer in &viewers {
        assert!(!viewer.receiver(0).shown.is_empty());
        assert_smooth(viewer, usize::from(video_jumped(viewer)));
        assert_at_edge(viewer, &publisher);
    }
    let began = |viewer: &&Viewer| viewer.receiver(0).shown[0].number == GOP;
    assert!(viewers.iter().filter(began).count() >= 8, "turns came before the next key frame");
}

/// A publisher of two layers with one viewer, who gets the larger one.
fn two_layers(deaf: bool) -> (Net, Publisher, [Viewer; 1]) {
    let mut net = Net::with_cache(10, 1, LIMITS);
    let layer = |rid, ssrc, width, payload_size| Stream {
        rid: Some(rid),
        payload_size,
        key_every: GOP,
        ..Stream::video(Media::Vp8 { width, height: width / 2 }, ssrc, net.now)
    };
    let layers = vec![layer("a", 5000, 320, 300), layer("b", 15_000, 640, 1100)];
    let mut publisher = scene::publish(&mut net, 0, 1, Profile::AeadAes128Gcm, vec![(VIDEO, layers)]);
    publisher.deaf = deaf;
    scene::run(&mut net, &mut publisher, &mut [], 5.0);
    let mut viewers = [join(&mut net, 2, VP8)];
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    (net, publisher, viewers)
}

#[test]
fn a_change_of_layer_waits_for_a_publisher_that_answers() {
    let (mut net, mut publisher, mut viewers) = two_layers(false);
    let shown = viewers[0].receiver(0).shown.len();
    let command =
        Command::SelectLayer { subscription: scene::video_subscription(2), choice: Choice::of(Some("a".to_owned())) };
    net.workers[0].command(net.now, command).expect("select");
    scene::run(&mut net, &mut publisher, &mut viewers, 0.4);
    let since = &viewers[0].receiver(0).shown[shown - 1..];
    assert_eq!(since.last().expect("a picture").size, 300);
    assert!(since.windows(2).all(|pair| pair[0].number < pair[1].number), "pictures from the past");
}

#[test]
fn a_change_of_layer_is_shown_soon() {
    let (mut net, mut publisher, mut viewers) = two_layers(true);
    let rid = Some("a".to_owned());
    let command = Command::SelectLayer { subscription: scene::video_subscription(2), choice: Choice::of(rid) };
    net.workers[0].command(net.now, command).expect("select");
    scene::run(&mut net, &mut publisher, &mut viewers, 0.9);
    let video = viewers[0].receiver(0);
    assert_eq!(video.shown.last().expect("a picture").size, 300);
    assert_eq!((video.lost(), video.skipped), (0, 0));
    let mut last = None;
    for packet in &video.packets {
        let id = u16::from_be_bytes([packet.payload[2], packet.payload[3]]) & 0x7fff;
        if let Some((timestamp, picture)) = last
            && timestamp != packet.timestamp
        {
            assert!((packet.timestamp.wrapping_sub(timestamp) as i32) > 0);
            assert_eq!(id, (picture + 1) & 0x7fff, "picture ids go on");
        }
        last = Some((packet.timestamp, id));
    }
}

#[test]
fn a_key_frame_whose_first_packet_was_lost_is_a_start_when_it_comes() {
    for media in [Media::H264, VP8] {
        let mut net = Net::with_cache(14, 1, LIMITS);
        let video = Stream { key_every: GOP, ..Stream::video(media, 5000, net.now) };
        let mut publisher = scene::publish(&mut net, 0, 1, Profile::AeadAes128Gcm, vec![(VIDEO, vec![video])]);
        publisher.deaf = true;
        let mut viewers = [join(&mut net, 2, media)];
        scene::run(&mut net, &mut publisher, &mut viewers, 3.9);
        // A new viewer of a group that is no longer kept, just before the key frame.
        let (mut out, mut lost) = (Vec::new(), 0);
        while publisher.streams[0].frame < GOP {
            scene::run(&mut net, &mut publisher, &mut viewers, 0.001);
        }
        net.now = publisher.streams[0].next_at.max(net.now);
        publisher.send(net.now, &mut out);
        let mut newcomer = [join(&mut net, 3, media)];
        for (index, (path, datagram)) in out.into_iter().enumerate() {
            if index == 0 {
                lost += 1;
            } else {
                net.inject(0, path, datagram);
            }
        }
        assert_eq!(lost, 1);
        let since = net.now;
        scene::run(&mut net, &mut publisher, &mut newcomer, 1.0);
        assert!(first(&newcomer[0], since) < Duration::from_millis(300), "{media:?}: {:?}", first(&newcomer[0], since));
    }
}

#[test]
fn a_viewer_that_was_not_ready_is_shown_it_once_more() {
    for media in [Media::H264, VP8] {
        let (mut net, mut publisher) = scene(16, media, LIMITS, 6.0);
        let mut viewers = [join(&mut net, 2, media)];
        scene::run(&mut net, &mut publisher, &mut viewers, 0.2);
        // What came before is as if it had not come.
        let shown = viewers[0].receiver(0).shown.len();
        viewers[0].receivers[0].asks = true;
        scene::run(&mut net, &mut publisher, &mut viewers, 0.3);
        let key_frames =
            |viewer: &Viewer| viewer.receiver(0).shown[shown..].iter().filter(|picture| picture.number == GOP).count();
        assert_eq!(key_frames(&viewers[0]), 1, "{media:?}");
        // A viewer that goes on asking waits for the publisher.
        for _ in 0..4 {
            viewers[0].receivers[0].asks = true;
            scene::run(&mut net, &mut publisher, &mut viewers, 0.2);
        }
        assert_eq!(key_frames(&viewers[0]), 1, "{media:?}");
        let video = viewers[0].receiver(0);
        assert_eq!((video.lost(), video.skipped), (0, 0));
        for pair in video.shown.windows(2) {
            assert!((pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32) > 0, "{pair:?}");
        }
    }
}

#[test]
fn who_has_seen_pictures_is_shown_none_of_them_again_for_asking() {
    let (mut net, mut publisher) = scene(17, VP8, LIMITS, 5.5);
    let mut viewers = [join(&mut net, 2, VP8)];
    scene::run(&mut net, &mut publisher, &mut viewers, 0.3);
    for paused in [true, false] {
        let command = Command::Pause { subscription: scene::video_subscription(2), paused };
        net.workers[0].command(net.now, command).expect("pause");
        scene::run(&mut net, &mut publisher, &mut viewers, 0.2);
    }
    let shown = viewers[0].receiver(0).shown.len();
    viewers[0].receivers[0].asks = true;
    scene::run(&mut net, &mut publisher, &mut viewers, 0.5);
    let after = &viewers[0].receiver(0).shown[shown - 1..];
    assert!(after.len() > 10 && after.windows(2).all(|pair| pair[0].number < pair[1].number));
}

#[test]
fn other_tracks_and_transports_are_not_concerned() {
    let (mut net, mut publisher) = scene(15, VP8, LIMITS, 6.0);
    let mut viewers = [join(&mut net, 2, VP8), join(&mut net, 3, VP8)];
    scene::run(&mut net, &mut publisher, &mut viewers, 0.1);
    net.workers[0].command(net.now, Command::CloseTransport { transport: TransportId(2) }).expect("closed");
    scene::run(&mut net, &mut publisher, &mut viewers[1..], 3.0);
    assert_at_edge(&viewers[1], &publisher);
    assert!(net.workers[0].command(net.now, Command::RemoveTrack { track: TrackId(77) }).is_err());
}
