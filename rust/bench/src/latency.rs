//! Many cameras at once, and how long their packets are under way to some of the viewers.
//!
//! Both ends are this thread: it stamps a frame when it sends it, the kernel stamps the packets when they reach a
//! viewer's socket, and they are read later. Packets are matched by RTP sequence number, which a gateway shifts by a
//! constant and leaves in clear. Some frames are also sent straight to a socket: that is what loopback alone takes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant, SystemTime};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::segmented::Segments;
use crate::stamped::Stamped;
use crate::video::{PAYLOAD_TYPE, Video};
use crate::{Arguments, invalid};

const FRAMES_PER_SECOND: u32 = 30;
/// One frame of so many goes the direct way too.
const DIRECT: usize = 8;
/// A sleep may last longer than asked by this; the rest is spun away.
const OVERSLEEP: Duration = Duration::from_micros(150);
/// How long the last packets may be under way.
const PATIENCE: Duration = Duration::from_millis(500);
const SEED: u64 = 0x7770;

/// `PROFILE TO BURST SECONDS STREAM...`, a stream being `SOCKET,KEY_HEX,SALT_HEX,FIRST_SEQUENCE[,VIEWER_SOCKET]...`
/// with descriptors that this process was given.
pub fn run(arguments: &mut Arguments) -> io::Result<()> {
    let profile: String = arguments.next("PROFILE")?;
    let to = SockAddr::from(arguments.next::<SocketAddr>("TO")?);
    let burst: usize = arguments.next("BURST")?;
    let seconds: u32 = arguments.next("SECONDS")?;
    let mut cameras = Vec::new();
    while let Ok(text) = arguments.next::<String>("STREAM") {
        cameras.push(Camera::new(&text, &profile)?);
    }
    let mut direct = Direct::new()?;
    let schedule = schedule(cameras.len(), seconds);

    let start = Instant::now();
    for (number, &(due, camera)) in schedule.iter().enumerate() {
        let camera = &mut cameras[camera];
        camera.read()?;
        let (run, wire_length) = camera.video.frame(burst);
        let segments = Segments::of(wire_length);
        wait_until(start + due);
        camera.sent.push(unix_time());
        segments.send(&camera.socket, &to, &run)?;
        if number % DIRECT == 0 {
            direct.measure(&segments, &run)?;
        }
    }
    let took = start.elapsed();
    std::thread::sleep(PATIENCE);

    let mut expected = 0;
    let mut delays = Vec::new();
    for camera in &mut cameras {
        camera.read()?;
        expected += camera.sent.len() * burst * camera.viewers.len();
        for viewer in &camera.viewers {
            viewer.delays(&camera.sent, burst, &mut delays)?;
        }
    }
    println!(
        r#"{{"seconds":{:.4},"frames":{},"expected":{expected},"received":{},"gateway":{},"direct":{}}}"#,
        took.as_secs_f64(),
        schedule.len(),
        delays.len(),
        summary(delays)?,
        summary(direct.delays)?,
    );
    Ok(())
}

struct Camera {
    socket: Socket,
    video: Video,
    /// When each frame left.
    sent: Vec<Duration>,
    viewers: Vec<Viewer>,
}

impl Camera {
    fn new(text: &str, profile: &str) -> io::Result<Self> {
        let mut fields = Arguments(text.split(',').map(str::to_owned).collect::<Vec<_>>().into_iter());
        let socket = adopt(fields.next("SOCKET")?);
        let (key, salt): (String, String) = (fields.next("KEY_HEX")?, fields.next("SALT_HEX")?);
        let video = Video::new(profile, &key, &salt, fields.next("FIRST_SEQUENCE")?)?;
        let mut viewers = Vec::new();
        while let Ok(descriptor) = fields.next("VIEWER_SOCKET") {
            let viewer = Viewer { socket: Stamped::new(adopt(descriptor))?, came: Vec::new() };
            while viewer.socket.receive()?.is_some() {}
            viewers.push(viewer);
        }
        Ok(Self { socket, video, sent: Vec::new(), viewers })
    }

    fn read(&mut self) -> io::Result<()> {
        self.viewers.iter_mut().try_for_each(Viewer::read)
    }
}

struct Viewer {
    socket: Stamped,
    /// Sequence number and time of each packet.
    came: Vec<(u16, Duration)>,
}

impl Viewer {
    fn read(&mut self) -> io::Result<()> {
        while let Some((head, at)) = self.socket.receive()? {
            if head[1] & 0x7f == PAYLOAD_TYPE {
                self.came.push((u16::from_be_bytes([head[2], head[3]]), at));
            }
        }
        Ok(())
    }

    /// The first packet that came is taken for the first that was sent: nothing is lost before it on loopback.
    fn delays(&self, sent: &[Duration], burst: usize, delays: &mut Vec<Duration>) -> io::Result<()> {
        let Some(&(first, _)) = self.came.first() else { return Ok(()) };
        for &(sequence, at) in &self.came {
            let frame = usize::from(sequence.wrapping_sub(first)) / burst;
            let delay = sent.get(frame).and_then(|&sent| at.checked_sub(sent));
            delays.push(delay.ok_or_else(|| io::Error::other("a packet came that was not sent"))?);
        }
        Ok(())
    }
}

/// The same path without a gateway.
struct Direct {
    sender: Socket,
    to: SockAddr,
    receiver: Stamped,
    delays: Vec<Duration>,
}

impl Direct {
    fn new() -> io::Result<Self> {
        let bind = || {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
            socket.bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))?;
            io::Result::Ok(socket)
        };
        let receiver = bind()?;
        let to = receiver.local_addr()?;
        Ok(Self { sender: bind()?, to, receiver: Stamped::new(receiver)?, delays: Vec::new() })
    }

    fn measure(&mut self, segments: &Segments, run: &[u8]) -> io::Result<()> {
        let sent = unix_time();
        segments.send(&self.sender, &self.to, run)?;
        while let Some((_, at)) = self.receiver.receive()? {
            self.delays.push(at.saturating_sub(sent));
        }
        Ok(())
    }
}

/// When which camera sends a frame: regularly, and every second each camera's phase is drawn anew.
fn schedule(cameras: usize, seconds: u32) -> Vec<(Duration, usize)> {
    let period = Duration::from_secs(1) / FRAMES_PER_SECOND;
    let mut random = SEED;
    let mut schedule = Vec::new();
    for second in 0..seconds {
        for camera in 0..cameras {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let phase = period.mul_f64((random >> 32) as f64 / (1_u64 << 32) as f64);
            let frames =
                (0..FRAMES_PER_SECOND).map(|frame| Duration::from_secs(second.into()) + phase + period * frame);
            schedule.extend(frames.map(|due| (due, camera)));
        }
    }
    schedule.sort();
    schedule
}

fn wait_until(due: Instant) {
    let left = due.saturating_duration_since(Instant::now());
    if left > OVERSLEEP {
        std::thread::sleep(left - OVERSLEEP);
    }
    while Instant::now() < due {
        std::hint::spin_loop();
    }
}

fn unix_time() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

fn adopt(descriptor: RawFd) -> Socket {
    // SAFETY: the caller passed the descriptor for us to own; a wrong one fails at its first use.
    Socket::from(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Microseconds.
fn summary(mut delays: Vec<Duration>) -> io::Result<String> {
    delays.sort();
    let last = delays.len().checked_sub(1).ok_or_else(|| invalid("nothing came"))?;
    let at = |share: f64| delays[(last as f64 * share) as usize].as_secs_f64() * 1e6;
    Ok(format!(r#"{{"p50":{:.1},"p99":{:.1},"max":{:.1}}}"#, at(0.5), at(0.99), at(1.0)))
}
