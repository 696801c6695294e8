//! Frames on their way to whoever reads a tap. The one thing that a media thread and a reader share.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::frame::Frame;

/// A bounded queue. Full, it forgets whole groups of pictures, the oldest first, so that what follows can be decoded.
#[derive(Debug)]
pub struct FrameQueue {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// Forgotten since the last `take`, and in all.
    dropped: u64,
    dropped_in_all: u64,
    /// Nothing fits before the next key frame.
    starved: bool,
    /// The reader has been told that there is something.
    announced: bool,
}

/// What is in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Frames that wait.
    pub frames: usize,
    /// Bytes that they occupy.
    pub bytes: usize,
    /// Frames forgotten so far.
    pub dropped: u64,
}

impl FrameQueue {
    /// `capacity` in bytes of memory.
    pub fn new(capacity: usize) -> FrameQueue {
        FrameQueue { capacity, state: Mutex::default() }
    }

    /// Adds a frame. True if a key frame is needed, since this one was forgotten with all that it refers to.
    pub fn push(&self, mut frame: Frame) -> bool {
        let mut state = self.state();
        if state.starved && !frame.key_frame {
            state.forget(1);
            return true;
        }
        frame.gap |= std::mem::take(&mut state.starved);
        let memory = frame.memory();
        while state.bytes + memory > self.capacity && !state.frames.is_empty() {
            state.forget_group();
            let continues = state.frames.is_empty() && !frame.key_frame;
            if continues {
                state.starved = true;
                state.forget(1);
                return true;
            }
            frame.gap |= state.frames.is_empty();
        }
        if memory > self.capacity {
            state.starved = true;
            state.forget(1);
            return true;
        }
        state.bytes += memory;
        state.frames.push_back(frame);
        false
    }

    /// Everything in it, and how many frames were forgotten since the last call.
    pub fn take(&self) -> (VecDeque<Frame>, u64) {
        let mut state = self.state();
        state.announced = false;
        state.bytes = 0;
        (std::mem::take(&mut state.frames), std::mem::take(&mut state.dropped))
    }

    /// Whether there is something that the reader has not been told of.
    pub fn has_news(&self) -> bool {
        let state = self.state();
        !state.frames.is_empty() && !state.announced
    }

    /// The reader is told now.
    pub fn announce(&self) {
        self.state().announced = true;
    }

    /// For `stats`.
    pub fn level(&self) -> Level {
        let state = self.state();
        Level { frames: state.frames.len(), bytes: state.bytes, dropped: state.dropped_in_all }
    }

    /// Every change of the state is complete in itself, so it outlives a panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self, count: u64) {
        self.dropped += count;
        self.dropped_in_all += count;
    }

    /// Drops the oldest frame and those up to the next key frame.
    fn forget_group(&mut self) {
        let mut count = 0;
        while let Some(frame) = self.frames.pop_front() {
            self.bytes -= frame.memory();
            count += 1;
            if let Some(next) = self.frames.front_mut().filter(|next| next.key_frame) {
                next.gap = true;
                break;
            }
        }
        self.forget(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;

    fn frame(timestamp: i64, key_frame: bool, len: usize) -> Frame {
        Frame {
            data: vec![0; len],
            codec: Codec::Vp8,
            timestamp,
            clock_rate: 90_000,
            wallclock: 0,
            synced: false,
            key_frame,
            gap: false,
            size: (0, 0),
            rid: None,
        }
    }

    fn taken(queue: &FrameQueue) -> (Vec<(i64, bool)>, u64) {
        let (frames, dropped) = queue.take();
        (frames.iter().map(|frame| (frame.timestamp, frame.gap)).collect(), dropped)
    }

    /// Room for this many frames of 1000 bytes.
    fn queue(frames: usize) -> FrameQueue {
        FrameQueue::new(frames * frame(0, true, 1000).memory())
    }

    #[test]
    fn whole_groups_are_forgotten_oldest_first() {
        let queue = queue(6);
        for step in 0..8 {
            assert!(!queue.push(frame(step, step % 3 == 0, 1000)));
        }
        assert_eq!(queue.level().dropped, 3);
        assert_eq!(taken(&queue), (vec![(3, true), (4, false), (5, false), (6, false), (7, false)], 3));
        assert_eq!((taken(&queue), queue.level()), ((vec![], 0), Level { dropped: 3, ..Level::default() }));
    }

    #[test]
    fn a_group_that_does_not_fit_is_forgotten_to_its_end() {
        let queue = queue(3);
        for step in 0..3 {
            queue.push(frame(step, step == 0, 1000));
        }
        assert!(queue.push(frame(3, false, 1000)) && queue.push(frame(4, false, 1000)));
        assert!(!queue.push(frame(5, true, 1000)) && !queue.push(frame(6, false, 1000)));
        assert_eq!(taken(&queue), (vec![(5, true), (6, false)], 5));
        // Larger than everything: it cannot be kept, nor what refers to it.
        assert!(queue.push(frame(7, true, 9000)) && queue.push(frame(8, false, 10)));
        assert!(!queue.push(frame(9, true, 10)));
        assert_eq!(taken(&queue), (vec![(9, true)], 2));
    }

    #[test]
    fn a_key_frame_takes_the_place_of_all_before() {
        let queue = queue(2);
        queue.push(frame(0, true, 1000));
        queue.push(frame(1, false, 1000));
        assert!(!queue.push(frame(2, true, 1000)));
        assert_eq!(taken(&queue), (vec![(2, true)], 2));
    }

    #[test]
    fn news_are_told_once() {
        let queue = queue(2);
        assert!(!queue.has_news());
        queue.push(frame(0, true, 1));
        assert!(queue.has_news());
        queue.announce();
        queue.push(frame(1, true, 1));
        assert!(!queue.has_news());
        queue.take();
        assert!(!queue.has_news());
        queue.push(frame(2, true, 1));
        assert!(queue.has_news());
    }
}
