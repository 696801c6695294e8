//! What publishers send, read as frames: repaired, in sync, from the best layer.

mod common;

use std::time::Duration;

use common::frames::{self, TAP};
use common::net::{Net, Peer};
use common::publisher::{Media, Publisher, Stream};
use common::scene::{self, AUDIO, VIDEO};
use common::wire::Rtcp;
use live777_media::codec::Codec;
use live777_media::command::{Command, TapId, TransportId};
use live777_media::event::Event;
use live777_media::frame::Frame;
use live777_media::srtp::Profile;
use live777_media::worker::{GopLimits, Reply};

const GCM: Profile = Profile::AeadAes128Gcm;
const CAPACITY: usize = 64 << 20;
const AUDIO_TAP: TapId = TapId(72);

fn run(net: &mut Net, publisher: &mut Publisher, seconds: f64) {
    net.run(Duration::from_secs_f64(seconds), &mut [(publisher as &mut dyn Peer, 0)]);
}

fn stats(net: &mut Net) -> live777_media::stats::TapStats {
    let Ok(Reply::Stats(stats)) = net.workers[0].command(net.now, Command::Stats) else { panic!("stats") };
    stats.taps.into_iter().find(|row| row.tap == TAP).expect("a tap")
}

/// Number of a frame of `Stream`, at its end, after the checks that all its packets are in it.
fn number(frame: &Frame, stream: &Stream) -> u32 {
    let tail = frame.data.last_chunk::<8>().expect("not so short");
    let number = u32::from_be_bytes([tail[0], tail[1], tail[2], tail[3]]);
    let last = stream.packets_per_frame - 1;
    assert_eq!(tail[4..], [(last).to_be_bytes(), stream.packets_per_frame.to_be_bytes()].concat());
    let marks = (0..=last).filter(|index| {
        let mark = [&number.to_be_bytes()[..], &index.to_be_bytes(), &stream.packets_per_frame.to_be_bytes()].concat();
        frame.data.windows(8).any(|window| window == mark)
    });
    assert_eq!(marks.count(), usize::from(stream.packets_per_frame), "frame {number}");
    number
}

#[test]
fn loss_is_repaired_before_frames_are_read() {
    for (seed, media) in [(1, Media::H264), (2, Media::Vp8 { width: 640, height: 360 })] {
        let mut net = Net::new(seed, 1);
        let video = Stream { key_every: 60, ..Stream::video(media, 5000, net.now) };
        let mut publisher = scene::publish(&mut net, 0, 1, GCM, vec![(VIDEO, vec![video])]);
        frames::open_tap(&mut net, 0, VIDEO, CAPACITY, Duration::ZERO);
        net.link.loss = 0.05;
        net.link.jitter = Duration::from_millis(15);
        run(&mut net, &mut publisher, 20.0);
        net.link.loss = 0.0;
        run(&mut net, &mut publisher, 1.0);
        let (read, dropped) = frames::read(&mut net);
        let numbers: Vec<u32> = read.iter().map(|frame| number(frame, &publisher.streams[0])).collect();
        assert!(dropped == 0 && read[0].key_frame && !read[0].gap);
        let steps = numbers.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>();
        let missing: u32 = steps.iter().map(|step| step - 1).sum();
        for (frame, step) in read[1..].iter().zip(steps) {
            assert!(step == 1 || frame.gap);
        }
        assert!(missing <= 3 && numbers.len() > 550, "{media:?}: {missing} of {}", numbers.len());
        let row = stats(&mut net);
        assert!(row.frames == read.len() as u64 && row.key_frames >= 9 && row.waiting_packets == 0 && row.synced);
        let expected = if media == Media::H264 { Codec::H264 } else { Codec::Vp8 };
        assert_eq!((row.codec, row.track, row.dropped, row.queued_bytes), (Some(expected), VIDEO, 0, 0));
    }
}

#[test]
fn sound_and_pictures_lie_on_one_clock() {
    let mut net = Net::new(3, 1);
    let video = Stream { key_every: 30, ..Stream::video(Media::H264, 5000, net.now) };
    let tracks = vec![(VIDEO, vec![video]), (AUDIO, vec![Stream::audio(7500, net.now)])];
    let start = net.now;
    let mut publisher = scene::publish(&mut net, 0, 1, GCM, tracks);
    frames::open_tap(&mut net, 0, VIDEO, CAPACITY, Duration::ZERO);
    let command = Command::OpenTap {
        tap: AUDIO_TAP,
        track: AUDIO,
        capacity: CAPACITY,
        interval: Duration::from_millis(100),
        past: Duration::ZERO,
    };
    net.workers[0].command(net.now, command).expect("open tap");
    net.link.delay = Duration::from_millis(30);
    net.link.jitter = Duration::from_millis(40);
    run(&mut net, &mut publisher, 10.0);
    let (read, _) = frames::read(&mut net);
    let began = (net.start - start).as_micros() as i64 + 1_800_000_000_000_000;
    let (mut video, mut audio) = (Vec::new(), Vec::new());
    for frame in &read {
        let picture = frame.codec == Codec::H264;
        let stream = &publisher.streams[usize::from(!picture)];
        let sampled = began + i64::from(number(frame, stream)) * stream.interval.as_micros() as i64;
        let list = if picture { &mut video } else { &mut audio };
        list.push((frame.synced, frame.wallclock - sampled, frame.wallclock));
    }
    assert!(video.len() > 290 && audio.len() > 490);
    for list in [&video, &audio] {
        assert!(list.windows(2).all(|pair| pair[0].2 < pair[1].2), "time goes on");
        assert!(list.iter().filter(|(synced, ..)| !synced).count() < 60, "from the first report on");
        let from = list.iter().position(|(synced, ..)| *synced).expect("a report");
        assert!(list[from..].iter().all(|(synced, ..)| *synced));
    }
    // The offset is the same for both at any time, and it is about the delay of the quickest report.
    for (_, offset, at) in &video[video.len() / 3..] {
        let (_, other, _) = audio.iter().min_by_key(|(.., other)| (other - at).abs()).expect("sound");
        assert!((offset - other).abs() < 3000 && (28_000..72_000).contains(offset), "{offset} {other}");
    }
}

#[test]
fn a_slow_encoder_is_late_from_the_first_report_on_if_another_track_speaks_for_its_sender() {
    for with_sound in [true, false] {
        let mut net = Net::new(3, 1);
        let video = Stream { lateness: Duration::from_secs(1), ..Stream::video(Media::H264, 5000, net.now) };
        let tracks = vec![(VIDEO, vec![video]), (AUDIO, vec![Stream::audio(7500, net.now)])];
        let mut publisher = scene::publish(&mut net, 0, 1, GCM, tracks);
        publisher.sender_reports = false;
        publisher.streams[1].active = with_sound;
        frames::open_tap(&mut net, 0, VIDEO, CAPACITY, Duration::ZERO);
        run(&mut net, &mut publisher, 1.0);
        let mut report = |stream: usize, net: &mut Net| {
            let (path, report) = (publisher.session.path, publisher.sender_report(stream, net.now));
            net.inject(0, path, report);
            run(net, &mut publisher, 0.2);
            let (read, _) = frames::read(net);
            let last = read.last().expect("frames");
            let sampled = i64::from(last.timestamp as i32);
            (last.synced, last.wallclock, sampled)
        };
        let (synced, by_arrival, before) = report(0, &mut net);
        assert!(!synced, "nothing speaks for it");
        let (synced, wallclock, after) = report(usize::from(with_sound), &mut net);
        assert!(synced);
        let moved = (wallclock - by_arrival) - (after - before) * 1000 / 90;
        assert!((-1_010_000..-990_000).contains(&moved), "{moved}");
    }
}

fn layer(net: &Net, rid: &'static str, ssrc: u32, (width, height): (u16, u16), payload_size: usize) -> Stream {
    let media = Media::Vp8 { width, height };
    Stream { rid: Some(rid), payload_size, key_every: 1000, ..Stream::video(media, ssrc, net.now) }
}

#[test]
fn the_best_layer_is_read_and_a_change_is_told() {
    let mut net = Net::new(4, 1);
    let layers = vec![layer(&net, "a", 5000, (640, 360), 800), layer(&net, "b", 15_000, (1280, 720), 1100)];
    let mut publisher = scene::publish(&mut net, 0, 1, GCM, vec![(VIDEO, layers)]);
    publisher.streams[1].active = false;
    frames::open_tap(&mut net, 0, VIDEO, CAPACITY, Duration::ZERO);
    run(&mut net, &mut publisher, 3.0);
    publisher.streams[1].active = true;
    publisher.streams[1].next_at = net.now;
    run(&mut net, &mut publisher, 3.0);
    publisher.streams[1].active = false;
    run(&mut net, &mut publisher, 5.0);
    let (read, _) = frames::read(&mut net);
    let runs: Vec<&[Frame]> = read.chunk_by(|one, next| one.rid == next.rid).collect();
    let told = |run: &[Frame]| (run[0].rid.clone().unwrap().to_string(), run[0].size, run[0].key_frame, run[0].gap);
    let told: Vec<_> = runs.iter().map(|run| told(run)).collect();
    let expected = [
        ("a".to_owned(), (640, 360), true, false),
        ("b".to_owned(), (1280, 720), true, true),
        ("a".to_owned(), (640, 360), true, true),
    ];
    assert_eq!(told, expected);
    for pair in read.windows(2) {
        assert!(pair[0].wallclock < pair[1].wallclock && pair[0].timestamp < pair[1].timestamp);
    }
    for run in &runs {
        let stream = &publisher.streams[usize::from(run[0].rid.as_deref() == Some("b"))];
        let numbers: Vec<u32> = run.iter().map(|frame| number(frame, stream)).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1) && !run[1..].iter().any(|frame| frame.gap));
    }
    // The layers overlap: nothing is missing but what the switch takes.
    let switch = runs[1][0].wallclock - runs[0].last().unwrap().wallclock;
    assert!(switch < 100_000, "{switch}");
    assert_eq!(stats(&mut net).rid.as_deref(), Some("a"));
    let Ok(Reply::Dump(text)) = net.workers[0].command(net.now, Command::Dump) else { panic!("dump") };
    assert!(text.contains("tap 71: rid Some(\"a\") codec Some(\"VP8\")"), "{text}");
}

#[test]
fn a_publisher_that_starts_anew_is_followed() {
    let mut net = Net::new(5, 1);
    let video = Stream { rid: Some("x"), ..Stream::video(Media::H264, 5000, net.now) };
    let mut publisher = scene::publish(&mut net, 0, 1, GCM, vec![(VIDEO, vec![video])]);
    frames::open_tap(&mut net, 0, VIDEO, CAPACITY, Duration::ZERO);
    run(&mut net, &mut publisher, 2.0);
    // Silence, then another SSRC with numbers and timestamps of its own.
    publisher.streams[0].active = false;
    run(&mut net, &mut publisher, 1.0);
    let first = frames::read(&mut net).0;
    let again = Stream { rid: Some("x"), ..Stream::video(Media::H264, 31_000, net.now) };
    publisher.streams[0] = again;
    run(&mut net, &mut publisher, 2.0);
    let second = frames::read(&mut net).0;
    assert!(second.len() > 50, "{}", second.len());
    assert!(second[0].gap && second[0].key_frame);
    assert!(second[1..].iter().all(|frame| !frame.gap));
    let (before, after) = (first.last().unwrap(), &second[0]);
    let passed = after.wallclock - before.wallclock;
    assert!((900_000..1_200_000).contains(&passed), "{passed}");
    let ticks = after.timestamp - before.timestamp;
    assert!((ticks * 100 / 9 - passed).abs() < 1000, "{ticks}");
}

#[test]
fn the_end_of_a_track_is_the_end_of_its_taps() {
    let mut net = Net::new(6, 1);
    let tracks = vec![(AUDIO, vec![Stream::audio(7500, net.now)])];
    let mut publisher = scene::publish(&mut net, 0, 1, GCM, tracks);
    frames::open_tap(&mut net, 0, AUDIO, CAPACITY, Duration::from_secs(100));
    run(&mut net, &mut publisher, 1.0);
    assert!(frames::read(&mut net).0.is_empty(), "not yet told of");
    net.workers[0].command(net.now, Command::CloseTransport { transport: TransportId(1) }).expect("close");
    net.settle();
    let taps =
        net.events.iter().filter(|(_, event)| matches!(event, Event::FramesReady { .. } | Event::TapEnded { .. }));
    let order: Vec<bool> = taps.map(|(_, event)| matches!(event, Event::TapEnded { tap } if *tap == TAP)).collect();
    assert_eq!(order, [false, true]);
    assert!(frames::read(&mut net).0.len() >= 48);
}

#[test]
fn a_tap_makes_the_publisher_send_key_frames_when_it_needs_them() {
    let mut net = Net::new(7, 1);
    let video = Stream { key_every: 100_000, rtx: None, ..Stream::video(Media::H264, 5000, net.now) };
    let mut publisher = scene::publish(&mut net, 0, 1, GCM, vec![(VIDEO, vec![video])]);
    run(&mut net, &mut publisher, 1.0);
    assert_eq!(publisher.streams[0].plis, 0, "nobody reads");
    frames::open_tap(&mut net, 0, VIDEO, CAPACITY, Duration::ZERO);
    run(&mut net, &mut publisher, 2.0);
    assert_eq!(publisher.streams[0].plis, 1);
    // A second of nothing: no repair comes, so a key frame is asked for.
    net.link.loss = 1.0;
    run(&mut net, &mut publisher, 0.2);
    net.link.loss = 0.0;
    publisher.streams[0].sent.clear();
    run(&mut net, &mut publisher, 3.0);
    assert!(publisher.streams[0].plis >= 2);
    let (read, _) = frames::read(&mut net);
    let gap = read.iter().position(|frame| frame.gap).expect("told of");
    assert!(read[gap..].iter().any(|frame| frame.key_frame));
    assert!(publisher.streams[0].frame - number(read.last().unwrap(), &publisher.streams[0]) < 5);
    let plis = publisher.streams[0].plis;
    net.workers[0].command(net.now, Command::CloseTap { tap: TAP }).expect("close");
    run(&mut net, &mut publisher, 2.0);
    assert_eq!((publisher.streams[0].plis, frames::read(&mut net).0.len()), (plis, 0));
}

#[test]
fn parameter_sets_that_never_came_are_asked_for_by_fir() {
    let mut net = Net::new(10, 1);
    let video = Stream { key_every: 100_000, described: false, ..Stream::video(Media::H264, 5000, net.now) };
    let mut publisher = scene::publish(&mut net, 0, 1, GCM, vec![(VIDEO, vec![video])]);
    run(&mut net, &mut publisher, 1.0);
    frames::open_tap(&mut net, 0, VIDEO, CAPACITY, Duration::ZERO);
    run(&mut net, &mut publisher, 3.0);
    let asked: Vec<bool> = publisher
        .rtcp
        .iter()
        .filter_map(|(_, packet)| match packet {
            Rtcp::Pli { .. } => Some(false),
            Rtcp::Fir { ssrc } => Some(*ssrc == 5000),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [true], "once");
    let (read, _) = frames::read(&mut net);
    assert!(read[0].key_frame && read[0].data.starts_with(&[0, 0, 0, 1, 0x67]));
    assert!(read.len() > 70, "{}", read.len());

    // They came with that key frame: what is lost later is a matter of a PLI.
    publisher.rtcp.clear();
    publisher.streams[0].sent.clear();
    net.link.loss = 1.0;
    run(&mut net, &mut publisher, 0.2);
    net.link.loss = 0.0;
    publisher.streams[0].sent.clear();
    run(&mut net, &mut publisher, 2.0);
    assert!(publisher.rtcp.iter().any(|(_, packet)| matches!(packet, Rtcp::Pli { .. })));
    assert!(!publisher.rtcp.iter().any(|(_, packet)| matches!(packet, Rtcp::Fir { .. })));
}

#[test]
fn a_publisher_that_has_no_parameter_sets_is_not_asked_for_ever() {
    let mut net = Net::new(11, 1);
    let video = Stream { key_every: 15, described: false, ..Stream::video(Media::H264, 5000, net.now) };
    let mut publisher = scene::publish(&mut net, 0, 1, GCM, vec![(VIDEO, vec![video])]);
    publisher.deaf = true;
    frames::open_tap(&mut net, 0, VIDEO, CAPACITY, Duration::ZERO);
    run(&mut net, &mut publisher, 10.0);
    let plis = publisher.streams[0].plis;
    assert!((2..=6).contains(&plis), "{plis}");
    run(&mut net, &mut publisher, 10.0);
    assert_eq!((publisher.streams[0].plis, frames::read(&mut net).0.len()), (plis, 0));
    assert!(stats(&mut net).skipped > 500);
}

#[test]
fn a_tap_begins_with_the_group_of_pictures_that_is_under_way_if_it_is_new_enough() {
    for (seed, media) in [(8, Media::H264), (9, Media::Vp8 { width: 640, height: 360 })] {
        let limits = GopLimits { bytes: 4 << 20, span: Duration::from_secs(5), replays: 1 };
        let mut net = Net::with_cache(seed, 1, limits);
        let video = Stream { key_every: 1800, ..Stream::video(media, 5000, net.now) };
        let mut publisher = scene::publish(&mut net, 0, 1, GCM, vec![(VIDEO, vec![video])]);
        publisher.deaf = true;
        run(&mut net, &mut publisher, 0.7);
        // In the middle of a frame: what is in the burst is read once.
        let (mut out, mut at) = (Vec::new(), net.now);
        while out.is_empty() {
            at = publisher.streams[0].next_at.max(at);
            publisher.send(at, &mut out);
        }
        net.now = at;
        for (path, mut datagram) in out {
            net.workers[0].handle_datagram(net.now, path, &mut datagram);
        }
        let open =
            |tap, past| Command::OpenTap { tap, track: VIDEO, capacity: CAPACITY, interval: Duration::ZERO, past };
        let plis = publisher.streams[0].plis;
        net.workers[0].command(net.now, open(TAP, Duration::from_secs(1))).expect("open tap");
        run(&mut net, &mut publisher, 1.0);
        assert_eq!(publisher.streams[0].plis, plis, "it has what it needs");
        let (read, dropped) = frames::read(&mut net);
        assert!(dropped == 0 && read[0].key_frame);
        let numbers: Vec<u32> = read.iter().map(|frame| number(frame, &publisher.streams[0])).collect();
        assert!(numbers.len() > 45, "{}", numbers.len());
        assert_eq!(numbers, (0..numbers.len() as u32).collect::<Vec<_>>());
        let apart = read.last().expect("a frame").wallclock - read[0].wallclock;
        assert!((apart - 33_333 * (read.len() as i64 - 1)).abs() < 20_000, "where they were when they came: {apart}");
        // The key frame is too old by now.
        net.events.clear();
        net.workers[0].command(net.now, open(AUDIO_TAP, Duration::from_secs(1))).expect("open tap");
        run(&mut net, &mut publisher, 1.0);
        assert!(publisher.streams[0].plis > plis);
        let told = net.events.iter().any(|(_, event)| matches!(event, Event::FramesReady { tap: AUDIO_TAP, .. }));
        assert!(!told, "it waits for the next key frame");
    }
}
