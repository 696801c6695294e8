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

/// The 80 rounds over a schedule of sixteen vectors, in terms of the module's `add`, `rotate_1`, `rotate_5`, `rotate_30`, `choose`, `parity`,
/// `majority`, `mix` and `splat`. Unrolled, so that every vector stays in a register.
macro_rules! rounds {
    ($state:ident, $w:ident) => {{
        let [mut a, mut b, mut c, mut d, mut e] = $state;
        macro_rules! schedule {
            ($t:literal) => {
                if $t >= 16 {
                    let mixed = mix($w[($t + 13) & 15], $w[($t + 8) & 15], $w[($t + 2) & 15], $w[$t & 15]);
                    $w[$t & 15] = rotate_1(mixed);
                }
            };
        }
        macro_rules! round {
            ($f:ident, $k:ident, $t:expr, $a:ident, $b:ident, $c:ident, $d:ident, $e:ident) => {
                $e = add(add($e, add($w[$t & 15], $k)), add($f($b, $c, $d), rotate_5($a)));
                $b = rotate_30($b);
            };
        }
        macro_rules! five {
            ($f:ident, $k:ident, $t0:literal $t1:literal $t2:literal $t3:literal $t4:literal) => {
                schedule!($t0);
                round!($f, $k, $t0, a, b, c, d, e);
                schedule!($t1);
                round!($f, $k, $t1, e, a, b, c, d);
                schedule!($t2);
                round!($f, $k, $t2, d, e, a, b, c);
                schedule!($t3);
                round!($f, $k, $t3, c, d, e, a, b);
                schedule!($t4);
                round!($f, $k, $t4, b, c, d, e, a);
            };
        }
        let k = splat(K[0]);
        five!(choose, k, 0 1 2 3 4);
        five!(choose, k, 5 6 7 8 9);
        five!(choose, k, 10 11 12 13 14);
        five!(choose, k, 15 16 17 18 19);
        let k = splat(K[1]);
        five!(parity, k, 20 21 22 23 24);
        five!(parity, k, 25 26 27 28 29);
        five!(parity, k, 30 31 32 33 34);
        five!(parity, k, 35 36 37 38 39);
        let k = splat(K[2]);
        five!(majority, k, 40 41 42 43 44);
        five!(majority, k, 45 46 47 48 49);
        five!(majority, k, 50 51 52 53 54);
        five!(majority, k, 55 56 57 58 59);
        let k = splat(K[3]);
        five!(parity, k, 60 61 62 63 64);
        five!(parity, k, 65 66 67 68 69);
        five!(parity, k, 70 71 72 73 74);
        five!(parity, k, 75 76 77 78 79);
        $state = [add($state[0], a), add($state[1], b), add($state[2], c), add($state[3], d), add($state[4], e)];
    }};
}
pub(super) use rounds;

/// One message in the integer registers: for key set-up, and to compare with.
#[derive(Clone, Copy)]
pub(super) struct Scalar;

impl Engine<1> for Scalar {
    fn compress(self, lanes: &mut Lanes<1>, [message]: &[&[u8]; 1], blocks: usize) {
        let mut state = lanes.get(0);
        for block in &message.as_chunks::<BLOCK>().0[..blocks] {
            let mut w = [0; 16];
            for (word, bytes) in w.iter_mut().zip(block.as_chunks().0) {
                *word = u32::from_be_bytes(*bytes);
            }
            rounds!(state, w);
        }
        lanes.set(0, &state);
    }
}

fn splat(value: u32) -> u32 {
    value
}

fn add(x: u32, y: u32) -> u32 {
    x.wrapping_add(y)
}

fn rotate_1(x: u32) -> u32 {
    x.rotate_left(1)
}

fn rotate_5(x: u32) -> u32 {
    x.rotate_left(5)
}

fn rotate_30(x: u32) -> u32 {
    x.rotate_left(30)
}

fn choose(x: u32, y: u32, z: u32) -> u32 {
    z ^ (x & (y ^ z))
}

fn parity(x: u32, y: u32, z: u32) -> u32 {
    x ^ y ^ z
}

fn majority(x: u32, y: u32, z: u32) -> u32 {
    (x & y) | (z & (x | y))
}

fn mix(w: u32, x: u32, y: u32, z: u32) -> u32 {
    w ^ x ^ y ^ z
}

pub(super) const K: [u32; 4] = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6];

/// One block of one message.
pub(super) fn compress(state: &mut State, block: &[u8; BLOCK]) {
    let mut lanes = Lanes::<1>::new();
    lanes.set(0, state);
    Scalar.compress(&mut lanes, &[block], 1);
    *state = lanes.get(0);
}
