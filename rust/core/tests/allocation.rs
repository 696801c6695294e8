//! Forwarding allocates nothing once the buffers have found their size.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::net::{Net, Peer};
use common::publisher::{Media, Stream};
use common::scene::{self, AUDIO, VIDEO, ViewerOptions};
use live777_media::event::Path;
use live777_media::srtp::Profile;
use live777_media::worker::Transmit;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is the system allocator's; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Default)]
struct Discard(u64);

impl Transmit for Discard {
    fn transmit(&mut self, _: Path, datagrams: &[u8], segment: usize) {
        self.0 += datagrams.len().div_ceil(segment) as u64;
    }
}

#[test]
fn a_burst_like_those_before_it_allocates_nothing() {
    let mut net = Net::new(1, 1);
    let video = Stream::video(Media::H264, 5000, net.now);
    let tracks = vec![(VIDEO, vec![video]), (AUDIO, vec![Stream::audio(7500, net.now)])];
    let mut publisher = scene::publish(&mut net, 0, 1, Profile::AeadAes128Gcm, tracks);
    publisher.transport_sequence = Some(1);
    let profiles = [Profile::AeadAes128Gcm, Profile::AesCm128HmacSha1_80];
    let mut viewers: Vec<_> = (2..42)
        .map(|id| {
            let profile = profiles[id as usize % 2];
            scene::view(&mut net, 0, id, ViewerOptions { profile, ..ViewerOptions::default() })
        })
        .collect();
    // History and queues have grown to their size when the oldest packets are too old to be of use.
    scene::run(&mut net, &mut publisher, &mut viewers, 5.0);
    publisher.session.checks = false;
    let mut datagrams = Vec::new();
    let mut out = Discard::default();
    let mut counted = 0;
    for round in 0..400 {
        net.now = publisher.next().max(net.now);
        publisher.send(net.now, &mut datagrams);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for (path, datagram) in &mut datagrams {
            net.workers[0].handle_datagram(net.now, *path, datagram);
        }
        net.workers[0].flush(net.now, &mut out);
        net.workers[0].handle_timeout(net.now + Duration::from_millis(1), &mut out);
        // The first half is for the queues of reports, which fill differently than in `run`.
        if round >= 200 {
            counted += ALLOCATIONS.load(Ordering::Relaxed) - before;
        }
        datagrams.clear();
    }
    assert!(out.0 > 200 * 40);
    assert_eq!(counted, 0);
}
