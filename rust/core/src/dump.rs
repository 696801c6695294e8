//! The whole state as text, for a person who wants to know why nothing moves.

use std::fmt::Write;
use std::time::Instant;

/// Lines of a tree, two spaces per level.
#[derive(Default)]
pub struct Tree {
    text: String,
    level: usize,
}

impl Tree {
    /// Adds a line.
    pub fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let indent = self.level * 2;
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{:indent$}{line}", "");
    }

    /// Adds what belongs to the line before, one level deeper.
    pub fn nest(&mut self, write: impl FnOnce(&mut Tree)) {
        self.level += 1;
        write(self);
        self.level -= 1;
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }
}

/// An instant as milliseconds from now: `-12` is past, `+30` to come, `-` is never.
pub struct Relative(pub Option<Instant>, pub Instant);

impl std::fmt::Display for Relative {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => f.write_str("-"),
            Some(at) if at >= self.1 => write!(f, "+{}ms", (at - self.1).as_millis()),
            Some(at) => write!(f, "-{}ms", (self.1 - at).as_millis()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn nests_and_shows_times_relative_to_now() {
        let now = Instant::now() + Duration::from_secs(1);
        let mut tree = Tree::default();
        tree.line(format_args!("worker"));
        tree.nest(|tree| tree.line(format_args!("timer {}", Relative(Some(now + Duration::from_millis(5)), now))));
        tree.line(format_args!("end {} {}", Relative(None, now), Relative(Some(now - Duration::from_millis(7)), now)));
        assert_eq!(tree.finish(), "worker\n  timer +5ms\nend - -7ms\n");
    }
}
