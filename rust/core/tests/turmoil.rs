//! Everything at once, by a seed: publishers whose numbers wrap, viewers who choose, pause, change over and come in the middle
//! of a group, on a bad network. `Receiver` asserts that a number leaves with one content only, `Net` that the counters balance.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::net::{Link, Net, Random};
use common::publisher::{Media, Stream};
use common::scalable::Form;
use common::scene::{self, VIDEO, ViewerOptions};
use common::viewer::Viewer;
use live777_media::command::{Command, TrackId};
use live777_media::layer::Choice;
use live777_media::srtp::Profile;
use live777_media::worker::GopLimits;

const LIMITS: GopLimits = GopLimits { bytes: 1 << 20, span: Duration::from_secs(3), replays: 2 };
const OTHER: TrackId = TrackId(3);
const FORMS: [Form; 4] =
    [Form::Vp8 { width: 640, height: 360 }, Form::Vp9 { flexible: true }, Form::Vp9 { flexible: false }, Form::Av1];
const VIEWERS: u64 = 3;

/// Just before every number of it wraps.
fn stream(net: &Net, media: Media, ssrc: u32, rid: Option<&'static str>) -> Stream {
    Stream {
        rid,
        key_every: 70,
        sequence: 65_400,
        timestamp: u32::MAX - 400_000,
        picture_id: 0x7fe0,
        tl0: 250,
        frame: 70 * 312,
        ..Stream::video(media, ssrc, net.now)
    }
}

fn turn(net: &mut Net, random: &mut Random, id: u64, types: (u8, u8)) {
    let subscription = scene::video_subscription(id);
    let command = match random.below(8) {
        0 => Command::Pause { subscription, paused: true },
        1 | 2 => Command::Pause { subscription, paused: false },
        3 => {
            let track = if random.chance(0.5) { VIDEO } else { OTHER };
            Command::Attach { subscription, track, payload_types: vec![types] }
        }
        _ => {
            let rid = [None, Some("a"), Some("b")][random.below(3) as usize].map(str::to_owned);
            let mut layer = || random.chance(0.5).then(|| random.below(3) as u8);
            let choice =
                Choice { rid, spatial: layer(), temporal: layer(), max_temporal: layer(), ..Choice::default() };
            Command::SelectLayer { subscription, choice }
        }
    };
    net.workers[0].command(net.now, command).expect("all of it is there");
}

/// Numbers in their order: timestamps go on with them.
fn assert_in_time(viewer: &Viewer, seed: u64, form: Form) {
    let mut highest = 1u64 << 20;
    let mut ordered = BTreeMap::new();
    for packet in &viewer.receiver(0).packets {
        let sequence = highest.wrapping_add_signed(i64::from(packet.sequence.wrapping_sub(highest as u16) as i16));
        highest = highest.max(sequence);
        ordered.insert(sequence, packet.timestamp);
    }
    let mut last: Option<(u64, u32)> = None;
    for (sequence, timestamp) in ordered {
        if let Some((before, earlier)) = last.replace((sequence, timestamp)) {
            let step = timestamp.wrapping_sub(earlier).cast_signed();
            assert!((0..90_000 * 20).contains(&step), "{seed} {form:?}: {before} to {sequence}: {step} ticks");
        }
    }
}

#[test]
fn whatever_happens_numbers_and_time_go_on_and_the_picture_comes_back() {
    for (seed, form) in (1..).zip(FORMS.into_iter().chain(FORMS)) {
        let mut net = Net::with_cache(seed, 1, LIMITS);
        let mut random = Random::new(seed);
        let media = Media::Scalable(form);
        let simulcast = vec![stream(&net, media, 5000, Some("a")), stream(&net, media, 15_000, Some("b"))];
        let single = vec![stream(&net, media, 25_000, None)];
        let mut publisher =
            scene::publish(&mut net, 0, 1, Profile::AeadAes128Gcm, vec![(VIDEO, simulcast), (OTHER, single)]);
        publisher.deaf = seed % 2 == 0;
        let options = ViewerOptions { media, audio: None, ..ViewerOptions::default() };
        let types = match form {
            Form::Vp9 { .. } => (96, 112),
            Form::Av1 => (96, 114),
            Form::Vp8 { .. } => (96, 104),
        };
        let mut viewers = Vec::new();
        for id in 2..2 + VIEWERS {
            scene::run(&mut net, &mut publisher, &mut viewers, 0.9);
            let mut viewer = scene::view(&mut net, 0, id, options);
            viewer.receivers[0].keep_packets = true;
            viewers.push(viewer);
        }
        net.link = Link { loss: 0.02, jitter: Duration::from_millis(12), ..Link::default() };
        for _ in 0..60 {
            let id = 2 + random.below(VIEWERS);
            turn(&mut net, &mut random, id, types);
            if random.chance(0.1) {
                let stream = &mut publisher.streams[random.below(3) as usize];
                stream.active = !stream.active;
                stream.next_at = net.now;
            }
            scene::run(&mut net, &mut publisher, &mut viewers, 0.1 + random.below(5) as f64 / 10.0);
        }
        net.link = Link::default();
        for stream in &mut publisher.streams {
            (stream.active, stream.next_at) = (true, net.now);
        }
        for id in 2..2 + VIEWERS {
            let subscription = scene::video_subscription(id);
            for command in [
                Command::Pause { subscription, paused: false },
                Command::SelectLayer { subscription, choice: Choice::default() },
            ] {
                net.workers[0].command(net.now, command).expect("it is there");
            }
        }
        scene::run(&mut net, &mut publisher, &mut viewers, 4.0);
        let before: Vec<usize> = viewers.iter().map(|viewer| viewer.receiver(0).packets.len()).collect();
        scene::run(&mut net, &mut publisher, &mut viewers, 2.0);
        for (viewer, before) in viewers.iter().zip(before) {
            let video = viewer.receiver(0);
            assert_eq!(video.lost(), 0, "{seed} {form:?}");
            assert!(video.packets.len() > before + 50, "{seed} {form:?}: {}", video.packets.len() - before);
            assert_in_time(viewer, seed, form);
        }
    }
}
