//! Checks that were seen before.
//!
//! Whoever overhears a check can send it again from another address, and its integrity is as good as before. The peer
//! itself makes a new transaction for each path (RFC 8489 section 6.2), so one that comes back over another path is not
//! the peer's.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use crate::event::Path;
use crate::stun::TransactionId;

/// Checks that are remembered: those of more than a minute, for a browser.
const MAX_SEEN: usize = 32;

/// The newest transactions of a peer, and over which path each came.
#[derive(Debug, Default)]
pub(super) struct Seen(VecDeque<(TransactionId, u32)>);

impl Seen {
    /// Notes a check. False if it came over another path before.
    pub(super) fn admit(&mut self, transaction: TransactionId, path: Path) -> bool {
        let path = digest(path);
        if let Some((_, known)) = self.0.iter().find(|(known, _)| *known == transaction) {
            return *known == path;
        }
        if self.0.len() == MAX_SEEN {
            self.0.pop_front();
        }
        self.0.push_back((transaction, path));
        true
    }
}

/// Enough of a path to tell it from another one; a peer's memory is small.
fn digest(path: Path) -> u32 {
    let mut hasher = FxHasher::default();
    path.hash(&mut hasher);
    (hasher.finish() >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SocketId;

    fn path(host: u8) -> Path {
        Path { socket: SocketId::shared(0), remote: ([192, 0, 2, host], 5000).into() }
    }

    #[test]
    fn a_transaction_belongs_to_one_path() {
        let mut seen = Seen::default();
        assert!(seen.admit(TransactionId([1; 12]), path(1)));
        assert!(seen.admit(TransactionId([1; 12]), path(1)), "sent again");
        assert!(!seen.admit(TransactionId([1; 12]), path(2)), "from elsewhere");
        let other = Path { socket: SocketId::shared(1), ..path(1) };
        assert!(!seen.admit(TransactionId([1; 12]), other), "to elsewhere");
        assert!(seen.admit(TransactionId([2; 12]), path(2)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut seen = Seen::default();
        for number in 0..=u8::try_from(MAX_SEEN).expect("a small number") {
            assert!(seen.admit(TransactionId([number; 12]), path(1)));
        }
        assert_eq!(seen.0.len(), MAX_SEEN);
        assert!(!seen.admit(TransactionId([1; 12]), path(2)));
    }
}
