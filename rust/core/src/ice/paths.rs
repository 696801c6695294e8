//! The paths over which the peer has proven itself.

use std::time::Instant;

use crate::event::{Path, SocketId};

/// Authenticated paths of one transport; the one unused for longest makes room for another.
pub const MAX_PATHS: usize = 16;

/// A bounded table, oldest entry first.
#[derive(Debug, Default)]
pub(super) struct Paths {
    entries: Vec<(Path, Instant)>,
}

/// What [`Paths::touch`] changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Touched {
    Known,
    Learned { forgotten: Option<Path> },
}

impl Paths {
    pub(super) fn contains(&self, path: Path) -> bool {
        self.entries.iter().any(|(known, _)| *known == path)
    }

    pub(super) fn first(&self) -> Option<Path> {
        self.entries.first().map(|(path, _)| *path)
    }

    /// Forgets what went over a socket that is closed.
    pub(super) fn forget_socket(&mut self, socket: SocketId) {
        self.entries.retain(|(path, _)| path.socket != socket);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Path> + '_ {
        self.entries.iter().map(|(path, _)| *path)
    }

    /// Notes proof over a path. `keep` is never forgotten.
    pub(super) fn touch(&mut self, now: Instant, path: Path, keep: Option<Path>) -> Touched {
        if let Some(entry) = self.entries.iter_mut().find(|(known, _)| *known == path) {
            entry.1 = now;
            return Touched::Known;
        }
        let mut forgotten = None;
        if self.entries.len() == MAX_PATHS {
            let oldest = (0..MAX_PATHS)
                .filter(|index| Some(self.entries[*index].0) != keep)
                .min_by_key(|index| self.entries[*index].1);
            forgotten = oldest.map(|index| self.entries.remove(index).0);
        }
        self.entries.push((path, now));
        Touched::Learned { forgotten }
    }
}
