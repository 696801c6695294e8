//! What the payload formats of H.264 and H.265 have in common.

/// A single NAL unit, or the units of an aggregation packet, each behind its length in 16 bits (RFC 6184 section 5.7.1,
/// RFC 7798 section 4.4.2). A length past the end ends it.
pub(super) fn whole_units<'a>(
    mut single: Option<&'a [u8]>,
    mut aggregated: &'a [u8],
) -> impl Iterator<Item = &'a [u8]> {
    std::iter::from_fn(move || {
        single.take().or_else(|| {
            let (size, tail) = aggregated.split_first_chunk::<2>()?;
            let (unit, rest) = tail.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
            aggregated = rest;
            Some(unit)
        })
    })
}
