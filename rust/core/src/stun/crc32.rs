//! CRC-32 of ITU-T V.42, for FINGERPRINT (RFC 8489 section 14.7).

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

/// The checksum of the concatenated parts.
pub(super) fn checksum(parts: &[&[u8]]) -> u32 {
    let mut value = u32::MAX;
    for byte in parts.iter().copied().flatten() {
        value = value >> 8 ^ TABLE[((value ^ u32::from(*byte)) & 0xff) as usize];
    }
    !value
}

#[cfg(test)]
mod tests {
    #[test]
    fn is_the_checksum_of_zip() {
        assert_eq!(super::checksum(&[b"1234", b"56789"]), 0xcbf4_3926);
    }
}
