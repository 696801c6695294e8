//! Simulcast: which layer a viewer gets, and how it changes over.

mod common;

use std::time::Duration;

use common::net::Net;
use common::publisher::{Media, Publisher, Stream};
use common::scene::{self, VIDEO, ViewerOptions};
use common::viewer::Viewer;
use live777_media::command::{Command, SubscriptionId};
use live777_media::event::Event;
use live777_media::layer::Choice;
use live777_media::srtp::Profile;

const GCM: Profile = Profile::AeadAes128Gcm;

fn layer(net: &Net, rid: &'static str, ssrc: u32, (width, height): (u16, u16), payload_size: usize) -> Stream {
    Stream { rid: Some(rid), payload_size, ..Stream::video(Media::Vp8 { width, height }, ssrc, net.now) }
}

/// Three layers whose rids say nothing about their order.
fn simulcast(net: &mut Net) -> Publisher {
    let layers = vec![
        layer(net, "a", 5000, (640, 360), 800),
        layer(net, "b", 15_000, (1280, 720), 1100),
        layer(net, "c", 25_000, (320, 180), 300),
    ];
    scene::publish(net, 0, 1, GCM, vec![(VIDEO, layers)])
}

/// The layer at this index sends from now on, beginning with a key frame or not.
fn begin(net: &Net, publisher: &mut Publisher, index: usize, key: bool) {
    let stream = &mut publisher.streams[index];
    (stream.active, stream.next_at) = (true, net.now);
    stream.frame = u32::from(!key);
}

fn plis(publisher: &Publisher) -> Vec<u32> {
    publisher.streams.iter().map(|stream| stream.plis).collect()
}

fn viewer(net: &mut Net, id: u64) -> Viewer {
    let media = Media::Vp8 { width: 0, height: 0 };
    let mut viewer = scene::view(net, 0, id, ViewerOptions { media, audio: None, ..ViewerOptions::default() });
    viewer.receivers[0].keep_packets = true;
    viewer
}

fn select(net: &mut Net, id: u64, rid: Option<&str>) {
    let command = Command::SelectLayer {
        subscription: scene::video_subscription(id),
        choice: Choice::of(rid.map(str::to_owned)),
    };
    net.workers[0].command(net.now, command).expect("select");
}

fn layer_changes(net: &mut Net, subscription: SubscriptionId) -> Vec<Option<String>> {
    let changes = net.events.drain(..).filter_map(|(_, event)| match event {
        Event::LayerChanged { subscription: changed, rid, .. } if changed == subscription => Some(rid),
        _ => None,
    });
    changes.collect()
}

/// Everything that a viewer's decoder and jitter buffer take offence at.
fn assert_continuous(viewer: &Viewer) {
    let video = viewer.receiver(0);
    assert_eq!((video.lost(), video.skipped), (0, 0));
    let mut pictures = video.packets.iter().map(|packet| {
        let id = u16::from_be_bytes([packet.payload[2], packet.payload[3]]) & 0x7fff;
        (packet.timestamp, id, packet.payload[4])
    });
    let mut last = pictures.next().expect("packets came");
    for (timestamp, picture_id, tl0) in pictures {
        if timestamp == last.0 {
            assert_eq!((picture_id, tl0), (last.1, last.2), "one frame, one number");
            continue;
        }
        let step = timestamp.wrapping_sub(last.0);
        assert!((1..=9000).contains(&step), "timestamps go on: {step}");
        assert_eq!(picture_id, (last.1 + 1) & 0x7fff, "picture ids go on");
        assert_eq!(tl0, last.2.wrapping_add(1), "TL0PICIDX goes on");
        last = (timestamp, picture_id, tl0);
    }
}

fn newest_size(viewer: &Viewer) -> usize {
    viewer.receiver(0).shown.last().expect("a picture").size
}

#[test]
fn the_largest_picture_is_the_default_whatever_its_name() {
    let mut net = Net::new(1, 1);
    let mut publisher = simulcast(&mut net);
    let mut viewers = [viewer(&mut net, 2)];
    scene::run(&mut net, &mut publisher, &mut viewers, 3.0);
    assert_eq!(newest_size(&viewers[0]), 1100);
    assert_continuous(&viewers[0]);
    assert_eq!(layer_changes(&mut net, scene::video_subscription(2)).last(), Some(&Some("b".to_owned())));
}

#[test]
fn a_chosen_layer_begins_at_its_key_frame_and_numbers_go_on() {
    let mut net = Net::new(2, 1);
    let mut publisher = simulcast(&mut net);
    let mut viewers = [viewer(&mut net, 2), viewer(&mut net, 3)];
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    layer_changes(&mut net, scene::video_subscription(2));
    for (rid, size) in [("c", 300), ("a", 800), ("b", 1100), ("c", 300)] {
        select(&mut net, 2, Some(rid));
        scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
        assert_eq!(newest_size(&viewers[0]), size, "{rid}");
        assert_eq!(newest_size(&viewers[1]), 1100, "the other viewer is not concerned");
        assert_eq!(layer_changes(&mut net, scene::video_subscription(2)), [Some(rid.to_owned())]);
    }
    select(&mut net, 2, None);
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert_eq!(newest_size(&viewers[0]), 1100);
    assert_continuous(&viewers[0]);
    assert_continuous(&viewers[1]);
}

#[test]
fn sender_reports_make_the_change_over_exact() {
    let mut net = Net::new(3, 1);
    let mut publisher = simulcast(&mut net);
    let mut viewers = [viewer(&mut net, 2)];
    scene::run(&mut net, &mut publisher, &mut viewers, 3.0);
    let before = viewers[0].receiver(0).shown.clone();
    select(&mut net, 2, Some("c"));
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    // All layers sample the same pictures, so frame numbers and timestamps keep their relation.
    let shown = &viewers[0].receiver(0).shown;
    let (first, last) = (before[0], shown.last().unwrap());
    let expected = (last.number - first.number) * 2999;
    let drift = (last.timestamp.wrapping_sub(first.timestamp) as i32).wrapping_sub(expected as i32);
    assert!(drift.abs() < 90 * 3, "{drift} ticks");
}

#[test]
fn a_layer_that_falls_silent_is_replaced_and_comes_back() {
    let mut net = Net::new(4, 1);
    let mut publisher = simulcast(&mut net);
    let mut viewers = [viewer(&mut net, 2)];
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    publisher.streams[1].active = false;
    scene::run(&mut net, &mut publisher, &mut viewers, 4.0);
    assert_eq!(newest_size(&viewers[0]), 800, "the next best");
    publisher.streams[1].active = true;
    publisher.streams[1].next_at = net.now;
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    assert_eq!(newest_size(&viewers[0]), 1100);
    assert_eq!((viewers[0].receiver(0).lost(), viewers[0].receiver(0).skipped), (0, 0));
}

#[test]
fn loss_during_changes_over_is_repaired_from_the_right_layer() {
    let mut net = Net::new(5, 1);
    let mut publisher = simulcast(&mut net);
    let mut viewers = [viewer(&mut net, 2)];
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    net.link.loss = 0.05;
    for round in 0..12 {
        select(&mut net, 2, Some(["a", "b", "c"][round % 3]));
        scene::run(&mut net, &mut publisher, &mut viewers, 0.7);
    }
    let video = viewers[0].receiver(0);
    assert!(video.longest_gap(net.now) < Duration::from_millis(500), "{:?}", video.longest_gap(net.now));
    assert!(video.repaired > 10);
}

#[test]
fn size_and_then_rate_make_the_best_layer_whatever_rids_and_order_say() {
    const LARGE: ((u16, u16), usize) = ((1920, 1080), 1100);
    const MIDDLE: ((u16, u16), usize) = ((960, 540), 700);
    const SMALL: ((u16, u16), usize) = ((480, 270), 300);
    // A small picture may cost more than a large one; of one size, the higher rate is better.
    const DEAR_SMALL: ((u16, u16), usize) = ((480, 270), 1150);
    type Layers = [(&'static str, ((u16, u16), usize)); 3];
    let cases: [(Layers, usize); 6] = [
        ([("0", LARGE), ("1", MIDDLE), ("2", SMALL)], 1100),
        ([("2", LARGE), ("1", MIDDLE), ("0", SMALL)], 1100),
        ([("q", SMALL), ("h", MIDDLE), ("f", LARGE)], 1100),
        ([("h", MIDDLE), ("l", SMALL), ("m", LARGE)], 1100),
        ([("x", DEAR_SMALL), ("y", MIDDLE), ("z", SMALL)], 700),
        ([("x", SMALL), ("y", DEAR_SMALL), ("z", SMALL)], 1150),
    ];
    for (seed, (layers, expected)) in (20..).zip(cases) {
        let mut net = Net::new(seed, 1);
        let layers =
            layers.iter().zip(1..).map(|((rid, (size, payload)), n)| layer(&net, rid, 5000 * n, *size, *payload));
        let layers = layers.collect();
        let mut publisher = scene::publish(&mut net, 0, 1, GCM, vec![(VIDEO, layers)]);
        let mut viewers = [viewer(&mut net, 2)];
        scene::run(&mut net, &mut publisher, &mut viewers, 3.0);
        assert_eq!(newest_size(&viewers[0]), expected, "case {seed}");
        assert_continuous(&viewers[0]);
    }
}

#[test]
fn layers_that_come_late_in_any_order_are_taken_up_at_once() {
    for (seed, order) in (30..).zip([[0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]]) {
        let mut net = Net::new(seed, 1);
        let mut publisher = simulcast(&mut net);
        publisher.streams.iter_mut().for_each(|stream| stream.active = false);
        let mut viewers = [viewer(&mut net, 2)];
        let mut best = 0;
        for (step, index) in order.into_iter().enumerate() {
            // Not all begin with a key frame: what is needed is asked for.
            begin(&net, &mut publisher, index, step == 0);
            scene::run(&mut net, &mut publisher, &mut viewers, 0.4);
            best = best.max(publisher.streams[index].payload_size);
            assert_eq!(newest_size(&viewers[0]), best, "{order:?} at {index}");
        }
        scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
        assert_continuous(&viewers[0]);
    }
}

#[test]
fn what_flows_goes_on_until_the_wanted_key_frame_and_only_that_layer_is_asked() {
    let mut net = Net::new(40, 1);
    let mut publisher = simulcast(&mut net);
    publisher.streams.iter_mut().for_each(|stream| stream.key_every = 100_000);
    let mut viewers = [viewer(&mut net, 2)];
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    layer_changes(&mut net, scene::video_subscription(2));
    publisher.deaf = true;
    let before = plis(&publisher);
    select(&mut net, 2, Some("c"));
    let shown = viewers[0].receiver(0).shown.len();
    scene::run(&mut net, &mut publisher, &mut viewers, 3.0);
    let asked = plis(&publisher);
    assert_eq!((asked[0], asked[1]), (before[0], before[1]));
    assert!((6..=7).contains(&(asked[2] - before[2])), "twice a second: {}", asked[2] - before[2]);
    let shown = &viewers[0].receiver(0).shown[shown..];
    assert!(shown.len() >= 88 && shown.iter().all(|shown| shown.size == 1100), "{}", shown.len());
    assert_eq!(layer_changes(&mut net, scene::video_subscription(2)), []);
    publisher.deaf = false;
    scene::run(&mut net, &mut publisher, &mut viewers, 0.6);
    assert_eq!(newest_size(&viewers[0]), 300);
    assert_eq!(layer_changes(&mut net, scene::video_subscription(2)), [Some("c".to_owned())]);
    assert_continuous(&viewers[0]);
}

#[test]
fn a_layer_that_is_not_sent_is_waited_for_while_the_old_one_flows() {
    let mut net = Net::new(41, 1);
    let mut publisher = simulcast(&mut net);
    publisher.streams[0].active = false;
    let mut viewers = [viewer(&mut net, 2), viewer(&mut net, 3)];
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    select(&mut net, 2, Some("c"));
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert_eq!(newest_size(&viewers[0]), 300);
    layer_changes(&mut net, scene::video_subscription(2));
    // Not the best one, though that is sent.
    select(&mut net, 2, Some("a"));
    scene::run(&mut net, &mut publisher, &mut viewers, 3.0);
    assert_eq!(newest_size(&viewers[0]), 300);
    begin(&net, &mut publisher, 0, false);
    scene::run(&mut net, &mut publisher, &mut viewers, 0.5);
    assert_eq!(newest_size(&viewers[0]), 800);
    assert_eq!(layer_changes(&mut net, scene::video_subscription(2)), [Some("a".to_owned())]);
    // It stops again: the best one takes its place, until it is back.
    publisher.streams[0].active = false;
    scene::run(&mut net, &mut publisher, &mut viewers, 4.0);
    assert_eq!(newest_size(&viewers[0]), 1100);
    begin(&net, &mut publisher, 0, false);
    scene::run(&mut net, &mut publisher, &mut viewers, 0.5);
    assert_eq!(newest_size(&viewers[0]), 800);
    assert_eq!(newest_size(&viewers[1]), 1100);
    assert_continuous(&viewers[1]);
    assert_eq!((viewers[0].receiver(0).lost(), viewers[0].receiver(0).skipped), (0, 0));
}

#[test]
fn a_rid_that_the_publisher_does_not_have_leaves_the_best_layer() {
    let mut net = Net::new(42, 1);
    let mut publisher = simulcast(&mut net);
    let mut viewers = [viewer(&mut net, 2)];
    select(&mut net, 2, Some("z"));
    scene::run(&mut net, &mut publisher, &mut viewers, 3.0);
    assert_eq!(newest_size(&viewers[0]), 1100);
}

#[test]
fn a_publisher_that_begins_a_layer_anew_is_asked_for_a_key_frame_of_it() {
    let mut net = Net::new(43, 1);
    let mut publisher = simulcast(&mut net);
    publisher.streams.iter_mut().for_each(|stream| stream.key_every = 100_000);
    let mut viewers = [viewer(&mut net, 2)];
    scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
    let before = plis(&publisher);
    // The numbering jumps, as after a restart of the encoder, and what follows is no key frame.
    publisher.streams[1].sequence += 30_000;
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert!(publisher.streams[1].plis > before[1]);
    // Another SSRC, after a pause that is too short to count as silence.
    publisher.streams[1].active = false;
    scene::run(&mut net, &mut publisher, &mut viewers, 0.3);
    publisher.streams[1].ssrc += 1;
    publisher.streams[1].sequence = 100;
    begin(&net, &mut publisher, 1, false);
    let before = plis(&publisher);
    scene::run(&mut net, &mut publisher, &mut viewers, 1.0);
    assert!(publisher.streams[1].plis > before[1]);
    assert_eq!(newest_size(&viewers[0]), 1100);
    assert!(viewers[0].receiver(0).shown.last().is_some_and(|shown| net.now - shown.at < Duration::from_millis(100)));
}

#[test]
fn timestamps_are_right_in_time_after_any_number_of_changes() {
    let mut net = Net::new(44, 1);
    let mut publisher = simulcast(&mut net);
    let mut viewers = [viewer(&mut net, 2)];
    scene::run(&mut net, &mut publisher, &mut viewers, 3.0);
    for round in 0..20 {
        select(&mut net, 2, Some(["a", "b", "c"][round * 7 % 3]));
        scene::run(&mut net, &mut publisher, &mut viewers, 0.6);
    }
    // All layers sample the same pictures at 30 Hz.
    let shown = &viewers[0].receiver(0).shown;
    let first = shown.first().expect("pictures");
    for picture in shown {
        let expected = (picture.number - first.number) * 2999;
        let drift = (picture.timestamp.wrapping_sub(first.timestamp) as i32).wrapping_sub(expected as i32);
        assert!(drift.abs() < 90 * 5, "{drift} ticks at picture {}", picture.number);
    }
    assert_continuous(&viewers[0]);
}
