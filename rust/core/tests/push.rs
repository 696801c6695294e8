//! The layers of a publisher, pushed from one node to another: each is a subscription with a rid.

mod common;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::net::{Net, Peer};
use common::publisher::{Media, Publisher, Stream};
use common::scene::{self, ViewerOptions};
use common::viewer::Viewer;
use common::wire;
use live777_media::command::{
    Command, EncodingParameters, IceParameters, IceRole, Kind, SubscriptionId, SubscriptionParameters, TrackId,
    TrackParameters, TransportId,
};
use live777_media::event::{Path, SocketId};
use live777_media::layer::Choice;
use live777_media::relay::RouteId;
use live777_media::srtp::{Inbound, MasterKey, Profile};
use live777_media::worker::Reply;

const GCM: Profile = Profile::AeadAes128Gcm;
const RIDS: [&str; 3] = ["low", "mid", "high"];
const SIZES: [usize; 3] = [300, 800, 1100];
/// The track of the first node.
const SOURCE: TrackId = scene::VIDEO;
/// The track of the second node.
const COPY: TrackId = TrackId(77);
const CLIENT: TransportId = TransportId(50);
const SERVER: TransportId = TransportId(60);
const VP8: Media = Media::Vp8 { width: 0, height: 0 };

/// One end of a wire between two workers: what the worker sends to `path` arrives at the other from `path` of the peer.
struct End {
    path: Path,
    arrived: Rc<RefCell<VecDeque<Vec<u8>>>>,
    sent: Rc<RefCell<VecDeque<Vec<u8>>>>,
    seen: Datagrams,
    start: Instant,
}

impl Peer for End {
    fn path(&self) -> Path {
        self.path
    }

    fn receive(&mut self, _: Instant, datagram: &[u8]) {
        self.seen.borrow_mut().push(datagram.to_vec());
        self.sent.borrow_mut().push_back(datagram.to_vec());
    }

    fn send(&mut self, _: Instant, out: &mut Vec<(Path, Vec<u8>)>) {
        out.extend(self.arrived.borrow_mut().drain(..).map(|datagram| (self.path, datagram)));
    }

    fn next(&self) -> Instant {
        let far = Duration::from_secs(if self.arrived.borrow().is_empty() { 86_400 } else { 0 });
        self.start + far
    }
}

type Datagrams = Rc<RefCell<Vec<Vec<u8>>>>;

/// The two ends. `seen` is what the first node sent.
fn wire(net: &Net) -> ([End; 2], Datagrams) {
    let queues: [Rc<RefCell<VecDeque<_>>>; 2] = Default::default();
    let seen = Datagrams::default();
    let own = SocketId::own(CLIENT, 0).expect("a usable number");
    let end = |side: usize, socket, address: [u8; 4], seen: &Datagrams| End {
        path: Path { socket, remote: SocketAddr::from((address, 7777)) },
        arrived: Rc::clone(&queues[side]),
        sent: Rc::clone(&queues[1 - side]),
        seen: Rc::clone(seen),
        start: net.start,
    };
    let first = end(0, own, [192, 0, 2, 2], &seen);
    let second = end(1, SocketId::shared(0), [192, 0, 2, 1], &Rc::default());
    ([first, second], seen)
}

fn keys(fill: u8) -> MasterKey {
    MasterKey::new(&[fill; 16], &[fill ^ 0x55; 12])
}

/// Opens both transports: the first node's as a controlling client on a socket of its own, the second's lite.
fn connect(net: &mut Net, ends: &[End; 2]) {
    let ice = |role, local: &str, remote: &str| IceParameters {
        role,
        local_ufrag: local.to_owned(),
        local_pwd: format!("{local}-password-of-enough-length"),
        remote_ufrag: Some(remote.to_owned()),
        remote_pwd: Some(format!("{remote}-password-of-enough-length")),
    };
    let sides = [
        (CLIENT, ice(IceRole::Controlling, "client", "server"), true, [1, 2]),
        (SERVER, ice(IceRole::Lite, "server", "client"), false, [2, 1]),
    ];
    for (worker, (transport, ice, own_socket, [local, remote])) in sides.into_iter().enumerate() {
        let worker = &mut net.workers[worker];
        worker.command(net.now, Command::OpenTransport { transport, ice, own_socket }).expect("open");
        let (local, remote) = (keys(local), keys(remote));
        worker.command(net.now, Command::InstallKeys { transport, profile: GCM, local, remote }).expect("keys");
    }
    let Path { socket, remote: address } = ends[0].path;
    let candidate = Command::AddRemoteCandidate { transport: CLIENT, address, sockets: vec![socket], priority: 100 };
    net.workers[0].command(net.now, candidate).expect("candidate");
}

fn subscription(layer: usize) -> SubscriptionId {
    SubscriptionId(500 + layer as u64)
}

/// One subscription for each layer on the client's transport, and the track that they become.
fn push_layers(net: &mut Net, rtx: bool) {
    for (layer, rid) in RIDS.iter().enumerate() {
        let ssrc = 900_000 + layer as u32;
        let parameters = SubscriptionParameters {
            kind: Kind::Video,
            mid: Some("0".to_owned()),
            ssrc,
            rtx_ssrc: rtx.then_some(ssrc + 10),
            rid: Some((*rid).to_owned()),
            cname: "node".to_owned(),
            codecs: vec![scene::codec(VP8, 98, rtx.then_some(99))],
            extensions: scene::extensions(),
        };
        let subscription = subscription(layer);
        let command = Command::Subscribe { transport: CLIENT, subscription, parameters };
        net.workers[0].command(net.now, command).expect("subscribe");
        scene::attach(&mut net.workers[0], net.now, subscription, SOURCE, (96, 98));
    }
    let parameters = TrackParameters {
        kind: Kind::Video,
        mid: Some("0".to_owned()),
        codecs: vec![scene::codec(VP8, 98, rtx.then_some(99))],
        encodings: RIDS.map(|rid| EncodingParameters { rid: Some(rid.to_owned()), ..Default::default() }).to_vec(),
        extensions: scene::extensions(),
        local_ssrc: 4242,
    };
    let command = Command::AddTrack { transport: SERVER, track: COPY, parameters };
    net.workers[1].command(net.now, command).expect("add track");
}

fn pin_layers(net: &mut Net) {
    for (layer, rid) in RIDS.iter().enumerate() {
        let command =
            Command::SelectLayer { subscription: subscription(layer), choice: Choice::of(Some((*rid).to_owned())) };
        net.workers[0].command(net.now, command).expect("select");
    }
}

/// Three layers, with key frames on request only.
fn publisher(net: &mut Net, rtx: bool) -> Publisher {
    let layers = RIDS.iter().zip(SIZES).enumerate().map(|(index, (rid, payload_size))| {
        let side = 100 * (index as u16 + 1);
        let mut stream = Stream {
            rid: Some(rid),
            payload_size,
            key_every: 100_000,
            ..Stream::video(Media::Vp8 { width: 2 * side, height: side }, 5000 + 10_000 * index as u32, net.now)
        };
        stream.rtx = stream.rtx.filter(|_| rtx);
        stream
    });
    let layers = layers.collect();
    scene::publish(net, 0, 1, GCM, vec![(SOURCE, layers)])
}

/// A viewer of each layer of the copy.
fn viewers(net: &mut Net) -> Vec<Viewer> {
    let options = ViewerOptions { media: VP8, track: None, audio: None, ..ViewerOptions::default() };
    (0..RIDS.len())
        .map(|layer| {
            let id = 100 + layer as u64;
            let viewer = scene::view(net, 1, id, options);
            scene::attach(&mut net.workers[1], net.now, scene::video_subscription(id), COPY, (98, 104));
            let rid = Some(RIDS[layer].to_owned());
            let command = Command::SelectLayer { subscription: scene::video_subscription(id), choice: Choice::of(rid) };
            net.workers[1].command(net.now, command).expect("select");
            viewer
        })
        .collect()
}

fn run(net: &mut Net, publisher: &mut Publisher, ends: &mut [End; 2], viewers: &mut [Viewer], seconds: f64) {
    let [first, second] = ends;
    let mut peers: Vec<(&mut dyn Peer, usize)> = vec![(publisher, 0), (first, 0), (second, 1)];
    peers.extend(viewers.iter_mut().map(|viewer| (viewer as &mut dyn Peer, 1)));
    net.run(Duration::from_secs_f64(seconds), &mut peers);
}

fn tracks(net: &mut Net, worker: usize) -> Vec<live777_media::stats::TrackStats> {
    let Ok(Reply::Stats(stats)) = net.workers[worker].command(net.now, Command::Stats) else { panic!("stats") };
    stats.tracks
}

/// What the first node sent by RTP: for each SSRC the RID and the repaired RID of its packets, which are all the same.
fn names(seen: &[Vec<u8>]) -> HashMap<u32, (Option<String>, Option<String>)> {
    let mut inbound = Inbound::new(GCM, &keys(1)).expect("keys");
    let mut names = HashMap::new();
    for datagram in seen.iter().filter(|datagram| (128..192).contains(&datagram[0])) {
        if (192..224).contains(&datagram[1]) {
            continue;
        }
        let mut packet = datagram.clone();
        let (ssrc, sequence) = wire::ssrc_and_sequence(&packet);
        let header_len = wire::header_len(&packet);
        let Ok(len) = inbound.open_rtp(&mut packet, header_len, ssrc, sequence) else { continue };
        let packet = wire::Rtp::read(&packet[..len]);
        assert_eq!(packet.extension(common::publisher::extension::MID), Some(&b"0"[..]));
        let text = |id| packet.extension(id).map(|rid| String::from_utf8(rid.to_vec()).unwrap());
        let named = (text(common::publisher::extension::RID), text(common::publisher::extension::REPAIRED_RID));
        assert_eq!(*names.entry(ssrc).or_insert_with(|| named.clone()), named, "always the same");
    }
    names
}

fn assert_pushed(seed: u64, rtx: bool) {
    let mut net = Net::new(seed, 2);
    let (mut ends, seen) = wire(&net);
    let mut publisher = publisher(&mut net, rtx);
    connect(&mut net, &ends);
    push_layers(&mut net, rtx);
    run(&mut net, &mut publisher, &mut ends, &mut [], 1.0);
    assert!(names(&seen.borrow()).is_empty(), "no layer was chosen yet");

    let mut viewers = viewers(&mut net);
    run(&mut net, &mut publisher, &mut ends, &mut viewers, 0.1);
    net.link.loss = 0.02;
    pin_layers(&mut net);
    run(&mut net, &mut publisher, &mut ends, &mut viewers, 10.0);

    for (layer, viewer) in viewers.iter().enumerate() {
        let video = viewer.receiver(0);
        let shown: Vec<_> = video.shown.iter().skip_while(|shown| shown.size != SIZES[layer]).collect();
        assert!(shown.len() > 250, "{} frames of layer {layer}", shown.len());
        assert!(shown.iter().all(|shown| shown.size == SIZES[layer]), "layer {layer} and no other once it is there");
        assert!(shown.windows(2).all(|pair| pair[0].number < pair[1].number), "in order");
        assert!(video.longest_gap(net.now) < Duration::from_millis(500), "{:?}", video.longest_gap(net.now));
    }
    let copies = tracks(&mut net, 1);
    for (copy, original) in copies.iter().zip(tracks(&mut net, 0)) {
        assert_eq!((&copy.rid, copy.width, copy.height), (&original.rid, original.width, original.height));
        assert!(copy.repaired > 10 && copy.key_frames > 0 && copy.active, "{copy:?}");
        assert!(copy.bitrate.abs_diff(original.bitrate) < original.bitrate / 5, "{copy:?} {original:?}");
    }

    let names = names(&seen.borrow());
    for (ssrc, rid) in (900_000..).zip(RIDS) {
        let rid = Some(rid.to_owned());
        assert_eq!(names.get(&ssrc), Some(&(rid.clone(), None)));
        assert_eq!(names.get(&(ssrc + 10)).cloned(), rtx.then_some((None, rid)));
    }
}

#[test]
fn all_layers_arrive_in_order_through_loss() {
    for seed in 1..4 {
        assert_pushed(seed, true);
    }
}

#[test]
fn without_rtx_they_are_repaired_as_they_were() {
    assert_pushed(7, false);
}

#[test]
fn a_key_frame_request_about_one_layer_asks_the_publisher_for_one_of_that_layer() {
    let mut net = Net::new(11, 2);
    let (mut ends, _) = wire(&net);
    let mut publisher = publisher(&mut net, true);
    connect(&mut net, &ends);
    push_layers(&mut net, true);
    pin_layers(&mut net);
    let mut viewers = viewers(&mut net);
    run(&mut net, &mut publisher, &mut ends, &mut viewers, 3.0);
    let plis = |publisher: &Publisher| -> Vec<u32> { publisher.streams.iter().map(|stream| stream.plis).collect() };
    let before = plis(&publisher);
    let ssrc = viewers[1].receiver(0).ssrc;
    let request = viewers[1].session.seal_rtcp(&[wire::write_empty_report(1), wire::write_pli(1, ssrc)].concat());
    net.inject(1, viewers[1].session.path, request);
    run(&mut net, &mut publisher, &mut ends, &mut viewers, 0.4);
    assert_eq!(plis(&publisher), [before[0], before[1] + 1, before[2]]);
}

#[test]
fn a_layer_that_stops_is_replaced_by_no_other() {
    let mut net = Net::new(12, 2);
    let (mut ends, _) = wire(&net);
    let mut publisher = publisher(&mut net, true);
    connect(&mut net, &ends);
    push_layers(&mut net, true);
    pin_layers(&mut net);
    run(&mut net, &mut publisher, &mut ends, &mut [], 2.0);
    publisher.streams[2].active = false;
    run(&mut net, &mut publisher, &mut ends, &mut [], 5.0);
    let rows = tracks(&mut net, 1);
    assert_eq!(rows.iter().map(|row| row.active).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(rows[2].bitrate, 0);
    let before = rows[2].packets;
    publisher.streams[2].active = true;
    publisher.streams[2].next_at = net.now;
    run(&mut net, &mut publisher, &mut ends, &mut [], 1.0);
    let rows = tracks(&mut net, 1);
    assert!(rows[2].packets > before + 80 && rows[2].active);
}

#[test]
fn a_viewer_of_another_worker_pushes_too() {
    let mut net = Net::new(13, 3);
    let (mut ends, _) = wire(&net);
    // The publisher is on worker 2, which hands its track to worker 0.
    let layers = {
        let mut elsewhere = publisher(&mut net, true);
        net.workers[0].command(net.now, Command::CloseTransport { transport: TransportId(1) }).expect("close");
        net.settle();
        std::mem::take(&mut elsewhere.streams)
    };
    let parameters = scene::track_parameters(&layers.iter().collect::<Vec<_>>());
    let mut publisher = scene::publish(&mut net, 2, 1, GCM, vec![(SOURCE, layers)]);
    let import = Command::Import { track: SOURCE, route: RouteId(2), parameters };
    net.workers[0].command(net.now, import).expect("import");
    net.workers[2].command(net.now, Command::Export { track: SOURCE, route: RouteId(0) }).expect("export");
    connect(&mut net, &ends);
    push_layers(&mut net, true);
    pin_layers(&mut net);
    let [first, second] = &mut ends;
    let mut peers: [(&mut dyn Peer, usize); 3] = [(&mut publisher, 2), (first, 0), (second, 1)];
    net.run(Duration::from_secs(3), &mut peers);
    for row in tracks(&mut net, 1) {
        assert!(row.packets > 200 && row.key_frames > 0, "{row:?}");
    }
}
