//! Numbers that wrap, made to go on.

/// Whether `a` comes after `b` in 16-bit serial arithmetic (RFC 1982).
pub fn newer(a: u16, b: u16) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000
}

/// Steps back up to this size are reordering; a source that goes on behind a larger one has started anew.
const MAX_MISORDER: u64 = 3000;

/// Extends a 16-bit number to 64 bits. Numbers may come out of order by less than half their range; the first one starts
/// at `1 << 16`, so that earlier ones that come late are still positive. A source that starts anew at any number is carried
/// on upwards: the low 16 bits of an extended number are always the number on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unwrapper {
    highest: Option<u64>,
    /// What would follow a number from far behind: two in a row prove a new start (`bad_seq` of RFC 3550 A.1).
    restart: Option<u16>,
}

impl Unwrapper {
    /// The extended number; remembers it if it is the highest.
    pub fn unwrap(&mut self, value: u16) -> u64 {
        let mut extended = self.peek(value);
        match self.highest {
            Some(highest) if extended > highest => self.restart = None,
            Some(highest) if highest - extended > MAX_MISORDER => {
                if self.restart != Some(value) {
                    self.restart = Some(value.wrapping_add(1));
                    return extended;
                }
                self.restart = None;
                extended += 1 << 16;
            }
            Some(_) => return extended,
            None => {}
        }
        self.highest = Some(extended);
        extended
    }

    /// The extended number, nothing remembered.
    pub fn peek(&self, value: u16) -> u64 {
        let Some(highest) = self.highest else {
            return (1 << 16) + u64::from(value);
        };
        let delta = value.wrapping_sub(highest as u16) as i16;
        // Below zero only for a source that runs backwards through a whole cycle.
        highest.checked_add_signed(i64::from(delta)).unwrap_or(u64::from(value))
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
    fn a_source_that_starts_anew_is_carried_on() {
        let mut unwrapper = Unwrapper::default();
        let first = unwrapper.unwrap(20_000);
        assert!(unwrapper.unwrap(100) < first);
        let resumed = unwrapper.unwrap(101);
        assert!(resumed > first);
        assert_eq!(resumed as u16, 101);
        assert_eq!(unwrapper.unwrap(102), resumed + 1);
    }

    #[test]
    fn one_stray_packet_is_no_new_start() {
        let mut unwrapper = Unwrapper::default();
        let first = unwrapper.unwrap(20_000);
        unwrapper.unwrap(100);
        assert_eq!(unwrapper.unwrap(20_001), first + 1);
        assert!(unwrapper.unwrap(101) < first);
    }

    #[test]
    fn running_backwards_keeps_the_low_bits() {
        let mut unwrapper = Unwrapper::default();
        let mut value = 5u16;
        for _ in 0..100 {
            assert_eq!(unwrapper.unwrap(value) as u16, value);
            value = value.wrapping_sub(30_000);
        }
    }

    #[test]
    fn serial_order() {
        assert!(newer(0, 65535) && newer(2, 1) && !newer(1, 1) && !newer(65535, 0));
    }
}
