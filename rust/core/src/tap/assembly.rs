//! Packets in order made frames: where one begins and ends, and what is left out because a part of it is missing.

use std::time::Instant;

use crate::codec::Codec;
use crate::depacketise::{Depacketiser, Picture};
use crate::frame::MAX_FRAME;

/// A packet, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    pub timestamp: u32,
    pub marker: bool,
    pub arrival: Instant,
    pub payload: &'a [u8],
}

/// A whole frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Assembled {
    pub data: Vec<u8>,
    pub codec: Codec,
    pub clock_rate: u32,
    pub timestamp: u32,
    /// When its first packet came.
    pub arrival: Instant,
    pub picture: Picture,
    /// Something before it is missing.
    pub gap: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Something was lost: the next packet may belong to a frame whose beginning it was.
    Lost,
    /// The next packet begins a frame.
    Between,
    /// A frame is begun.
    Within,
    /// What is left of a frame that cannot be completed.
    Damaged,
}

/// The frame that is being put together, of one codec.
#[derive(Debug)]
pub struct Assembly {
    pub codec: Codec,
    clock_rate: u32,
    depacketiser: Depacketiser,
    state: State,
    timestamp: u32,
    arrival: Instant,
    data: Vec<u8>,
    /// Size of the frame before: about what the next needs.
    expected: usize,
    /// Something is missing since the last frame.
    pub gap: bool,
    /// Frames left out, as far as they were seen.
    pub damaged: u64,
}

impl Assembly {
    /// Begins in the middle of a stream. `None` for what is no media by itself.
    pub fn new(codec: Codec, clock_rate: u32, now: Instant) -> Option<Assembly> {
        Some(Assembly {
            codec,
            clock_rate,
            depacketiser: Depacketiser::new(codec)?,
            state: State::Lost,
            timestamp: 0,
            arrival: now,
            data: Vec::new(),
            expected: 0,
            gap: false,
            damaged: 0,
        })
    }

    /// Takes a parameter set that the stream's description has.
    pub fn learn(&mut self, unit: &[u8]) {
        self.depacketiser.learn(unit);
    }

    /// The packet before is not there.
    pub fn lost(&mut self) {
        if self.state == State::Within {
            self.give_up();
        }
        self.data.clear();
        self.depacketiser.reset();
        self.gap = true;
        self.state = State::Lost;
    }

    /// Takes the next packet.
    pub fn push(&mut self, part: Part<'_>, out: &mut impl FnMut(Assembled)) {
        if self.state != State::Lost && part.timestamp != self.timestamp {
            // Not all senders mark the last packet; the first of the next frame shows it too, if none is missing between.
            self.end(out);
        }
        if self.state == State::Lost {
            let certain = self.depacketiser.starts_frame(part.payload);
            self.state = if certain { State::Between } else { State::Damaged };
        }
        if self.state == State::Between {
            self.state = State::Within;
            self.arrival = part.arrival;
            self.data.reserve(self.expected);
        }
        self.timestamp = part.timestamp;
        if self.state == State::Within {
            let fits = self.data.len() + part.payload.len() <= MAX_FRAME;
            if !fits || self.depacketiser.push(part.payload, &mut self.data).is_err() {
                self.give_up();
            }
        }
        if part.marker || self.depacketiser.is_sound() {
            self.end(out);
        }
    }

    /// The frame that is begun, or what is left of one, ends here.
    pub fn end(&mut self, out: &mut impl FnMut(Assembled)) {
        if self.state == State::Within {
            match self.depacketiser.finish(&mut self.data) {
                Ok(Some(picture)) => {
                    self.expected = self.data.len();
                    let mut data = std::mem::take(&mut self.data);
                    if data.capacity() > 2 * data.len() {
                        data.shrink_to_fit();
                    }
                    out(Assembled {
                        data,
                        codec: self.codec,
                        clock_rate: self.clock_rate,
                        timestamp: self.timestamp,
                        arrival: self.arrival,
                        picture,
                        gap: std::mem::take(&mut self.gap),
                    });
                }
                Ok(None) => {}
                Err(_) => self.give_up(),
            }
        }
        if self.state != State::Lost {
            self.state = State::Between;
        }
    }

    fn give_up(&mut self) {
        self.damaged += 1;
        self.gap = true;
        self.data.clear();
        self.depacketiser.reset();
        self.state = State::Damaged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: [u8; 4] = [0x67, 0x42, 0xc0, 0x1f];
    const IDR: [u8; 3] = [0x65, 0x88, 0x84];
    const SLICE: [u8; 3] = [0x41, 0x9a, 0x02];

    struct Scene {
        assembly: Assembly,
        frames: Vec<(u32, usize, bool)>,
    }

    impl Scene {
        fn new(codec: Codec) -> Scene {
            Scene { assembly: Assembly::new(codec, 90_000, Instant::now()).unwrap(), frames: Vec::new() }
        }

        fn push(&mut self, timestamp: u32, marker: bool, payload: &[u8]) -> &mut Scene {
            let part = Part { timestamp, marker, arrival: Instant::now(), payload };
            let frames = &mut self.frames;
            self.assembly.push(part, &mut |frame| frames.push((frame.timestamp, frame.data.len(), frame.gap)));
            self
        }

        fn lost(&mut self) -> &mut Scene {
            self.assembly.lost();
            self
        }
    }

    #[test]
    fn a_frame_ends_by_its_marker_or_by_the_next_timestamp() {
        let mut scene = Scene::new(Codec::H264);
        scene.push(1, false, &SPS).push(1, false, &IDR).push(2, true, &SLICE).push(3, true, &SLICE);
        assert_eq!(scene.frames, [(1, 15, false), (2, 7, false), (3, 7, false)]);
    }

    #[test]
    fn a_frame_whose_beginning_may_be_missing_is_left_out() {
        let mut scene = Scene::new(Codec::H264);
        // In mid-stream; then after a loss; then one that shows that it is whole.
        scene.push(1, false, &SLICE).push(1, true, &SLICE).push(2, true, &SLICE);
        scene.push(3, false, &SLICE).lost().push(4, true, &SLICE).push(5, true, &SLICE);
        scene.lost().push(6, false, &SPS).push(6, true, &IDR);
        assert_eq!(scene.frames, [(2, 7, false), (5, 7, true), (6, 15, true)]);
        assert_eq!(scene.assembly.damaged, 1);
    }

    #[test]
    fn a_malformed_frame_is_left_out_to_its_end() {
        let mut scene = Scene::new(Codec::Vp8);
        scene.push(1, false, &[0x10, 1]).push(1, false, &[0x10]).push(1, true, &[0x00, 1]).push(2, true, &[0x10, 1]);
        assert_eq!(scene.frames, [(2, 1, true)]);
        assert_eq!(scene.assembly.damaged, 1);
    }

    #[test]
    fn each_packet_of_sound_is_a_frame_and_parameter_sets_alone_are_none() {
        let mut scene = Scene::new(Codec::Opus);
        scene.push(1, true, &[1]).push(2, false, &[2]).lost().push(3, false, &[3]);
        assert_eq!(scene.frames, [(1, 1, false), (2, 1, false), (3, 1, true)]);
        let mut scene = Scene::new(Codec::H264);
        scene.push(1, true, &SPS).push(1, true, &IDR).push(2, true, &SPS).push(3, true, &IDR);
        assert_eq!(scene.frames, [(1, 15, false), (3, 15, false)]);
        assert!(Assembly::new(Codec::Red, 48_000, Instant::now()).is_none());
    }

    #[test]
    fn a_frame_without_end_is_given_up() {
        let mut scene = Scene::new(Codec::H264);
        scene.push(1, false, &SPS);
        let part = [&[0x41][..], &[7; 60_000]].concat();
        for _ in 0..200 {
            scene.push(1, false, &part);
        }
        assert!(scene.assembly.damaged == 1 && scene.assembly.data.capacity() <= 2 * MAX_FRAME);
    }
}
