//! Redundant audio (RFC 2198): the newest block of a packet.

/// Payload type and data of the primary block, which is the last. The redundant ones before it were packets of their own.
pub fn primary(payload: &[u8]) -> Option<(u8, &[u8])> {
    let (mut headers, mut redundant) = (payload, 0);
    loop {
        match *headers {
            [last, ref rest @ ..] if last & 0x80 == 0 => {
                return rest.get(redundant..).filter(|data| !data.is_empty()).map(|data| (last, data));
            }
            [_, _, high, low, ref rest @ ..] => {
                redundant += usize::from(u16::from_be_bytes([high & 0x03, low]));
                headers = rest;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_block_is_the_newest() {
        assert_eq!(primary(&[111, 1, 2]), Some((111, &[1, 2][..])));
        // One redundant block of three bytes, 960 units before.
        assert_eq!(primary(&[0x80 | 111, 0x0f, 0x00, 3, 111, 7, 7, 7, 1, 2]), Some((111, &[1, 2][..])));
        for cut in [&[][..], &[111], &[0x80 | 111, 0, 0], &[0x80 | 111, 0, 0, 3, 111, 7, 7], &[0xef, 0, 0, 1, 111, 7]] {
            assert_eq!(primary(cut), None, "{cut:?}");
        }
    }
}
