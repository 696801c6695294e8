//! SHA-1's compression function (FIPS 180-4 section 6.1.2), one message or one per vector lane.
//!
//! The vector code is the only `unsafe` of the crate. Every engine is a value that exists only where the processor has
//! its instructions, so that calling it is safe.

use super::{BLOCK, State};

pub(super) const INITIAL: State = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// Chaining values of `N` messages, word by word.
#[repr(align(64))]
#[derive(Clone)]
pub(super) struct Lanes<const N: usize>(pub(super) [[u32; N]; 5]);

impl<const N: usize> Lanes<N> {
    pub(super) fn new() -> Self {
        Self([[0; N]; 5])
    }

    pub(super) fn set(&mut self, lane: usize, state: &State) {
        for (words, value) in self.0.iter_mut().zip(state) {
            words[lane] = *value;
        }
    }

    pub(super) fn get(&self, lane: usize) -> State {
        self.0.map(|words| words[lane])
    }
}

/// A way to compress `N` messages at once.
pub(super) trait Engine<const N: usize>: Copy {
    /// Takes the first `blocks` blocks of every message into its lane.
    ///
    /// # Panics
    /// If a message is shorter than that.
    fn compress(self, lanes: &mut Lanes<N>, messages: &[&[u8]; N], blocks: usize);
}

/// No more than the language has. With a small power of two of lanes the compiler still finds vectors.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl<const N: usize> Engine<N> for Portable {
    fn compress(self, lanes: &mut Lanes<N>, messages: &[&[u8]; N], blocks: usize) {
        for block in 0..blocks {
            let mut words = [[0u32; N]; 16];
            for (lane, message) in messages.iter().enumerate() {
                let (chunks, _) = message[block * BLOCK..(block + 1) * BLOCK].as_chunks::<4>();
                for (word, bytes) in words.iter_mut().zip(chunks) {
                    word[lane] = u32::from_be_bytes(*bytes);
                }
            }
            let [mut a, mut b, mut c, mut d, mut e] = lanes.0;
            for t in 0..80 {
                for lane in 0..N {
                    if t >= 16 {
                        words[t & 15][lane] = (words[(t + 13) & 15][lane]
                            ^ words[(t + 8) & 15][lane]
                            ^ words[(t + 2) & 15][lane]
                            ^ words[t & 15][lane])
                            .rotate_left(1);
                    }
                    let (x, y, z) = (b[lane], c[lane], d[lane]);
                    let (mixed, constant) = match t {
                        0..20 => (z ^ (x & (y ^ z)), K[0]),
                        20..40 => (x ^ y ^ z, K[1]),
                        40..60 => ((x & y) | (z & (x | y)), K[2]),
                        _ => (x ^ y ^ z, K[3]),
                    };
                    let sum = a[lane]
                        .rotate_left(5)
                        .wrapping_add(mixed)
                        .wrapping_add(e[lane])
                        .wrapping_add(constant)
                        .wrapping_add(words[t & 15][lane]);
                    (e[lane], d[lane], c[lane], b[lane], a[lane]) = (z, y, x.rotate_left(30), a[lane], sum);
                }
            }
            for (words, add) in lanes.0.iter_mut().zip([a, b, c, d, e]) {
                for (word, add) in words.iter_mut().zip(add) {
                    *word = word.wrapping_add(add);
                }
            }
        }
    }
}

pub(super) const K: [u32; 4] = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6];

/// One block of one message.
pub(super) fn compress(state: &mut State, block: &[u8; BLOCK]) {
    let mut lanes = Lanes::<1>::new();
    lanes.set(0, state);
    Portable.compress(&mut lanes, &[block], 1);
    *state = lanes.get(0);
}
