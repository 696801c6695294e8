//! Datagrams in a byte stream: two bytes of length before each (RFC 4571), as ICE over TCP has them (RFC 6544 section 3).

/// Longest datagram that is taken: a DTLS record of a handshake. STUN, SRTP and SRTCP are shorter.
pub const MAX_FRAME: usize = 4096;
/// Bytes before each datagram.
pub const PREFIX: usize = 2;

/// More was announced than anything has that we talk: whoever is at the other end speaks something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Takes a stream apart. What it keeps is one incomplete datagram at most.
#[derive(Debug, Default)]
pub struct Deframer {
    partial: Vec<u8>,
}

impl Deframer {
    /// Bytes of a datagram that is not complete.
    pub fn kept(&self) -> usize {
        self.partial.len()
    }

    /// Takes the next bytes of the stream and hands on each datagram that is complete, in place where it can.
    ///
    /// # Errors
    /// `TooLong`: the stream cannot be read any further.
    pub fn push(&mut self, mut bytes: &mut [u8], mut take: impl FnMut(&mut [u8])) -> Result<(), TooLong> {
        while !self.partial.is_empty() {
            let have = self.partial.len();
            let missing = if have < PREFIX { PREFIX - have } else { frame_len(&self.partial)? - have };
            let dry = bytes.len() < missing;
            let here = missing.min(bytes.len());
            let (next, rest) = std::mem::take(&mut bytes).split_at_mut(here);
            self.partial.extend_from_slice(next);
            bytes = rest;
            if dry {
                return Ok(());
            }
            if self.partial.len() == PREFIX && frame_len(&self.partial)? > PREFIX {
                continue;
            }
            let mut whole = std::mem::take(&mut self.partial);
            hand_on(&mut whole[PREFIX..], &mut take);
            // Its memory is for the next one; a connection that is cut into pieces once is so again.
            whole.clear();
            self.partial = whole;
        }
        while bytes.len() >= PREFIX {
            let len = frame_len(bytes)?;
            if bytes.len() < len {
                break;
            }
            let (frame, rest) = bytes.split_at_mut(len);
            hand_on(&mut frame[PREFIX..], &mut take);
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }
}

/// An empty datagram keeps a connection open and is nothing else.
fn hand_on(datagram: &mut [u8], take: &mut impl FnMut(&mut [u8])) {
    if !datagram.is_empty() {
        take(datagram);
    }
}

/// Of a frame that begins here, with its prefix.
fn frame_len(bytes: &[u8]) -> Result<usize, TooLong> {
    let len = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    if len > MAX_FRAME { Err(TooLong) } else { Ok(PREFIX + len) }
}

/// Bytes that a datagram of this length has in a stream.
pub const fn framed_len(len: usize) -> usize {
    PREFIX + len
}

/// Appends a datagram to what goes into a stream.
///
/// # Panics
/// If it is longer than any datagram.
pub fn append(out: &mut Vec<u8>, datagram: &[u8]) {
    let len = u16::try_from(datagram.len()).expect("a datagram");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(datagram);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(lengths: &[usize]) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, &len) in lengths.iter().enumerate() {
            append(&mut out, &vec![index as u8; len]);
        }
        out
    }

    /// What comes out when the stream comes in pieces of this size.
    fn read(stream: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let (mut deframer, mut found) = (Deframer::default(), Vec::new());
        for chunk in stream.to_vec().chunks_mut(piece) {
            deframer.push(chunk, |datagram| found.push(datagram.to_vec())).expect("short enough");
            assert!(deframer.kept() < PREFIX + MAX_FRAME);
        }
        assert_eq!(deframer.kept(), 0);
        found
    }

    #[test]
    fn datagrams_come_out_as_they_went_in_however_the_stream_is_cut() {
        let lengths = [20, 1, 1200, 0, MAX_FRAME, 2, 100];
        let stream = stream(&lengths);
        for piece in [1, 2, 3, 7, 20, 22, 1201, 4097, stream.len()] {
            let lengths_found: Vec<usize> = read(&stream, piece).iter().map(Vec::len).collect();
            assert_eq!(lengths_found, [20, 1, 1200, MAX_FRAME, 2, 100], "pieces of {piece}");
            assert!(read(&stream, piece)[2].iter().all(|&byte| byte == 2));
        }
    }

    #[test]
    fn what_is_no_such_stream_is_seen_at_once() {
        for begin in [&b"GET / HTTP/1.1\r\n"[..], &[0x16, 0x03, 0x01, 0x02, 0x00], b"SSH-2.0-x\r\n", &[0x10, 0x01]] {
            let found = Deframer::default().push(&mut begin.to_vec(), |_| panic!("nothing is complete"));
            assert_eq!(found, Err(TooLong));
            let (mut deframer, mut bytes) = (Deframer::default(), begin.to_vec());
            assert_eq!(deframer.push(&mut bytes[..1], |_| {}), Ok(()));
            assert_eq!(deframer.push(&mut bytes[1..2], |_| {}), Err(TooLong));
        }
    }
}
