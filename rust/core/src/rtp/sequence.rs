//! Numbers that wrap, made to go on.

/// Whether `a` comes after `b` in 16-bit serial arithmetic (RFC 1982).
pub fn newer(a: u16, b: u16) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000
}

/// Extends a 16-bit number to 64 bits. Numbers may come out of order by less than half their range; the first one starts
/// at `1 << 16`, so that earlier ones that come late are still positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unwrapper {
    highest: Option<u64>,
}

impl Unwrapper {
    /// The extended number; remembers it if it is the highest.
    pub fn unwrap(&mut self, value: u16) -> u64 {
        let extended = self.peek(value);
        if self.highest.is_none_or(|highest| extended > highest) {
            self.highest = Some(extended);
        }
        extended
    }

    /// The extended number, nothing remembered.
    pub fn peek(&self, value: u16) -> u64 {
        let Some(highest) = self.highest else {
            return (1 << 16) + u64::from(value);
        };
        let delta = value.wrapping_sub(highest as u16) as i16;
        highest.saturating_add_signed(i64::from(delta))
    }

    /// The highest number so far.
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_forwards_and_back() {
        let mut unwrapper = Unwrapper::default();
        assert_eq!(unwrapper.unwrap(65534), 131_070);
        assert_eq!(unwrapper.unwrap(1), 131_073);
        assert_eq!(unwrapper.unwrap(65535), 131_071);
        assert_eq!(unwrapper.highest(), Some(131_073));
        assert_eq!(unwrapper.peek(2), 131_074);
    }

    #[test]
    fn serial_order() {
        assert!(newer(0, 65535) && newer(2, 1) && !newer(1, 1) && !newer(65535, 0));
    }
}
