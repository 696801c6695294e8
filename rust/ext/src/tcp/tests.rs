//! Real connections over loopback, and a worker that is a list.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use live777_media::framing;

use super::*;
use crate::os::Poller;

/// Nothing on loopback takes longer.
const PATIENCE: Duration = Duration::from_secs(5);

struct Scene {
    sockets: TcpSockets,
    poller: Poller,
    /// What came, and by what path.
    heard: Vec<(Path, Vec<u8>)>,
    gone: Vec<Path>,
    /// Whose datagrams begin with this byte proves itself.
    password: u8,
}

impl Scene {
    fn new(hosts: &[&str]) -> Self {
        Self::with_room_for(8192, hosts)
    }

    fn with_room_for(capacity: usize, hosts: &[&str]) -> Self {
        let bind = |host: &&str| TcpListener::bind(host.parse().expect("an address")).expect("bound");
        let sockets = TcpSockets::new(hosts.iter().map(bind).collect(), capacity).expect("a descriptor is free");
        let poller = Poller::new([sockets.as_raw_fd()]);
        Self { sockets, poller, heard: Vec::new(), gone: Vec::new(), password: 1 }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.sockets.listeners[0].local()).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("it is a socket");
        stream
    }

    /// Serves once; false if nothing was ready in this time.
    fn serve(&mut self, timeout: Duration) -> bool {
        let now = Instant::now();
        self.poller.wait(Some(timeout)).expect("ppoll works");
        let mut ready = Vec::new();
        self.sockets.poll_ready(&mut ready);
        let mut buffer = vec![0; 65_536];
        for &id in &ready {
            if self.sockets.accept(id, now) {
                continue;
            }
            let heard = std::cell::RefCell::new(&mut self.heard);
            let take = |path, datagram: &mut [u8]| heard.borrow_mut().push((path, datagram.to_vec()));
            let password = self.password;
            let knows = |path| heard.borrow().iter().any(|(of, datagram)| *of == path && datagram[0] == password);
            let ended = self.sockets.serve(id, &mut buffer, take, knows);
            self.gone.extend(ended);
        }
        !ready.is_empty()
    }

    fn until(&mut self, reached: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !reached(self) {
            assert!(Instant::now() < deadline, "{:?}, heard {}", self.sockets.counters(), self.heard.len());
            self.serve(Duration::from_millis(50));
        }
    }

    fn flush(&mut self) {
        let gone = &mut self.gone;
        self.sockets.flush(|path| gone.push(path));
    }

    /// A connection that has proved itself.
    fn proven(&mut self) -> (TcpStream, Path) {
        let mut stream = self.connect();
        stream.write_all(&framed(&[vec![self.password; 20]])).expect("connected");
        let before = self.heard.len();
        self.until(|scene| scene.heard.len() > before);
        (stream, self.heard[before].0)
    }
}

fn framed(datagrams: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    datagrams.iter().for_each(|datagram| framing::append(&mut out, datagram));
    out
}

fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut prefix = [0; 2];
    stream.read_exact(&mut prefix).expect("a frame");
    let mut datagram = vec![0; usize::from(u16::from_be_bytes(prefix))];
    stream.read_exact(&mut datagram).expect("a whole frame");
    datagram
}

fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 1]), Ok(0))
        || matches!(stream.peer_addr(), Err(error) if error.kind() == ErrorKind::NotConnected)
}

#[test]
fn datagrams_go_both_ways() {
    for host in ["127.0.0.1:0", "[::1]:0"] {
        let mut scene = Scene::new(&[host]);
        let (mut stream, path) = scene.proven();
        assert_eq!(path.remote, stream.local_addr().expect("connected"));
        assert_eq!(scene.sockets.local(path.socket), stream.peer_addr().ok());
        // In pieces that are no datagrams.
        let bytes = framed(&[vec![2; 1200], vec![3; 7]]);
        for piece in bytes.chunks(500) {
            stream.write_all(piece).expect("connected");
            scene.serve(Duration::from_millis(20));
        }
        scene.until(|scene| scene.heard.len() == 3);
        assert_eq!([scene.heard[1].1.len(), scene.heard[2].1.len()], [1200, 7]);

        scene.sockets.transmit(path.socket, &[[4; 100], [5; 100]].concat(), 100);
        scene.sockets.transmit(path.socket, &[6; 30], 30);
        scene.flush();
        let frames: Vec<_> = (0..3).map(|_| read_frame(&mut stream)).collect();
        assert_eq!(frames, [vec![4; 100], vec![5; 100], vec![6; 30]]);
        let counters = scene.sockets.counters();
        assert_eq!((counters.open, counters.accepted, counters.datagrams, counters.dropped), (1, 1, 3, 0));

        drop(stream);
        scene.until(|scene| scene.gone == [path]);
        assert_eq!(scene.sockets.counters().open, 0);
        scene.sockets.transmit(path.socket, &[7; 30], 30);
        scene.flush();
    }
}

#[test]
fn who_reads_slowly_loses_whole_datagrams_and_nobody_waits() {
    let mut scene = Scene::new(&["127.0.0.1:0"]);
    let (mut slow, slow_path) = scene.proven();
    let (mut quick, quick_path) = scene.proven();
    let began = Instant::now();
    let mut sent = 0_u32;
    while scene.sockets.counters().dropped == 0 {
        assert!(sent < 100_000, "nothing fills a connection that nobody reads");
        let mut datagram = vec![9; 1200];
        datagram[..4].copy_from_slice(&sent.to_be_bytes());
        scene.sockets.transmit(slow_path.socket, &datagram, 1200);
        scene.flush();
        sent += 1;
    }
    let connection = &scene.sockets.connections[&slow_path.socket.number()];
    assert!(connection.waits && connection.has_output());
    for number in 0..50_u8 {
        scene.sockets.transmit(slow_path.socket, &[8; 1200], 1200);
        scene.sockets.transmit(quick_path.socket, &[number; 1200], 1200);
        scene.flush();
        assert_eq!(read_frame(&mut quick), vec![number; 1200]);
    }
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(scene.sockets.counters().dropped, 51);

    // What was not dropped comes whole and in order, once it is read.
    for expected in 0..sent - 1 {
        while slow.peek(&mut [0; 2]).is_ok() && scene.sockets.connections[&slow_path.socket.number()].waits {
            if !scene.serve(Duration::ZERO) {
                break;
            }
        }
        let frame = read_frame(&mut slow);
        assert_eq!((frame.len(), &frame[..4]), (1200, &expected.to_be_bytes()[..]));
    }
    scene.until(|scene| !scene.sockets.connections[&slow_path.socket.number()].waits);
    scene.sockets.transmit(slow_path.socket, &[7; 50], 50);
    scene.flush();
    assert_eq!(read_frame(&mut slow), vec![7; 50]);
    let kept = scene.sockets.connections[&slow_path.socket.number()].output_memory();
    assert!(kept <= 64 << 10, "{kept}");
}

#[test]
fn who_does_not_prove_itself_is_closed() {
    let mut scene = Scene::new(&["127.0.0.1:0"]);
    let (mut proven, path) = scene.proven();
    let mut silent = scene.connect();
    let mut stranger = scene.connect();
    stranger.write_all(&framed(&[vec![0; 20]])).expect("connected");
    scene.until(|scene| scene.heard.len() == 2 && scene.sockets.counters().open == 3);
    assert!(scene.sockets.poll_timeout().is_some_and(|at| at > Instant::now() + PROVING_TIME / 2));
    scene.sockets.handle_timeout(Instant::now() + PROVING_TIME);
    assert!(is_closed(&mut silent) && is_closed(&mut stranger));
    let counters = scene.sockets.counters();
    assert_eq!((counters.open, counters.rejected), (1, 2));
    assert_eq!((scene.gone.len(), scene.sockets.poll_timeout()), (0, None));
    scene.sockets.transmit(path.socket, &[4; 10], 10);
    scene.flush();
    assert_eq!(read_frame(&mut proven), vec![4; 10]);
}

#[test]
fn who_speaks_something_else_is_closed_at_once() {
    let mut scene = Scene::new(&["127.0.0.1:0"]);
    let (mut proven, path) = scene.proven();
    for (nonsense, stream) in
        [(b"GET / HTTP/1.1\r\n\r\n", &mut scene.connect()), (b"GET / HTTP/1.1\r\n\r\n", &mut proven)]
    {
        stream.write_all(nonsense).expect("connected");
        let rejected = scene.sockets.counters().rejected;
        scene.until(|scene| scene.sockets.counters().rejected == rejected + 1);
        assert!(is_closed(stream));
    }
    assert_eq!((&scene.gone[..], scene.sockets.counters().open), (&[path][..], 0));
}

#[test]
fn too_many_from_one_place_are_not_taken() {
    let mut scene = Scene::new(&["127.0.0.1:0"]);
    let mut streams: Vec<_> = (0..admission::MAX_UNPROVEN).map(|_| scene.connect()).collect();
    scene.until(|scene| scene.sockets.counters().open == admission::MAX_UNPROVEN as u64);
    let mut another = scene.connect();
    scene.until(|scene| scene.sockets.counters().refused == 1);
    assert!(is_closed(&mut another));
    streams[0].write_all(&framed(&[vec![1; 20]])).expect("connected");
    scene.until(|scene| scene.heard.len() == 1);
    let another = scene.connect();
    scene.until(|scene| scene.sockets.counters().accepted == admission::MAX_UNPROVEN as u64 + 1);
    drop((streams, another));
    scene.until(|scene| scene.sockets.counters().open == 0);
    assert_eq!(scene.gone.len(), 1, "the worker knows of one");
}

#[test]
fn the_oldest_stranger_makes_room_for_the_next() {
    let mut scene = Scene::with_room_for(8, &["127.0.0.1:0"]);
    let (_proven, _) = scene.proven();
    let mut strangers: Vec<_> = (1..=3)
        .map(|count| {
            let stream = scene.connect();
            scene.until(|scene| scene.sockets.counters().accepted == 1 + count);
            stream
        })
        .collect();
    assert!(is_closed(&mut strangers[0]));
    let counters = scene.sockets.counters();
    assert_eq!((counters.open, counters.rejected, counters.refused), (3, 1, 0));
    strangers[1].write_all(&framed(&[vec![1; 20]])).expect("connected");
    scene.until(|scene| scene.heard.len() == 2);
}

#[test]
fn a_connection_that_is_let_go_ends_with_its_last_datagram() {
    let mut scene = Scene::new(&["127.0.0.1:0"]);
    let (mut stream, path) = scene.proven();
    scene.sockets.transmit(path.socket, &[4; 10], 10);
    scene.flush();
    scene.sockets.release(path.socket, Instant::now());
    assert_eq!(read_frame(&mut stream), vec![4; 10]);
    assert!(is_closed(&mut stream) && scene.sockets.counters().open == 0);

    // One that does not read has a little time.
    let (stream, path) = scene.proven();
    while scene.sockets.counters().dropped == 0 {
        scene.sockets.transmit(path.socket, &[4; 12_000], 1200);
        scene.flush();
    }
    let now = Instant::now();
    scene.sockets.release(path.socket, now);
    scene.sockets.handle_timeout(now + FAREWELL_TIME / 2);
    assert_eq!(scene.sockets.counters().open, 1);
    scene.sockets.handle_timeout(now + FAREWELL_TIME);
    assert_eq!((scene.sockets.counters().open, scene.gone.len()), (0, 0));
    drop(stream);
}

#[test]
fn a_rest_without_descriptors_ends() {
    let mut scene = Scene::new(&["127.0.0.1:0"]);
    let now = Instant::now();
    scene.sockets.rest(now);
    let stream = scene.connect();
    assert!(!scene.serve(Duration::from_millis(50)), "nobody is accepted");
    scene.sockets.handle_timeout(now + REST);
    scene.until(|scene| scene.sockets.counters().open == 1);
    drop(stream);
}

#[test]
fn a_port_in_use_is_an_error() {
    let first = TcpListener::bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let error = TcpListener::bind(first.local()).err().expect("refused");
    assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
}
