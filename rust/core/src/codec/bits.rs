//! Reading single bits, as parameter sets and uncompressed headers need it. Past the end everything is `None`.

#[derive(Clone, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Bits<'a> {
        Bits { bytes, at: 0 }
    }

    pub(super) fn bit(&mut self) -> Option<u32> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(u32::from(bit))
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        Some(self.bit()? == 1)
    }

    /// Up to 32 bits, most significant first.
    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | self.bit()?;
        }
        Some(value)
    }

    pub(super) fn skip(&mut self, count: usize) {
        self.at += count;
    }

    /// Bits read and skipped.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Unsigned Exp-Golomb (H.264 9.1), up to 32 leading zeros.
    pub(super) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1u32 << zeros) - 1 + self.take(zeros)?)
    }

    /// Signed Exp-Golomb (H.264 9.1.1).
    pub(super) fn se(&mut self) -> Option<i32> {
        let value = self.ue()?;
        let half = value.div_ceil(2).cast_signed();
        Some(if value & 1 == 1 { half } else { -half })
    }
}

/// A NAL unit's payload without emulation prevention bytes (H.264 7.4.1), into `out`; what does not fit is cut off.
pub(super) fn unescape<'o>(nal: &[u8], out: &'o mut [u8]) -> &'o [u8] {
    let mut zeros = 0;
    let mut len = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        let Some(slot) = out.get_mut(len) else { break };
        *slot = byte;
        len += 1;
        zeros = if byte == 0 { zeros + 1 } else { 0 };
    }
    &out[..len]
}

/// Luma samples of a cropped picture; `None` where the cropping eats it or a side does not fit 16 bits.
pub(super) fn cropped(width: u32, height: u32, crop_x: u64, crop_y: u64) -> Option<(u16, u16)> {
    let side = |full: u32, crop: u64| u16::try_from(u64::from(full).checked_sub(crop)?).ok().filter(|side| *side > 0);
    Some((side(width, crop_x)?, side(height, crop_y)?))
}
