//! Spatial and temporal layers: each viewer gets those that it is to get, can decode them, and sees no seam.

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::frames;
use common::net::{Link, Net, Random};
use common::publisher::{Media, Publisher, Stream, extension};
use common::scalable::{self, Bits, Form, SIZES, decode, frame_number, frame_of};
use common::scene::{self, VIDEO, ViewerOptions};
use common::viewer::Viewer;
use common::wire::Rtp;
use live777_media::command::{Command, TrackId};
use live777_media::event::Event;
use live777_media::layer::Choice;
use live777_media::srtp::Profile;
use live777_media::worker::{GopLimits, Reply};

const GCM: Profile = Profile::AeadAes128Gcm;
const FORMS: [Form; 3] = [Form::Vp9 { flexible: true }, Form::Vp9 { flexible: false }, Form::Av1];
const VP8: Form = Form::Vp8 { width: 640, height: 360 };

fn camera(net: &mut Net, form: Form) -> Publisher {
    let stream = Stream { key_every: 100_000, ..Stream::video(Media::Scalable(form), 5000, net.now) };
    scene::publish(net, 0, 1, GCM, vec![(VIDEO, vec![stream])])
}

fn viewer(net: &mut Net, id: u64, form: Form, descriptor: bool) -> Viewer {
    let options = ViewerOptions { media: Media::Scalable(form), audio: None, descriptor, ..ViewerOptions::default() };
    let mut viewer = scene::view(net, 0, id, options);
    viewer.receivers[0].keep_packets = true;
    viewer
}

fn choose(net: &mut Net, id: u64, choice: Choice) {
    let command = Command::SelectLayer { subscription: scene::video_subscription(id), choice };
    net.workers[0].command(net.now, command).expect("select");
}

fn pin(net: &mut Net, id: u64, spatial: u8, temporal: u8) {
    choose(net, id, Choice { spatial: Some(spatial), temporal: Some(temporal), ..Choice::default() });
}

/// The layers among packets.
fn layers(packets: &[Rtp]) -> BTreeSet<(u8, u8)> {
    packets.iter().filter_map(frame_of).map(|frame| (frame.spatial, frame.temporal)).collect()
}

/// All layers up to these.
fn up_to(spatial: u8, temporal: u8) -> BTreeSet<(u8, u8)> {
    (0..=spatial).flat_map(|spatial| (0..=temporal).map(move |temporal| (spatial, temporal))).collect()
}

/// What the viewer has got since it had `before` packets.
fn since(viewer: &Viewer, before: usize) -> &[Rtp] {
    &viewer.receiver(0).packets[before..]
}

fn assert_whole(viewer: &Viewer) {
    let video = viewer.receiver(0);
    assert_eq!((video.lost(), video.skipped), (0, 0));
    assert_eq!(decode(&video.packets).incomplete, 0);
}

#[test]
fn each_viewer_gets_exactly_its_layers() {
    for form in FORMS {
        let mut net = Net::new(1, 1);
        let mut camera = camera(&mut net, form);
        let wanted: Vec<(u8, u8)> = (0..9).map(|cell| (cell / 3, cell % 3)).collect();
        let mut viewers: Vec<Viewer> = (0..9).map(|cell| viewer(&mut net, 2 + cell, form, true)).collect();
        for (id, &(spatial, temporal)) in (2..).zip(&wanted) {
            pin(&mut net, id, spatial, temporal);
        }
        scene::run(&mut net, &mut camera, &mut viewers, 3.0);
        let before: Vec<usize> = viewers.iter().map(|viewer| viewer.receiver(0).packets.len()).collect();
        scene::run(&mut net, &mut camera, &mut viewers, 2.0);
        for ((viewer, &(spatial, temporal)), &before) in viewers.iter().zip(&wanted).zip(&before) {
            assert_whole(viewer);
            assert_eq!(layers(since(viewer, before)), up_to(spatial, temporal), "{form:?}");
            let pictures: BTreeSet<u32> =
                since(viewer, before).iter().filter_map(frame_of).map(|frame| frame.picture).collect();
            let pictures = pictures.len();
            let expected = [15, 30, 60][usize::from(temporal)];
            assert!(pictures.abs_diff(expected) <= 2, "{form:?} {spatial} {temporal}: {pictures}");
        }
    }
}

#[test]
fn layers_come_and_go_and_no_number_shows_it() {
    for (round, form) in FORMS.into_iter().chain([VP8]).enumerate() {
        let mut net = Net::new(10 + round as u64, 1);
        let mut camera = camera(&mut net, form);
        let mut viewers = [viewer(&mut net, 2, form, true), viewer(&mut net, 3, form, true)];
        scene::run(&mut net, &mut camera, &mut viewers, 2.0);
        let mut random = Random::new(round as u64);
        for _ in 0..60 {
            let (spatial, temporal) = (random.below(form.spatial_layers().into()) as u8, random.below(3) as u8);
            pin(&mut net, 2, spatial, temporal);
            scene::run(&mut net, &mut camera, &mut viewers, 0.3 + random.below(8) as f64 / 10.0);
            let before = viewers[0].receiver(0).packets.len();
            scene::run(&mut net, &mut camera, &mut viewers, 0.5);
            assert_eq!(layers(since(&viewers[0], before)), up_to(spatial, temporal), "{form:?}");
        }
        let all = up_to(form.spatial_layers() - 1, 2);
        assert_eq!(layers(&viewers[1].receiver(0).packets), all, "the other viewer is not concerned");
        viewers.iter().for_each(assert_whole);
        if form == VP8 {
            assert_dense(&viewers[0].receiver(0).packets);
        }
    }
}

/// Picture ids and TL0PICIDX of VP8: each picture has the number after the one before it.
fn assert_dense(packets: &[Rtp]) {
    let mut last: Option<(u32, u16, u8)> = None;
    for packet in packets {
        let picture_id = u16::from_be_bytes([packet.payload[2], packet.payload[3]]) & 0x7fff;
        let (tl0, temporal) = (packet.payload[4], packet.payload[5] >> 6);
        if let Some((timestamp, before, tl0_before)) = last.replace((packet.timestamp, picture_id, tl0)) {
            if timestamp == packet.timestamp {
                assert_eq!((before, tl0_before), (picture_id, tl0));
                continue;
            }
            assert_eq!(picture_id, (before + 1) & 0x7fff);
            assert_eq!(tl0, tl0_before.wrapping_add(u8::from(temporal == 0)));
        }
    }
}

#[test]
fn the_same_on_a_bad_network() {
    for (round, form) in FORMS.into_iter().chain([VP8]).enumerate() {
        let mut net = Net::new(20 + round as u64, 1);
        net.link = Link { loss: 0.02, jitter: Duration::from_millis(15), ..Link::default() };
        let mut camera = camera(&mut net, form);
        let mut viewers = [viewer(&mut net, 2, form, true)];
        let mut random = Random::new(round as u64);
        for _ in 0..40 {
            pin(&mut net, 2, random.below(form.spatial_layers().into()) as u8, random.below(3) as u8);
            scene::run(&mut net, &mut camera, &mut viewers, 0.5);
        }
        net.link = Link::default();
        pin(&mut net, 2, 0, 1);
        scene::run(&mut net, &mut camera, &mut viewers, 2.0);
        let video = viewers[0].receiver(0);
        assert_eq!((video.lost(), video.skipped), (0, 0), "{form:?}");
        assert!(video.repaired > 0);
        // What came late of a layer that was left out is empty.
        let decoded = decode(&video.packets);
        assert!(decoded.incomplete <= 3, "{form:?}: {}", decoded.incomplete);
        let newest = video.packets.len() - 20;
        assert_eq!(layers(since(&viewers[0], newest)), up_to(0, 1), "{form:?}");
    }
}

#[test]
fn more_pictures_come_without_a_key_frame_and_larger_ones_with_one() {
    for form in FORMS {
        let mut net = Net::new(30, 1);
        let mut camera = camera(&mut net, form);
        let mut viewers = [viewer(&mut net, 2, form, true)];
        pin(&mut net, 2, 0, 0);
        scene::run(&mut net, &mut camera, &mut viewers, 2.0);
        let asked = camera.streams[0].plis;
        for temporal in [2, 0, 1] {
            pin(&mut net, 2, 0, temporal);
            scene::run(&mut net, &mut camera, &mut viewers, 0.3);
        }
        assert_eq!(camera.streams[0].plis, asked, "{form:?}");
        pin(&mut net, 2, 2, 1);
        scene::run(&mut net, &mut camera, &mut viewers, 0.5);
        assert_eq!(camera.streams[0].plis, asked + 1, "{form:?}");
        let before = viewers[0].receiver(0).packets.len();
        scene::run(&mut net, &mut camera, &mut viewers, 0.5);
        assert_eq!(layers(since(&viewers[0], before)), up_to(2, 1));
        pin(&mut net, 2, 1, 2);
        scene::run(&mut net, &mut camera, &mut viewers, 0.5);
        assert_eq!(camera.streams[0].plis, asked + 1, "less, and more often, needs none");
        let told = net.events.iter().filter_map(|(_, event)| match event {
            Event::LayerChanged { rid: None, spatial, temporal, .. } => Some((*spatial, *temporal)),
            _ => None,
        });
        let told: Vec<(u8, u8)> = told.collect();
        assert_eq!(told.first(), Some(&(0, 0)), "{form:?}: {told:?}");
        assert_eq!(told.last(), Some(&(1, 2)), "{form:?}: {told:?}");
        assert_whole(&viewers[0]);
    }
}

#[test]
fn without_the_descriptor_a_viewer_of_av1_gets_the_smallest_picture() {
    let mut net = Net::new(40, 1);
    let mut camera = camera(&mut net, Form::Av1);
    let mut viewers = [viewer(&mut net, 2, Form::Av1, false), viewer(&mut net, 3, Form::Av1, true)];
    scene::run(&mut net, &mut camera, &mut viewers, 1.0);
    pin(&mut net, 2, 2, 0);
    scene::run(&mut net, &mut camera, &mut viewers, 2.0);
    assert_eq!(layers(&viewers[0].receiver(0).packets), up_to(0, 2));
    assert_eq!(layers(&viewers[1].receiver(0).packets), up_to(2, 2));
    assert!(viewers[0].receiver(0).packets.iter().all(|packet| packet.extension(extension::DEPENDENCY).is_none()));
    viewers.iter().for_each(assert_whole);
}

/// Reads the number of a frame, and the bitmask of active targets where the descriptor of these tests has one.
fn descriptor(packet: &Rtp) -> (u32, Option<u32>) {
    let data = packet.extension(extension::DEPENDENCY).expect("a descriptor");
    let bit = |at: usize| data.get(at / 8).map_or(0, |byte| u32::from(byte >> (7 - at % 8) & 1));
    let number = (8..24).fold(0, |value, at| value << 1 | bit(at));
    if data.len() == 3 || bit(25) == 0 {
        return (number, None);
    }
    let mut structure = Bits::default();
    if bit(24) == 1 {
        scalable::structure(&mut structure);
    }
    let start = 29 + structure.len();
    (number, Some((start..start + 9).fold(0, |value, at| value << 1 | bit(at))))
}

#[test]
fn a_viewer_of_some_layers_is_told_which_are_active() {
    let mut net = Net::new(50, 1);
    let mut camera = camera(&mut net, Form::Av1);
    let mut viewers = [viewer(&mut net, 2, Form::Av1, true), viewer(&mut net, 3, Form::Av1, true)];
    pin(&mut net, 2, 1, 1);
    scene::run(&mut net, &mut camera, &mut viewers, 1.0);
    pin(&mut net, 2, 0, 1);
    scene::run(&mut net, &mut camera, &mut viewers, 1.0);
    pin(&mut net, 2, 2, 2);
    scene::run(&mut net, &mut camera, &mut viewers, 1.0);
    let masks = |viewer: &Viewer| -> Vec<u32> {
        let mut masks: Vec<u32> = viewer.receiver(0).packets.iter().filter_map(|packet| descriptor(packet).1).collect();
        masks.dedup();
        masks
    };
    // Decode target 3 S + T, from the least significant bit.
    assert_eq!(masks(&viewers[0]), [0b000_011_011, 0b000_000_011, 0b111_111_111]);
    assert_eq!(masks(&viewers[1]), [0u32; 0], "who gets everything gets it as it came");
    for packet in &viewers[0].receiver(0).packets {
        let frame = frame_of(packet).expect("a frame");
        assert_eq!(descriptor(packet).0, frame_number(frame.picture, frame.spatial), "gaps are as they are");
    }
}

#[test]
fn temporal_layers_of_simulcast() {
    let mut net = Net::new(60, 1);
    let layer = |rid, ssrc, (width, height), payload_size| Stream {
        rid: Some(rid),
        payload_size,
        key_every: 100_000,
        ..Stream::video(Media::Scalable(Form::Vp8 { width, height }), ssrc, net.now)
    };
    let streams = vec![layer("l", 5000, SIZES[0], 300), layer("h", 15_000, SIZES[2], 2400)];
    let mut camera = scene::publish(&mut net, 0, 1, GCM, vec![(VIDEO, streams)]);
    let mut viewers = [viewer(&mut net, 2, VP8, true)];
    let mut random = Random::new(3);
    scene::run(&mut net, &mut camera, &mut viewers, 1.0);
    for _ in 0..40 {
        let (rid, temporal) = (["l", "h"][random.below(2) as usize], random.below(3) as u8);
        choose(&mut net, 2, Choice { rid: Some(rid.to_owned()), temporal: Some(temporal), ..Choice::default() });
        scene::run(&mut net, &mut camera, &mut viewers, 0.7);
        let before = viewers[0].receiver(0).packets.len();
        scene::run(&mut net, &mut camera, &mut viewers, 0.4);
        let packets = since(&viewers[0], before);
        assert_eq!(layers(packets), up_to(0, temporal));
        assert!(packets.iter().all(|packet| (packet.payload.len() > 200) == (rid == "h")));
    }
    let video = viewers[0].receiver(0);
    assert_eq!((video.lost(), video.skipped), (0, 0));
    assert_dense(&video.packets);
}

#[test]
fn frame_numbers_go_on_over_a_change_of_encoding() {
    let mut net = Net::new(65, 1);
    let layer = |rid, ssrc, frame| Stream {
        rid: Some(rid),
        frame,
        key_every: 1_000_000,
        ..Stream::video(Media::Scalable(Form::Av1), ssrc, net.now)
    };
    let streams = vec![layer("l", 5000, 0), layer("h", 15_000, 20_000)];
    let mut camera = scene::publish(&mut net, 0, 1, GCM, vec![(VIDEO, streams)]);
    let mut viewers = [viewer(&mut net, 2, Form::Av1, true)];
    for round in 0..12 {
        let rid = Some(["l", "h"][round % 2].to_owned());
        choose(&mut net, 2, Choice { rid, spatial: Some((round % 3) as u8), ..Choice::default() });
        scene::run(&mut net, &mut camera, &mut viewers, 0.7);
    }
    let video = viewers[0].receiver(0);
    assert_eq!((video.lost(), video.skipped), (0, 0));
    let numbers: Vec<u16> = video.packets.iter().map(|packet| descriptor(packet).0 as u16).collect();
    assert!(numbers.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) <= 12), "{numbers:?}");
    let sources: BTreeSet<bool> =
        video.packets.iter().filter_map(frame_of).map(|frame| frame.picture > 10_000).collect();
    assert_eq!(sources.len(), 2);
}

#[test]
fn a_viewer_who_is_shown_the_past_gets_its_layers_of_it() {
    for form in FORMS {
        let limits = GopLimits { bytes: 8 << 20, span: Duration::from_secs(8), replays: 4 };
        let mut net = Net::with_cache(70, 1, limits);
        let mut camera = camera(&mut net, form);
        camera.deaf = true;
        scene::run(&mut net, &mut camera, &mut [], 3.0);
        let mut viewers = [viewer(&mut net, 2, form, true)];
        pin(&mut net, 2, 1, 0);
        scene::run(&mut net, &mut camera, &mut viewers, 3.0);
        assert_whole(&viewers[0]);
        let packets = &viewers[0].receiver(0).packets;
        let first = packets.iter().position(|packet| layers(std::slice::from_ref(packet)) == BTreeSet::from([(0, 0)]));
        assert_eq!(first, Some(0), "{form:?}");
        let newest = packets.len() - 30;
        assert_eq!(layers(&packets[newest..]), up_to(1, 0), "{form:?}");
    }
}

#[test]
fn a_tap_reads_whole_pictures_with_all_layers() {
    for form in FORMS {
        let mut net = Net::new(90, 1);
        let mut camera = camera(&mut net, form);
        let mut viewers = [viewer(&mut net, 2, form, true)];
        pin(&mut net, 2, 0, 0);
        frames::open_tap(&mut net, 0, VIDEO, 1 << 24, Duration::ZERO);
        scene::run(&mut net, &mut camera, &mut viewers, 3.0);
        let (read, dropped) = frames::read(&mut net);
        assert!(dropped == 0 && (85..=91).contains(&read.len()), "{form:?}: {}", read.len());
        for frame in &read {
            let parts = match form {
                // The superframe index ends with its first byte.
                Form::Vp9 { .. } => usize::from(frame.data[frame.data.len() - 1] & 7) + 1,
                _ => frames::obus(&frame.data).into_iter().filter(|kind| *kind == 6).count(),
            };
            assert_eq!(parts, 3, "{form:?}");
        }
        assert!(
            read.first().is_some_and(|frame| frame.key_frame)
                && !read.iter().any(|frame| frame.gap && !frame.key_frame)
        );
    }
}

#[test]
fn what_layers_there_are_and_what_they_cost() {
    for form in FORMS {
        let mut net = Net::new(80, 1);
        let mut camera = camera(&mut net, form);
        let mut viewers = [viewer(&mut net, 2, form, true)];
        pin(&mut net, 2, 1, 1);
        scene::run(&mut net, &mut camera, &mut viewers, 4.0);
        let Ok(Reply::Stats(stats)) = net.workers[0].command(net.now, Command::Stats) else { panic!("no stats") };
        let rows = &stats.tracks[0].layers;
        let cells: BTreeSet<(u8, u8)> = rows.iter().map(|row| (row.spatial, row.temporal)).collect();
        assert_eq!((stats.tracks[0].track, rows.len(), cells), (TrackId(2), 9, up_to(2, 2)), "{form:?}");
        for row in rows {
            assert_eq!((row.width, row.height), SIZES[usize::from(row.spatial)], "{form:?}");
            let pictures = [7.5, 15.0, 30.0][usize::from(row.temporal)];
            assert!((row.frame_rate - pictures).abs() < 2.0, "{form:?} {row:?}");
        }
        let whole = rows.iter().map(|row| row.bitrate).max();
        assert!(whole.is_some_and(|most| most.abs_diff(stats.tracks[0].bitrate) < most / 10), "{form:?}");
        assert!(rows.is_sorted_by_key(|row| (row.width, row.bitrate)), "the cheapest first");
        assert_eq!((stats.subscriptions[0].spatial, stats.subscriptions[0].temporal), (1, 1));
        // A limit of the size is one of the spatial layer.
        choose(&mut net, 2, Choice { max_width: Some(700), max_temporal: Some(0), ..Choice::default() });
        scene::run(&mut net, &mut camera, &mut viewers, 1.0);
        let before = viewers[0].receiver(0).packets.len();
        scene::run(&mut net, &mut camera, &mut viewers, 1.0);
        assert_eq!(layers(since(&viewers[0], before)), up_to(1, 0), "{form:?}");
    }
}
