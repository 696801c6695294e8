//! Opus (RFC 7587), G.722, PCMU and PCMA (RFC 3551): the payload of a packet is its sound.

use super::{Malformed, Picture};

/// Has nothing to remember.
#[derive(Debug)]
pub struct Depacketiser;

impl Depacketiser {
    pub(super) fn starts_frame(&self, _: &[u8]) -> bool {
        true
    }

    pub(super) fn push(&mut self, payload: &[u8], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        frame.extend_from_slice(payload);
        Ok(())
    }

    pub(super) fn finish(&mut self, _: &[u8]) -> Result<Option<Picture>, Malformed> {
        Ok(Some(Picture { key_frame: true, ..Picture::default() }))
    }

    pub(super) fn reset(&mut self) {}
}
