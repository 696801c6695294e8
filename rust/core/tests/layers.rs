//! Simulcast: which layer a viewer gets, and how it changes over.

mod common;

use common::net::Net;
use common::publisher::{Media, Publisher, Stream};
use common::scene::{self, VIDEO, ViewerOptions};
use common::viewer::Viewer;
use live777_media::command::{Command, SubscriptionId};
use live777_media::event::Event;
use live777_media::srtp::Profile;

const GCM: Profile = Profile::AeadAes128Gcm;

/// Three layers whose rids say nothing about their order.
fn simulcast(net: &mut Net) -> Publisher {
    let layer = |rid, ssrc, width, height, payload_size| Stream {
        rid: Some(rid),
        payload_size,
        ..Stream::video(Media::Vp8 { width, height }, ssrc, net.now)
    };
    let layers =
        vec![layer("a", 5000, 640, 360, 800), layer("b", 15_000, 1280, 720, 1100), layer("c", 25_000, 320, 180, 300)];
    scene::publish(net, 0, 1, GCM, vec![(VIDEO, layers)])
}

fn viewer(net: &mut Net, id: u64) -> Viewer {
    let media = Media::Vp8 { width: 0, height: 0 };
    let mut viewer = scene::view(net, 0, id, ViewerOptions { media, audio: None, ..ViewerOptions::default() });
    viewer.receivers[0].keep_packets = true;
    viewer
}

fn select(net: &mut Net, id: u64, rid: Option<&str>) {
    let command = Command::SelectLayer { subscription: scene::video_subscription(id), rid: rid.map(str::to_owned) };
    net.workers[0].command(net.now, command).expect("select");
}

fn layer_changes(net: &mut Net, subscription: SubscriptionId) -> Vec<Option<String>> {
    let changes = net.events.drain(..).filter_map(|(_, event)| match event {
        Event::LayerChanged { subscription: changed, rid } if changed == subscription => Some(rid),
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
    assert!(video.longest_gap(net.now) < std::time::Duration::from_millis(500), "{:?}", video.longest_gap(net.now));
    assert!(video.repaired > 10);
}
