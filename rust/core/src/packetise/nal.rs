//! What H.264 and H.265 have in common: units taken out of Annex B form, small ones gathered, large ones cut.

use super::{MAX_PAYLOAD, Malformed, Payloads};

/// What the two payload formats call their parts.
pub struct Format {
    /// Length of a NAL unit header.
    pub header_len: usize,
    /// The payload header of an aggregation packet of these units.
    pub aggregation_header: fn(&[&[u8]]) -> Vec<u8>,
    /// Payload header and FU header of a fragment, by the unit's header: start and end bits are added to the last byte.
    pub fragment_header: fn(&[u8]) -> Vec<u8>,
}

const START: u8 = 0x80;
const END: u8 = 0x40;

impl Format {
    /// Units that fit together go together; one that does not fit alone is cut.
    pub fn packetise(&self, frame: &[u8], out: &mut Payloads) -> Result<(), Malformed> {
        let mut together: Vec<&[u8]> = Vec::new();
        let mut len = self.header_len;
        for unit in units(frame).ok_or(Malformed)? {
            if unit.len() < self.header_len {
                return Err(Malformed);
            }
            if len + 2 + unit.len() > MAX_PAYLOAD {
                self.aggregate(&mut together, out);
                len = self.header_len;
            }
            if unit.len() > MAX_PAYLOAD {
                self.fragment(unit, out);
            } else {
                len += 2 + unit.len();
                together.push(unit);
            }
        }
        self.aggregate(&mut together, out);
        if out.iter().len() == 0 { Err(Malformed) } else { Ok(()) }
    }

    fn aggregate(&self, units: &mut Vec<&[u8]>, out: &mut Payloads) {
        match units[..] {
            [] => {}
            [unit] => out.push(&[unit]),
            _ => {
                out.bytes.extend((self.aggregation_header)(units));
                for unit in units.iter() {
                    out.bytes.extend((unit.len() as u16).to_be_bytes());
                    out.bytes.extend_from_slice(unit);
                }
                out.end();
            }
        }
        units.clear();
    }

    fn fragment(&self, unit: &[u8], out: &mut Payloads) {
        let (header, data) = unit.split_at(self.header_len);
        let mut fragment_header = (self.fragment_header)(header);
        let last = fragment_header.len() - 1;
        let kind = fragment_header[last];
        let chunks = data.chunks(MAX_PAYLOAD - fragment_header.len());
        let count = chunks.len();
        for (index, chunk) in chunks.enumerate() {
            let start = if index == 0 { START } else { 0 };
            let end = if index + 1 == count { END } else { 0 };
            fragment_header[last] = kind | start | end;
            out.push(&[&fragment_header, chunk]);
        }
    }
}

/// The units of Annex B form; `None` where the first bytes are no start code.
fn units(frame: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let mut rest = match frame {
        [0, 0, 0, 1, rest @ ..] | [0, 0, 1, rest @ ..] => Some(rest),
        _ => return None,
    };
    Some(
        std::iter::from_fn(move || {
            let bytes = rest?;
            let (unit, tail) = match next_start_code(bytes) {
                Some(at) => (&bytes[..at], Some(&bytes[at + 3..])),
                None => (bytes, None),
            };
            rest = tail;
            // Zeros before a start code belong to it, or are padding (H.264 B.1.1, H.265 B.2.1).
            let end = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            Some(&unit[..end])
        })
        .filter(|unit| !unit.is_empty()),
    )
}

/// Where the next 00 00 01 begins.
fn next_start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(&third) = bytes.get(at + 2) {
        match third {
            1 if bytes[at] == 0 && bytes[at + 1] == 0 => return Some(at),
            0 => at += 1,
            // Nothing that has this byte in it is a start code.
            _ => at += 3,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(frame: &[u8]) -> Option<Vec<&[u8]>> {
        units(frame).map(Iterator::collect)
    }

    #[test]
    fn start_codes_of_both_lengths_and_zeros_around() {
        assert_eq!(split(&[0, 0, 0, 1, 7, 8, 0, 0, 1, 9, 0, 0, 0, 1, 5, 0, 0]).unwrap(), [&[7, 8][..], &[9], &[5]]);
        assert_eq!(split(&[0, 0, 1, 6, 0, 1, 0, 0, 3, 1]).unwrap(), [&[6, 0, 1, 0, 0, 3, 1]]);
        assert_eq!(split(&[0, 0, 1, 0, 0, 1]).unwrap(), [&[0u8; 0]; 0]);
        assert_eq!((split(&[]), split(&[0, 0, 0, 5, 1])), (None, None), "lengths instead of start codes");
    }
}
