//! SHA-1 with the vector and SHA instructions of x86-64.
//!
//! The only `unsafe` of the crate: loads from borrowed blocks, and calls of functions that need a processor feature. An
//! engine is a token that [`Avx512::detect`] and its like give out only where the feature is.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::sha1::{Engine, K, Lanes, rounds};
use super::{BLOCK, State};

/// Sixteen messages in 512-bit registers.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

/// Eight messages in 256-bit registers.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

/// One message with the SHA extensions.
#[derive(Clone, Copy)]
pub(super) struct ShaNi(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")).then_some(Self(()))
    }
}

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

impl ShaNi {
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1")).then_some(Self(()))
    }
}

impl Engine<16> for Avx512 {
    fn compress(self, lanes: &mut Lanes<16>, messages: &[&[u8]; 16], blocks: usize) {
        // SAFETY: `self` exists only where the features were detected.
        unsafe { avx512::compress(lanes, messages, blocks) }
    }
}

impl Engine<8> for Avx2 {
    fn compress(self, lanes: &mut Lanes<8>, messages: &[&[u8]; 8], blocks: usize) {
        // SAFETY: `self` exists only where the feature was detected.
        unsafe { avx2::compress(lanes, messages, blocks) }
    }
}

impl Engine<1> for ShaNi {
    fn compress(self, lanes: &mut Lanes<1>, messages: &[&[u8]; 1], blocks: usize) {
        let mut state = lanes.get(0);
        // SAFETY: `self` exists only where the features were detected.
        unsafe { sha_ni::compress(&mut state, &messages[0][..blocks * BLOCK]) };
        lanes.set(0, &state);
    }
}

/// The messages as blocks, so that bounds are checked once.
fn whole_blocks<'a, const N: usize>(messages: &[&'a [u8]; N], blocks: usize) -> [&'a [[u8; BLOCK]]; N] {
    messages.map(|message| &message.as_chunks().0[..blocks])
}

mod avx512 {
    use super::*;

    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn compress(lanes: &mut Lanes<16>, messages: &[&[u8]; 16], blocks: usize) {
        let mut state = [splat(0); 5];
        for (vector, words) in state.iter_mut().zip(&lanes.0) {
            *vector = load(words);
        }
        let messages = whole_blocks(messages, blocks);
        for block in 0..blocks {
            let mut rows = [splat(0); 16];
            for (row, message) in rows.iter_mut().zip(&messages) {
                *row = load_bytes(&message[block]);
            }
            let mut w = transpose(rows);
            rounds!(state, w);
        }
        for (words, vector) in lanes.0.iter_mut().zip(state) {
            store(words, vector);
        }
    }

    /// From sixteen rows of one message each to sixteen words of all messages, in host byte order.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn transpose(rows: [__m512i; 16]) -> [__m512i; 16] {
        let swap = _mm512_broadcast_i32x4(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
        let mut pairs = [splat(0); 16];
        for i in 0..8 {
            let (x, y) = (_mm512_shuffle_epi8(rows[2 * i], swap), _mm512_shuffle_epi8(rows[2 * i + 1], swap));
            pairs[2 * i] = _mm512_unpacklo_epi32(x, y);
            pairs[2 * i + 1] = _mm512_unpackhi_epi32(x, y);
        }
        // fours[4 * i + j] holds words j, j + 4, j + 8, j + 12 of rows 4 * i to 4 * i + 3.
        let mut fours = [splat(0); 16];
        for i in 0..4 {
            let [lo_a, hi_a, lo_b, hi_b] = [pairs[4 * i], pairs[4 * i + 1], pairs[4 * i + 2], pairs[4 * i + 3]];
            fours[4 * i] = _mm512_unpacklo_epi64(lo_a, lo_b);
            fours[4 * i + 1] = _mm512_unpackhi_epi64(lo_a, lo_b);
            fours[4 * i + 2] = _mm512_unpacklo_epi64(hi_a, hi_b);
            fours[4 * i + 3] = _mm512_unpackhi_epi64(hi_a, hi_b);
        }
        let mut words = [splat(0); 16];
        for j in 0..4 {
            let low_a = _mm512_shuffle_i32x4::<0x88>(fours[j], fours[4 + j]);
            let low_b = _mm512_shuffle_i32x4::<0x88>(fours[8 + j], fours[12 + j]);
            let high_a = _mm512_shuffle_i32x4::<0xdd>(fours[j], fours[4 + j]);
            let high_b = _mm512_shuffle_i32x4::<0xdd>(fours[8 + j], fours[12 + j]);
            words[j] = _mm512_shuffle_i32x4::<0x88>(low_a, low_b);
            words[8 + j] = _mm512_shuffle_i32x4::<0xdd>(low_a, low_b);
            words[4 + j] = _mm512_shuffle_i32x4::<0x88>(high_a, high_b);
            words[12 + j] = _mm512_shuffle_i32x4::<0xdd>(high_a, high_b);
        }
        words
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(words: &[u32; 16]) -> __m512i {
        // SAFETY: the array is as wide as the vector, and the load needs no alignment.
        unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load_bytes(bytes: &[u8; 64]) -> __m512i {
        // SAFETY: the array is as wide as the vector, and the load needs no alignment.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(words: &mut [u32; 16], vector: __m512i) {
        // SAFETY: the array is as wide as the vector, and the store needs no alignment.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn splat(value: u32) -> __m512i {
        _mm512_set1_epi32(value as i32)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn add(x: __m512i, y: __m512i) -> __m512i {
        _mm512_add_epi32(x, y)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn rotate_1(x: __m512i) -> __m512i {
        _mm512_rol_epi32::<1>(x)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn rotate_5(x: __m512i) -> __m512i {
        _mm512_rol_epi32::<5>(x)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn rotate_30(x: __m512i) -> __m512i {
        _mm512_rol_epi32::<30>(x)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn choose(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
        _mm512_ternarylogic_epi32::<0xca>(x, y, z)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn parity(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
        _mm512_ternarylogic_epi32::<0x96>(x, y, z)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn majority(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
        _mm512_ternarylogic_epi32::<0xe8>(x, y, z)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn mix(w: __m512i, x: __m512i, y: __m512i, z: __m512i) -> __m512i {
        _mm512_xor_si512(parity(w, x, y), z)
    }
}

mod avx2 {
    use super::*;

    #[target_feature(enable = "avx2")]
    pub(super) fn compress(lanes: &mut Lanes<8>, messages: &[&[u8]; 8], blocks: usize) {
        let mut state = [splat(0); 5];
        for (vector, words) in state.iter_mut().zip(&lanes.0) {
            *vector = load(words);
        }
        let messages = whole_blocks(messages, blocks);
        for block in 0..blocks {
            let (mut low, mut high) = ([splat(0); 8], [splat(0); 8]);
            for ((low, high), message) in low.iter_mut().zip(&mut high).zip(&messages) {
                let (halves, _) = message[block].as_chunks::<32>();
                (*low, *high) = (load_bytes(&halves[0]), load_bytes(&halves[1]));
            }
            let (low, high) = (transpose(low), transpose(high));
            let mut w = [splat(0); 16];
            w[..8].copy_from_slice(&low);
            w[8..].copy_from_slice(&high);
            rounds!(state, w);
        }
        for (words, vector) in lanes.0.iter_mut().zip(state) {
            store(words, vector);
        }
    }

    /// From eight rows of one message each to eight words of all messages, in host byte order.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn transpose(rows: [__m256i; 8]) -> [__m256i; 8] {
        let swap = _mm256_broadcastsi128_si256(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
        let mut pairs = [splat(0); 8];
        for i in 0..4 {
            let (x, y) = (_mm256_shuffle_epi8(rows[2 * i], swap), _mm256_shuffle_epi8(rows[2 * i + 1], swap));
            pairs[2 * i] = _mm256_unpacklo_epi32(x, y);
            pairs[2 * i + 1] = _mm256_unpackhi_epi32(x, y);
        }
        // fours[4 * i + j] holds words j and j + 4 of rows 4 * i to 4 * i + 3.
        let mut fours = [splat(0); 8];
        for i in 0..2 {
            let [lo_a, hi_a, lo_b, hi_b] = [pairs[4 * i], pairs[4 * i + 1], pairs[4 * i + 2], pairs[4 * i + 3]];
            fours[4 * i] = _mm256_unpacklo_epi64(lo_a, lo_b);
            fours[4 * i + 1] = _mm256_unpackhi_epi64(lo_a, lo_b);
            fours[4 * i + 2] = _mm256_unpacklo_epi64(hi_a, hi_b);
            fours[4 * i + 3] = _mm256_unpackhi_epi64(hi_a, hi_b);
        }
        let mut words = [splat(0); 8];
        for j in 0..4 {
            words[j] = _mm256_permute2x128_si256::<0x20>(fours[j], fours[4 + j]);
            words[4 + j] = _mm256_permute2x128_si256::<0x31>(fours[j], fours[4 + j]);
        }
        words
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(words: &[u32; 8]) -> __m256i {
        // SAFETY: the array is as wide as the vector, and the load needs no alignment.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load_bytes(bytes: &[u8; 32]) -> __m256i {
        // SAFETY: the array is as wide as the vector, and the load needs no alignment.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(words: &mut [u32; 8], vector: __m256i) {
        // SAFETY: the array is as wide as the vector, and the store needs no alignment.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn splat(value: u32) -> __m256i {
        _mm256_set1_epi32(value as i32)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn add(x: __m256i, y: __m256i) -> __m256i {
        _mm256_add_epi32(x, y)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn rotate_1(x: __m256i) -> __m256i {
        _mm256_or_si256(_mm256_slli_epi32::<1>(x), _mm256_srli_epi32::<31>(x))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn rotate_5(x: __m256i) -> __m256i {
        _mm256_or_si256(_mm256_slli_epi32::<5>(x), _mm256_srli_epi32::<27>(x))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn rotate_30(x: __m256i) -> __m256i {
        _mm256_or_si256(_mm256_slli_epi32::<30>(x), _mm256_srli_epi32::<2>(x))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn choose(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
        _mm256_xor_si256(z, _mm256_and_si256(x, _mm256_xor_si256(y, z)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn parity(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
        _mm256_xor_si256(_mm256_xor_si256(x, y), z)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn majority(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
        _mm256_or_si256(_mm256_and_si256(x, y), _mm256_and_si256(z, _mm256_or_si256(x, y)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn mix(w: __m256i, x: __m256i, y: __m256i, z: __m256i) -> __m256i {
        _mm256_xor_si256(_mm256_xor_si256(w, x), _mm256_xor_si256(y, z))
    }
}

mod sha_ni {
    use super::*;

    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    pub(super) fn compress(state: &mut State, blocks: &[u8]) {
        let [a, b, c, d, e] = state.map(|word| word as i32);
        let mut abcd = _mm_set_epi32(a, b, c, d);
        let mut e0 = _mm_set_epi32(e, 0, 0, 0);
        let reverse = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f);
        for block in blocks.as_chunks::<BLOCK>().0 {
            let (quarters, _) = block.as_chunks::<16>();
            let mut w = [
                _mm_shuffle_epi8(load(&quarters[0]), reverse),
                _mm_shuffle_epi8(load(&quarters[1]), reverse),
                _mm_shuffle_epi8(load(&quarters[2]), reverse),
                _mm_shuffle_epi8(load(&quarters[3]), reverse),
            ];
            let (saved_abcd, saved_e) = (abcd, e0);
            // Four rounds each, and where there is still one to come, the schedule of sixteen rounds ahead.
            macro_rules! four {
                ($i:literal, $function:literal) => {
                    let before = abcd;
                    let step = if $i == 0 { _mm_add_epi32(e0, w[0]) } else { _mm_sha1nexte_epu32(e0, w[$i & 3]) };
                    abcd = _mm_sha1rnds4_epu32::<$function>(abcd, step);
                    e0 = before;
                };
                ($i:literal, $function:literal, schedule) => {
                    four!($i, $function);
                    let next = _mm_xor_si128(_mm_sha1msg1_epu32(w[$i & 3], w[($i + 1) & 3]), w[($i + 2) & 3]);
                    w[$i & 3] = _mm_sha1msg2_epu32(next, w[($i + 3) & 3]);
                };
            }
            four!(0, 0, schedule);
            four!(1, 0, schedule);
            four!(2, 0, schedule);
            four!(3, 0, schedule);
            four!(4, 0, schedule);
            four!(5, 1, schedule);
            four!(6, 1, schedule);
            four!(7, 1, schedule);
            four!(8, 1, schedule);
            four!(9, 1, schedule);
            four!(10, 2, schedule);
            four!(11, 2, schedule);
            four!(12, 2, schedule);
            four!(13, 2, schedule);
            four!(14, 2, schedule);
            four!(15, 3, schedule);
            four!(16, 3);
            four!(17, 3);
            four!(18, 3);
            four!(19, 3);
            e0 = _mm_sha1nexte_epu32(e0, saved_e);
            abcd = _mm_add_epi32(abcd, saved_abcd);
        }
        *state = [
            _mm_extract_epi32::<3>(abcd),
            _mm_extract_epi32::<2>(abcd),
            _mm_extract_epi32::<1>(abcd),
            _mm_extract_epi32::<0>(abcd),
            _mm_extract_epi32::<3>(e0),
        ]
        .map(|word| word as u32);
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(bytes: &[u8; 16]) -> __m128i {
        // SAFETY: the array is as wide as the vector, and the load needs no alignment.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }
}
