//! NAL units from start codes to lengths, for files. Bytes in, bytes out: what they mean is the caller's business.

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::frame::Frame;

/// The NAL units of an access unit in Annex B form, each behind its length in four bytes (ISO/IEC 14496-15); empty ones
/// are left out.
#[pyfunction]
#[pyo3(text_signature = "(data)")]
pub fn length_prefixed<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    match data.cast::<Frame>() {
        Ok(frame) => convert(data.py(), frame.get().data()),
        Err(_) => convert(data.py(), &PyBuffer::<u8>::get(data)?.to_vec(data.py())?),
    }
}

fn convert<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let units = units(data);
    let size = units.iter().map(|unit| size_of::<u32>() + unit.len()).sum();
    PyBytes::new_with(py, size, |mut out| {
        for unit in units {
            let (length, rest) = out.split_at_mut(size_of::<u32>());
            let (place, rest) = rest.split_at_mut(unit.len());
            length.copy_from_slice(&u32::try_from(unit.len())?.to_be_bytes());
            place.copy_from_slice(unit);
            out = rest;
        }
        Ok(())
    })
}

fn units(data: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    let mut mark = start_code(data, 0);
    while let Some(begin) = mark.map(|at| at + 3) {
        mark = start_code(data, begin);
        // Zeros behind a unit belong to the next start code or are trailing_zero_8bits (H.264 B.1.1).
        let unit = &data[begin..mark.unwrap_or(data.len())];
        if let Some(last) = unit.iter().rposition(|&byte| byte != 0) {
            units.push(&unit[..=last]);
        }
    }
    units
}

/// Where the next 00 00 01 is. Two of three bytes are not looked at, as a rule.
fn start_code(data: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 2;
    while let Some(&byte) = data.get(at) {
        at += match byte {
            0 => 1,
            1 if data[at - 2] == 0 && data[at - 1] == 0 => return Some(at - 2),
            _ => 3,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_end_before_the_zeros_behind_them() {
        assert_eq!(units(&[0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x65, 0, 3]), [&[0x67, 1][..], &[0x65, 0, 3]]);
        assert_eq!(units(&[9, 0, 0, 1, 0x41, 0, 0, 0, 0, 1, 0, 0, 1, 0x41, 0]), [[0x41], [0x41]]);
        for nothing in [&[][..], &[0], &[1, 2, 3], &[0, 0, 1], &[0, 0, 0, 1, 0]] {
            assert!(units(nothing).is_empty());
        }
    }
}
