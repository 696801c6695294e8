//! What is counted of what came, and of what did not leave.

mod common;

use std::time::Duration;

use common::net::{Link, Net};
use common::publisher::{Media, Publisher, Stream};
use common::scene::{self, VIDEO, ViewerOptions};
use live777_media::command::Command;
use live777_media::srtp::Profile;
use live777_media::stats::{Stats, TrackStats};
use live777_media::worker::{GopLimits, Reply};

fn publisher(net: &mut Net, padding_packets: u16) -> Publisher {
    let stream = Stream { padding_packets, ..Stream::video(Media::H264, 1000, net.now) };
    scene::publish(net, 0, 1, Profile::AeadAes128Gcm, vec![(VIDEO, vec![stream])])
}

fn stats(net: &mut Net) -> Stats {
    match net.workers[0].command(net.now, Command::Stats) {
        Ok(Reply::Stats(stats)) => *stats,
        other => panic!("{other:?}"),
    }
}

fn track(net: &mut Net) -> TrackStats {
    stats(net).tracks.remove(0)
}

#[test]
fn a_good_network_shows_every_picture() {
    let mut net = Net::new(1, 1);
    let mut camera = publisher(&mut net, 0);
    scene::run(&mut net, &mut camera, &mut [], 10.0);
    let row = track(&mut net);
    assert!((298..=301).contains(&row.frames), "{row:?}");
    assert_eq!((row.freezes, row.reordered, row.lost, row.repaired), (0, 0, 0, 0));
    let first = row.first_packet_ms.expect("packets came");
    // A picture is sent at once; two packets would be one burst.
    assert!(first < 500.0 && row.first_key_frame_ms.is_some_and(|key| key - first < 34.0), "{row:?}");
}

#[test]
fn late_packets_are_repaired_or_reordered_and_no_picture_is_missing() {
    let mut net = Net::new(2, 1);
    net.link = Link { loss: 0.03, jitter: Duration::from_millis(8), ..Link::default() };
    let mut camera = publisher(&mut net, 0);
    scene::run(&mut net, &mut camera, &mut [], 20.0);
    let row = track(&mut net);
    assert!(row.repaired > 50 && row.reordered > 50 && row.lost == 0, "{row:?}");
    assert!((595..=601).contains(&row.frames), "{row:?}");
}

#[test]
fn a_publisher_that_pauses_freezes_the_picture() {
    let mut net = Net::new(3, 1);
    let mut camera = publisher(&mut net, 0);
    scene::run(&mut net, &mut camera, &mut [], 5.0);
    camera.streams[0].active = false;
    scene::run(&mut net, &mut camera, &mut [], 1.0);
    let lasting = track(&mut net);
    assert!(lasting.freezes == 1 && (900.0..1100.0).contains(&lasting.freeze_ms), "{lasting:?}");
    camera.streams[0].active = true;
    scene::run(&mut net, &mut camera, &mut [], 2.0);
    let over = track(&mut net);
    assert!(over.freezes == 1 && over.freeze_ms >= lasting.freeze_ms && over.freeze_ms < 1200.0, "{over:?}");
}

/// `Net::run` looks at the balance; here are the reasons by their names.
#[test]
fn what_a_viewer_is_not_sent_has_a_reason() {
    let mut net = Net::with_cache(4, 1, GopLimits { bytes: 1 << 22, span: Duration::from_secs(5), replays: 8 });
    let mut camera = publisher(&mut net, 1);
    scene::run(&mut net, &mut camera, &mut [], 1.0);
    let options = ViewerOptions { audio: None, ..ViewerOptions::default() };
    let mut viewers = [scene::view(&mut net, 0, 2, options)];
    scene::run(&mut net, &mut camera, &mut viewers, 2.0);
    let pause = |paused| Command::Pause { subscription: scene::video_subscription(2), paused };
    net.workers[0].command(net.now, pause(true)).expect("it is there");
    scene::run(&mut net, &mut camera, &mut viewers, 1.0);
    let stats = stats(&mut net);
    let totals = stats.worker.totals;
    let reasons: Vec<&str> = totals.dropped.iter().map(|(reason, _)| reason).collect();
    assert_eq!(reasons, ["not_connected", "paused", "padding", "replayed"]);
    let row = &stats.subscriptions[0];
    assert_eq!((row.packets, row.replayed), (totals.packets_forwarded, totals.packets_replayed));
    assert!(row.replayed > 0 && row.dropped == totals.dropped.total(), "{row:?}");
}
