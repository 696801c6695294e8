//! Frames written as a track: what a tap reads of it, on the same worker and behind a bad relay.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::frames::{self, CODECS, SOURCE, TAP, is_video};
use common::net::{Net, Random, Wire};
use common::scene::{self, ViewerOptions};
use live777_media::codec::Codec;
use live777_media::command::{Command, CommandError, SourceParameters, TapId, TrackId, WrittenFrame};
use live777_media::event::Event;
use live777_media::frame::{Frame, MAX_FRAME};
use live777_media::relay::{PacketBuffer, RelayMessage, RouteId};
use live777_media::srtp::Profile;
use live777_media::worker::Reply;

const CAPACITY: usize = 64 << 20;

/// What was written.
struct Written {
    data: Vec<u8>,
    timestamp: i64,
    key_frame: bool,
}

fn size(codec: Codec, random: &mut Random) -> usize {
    let largest = if is_video(codec) { [3, 40, 1170, 1200, 5000, 60_000][random.below(6) as usize] } else { 1187 };
    random.below(largest) as usize
}

/// Writes frames at 30 Hz; `carry` is given each round.
fn write_many(net: &mut Net, codec: Codec, count: i64, mut carry: impl FnMut(&mut Net)) -> Vec<Written> {
    let mut random = net.random.clone();
    let start = 1_800_000_000_000_000;
    let mut written = Vec::new();
    for index in 0..count {
        net.now += Duration::from_micros(33_333);
        let key_frame = !is_video(codec) || index % 10 == 0;
        let size = size(codec, &mut random);
        let data = frames::frame(codec, key_frame, size, &mut random);
        let timestamp =
            i64::from(u32::MAX) - 20_000 + index * i64::from(frames::parameters(codec, false).clock_rate) / 30;
        let wallclock = net.elapsed().as_micros() as i64 + start;
        frames::write(net, &data, timestamp, Some(wallclock), key_frame);
        written.push(Written { data, timestamp, key_frame });
        carry(net);
    }
    written
}

fn assert_same(frame: &Frame, written: &Written, codec: Codec) {
    assert!(frame.data == written.data, "{codec:?}: {} bytes became {}", written.data.len(), frame.data.len());
    assert_eq!((frame.key_frame, frame.codec), (written.key_frame, codec));
}

#[test]
fn what_is_written_is_read() {
    for codec in CODECS {
        for seed in 1..4 {
            let mut net = Net::new(seed, 1);
            let now = net.now;
            frames::open_source(&mut net.workers[0], now, frames::parameters(codec, false));
            frames::open_tap(&mut net, 0, SOURCE, CAPACITY, Duration::ZERO);
            let written = write_many(&mut net, codec, 100, Net::settle);
            let (read, dropped) = frames::read(&mut net);
            assert_eq!((read.len(), dropped), (written.len(), 0), "{codec:?}");
            for (frame, each) in read.iter().zip(&written) {
                assert_same(frame, each, codec);
                let elapsed = frame.timestamp - read[0].timestamp;
                assert_eq!(elapsed, each.timestamp - written[0].timestamp);
                let micros = elapsed * 1_000_000 / i64::from(frame.clock_rate);
                let drift = frame.wallclock - read[0].wallclock - micros;
                assert!(drift.abs() < 100, "{drift}");
                assert!(frame.synced && !frame.gap);
            }
        }
    }
}

/// Carries what worker 0 says to worker 1 over a bad link: lost, twice, and late by up to 40 ms.
struct BadRelay {
    loss: f64,
    twice: f64,
    late: f64,
    random: Random,
    waiting: Vec<(std::time::Instant, RelayMessage)>,
}

impl BadRelay {
    fn carry(&mut self, net: &mut Net) {
        let mut wire = Wire::default();
        net.workers[0].flush(net.now, &mut wire);
        while let Some((_, message)) = net.workers[0].poll_relay() {
            let RelayMessage::Packets { track, burst } = message else {
                net.workers[1].handle_relay(net.now, message);
                continue;
            };
            for packet in burst.packets() {
                let mut single = PacketBuffer::default();
                single.push(*packet, burst.plaintext(packet));
                let message = RelayMessage::Packets { track, burst: Arc::new(single) };
                let copies =
                    if self.random.chance(self.loss) { 0 } else { 1 + u32::from(self.random.chance(self.twice)) };
                for _ in 0..copies {
                    let late = if self.random.chance(self.late) { self.random.below(40_000) } else { 0 };
                    self.waiting.push((net.now + Duration::from_micros(late), message.clone()));
                }
            }
        }
        let now = net.now;
        self.waiting.sort_by_key(|(at, _)| *at);
        let due = self.waiting.iter().take_while(|(at, _)| *at <= now).count();
        for (_, message) in self.waiting.drain(..due) {
            net.workers[1].handle_relay(now, message);
            net.workers[1].flush(now, &mut wire);
        }
        net.workers[1].handle_timeout(now, &mut wire);
        while let Some(event) = net.workers[1].poll_event() {
            net.events.push((1, event));
        }
    }
}

fn far_tap(net: &mut Net, codec: Codec, nack: bool) {
    let now = net.now;
    let codec = frames::parameters(codec, nack);
    frames::open_source(&mut net.workers[0], now, codec.clone());
    let parameters = SourceParameters { codec }.track_parameters();
    let import = Command::Import { track: SOURCE, route: RouteId(0), parameters };
    net.workers[1].command(now, import).expect("import");
    net.workers[0].command(now, Command::Export { track: SOURCE, route: RouteId(1) }).expect("export");
    frames::open_tap(net, 1, SOURCE, CAPACITY, Duration::ZERO);
}

#[test]
fn under_loss_a_frame_is_absent_or_whole() {
    for codec in CODECS {
        for seed in 1..9 {
            let mut net = Net::new(seed, 2);
            far_tap(&mut net, codec, seed % 2 == 0);
            let loss = [0.0, 0.002, 0.02, 0.2][seed as usize % 4];
            let mut relay = BadRelay { loss, twice: 0.05, late: 0.2, random: Random::new(seed), waiting: Vec::new() };
            let written = write_many(&mut net, codec, 150, |net| relay.carry(net));
            for _ in 0..40 {
                net.now += Duration::from_millis(20);
                relay.carry(&mut net);
            }
            let (read, dropped) = frames::read(&mut net);
            assert_eq!(dropped, 0);
            let mut next = 0;
            let first = read.first().map_or(0, |frame| frame.timestamp);
            let begin = written.iter().position(|one| read.first().is_some_and(|frame| frame.data == one.data));
            let begin = begin.unwrap_or_default();
            for (index, frame) in read.iter().enumerate() {
                let elapsed = frame.timestamp - first;
                let at = written.iter().position(|one| one.timestamp - written[begin].timestamp == elapsed);
                let at = at.expect("a timestamp that was written");
                assert_same(frame, &written[at], codec);
                assert!(index == 0 && frame.key_frame || at >= next, "in order");
                assert!(index == 0 || frame.gap || at == next, "{codec:?}: what is missing is told of");
                next = at + 1;
            }
            if loss == 0.0 {
                // Late by less than the patience: nothing but what came before the first packet in order is missing.
                assert!(read.len() + 10 > written.len(), "{codec:?} {seed}: {} of {}", read.len(), written.len());
            } else if loss < 0.01 || !is_video(codec) {
                assert!(read.len() > written.len() / 2, "{codec:?} {seed}: {} of {}", read.len(), written.len());
            }
            let Ok(Reply::Stats(stats)) = net.workers[1].command(net.now, Command::Stats) else { panic!("stats") };
            assert_eq!(stats.taps[0].frames, read.len() as u64);
            assert!(loss < 0.1 || stats.taps[0].lost_packets > 0);
        }
    }
}

#[test]
fn a_full_tap_forgets_whole_groups_and_asks_for_a_key_frame() {
    let mut net = Net::new(5, 1);
    let now = net.now;
    frames::open_source(&mut net.workers[0], now, frames::parameters(Codec::Vp8, false));
    frames::open_tap(&mut net, 0, SOURCE, 40_000, Duration::ZERO);
    let mut written = Vec::new();
    for index in 0..40i64 {
        net.now += Duration::from_millis(33);
        let key_frame = index % 10 == 0;
        let data = frames::frame(Codec::Vp8, key_frame, 2500, &mut Random::new(index.cast_unsigned()));
        frames::write(&mut net, &data, index * 3000, None, key_frame);
        net.settle();
        written.push(data);
    }
    let (read, dropped) = frames::read(&mut net);
    assert_eq!(read.len() + dropped as usize, 40);
    assert!(dropped % 10 == 0 && read[0].gap && read[0].key_frame && !read[0].synced);
    assert!(read.iter().map(|frame| &frame.data).eq(&written[dropped as usize..]));
    assert!(!net.events.iter().any(|(_, event)| matches!(event, Event::KeyFrameNeeded { .. })));
    // A group that never ends does not fit: the writer is asked for another.
    for index in 40..80 {
        net.now += Duration::from_millis(33);
        frames::write(
            &mut net,
            &frames::frame(Codec::Vp8, false, 2500, &mut Random::new(1)),
            index * 3000,
            None,
            false,
        );
        net.settle();
    }
    assert!(net.events.iter().any(|(_, event)| matches!(event, Event::KeyFrameNeeded { track } if *track == SOURCE)));
    let (read, dropped) = frames::read(&mut net);
    assert_eq!((read.len(), dropped), (0, 40));
    frames::write(&mut net, &written[0], 80 * 3000, None, true);
    net.settle();
    let (read, _) = frames::read(&mut net);
    assert!(read.len() == 1 && read[0].gap && read[0].key_frame);
}

#[test]
fn frames_are_told_of_at_whole_intervals() {
    let mut net = Net::new(6, 1);
    let now = net.now;
    frames::open_source(&mut net.workers[0], now, frames::parameters(Codec::Opus, false));
    frames::open_tap(&mut net, 0, SOURCE, CAPACITY, Duration::from_millis(100));
    let mut told = Vec::new();
    let mut count = 0;
    for index in 0..50 {
        frames::write(&mut net, &[1, 2, 3], index * 960, None, true);
        net.settle();
        for _ in 0..20 {
            net.now += Duration::from_millis(1);
            net.settle();
            let (read, _) = frames::read(&mut net);
            if !read.is_empty() {
                told.push(net.elapsed().as_millis());
                count += read.len();
            }
        }
    }
    assert_eq!(told, (1..=10).map(|step| step * 100).collect::<Vec<_>>());
    assert_eq!(count, 50);
}

#[test]
fn viewers_see_a_source_like_any_track() {
    let mut net = Net::new(7, 1);
    let now = net.now;
    frames::open_source(&mut net.workers[0], now, frames::parameters(Codec::H264, false));
    let options =
        ViewerOptions { track: None, audio: None, profile: Profile::AeadAes128Gcm, ..ViewerOptions::default() };
    let mut viewer = scene::view(&mut net, 0, 2, options);
    viewer.receivers[0].keep_packets = true;
    scene::attach(&mut net.workers[0], now, scene::video_subscription(2), SOURCE, (96, 102));
    net.run(Duration::from_secs(1), &mut [(&mut viewer, 0)]);
    let needed =
        |net: &Net| net.events.iter().filter(|(_, event)| matches!(event, Event::KeyFrameNeeded { .. })).count();
    let mut random = Random::new(1);
    for index in 0..60 {
        let key_frame = index % 30 == 10;
        let data = frames::frame(Codec::H264, key_frame, 4000, &mut random);
        let wallclock = 1_800_000_000_000_000 + net.elapsed().as_micros() as i64;
        frames::write(&mut net, &data, index * 3000, Some(wallclock), key_frame);
        net.run(Duration::from_micros(33_333), &mut [(&mut viewer, 0)]);
        if index == 9 {
            // Nothing was there to ask before the first frame.
            assert_eq!(needed(&net), 1);
        }
    }
    net.run(Duration::from_secs(2), &mut [(&mut viewer, 0)]);
    let video = viewer.receiver(0);
    assert!(video.packets.len() > 150 && video.lost() == 0);
    assert_eq!(video.packets[0].payload[..4], [0x78, 0, 11, 0x67], "from the key frame on");
    assert!(!video.reports.is_empty(), "sender reports");
    let Ok(Reply::Stats(stats)) = net.workers[0].command(net.now, Command::Stats) else { panic!("stats") };
    let source = &stats.sources[0];
    assert_eq!((source.frames, source.refused, source.track), (60, 0, SOURCE));
    assert!(source.key_frames == 2 && source.packets > 200 && source.bytes > 240_000 && stats.tracks.is_empty());
    let Ok(Reply::Dump(text)) = net.workers[0].command(net.now, Command::Dump) else { panic!("dump") };
    assert!(
        text.contains("track 70: Video mid None source") && text.contains("written: H264 pt 96 | frames 60"),
        "{text}"
    );
    let started = net.events.iter().any(
        |(_, event)| matches!(event, Event::TrackStarted { track, width: 640, height: 360, .. } if *track == SOURCE),
    );
    let silent = net.events.iter().any(|(_, event)| matches!(event, Event::TrackSilent { track } if *track == SOURCE));
    assert!(started && silent);
}

#[test]
fn what_cannot_be_is_refused() {
    let mut net = Net::new(8, 1);
    let now = net.now;
    let mut ask = |command| net.workers[0].command(now, command).map(|_| ());
    let source = |codec| Command::OpenSource {
        track: SOURCE,
        parameters: SourceParameters { codec: frames::parameters(codec, false) },
    };
    let tap =
        |tap, track| Command::OpenTap { tap, track, capacity: 1000, interval: Duration::ZERO, past: Duration::ZERO };
    let write = |data: &[u8]| Command::WriteFrame {
        track: SOURCE,
        frame: WrittenFrame { data: data.to_vec(), timestamp: 0, wallclock: Some(i64::MAX), key_frame: true },
    };
    assert_eq!(ask(source(Codec::Red)), Err(CommandError::InvalidArgument));
    assert_eq!(ask(source(Codec::Vp8)), Ok(()));
    assert_eq!(ask(source(Codec::Vp8)), Err(CommandError::IdInUse));
    assert_eq!(ask(tap(TAP, TrackId(1))), Err(CommandError::UnknownId));
    assert_eq!(ask(tap(TAP, SOURCE)), Ok(()));
    assert_eq!(ask(tap(TAP, SOURCE)), Err(CommandError::IdInUse));
    for more in 100..115 {
        assert_eq!(ask(tap(TapId(more), SOURCE)), Ok(()));
    }
    assert_eq!(ask(tap(TapId(99), SOURCE)), Err(CommandError::LimitReached));
    assert_eq!(ask(write(&[])), Err(CommandError::InvalidArgument));
    assert_eq!(ask(write(&vec![1; MAX_FRAME + 1])), Err(CommandError::InvalidArgument));
    assert_eq!(ask(write(&[0x10, 2, 0, 0x9d, 1, 0x2a, 0x80, 2, 0x68, 1])), Ok(()));
    assert_eq!(ask(Command::CloseTap { tap: TAP }), Ok(()));
    assert_eq!(ask(Command::CloseTap { tap: TAP }), Err(CommandError::UnknownId));
    assert_eq!(ask(Command::RemoveTrack { track: SOURCE }), Ok(()));
    assert_eq!(ask(write(&[1])), Err(CommandError::UnknownId));
    assert_eq!(ask(Command::CloseTap { tap: TapId(100) }), Err(CommandError::UnknownId));
    // Each was given the frame, and told that it was the last.
    net.settle();
    let ended = net.events.iter().filter(|(_, event)| matches!(event, Event::TapEnded { .. })).count();
    let (read, _) = frames::read(&mut net);
    assert_eq!((ended, read.len()), (15, 15));
    assert!(!read[0].synced, "a wall clock out of this world is none");
}
