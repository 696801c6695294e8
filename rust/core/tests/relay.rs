//! A publisher on one worker, viewers on two.

mod common;

use std::time::Duration;

use common::net::{Net, Peer};
use common::publisher::{Media, Publisher, Stream};
use common::scene::{self, AUDIO, VIDEO, ViewerOptions};
use common::viewer::Viewer;
use common::wire::Rtcp;
use live777_media::command::{Command, CommandError, TrackId};
use live777_media::event::Event;
use live777_media::relay::RouteId;
use live777_media::srtp::Profile;
use live777_media::worker::Reply;

const GCM: Profile = Profile::AeadAes128Gcm;

/// Exports the tracks of worker 0 to worker 1.
fn link(net: &mut Net, tracks: &[(TrackId, Vec<Stream>)]) {
    for (track, streams) in tracks {
        let parameters = scene::track_parameters(&streams.iter().collect::<Vec<_>>());
        let import = Command::Import { track: *track, route: RouteId(0), parameters };
        net.workers[1].command(net.now, import).expect("import");
        let export = Command::Export { track: *track, route: RouteId(1) };
        net.workers[0].command(net.now, export).expect("export");
    }
}

fn tracks(net: &Net) -> Vec<(TrackId, Vec<Stream>)> {
    let video = Stream { key_every: 300, ..Stream::video(Media::H264, 5000, net.now) };
    vec![(VIDEO, vec![video]), (AUDIO, vec![Stream::audio(7500, net.now)])]
}

fn run(net: &mut Net, publisher: &mut Publisher, near: &mut Viewer, far: &mut Viewer, seconds: f64) {
    let mut peers: [(&mut dyn Peer, usize); 3] = [(publisher, 0), (near, 0), (far, 1)];
    net.run(Duration::from_secs_f64(seconds), &mut peers);
}

#[test]
fn a_far_viewer_is_served_like_a_near_one() {
    let mut net = Net::new(1, 2);
    let mut publisher = {
        let tracks = tracks(&net);
        scene::publish(&mut net, 0, 1, GCM, tracks)
    };
    let mut near = scene::view(&mut net, 0, 2, ViewerOptions::default());
    scene::run(&mut net, &mut publisher, std::slice::from_mut(&mut near), 2.0);
    let linked = tracks(&net);
    link(&mut net, &linked);
    let options = ViewerOptions { profile: Profile::AesCm128HmacSha1_80, ..ViewerOptions::default() };
    let mut far = scene::view(&mut net, 1, 3, options);
    let plis = publisher.streams[0].plis;
    run(&mut net, &mut publisher, &mut near, &mut far, 3.0);
    assert!(publisher.streams[0].plis > plis, "its wish for a key frame travels back");
    for viewer in [&near, &far] {
        let video = viewer.receiver(0);
        assert!(video.shown.len() >= 80, "{}", video.shown.len());
        assert_eq!((video.lost(), viewer.receiver(1).lost()), (0, 0));
    }
    assert!(net.events.iter().all(|(worker, event)| *worker == 0 || matches!(event, Event::IceConnected { .. })));
    let Ok(Reply::Stats(stats)) = net.workers[1].command(net.now, Command::Stats) else { panic!("stats") };
    assert!(stats.tracks.is_empty(), "the origin counts the track");

    // The picture is played at the same time on both workers.
    let play_time = |viewer: &Viewer| {
        let video = viewer.receiver(0);
        let Some((_, Rtcp::SenderReport { ntp, rtp, .. })) = video.reports.last() else { panic!("no report") };
        let shown = video.shown.last().unwrap();
        let ahead = f64::from(shown.timestamp.wrapping_sub(*rtp) as i32) / 90_000.0;
        *ntp as f64 / 4_294_967_296.0 + ahead - f64::from(shown.number) / 30.0
    };
    assert!((play_time(&near) - play_time(&far)).abs() < 0.002);

    // Loss behind the second worker is repaired there.
    net.link.loss = 0.05;
    net.spared = Some(publisher.session.path);
    let asked = publisher.streams[0].nacked;
    run(&mut net, &mut publisher, &mut near, &mut far, 5.0);
    assert_eq!(publisher.streams[0].nacked, asked);
    assert!(far.receiver(0).repaired > 20);
    assert!(far.receiver(0).longest_gap(net.now) < Duration::from_millis(300));
}

#[test]
fn routes_end() {
    let mut net = Net::new(2, 2);
    let mut publisher = {
        let tracks = tracks(&net);
        scene::publish(&mut net, 0, 1, GCM, tracks)
    };
    let linked = tracks(&net);
    link(&mut net, &linked);
    let mut near = scene::view(&mut net, 0, 2, ViewerOptions::default());
    let mut far = scene::view(&mut net, 1, 3, ViewerOptions::default());
    run(&mut net, &mut publisher, &mut near, &mut far, 1.0);
    let again = Command::Export { track: VIDEO, route: RouteId(1) };
    assert_eq!(net.workers[0].command(net.now, again).unwrap_err(), CommandError::InvalidState);
    net.workers[0].command(net.now, Command::Unexport { track: VIDEO, route: RouteId(1) }).unwrap();
    net.workers[1].command(net.now, Command::RemoveTrack { track: AUDIO }).unwrap();
    run(&mut net, &mut publisher, &mut near, &mut far, 0.1);
    let (video, audio) = (far.receiver(0).received, far.receiver(1).received);
    run(&mut net, &mut publisher, &mut near, &mut far, 1.0);
    assert_eq!((far.receiver(0).received, far.receiver(1).received), (video, audio));
    assert!(near.receiver(0).shown.len() > 50);
}
