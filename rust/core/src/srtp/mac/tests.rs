//! Every engine against aws-lc's HMAC, for every length and for mixtures.

use aws_lc_rs::hmac;
use proptest::prelude::*;

use super::batch::{Job, run};
use super::sha1::{Engine, Scalar};
use super::*;

const MAX_LEN: usize = 1504;

fn key_bytes(seed: usize) -> [u8; 20] {
    std::array::from_fn(|index| (index * 7 + seed * 13) as u8)
}

fn expected(seed: usize, message: &[u8]) -> [u8; TAG_LEN] {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key_bytes(seed));
    hmac::sign(&key, message).as_ref()[..TAG_LEN].try_into().unwrap()
}

/// Messages of these lengths, each under its own key, one behind the other with room for the tag.
fn check<const N: usize, E: Engine<N>>(engine: E, lengths: &[usize]) {
    let mut buffer = Vec::new();
    let mut jobs = Vec::new();
    for (seed, len) in lengths.iter().enumerate() {
        let start = buffer.len();
        buffer.extend((0..*len).map(|index| (index * 31 + seed) as u8));
        let MacKey { inner, outer, .. } = MacKey::new(&key_bytes(seed));
        jobs.push(Job::new(start, PendingTag { inner, outer, len: *len }));
        buffer.extend([0xee; TAG_LEN]);
    }
    let before = buffer.clone();
    run(engine, &jobs, &mut buffer);
    let mut start = 0;
    for (seed, len) in lengths.iter().enumerate() {
        let tag_at = start + len - 4;
        assert_eq!(buffer[start..tag_at], before[start..tag_at]);
        assert_eq!(buffer[tag_at..tag_at + TAG_LEN], expected(seed, &before[start..start + len]), "length {len}");
        assert_eq!(buffer[tag_at + TAG_LEN..start + len + TAG_LEN], before[tag_at + TAG_LEN..start + len + TAG_LEN]);
        start += len + TAG_LEN;
    }
}

/// On every engine that this processor has.
fn check_all(lengths: &[usize]) {
    check(Scalar, lengths);
    #[cfg(target_arch = "x86_64")]
    {
        use super::simd::{Avx2, Avx512, ShaNi};
        if let Some(engine) = Avx512::detect() {
            check(engine, lengths);
        }
        if let Some(engine) = Avx2::detect() {
            check(engine, lengths);
        }
        if let Some(engine) = ShaNi::detect() {
            check(engine, lengths);
        }
    }
}

#[test]
fn every_length_in_order() {
    check_all(&(4..=MAX_LEN).collect::<Vec<_>>());
}

#[test]
fn every_length_alone_and_in_all_lanes() {
    for len in (4..=MAX_LEN).step_by(3) {
        check_all(&[len]);
    }
    for len in [4, 51, 52, 55, 56, 59, 60, 64, 119, 120, 1204] {
        check_all(&[len; 16]);
        check_all(&[len; 33]);
    }
}

#[test]
fn one_message_alone_has_the_same_tag() {
    let message: Vec<u8> = (0..MAX_LEN).map(|index| index as u8).collect();
    let key = MacKey::new(&key_bytes(3));
    for len in 0..=MAX_LEN {
        assert_eq!(key.tag(&message[..len], &[]), expected(3, &message[..len]));
        let (head, suffix) = message[..len].split_at(len.saturating_sub(4));
        assert_eq!(key.tag(head, suffix), expected(3, &message[..len]));
    }
}

#[test]
fn an_empty_batch_does_nothing() {
    check_all(&[]);
    MacBatch::new().finish(&mut []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_mixture(lengths in prop::collection::vec(4usize..MAX_LEN, 1..MacBatch::CAPACITY)) {
        check_all(&lengths);
    }
}
