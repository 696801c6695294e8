//! HMAC-SHA1 with an 80-bit tag (RFC 3711 section 4.2.1), for one packet or for many at once.
//!
//! SHA-1 is one chain of dependent steps, so a packet on its own cannot use the width of the processor: about 0.7 us for
//! 1200 bytes. A fan-out has as many independent packets as viewers. [`MacBatch`] hashes sixteen of them at a time (eight
//! without AVX-512), one in each lane of the vector registers; a lane that has finished takes the next packet, so that
//! lengths may differ. Processors without AVX2 have no batches: there every packet is finished at once by aws-lc.

mod batch;
mod engines;
mod sha1;
#[cfg(target_arch = "x86_64")]
mod simd;

#[cfg(test)]
mod tests;

use aws_lc_rs::hmac;
use zeroize::Zeroize;

pub use batch::MacBatch;
use engines::Engines;

/// Bytes of a truncated tag.
pub const TAG_LEN: usize = 10;
const BLOCK: usize = 64;

/// SHA-1's chaining value.
type State = [u32; 5];

/// A session authentication key, as the hash states after its inner and its outer pad.
pub(super) struct MacKey {
    inner: State,
    outer: State,
    /// For one packet on its own.
    single: hmac::Key,
    batched: bool,
}

/// An encrypted packet that still lacks its tag: give it to a [`MacBatch`] with its place.
#[must_use = "the packet has no tag until a batch computes it"]
pub struct PendingTag {
    inner: State,
    outer: State,
    /// Bytes to authenticate: the packet and, where the tag will be, its rollover counter.
    len: usize,
}

impl MacKey {
    /// # Panics
    /// If the key is longer than a block of the hash: session keys have 20 bytes.
    pub(super) fn new(key: &[u8]) -> Self {
        let padded = |pad: u8| {
            let mut block = [pad; BLOCK];
            for (byte, key) in block.iter_mut().zip(key) {
                *byte ^= key;
            }
            let mut state = sha1::INITIAL;
            sha1::compress(&mut state, &block);
            block.zeroize();
            state
        };
        assert!(key.len() <= BLOCK, "a session key is shorter than a block");
        Self {
            inner: padded(0x36),
            outer: padded(0x5c),
            single: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key),
            batched: Engines::detect().is_some(),
        }
    }

    /// The tag of a message of `len` bytes as work for a batch. None where batches do not pay.
    pub(super) fn pending(&self, len: usize) -> Option<PendingTag> {
        self.batched.then_some(PendingTag { inner: self.inner, outer: self.outer, len })
    }

    /// The tag of one message in two parts.
    pub(super) fn tag(&self, message: &[u8], suffix: &[u8]) -> [u8; TAG_LEN] {
        let mut context = hmac::Context::with_key(&self.single);
        context.update(message);
        context.update(suffix);
        let full = context.sign();
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&full.as_ref()[..TAG_LEN]);
        tag
    }
}

impl Drop for MacKey {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}
