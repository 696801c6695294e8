//! The layer that a viewer's link carries: three layers as OBS sends them, and links that change.

mod common;

use std::time::{Duration, Instant};

use common::net::{Narrow, Net, Wire};
use common::publisher::{Media, Publisher, Stream};
use common::scalable::{Form, frame_of};
use common::scene::{self, AUDIO, VIDEO, ViewerOptions};
use common::viewer::{Feedback, Viewer};
use live777_media::command::Command;
use live777_media::event::{Path, SocketId};
use live777_media::layer::Choice;
use live777_media::srtp::Profile;
use live777_media::stats::TransportStats;
use live777_media::worker::{GopLimits, Reply};

const VP8: Media = Media::Vp8 { width: 0, height: 0 };
const GOP: GopLimits = GopLimits { bytes: 8 << 20, span: Duration::from_secs(10), replays: 64 };
const QUEUE: Duration = Duration::from_millis(300);
/// Payload sizes, by which a picture shows its layer: about 2 Mbit/s, 500 and 150 kbit/s.
const BEST: usize = 1040;
const MIDDLE: usize = 1000;
const LOWEST: usize = 620;
const DOWN_WITHIN: f64 = 3.0;
const UP_WITHIN: f64 = 10.0;
const LONGEST_GAP: Duration = Duration::from_secs(1);

/// As OBS: rid 0 is the largest, no SSRC is named, key frames come every two seconds and not when asked for. And sound.
fn obs(net: &mut Net) -> Publisher {
    let layers = [("0", (1920, 1080), 7, BEST), ("1", (960, 540), 2, MIDDLE), ("2", (480, 270), 1, LOWEST)];
    let layers = layers.iter().zip(1..).map(|(&(rid, (width, height), packets_per_frame, payload_size), n)| Stream {
        rid: Some(rid),
        packets_per_frame,
        payload_size,
        key_every: 60,
        key_factor: 4,
        ..Stream::video(Media::Vp8 { width, height }, 5000 * n, net.now)
    });
    let layers = layers.collect();
    let sound = Stream::audio(90_000, net.now);
    let mut publisher = scene::publish(net, 0, 1, Profile::AeadAes128Gcm, vec![(VIDEO, layers), (AUDIO, vec![sound])]);
    publisher.deaf = true;
    publisher
}

fn viewer(net: &mut Net, id: u64) -> Viewer {
    let mut viewer = scene::view(net, 0, id, ViewerOptions { media: VP8, ..ViewerOptions::default() });
    viewer.feedback = Feedback::transport_cc();
    viewer.receivers[0].jumps = true;
    viewer
}

fn shape(net: &mut Net, viewer: &Viewer, rate: u64, queue: Duration) {
    net.shapers.insert(viewer.session.path.remote, Narrow::new((rate / 8) as u32, queue));
}

fn transport(net: &mut Net, viewer: &Viewer) -> TransportStats {
    let Ok(Reply::Stats(stats)) = net.workers[0].command(net.now, Command::Stats) else { panic!("stats") };
    *stats.transports.iter().find(|row| row.transport == viewer.session.id).expect("the viewer's transport")
}

fn select(net: &mut Net, id: u64, rid: Option<&str>) {
    let subscription = scene::video_subscription(id);
    let command = Command::SelectLayer { subscription, choice: Choice::of(rid.map(str::to_owned)) };
    net.workers[0].command(net.now, command).expect("select");
}

/// What a viewer saw from an instant on.
#[derive(Debug)]
struct Seen {
    /// Seconds until the last picture of a better layer than the last one's, ...
    left: f64,
    /// ... and of any other.
    settled: f64,
    size: usize,
    /// The longest time without a whole picture.
    gap: Duration,
}

fn seen(net: &Net, viewer: &Viewer, from: Instant) -> Seen {
    let shown = viewer.receiver(0).shown.iter().filter(|shown| shown.at >= from);
    let (mut last, mut gap, mut left, mut settled) = (from, Duration::ZERO, 0.0, 0.0);
    let size = viewer.receiver(0).shown.last().expect("a picture").size;
    for picture in shown {
        gap = gap.max(picture.at - last);
        last = picture.at;
        let after = (picture.at - from).as_secs_f64();
        if picture.size > size {
            left = after;
        }
        if picture.size != size {
            settled = after;
        }
    }
    Seen { left, settled, size, gap: gap.max(net.now - last) }
}

/// Runs a link through its rates; each comes with the layer that fits it. Returns what was seen of each.
fn follow(net: &mut Net, publisher: &mut Publisher, viewer: &mut Viewer, steps: &[(u64, usize)], queue: Duration) {
    follow_within(net, publisher, viewer, steps, (queue, LONGEST_GAP));
}

/// The same, with the longest time without a picture.
fn follow_within(
    net: &mut Net,
    publisher: &mut Publisher,
    viewer: &mut Viewer,
    steps: &[(u64, usize)],
    (queue, longest): (Duration, Duration),
) {
    for (step, &(rate, size)) in steps.iter().enumerate() {
        shape(net, viewer, rate, queue);
        let from = net.now;
        watch(net, publisher, viewer, 20.0);
        let seen = seen(net, viewer, from);
        assert_eq!(seen.size, size, "step {step} at {rate} bit/s: {seen:?}");
        assert!(seen.left <= DOWN_WITHIN, "step {step} at {rate} bit/s: {seen:?}");
        assert!(seen.settled <= UP_WITHIN, "step {step} at {rate} bit/s: {seen:?}");
        assert!(seen.gap <= longest, "step {step} at {rate} bit/s: {seen:?}");
    }
}

fn watch(net: &mut Net, publisher: &mut Publisher, viewer: &mut Viewer, seconds: f64) {
    scene::run(net, publisher, std::slice::from_mut(viewer), seconds);
}

const STEPS: [(u64, usize); 4] = [(2_500_000, BEST), (700_000, MIDDLE), (250_000, LOWEST), (50_000_000, BEST)];

#[test]
fn the_layer_follows_the_link_down_and_up() {
    for seed in 0..3 {
        let mut net = Net::with_cache(seed, 1, GOP);
        let mut publisher = obs(&mut net);
        let mut viewer = viewer(&mut net, 2);
        follow(&mut net, &mut publisher, &mut viewer, &STEPS, QUEUE);
    }
}

#[test]
fn whether_its_queue_is_short_or_long() {
    for (seed, millis) in [(10, 60), (11, 150), (12, 800), (13, 1500)] {
        let mut net = Net::with_cache(seed, 1, GOP);
        let mut publisher = obs(&mut net);
        let mut viewer = viewer(&mut net, 2);
        follow(&mut net, &mut publisher, &mut viewer, &STEPS, Duration::from_millis(millis));
    }
}

#[test]
fn a_far_and_restless_link_too() {
    let mut net = Net::with_cache(20, 1, GOP);
    net.link.delay = Duration::from_millis(60);
    net.link.jitter = Duration::from_millis(8);
    let mut publisher = obs(&mut net);
    net.spared = Some(publisher.session.path);
    let mut viewer = viewer(&mut net, 2);
    let steps = [(3_000_000, BEST), (750_000, MIDDLE), (270_000, LOWEST), (50_000_000, BEST)];
    follow(&mut net, &mut publisher, &mut viewer, &steps, QUEUE);
}

/// A browser sends a key frame when it is asked for one, or has one in the cache: what the viewer still misses of the
/// larger picture then is not sent before it.
#[test]
fn repairs_of_a_layer_that_is_left_do_not_hold_up_the_next_one() {
    for (phase, bytes) in (0..8).flat_map(|phase| [(phase, 0), (phase, GOP.bytes)]) {
        let mut net = Net::with_cache(40 + phase, 1, GopLimits { bytes, ..GOP });
        let mut publisher = obs(&mut net);
        if bytes == 0 {
            publisher.deaf = false;
            publisher.streams.iter_mut().for_each(|stream| stream.key_every = 100_000);
        }
        let mut viewer = viewer(&mut net, 2);
        watch(&mut net, &mut publisher, &mut viewer, 10.6 + phase as f64 * 0.03);
        shape(&mut net, &viewer, 700_000, Duration::from_millis(200));
        let from = net.now;
        watch(&mut net, &mut publisher, &mut viewer, 4.0);
        let seen = seen(&net, &viewer, from);
        assert!(seen.size < BEST && seen.left < 0.5, "{bytes}, {phase}: {seen:?}");
    }
}

/// What is lost of layers in one encoding before the estimate knows is needed for all that follows, and fewer layers fill the
/// link as well: repairs have their share of it before the viewer gives up.
#[test]
fn repairs_are_not_starved_by_fewer_layers() {
    for (form, phase) in
        [Form::Vp9 { flexible: false }, Form::Av1].into_iter().flat_map(|form| (0..6).map(move |n| (form, n)))
    {
        let mut net = Net::with_cache(240 + phase, 1, GOP);
        let media = Media::Scalable(form);
        let interval = Duration::from_millis(66);
        let stream = Stream { key_every: 100_000, payload_size: 1300, interval, ..Stream::video(media, 5000, net.now) };
        let mut publisher = scene::publish(&mut net, 0, 1, Profile::AeadAes128Gcm, vec![(VIDEO, vec![stream])]);
        let options = ViewerOptions { media, audio: None, descriptor: true, ..ViewerOptions::default() };
        let mut viewer = scene::view(&mut net, 0, 2, options);
        viewer.feedback = Feedback::transport_cc();
        watch(&mut net, &mut publisher, &mut viewer, 8.0 + phase as f64 * 0.051);
        shape(&mut net, &viewer, 350_000, Duration::from_millis(200));
        watch(&mut net, &mut publisher, &mut viewer, 4.0);
        let video = viewer.receiver(0);
        assert!(video.repaired > 0, "{form:?}, {phase}: nothing was lost");
        assert_eq!((video.skipped, video.plis), (0, 0), "{form:?}, {phase}");
    }
}

/// AV1 in three by three layers, of which all takes 1.5 Mbit/s, half the pictures of all sizes 760 kbit/s, and all of two
/// sizes 550: and the encoder is too slow for a second, time and again.
#[test]
fn an_encoder_that_stutters_makes_no_layer_cheap() {
    for seed in 0..4 {
        let mut net = Net::with_cache(140 + seed, 1, GOP);
        let media = Media::Scalable(Form::Av1);
        let stream = Stream { key_every: 100_000, payload_size: 1300, ..Stream::video(media, 5000, net.now) };
        let mut publisher = scene::publish(&mut net, 0, 1, Profile::AeadAes128Gcm, vec![(VIDEO, vec![stream])]);
        let options = ViewerOptions { media, audio: None, descriptor: true, ..ViewerOptions::default() };
        let mut viewer = scene::view(&mut net, 0, 2, options);
        viewer.receivers[0].keep_packets = true;
        viewer.feedback = Feedback::transport_cc();
        watch(&mut net, &mut publisher, &mut viewer, 8.0);
        shape(&mut net, &viewer, 700_000, QUEUE);
        watch(&mut net, &mut publisher, &mut viewer, 4.0);
        let before = viewer.receiver(0).packets.len();
        for round in 0..10 {
            publisher.streams[0].interval = Duration::from_millis(100);
            watch(&mut net, &mut publisher, &mut viewer, 1.0 + f64::from(round % 3) * 0.4);
            publisher.streams[0].interval = Duration::from_micros(33_333);
            watch(&mut net, &mut publisher, &mut viewer, 4.0);
        }
        let sizes: Vec<u8> =
            viewer.receiver(0).packets[before..].iter().filter_map(frame_of).map(|frame| frame.spatial).collect();
        let large = sizes.iter().filter(|&&spatial| spatial == 2).count();
        assert!(large == 0 && sizes.contains(&1), "seed {seed}: {large} of {}", sizes.len());
        net.shapers.clear();
        watch(&mut net, &mut publisher, &mut viewer, UP_WITHIN);
        let packets = &viewer.receiver(0).packets;
        let last: Vec<u8> =
            packets[packets.len() - 60..].iter().filter_map(frame_of).map(|frame| frame.spatial).collect();
        assert!(last.contains(&2), "seed {seed}");
    }
}

#[test]
fn viewers_of_different_links_get_different_layers() {
    let mut net = Net::with_cache(30, 1, GOP);
    let mut publisher = obs(&mut net);
    let mut viewers = [viewer(&mut net, 2), viewer(&mut net, 3), viewer(&mut net, 4)];
    for (viewer, rate) in viewers.iter().zip([700_000, 20_000_000, 300_000]) {
        shape(&mut net, viewer, rate, QUEUE);
    }
    scene::run(&mut net, &mut publisher, &mut viewers, 10.0);
    let from = net.now;
    scene::run(&mut net, &mut publisher, &mut viewers, 20.0);
    for (viewer, size) in viewers.iter().zip([MIDDLE, BEST, LOWEST]) {
        let seen = seen(&net, viewer, from);
        assert!(seen.size == size && seen.settled == 0.0 && seen.gap < Duration::from_millis(700), "{seen:?}");
    }
}

#[test]
fn a_pinned_layer_is_never_changed() {
    let mut net = Net::with_cache(40, 1, GOP);
    let mut publisher = obs(&mut net);
    let mut viewer = viewer(&mut net, 2);
    select(&mut net, 2, Some("0"));
    shape(&mut net, &viewer, 1_500_000, QUEUE);
    watch(&mut net, &mut publisher, &mut viewer, 10.0);
    assert!(viewer.receiver(0).shown.iter().all(|shown| shown.size == BEST));
    assert!(viewer.receiver(0).shown.len() > 20);
    select(&mut net, 2, None);
    let from = net.now;
    watch(&mut net, &mut publisher, &mut viewer, 10.0);
    let seen = seen(&net, &viewer, from);
    assert!(seen.size == MIDDLE && seen.left < DOWN_WITHIN, "{seen:?}");
    select(&mut net, 2, Some("2"));
    net.shapers.clear();
    watch(&mut net, &mut publisher, &mut viewer, 15.0);
    assert_eq!(viewer.receiver(0).shown.last().map(|shown| shown.size), Some(LOWEST));
}

#[test]
fn loss_at_random_is_not_congestion() {
    let mut net = Net::with_cache(50, 1, GOP);
    net.link.loss = 0.02;
    net.spared = None;
    let mut publisher = obs(&mut net);
    let mut viewer = viewer(&mut net, 2);
    net.spared = Some(publisher.session.path);
    shape(&mut net, &viewer, 10_000_000, QUEUE);
    watch(&mut net, &mut publisher, &mut viewer, 10.0);
    let from = net.now;
    watch(&mut net, &mut publisher, &mut viewer, 60.0);
    let seen = seen(&net, &viewer, from);
    assert!(seen.size == BEST && seen.settled == 0.0 && seen.gap < Duration::from_millis(500), "{seen:?}");
}

#[test]
fn feedback_may_be_lost() {
    let mut net = Net::with_cache(60, 1, GOP);
    let mut publisher = obs(&mut net);
    let mut viewer = viewer(&mut net, 2);
    viewer.feedback_kept = 2;
    follow_within(&mut net, &mut publisher, &mut viewer, &STEPS, (QUEUE, LONGEST_GAP * 3 / 2));
}

#[test]
fn clocks_may_jump() {
    let mut net = Net::with_cache(70, 1, GOP);
    let mut publisher = obs(&mut net);
    let mut viewer = viewer(&mut net, 2);
    shape(&mut net, &viewer, 2_500_000, QUEUE);
    watch(&mut net, &mut publisher, &mut viewer, 10.0);
    let from = net.now;
    let jumps = [3_600_000, 3_599_000, 3_599_700, 1_100_000, 90_000_000, 90_000_400, 1_000_000];
    for millis in jumps {
        if let Some(Feedback::TransportCc { clock, .. }) = &mut viewer.feedback {
            *clock = Duration::from_millis(millis);
        }
        watch(&mut net, &mut publisher, &mut viewer, 8.0);
    }
    let before = seen(&net, &viewer, from);
    assert!(before.size == BEST && before.settled == 0.0 && before.gap < Duration::from_millis(300), "{before:?}");
    // Our thread stood still: what came meanwhile is late.
    net.now += Duration::from_secs(7);
    let from = net.now;
    watch(&mut net, &mut publisher, &mut viewer, 20.0);
    assert_eq!(seen(&net, &viewer, from).size, BEST);
    follow(&mut net, &mut publisher, &mut viewer, &STEPS[1..], QUEUE);
}

#[test]
fn an_estimate_of_the_viewer_does_where_there_is_no_feedback() {
    let mut net = Net::with_cache(80, 1, GOP);
    let mut publisher = obs(&mut net);
    let mut viewer = viewer(&mut net, 2);
    viewer.feedback = Feedback::remb(net.now);
    for (rate, size) in [(700_000, MIDDLE), (250_000, LOWEST), (20_000_000, BEST)] {
        shape(&mut net, &viewer, rate, QUEUE);
        watch(&mut net, &mut publisher, &mut viewer, 30.0);
        let from = net.now;
        watch(&mut net, &mut publisher, &mut viewer, 10.0);
        let shown: Vec<_> = viewer.receiver(0).shown.iter().filter(|shown| shown.at >= from).collect();
        let fits = shown.iter().filter(|shown| shown.size <= size).count();
        assert!(shown.len() > 200 && fits * 10 > shown.len() * 9, "{rate}: {fits} of {} pictures", shown.len());
    }
}

#[test]
fn loss_in_reports_is_the_last_resort() {
    let mut net = Net::with_cache(90, 1, GOP);
    let mut publisher = obs(&mut net);
    let mut viewer = viewer(&mut net, 2);
    (viewer.feedback, viewer.claimed_loss) = (None, None);
    shape(&mut net, &viewer, 700_000, QUEUE);
    watch(&mut net, &mut publisher, &mut viewer, 20.0);
    let from = net.now;
    watch(&mut net, &mut publisher, &mut viewer, 20.0);
    let shown = viewer.receiver(0).shown.iter().filter(|shown| shown.at >= from);
    let fits = shown.clone().filter(|shown| shown.size != BEST).count();
    assert!(fits * 10 > shown.count() * 7, "{fits} of the pictures");
    net.shapers.clear();
    watch(&mut net, &mut publisher, &mut viewer, 40.0);
    assert_eq!(viewer.receiver(0).shown.last().map(|shown| shown.size), Some(BEST));
}

#[test]
fn where_even_the_lowest_is_too_much_it_flows_and_sound_too() {
    let mut net = Net::with_cache(100, 1, GOP);
    let mut publisher = obs(&mut net);
    let mut viewer = viewer(&mut net, 2);
    shape(&mut net, &viewer, 180_000, QUEUE);
    watch(&mut net, &mut publisher, &mut viewer, 10.0);
    let (from, heard) = (net.now, viewer.receiver(1).received);
    watch(&mut net, &mut publisher, &mut viewer, 20.0);
    let heard = viewer.receiver(1).received - heard;
    assert!(heard > 800, "{heard} of 1000 packets of sound");
    let seen = seen(&net, &viewer, from);
    assert!(seen.size == LOWEST && seen.settled == 0.0, "{seen:?}");
}

#[test]
fn without_the_switch_everybody_gets_the_best() {
    let mut net = Net::with_options(110, 1, GOP, false);
    let mut publisher = obs(&mut net);
    let mut viewer = viewer(&mut net, 2);
    shape(&mut net, &viewer, 700_000, QUEUE);
    watch(&mut net, &mut publisher, &mut viewer, 10.0);
    assert!(viewer.receiver(0).shown.iter().all(|shown| shown.size == BEST));
    assert_eq!(transport(&mut net, &viewer).available_bitrate, None);
}

#[test]
fn probes_disturb_nothing_and_stop_at_the_best_layer() {
    let mut net = Net::with_cache(120, 1, GOP);
    let mut publisher = obs(&mut net);
    let mut viewer = viewer(&mut net, 2);
    // Only the lowest layer is there at first.
    publisher.streams[..2].iter_mut().for_each(|stream| stream.active = false);
    shape(&mut net, &viewer, 20_000_000, QUEUE);
    watch(&mut net, &mut publisher, &mut viewer, 4.0);
    for stream in &mut publisher.streams[..2] {
        (stream.active, stream.next_at, stream.frame) = (true, net.now, 0);
    }
    watch(&mut net, &mut publisher, &mut viewer, 8.0);
    let video = viewer.receiver(0);
    assert_eq!((video.lost(), video.skipped), (0, 0));
    assert_eq!(video.shown.last().map(|shown| shown.size), Some(BEST));
    let probes = video.repaired;
    assert!(probes > 20, "{probes}");
    let estimate = transport(&mut net, &viewer).available_bitrate.expect("an estimate");
    assert!((2_200_000..9_000_000).contains(&estimate), "{estimate}");
    watch(&mut net, &mut publisher, &mut viewer, 20.0);
    assert_eq!(viewer.receiver(0).repaired, probes, "there is nothing to climb for");
    let later = transport(&mut net, &viewer).available_bitrate.expect("an estimate");
    assert!(later < 9_000_000, "what nobody has tested is not claimed: {later}");
}

#[test]
fn one_layer_is_forwarded_whatever_the_link() {
    let mut net = Net::with_cache(130, 1, GOP);
    let stream = Stream { key_every: 60, ..Stream::video(Media::H264, 7, net.now) };
    let mut publisher = scene::publish(&mut net, 0, 1, Profile::AeadAes128Gcm, vec![(VIDEO, vec![stream])]);
    let options = ViewerOptions { audio: None, ..ViewerOptions::default() };
    let mut viewer = scene::view(&mut net, 0, 2, options);
    viewer.feedback = Feedback::transport_cc();
    shape(&mut net, &viewer, 700_000, QUEUE);
    watch(&mut net, &mut publisher, &mut viewer, 10.0);
    let row = transport(&mut net, &viewer);
    let sent = row.bytes_sent * 8 / 10;
    assert!(sent > 950_000, "all of it: {sent} bit/s");
    let estimate = row.available_bitrate.expect("an estimate");
    assert!((500_000..800_000).contains(&estimate), "{estimate}");
}

/// Another port may be the NAT's doing; another address is another network, and TCP is taken where UDP does not come through.
#[test]
fn what_is_known_of_a_network_is_forgotten_on_another_one() {
    let mut net = Net::with_cache(31, 1, GOP);
    let mut publisher = obs(&mut net);
    let mut viewer = viewer(&mut net, 2);
    let home = viewer.session.path;
    let rebound = Path { remote: (home.remote.ip(), 777).into(), ..home };
    let abroad = Path { remote: ([198, 51, 100, 1], 777).into(), ..home };
    let tcp = Path { socket: SocketId::connection(1, 0), ..abroad };
    for (path, kept) in [(rebound, true), (abroad, false), (tcp, false)] {
        shape(&mut net, &viewer, 700_000, QUEUE);
        watch(&mut net, &mut publisher, &mut viewer, 20.0);
        assert!(transport(&mut net, &viewer).available_bitrate.is_some());
        viewer.session.path = path;
        let mut check = viewer.session.check();
        net.workers[0].handle_datagram(net.now, path, &mut check);
        let row = transport(&mut net, &viewer);
        assert_eq!((row.path, row.available_bitrate.is_some()), (Some(path), kept));
    }
}

/// A viewer whose connection ends while something is under way is forgotten, not asked for every instant.
fn assert_rests_without_a_path(net: &mut Net, viewer: &Viewer) {
    net.workers[0].disconnected(net.now, viewer.session.path);
    assert_eq!(transport(net, viewer).path, None);
    let (mut now, mut turns) = (net.now, 0);
    while let Some(at) = net.workers[0].poll_timeout().filter(|&at| at <= net.now + Duration::from_secs(10)) {
        now = now.max(at);
        net.workers[0].handle_timeout(now, &mut Wire::default());
        turns += 1;
        assert!(turns < 1000, "{turns} turns in {:?}", now - net.now);
    }
}

#[test]
fn who_is_gone_while_packets_wait_keeps_nobody_awake() {
    let mut net = Net::with_cache(140, 1, GOP);
    let mut publisher = obs(&mut net);
    let mut viewer = viewer(&mut net, 2);
    shape(&mut net, &viewer, 700_000, QUEUE);
    watch(&mut net, &mut publisher, &mut viewer, 6.0);
    let waiting = |net: &mut Net| {
        let Ok(Reply::Dump(dump)) = net.workers[0].command(net.now, Command::Dump) else { panic!("a dump") };
        dump.contains("pacer: ") && !dump.contains("pacer: 0 packets")
    };
    let until = net.now + Duration::from_secs(10);
    while !waiting(&mut net) {
        assert!(net.now < until, "nothing ever waits");
        watch(&mut net, &mut publisher, &mut viewer, 0.005);
    }
    assert_rests_without_a_path(&mut net, &viewer);
}

#[test]
fn who_is_gone_while_a_layer_is_held_off_keeps_nobody_awake() {
    let mut net = Net::with_cache(141, 1, GOP);
    let mut publisher = obs(&mut net);
    let mut viewer = viewer(&mut net, 2);
    for (rate, size) in [(700_000, MIDDLE), (5_000_000, BEST)] {
        shape(&mut net, &viewer, rate, QUEUE);
        let until = net.now + Duration::from_secs(20);
        while viewer.receiver(0).shown.last().is_none_or(|shown| shown.size != size) {
            assert!(net.now < until, "{size} is never shown");
            watch(&mut net, &mut publisher, &mut viewer, 0.1);
        }
    }
    // The better layer was a mistake: for some seconds there is no other one.
    shape(&mut net, &viewer, 700_000, QUEUE);
    watch(&mut net, &mut publisher, &mut viewer, 1.5);
    assert_rests_without_a_path(&mut net, &viewer);
}
