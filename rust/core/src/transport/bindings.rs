//! Which encoding an SSRC belongs to.

use rustc_hash::FxHashMap;

/// SSRCs that one transport may bind. Chromium uses six for three simulcast layers with RTX.
pub const MAX_BINDINGS: usize = 64;

/// What an SSRC carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Slot of the track.
    pub track: usize,
    /// Index of the encoding.
    pub encoding: u8,
    /// Whether it carries the encoding's retransmissions.
    pub rtx: bool,
}

/// The bindings of one transport, signalled and learned ones.
#[derive(Debug, Default)]
pub struct Bindings {
    by_ssrc: FxHashMap<u32, Binding>,
}

impl Bindings {
    /// What the SSRC carries.
    #[inline]
    pub fn get(&self, ssrc: u32) -> Option<Binding> {
        self.by_ssrc.get(&ssrc).copied()
    }

    /// Binds an SSRC. An encoding has one SSRC for each purpose, so an older binding of the same kind is undone. False
    /// if the table is full.
    pub fn bind(&mut self, ssrc: u32, binding: Binding) -> bool {
        self.by_ssrc.retain(|_, other| *other != binding);
        if self.by_ssrc.len() >= MAX_BINDINGS && !self.by_ssrc.contains_key(&ssrc) {
            return false;
        }
        self.by_ssrc.insert(ssrc, binding);
        true
    }

    /// The SSRC of an encoding.
    pub fn ssrc(&self, track: usize, encoding: u8, rtx: bool) -> Option<u32> {
        let wanted = Binding { track, encoding, rtx };
        self.by_ssrc.iter().find(|(_, binding)| **binding == wanted).map(|(ssrc, _)| *ssrc)
    }

    /// Undoes the bindings of a track.
    pub fn forget_track(&mut self, track: usize) {
        self.by_ssrc.retain(|_, binding| binding.track != track);
    }

    /// All bindings.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Binding)> + '_ {
        self.by_ssrc.iter().map(|(ssrc, binding)| (*ssrc, *binding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_moves_to_its_new_ssrc() {
        let mut bindings = Bindings::default();
        let media = Binding { track: 1, encoding: 0, rtx: false };
        let rtx = Binding { rtx: true, ..media };
        assert!(bindings.bind(10, media) && bindings.bind(11, rtx) && bindings.bind(20, media));
        assert_eq!(bindings.get(10), None);
        assert_eq!(bindings.get(20), Some(media));
        assert_eq!(bindings.ssrc(1, 0, true), Some(11));
        bindings.forget_track(1);
        assert_eq!(bindings.iter().count(), 0);
    }

    #[test]
    fn learning_is_bounded() {
        let mut bindings = Bindings::default();
        let taken = (0..1000).filter(|&n| bindings.bind(n, Binding { track: n as usize, encoding: 0, rtx: false }));
        assert_eq!(taken.count(), MAX_BINDINGS);
    }
}
