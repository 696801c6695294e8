//! Video frame marking, a header extension (RFC 9626): the temporal layer of a packet whose payload need not be read.

/// What the element says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameMarking {
    /// S bit: first packet of its frame.
    pub start_of_frame: bool,
    /// E bit: last packet of its frame.
    pub end_of_frame: bool,
    /// I bit: it refers to no frame before.
    pub independent: bool,
    /// B bit: of the frames before, it refers to none but those of temporal layer 0.
    pub base_layer_sync: bool,
    /// TID; `None` in the short form, for streams without layers (section 3.2).
    pub temporal_id: Option<u8>,
}

impl FrameMarking {
    /// `None` of an empty element.
    pub fn parse(data: &[u8]) -> Option<FrameMarking> {
        let first = *data.first()?;
        let scalable = data.len() > 1;
        Some(FrameMarking {
            start_of_frame: first & 0x80 != 0,
            end_of_frame: first & 0x40 != 0,
            independent: first & 0x20 != 0,
            base_layer_sync: scalable && first & 0x08 != 0,
            temporal_id: scalable.then_some(first & 0x07),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let long = FrameMarking::parse(&[0x8a, 0, 7]).unwrap();
        assert!(long.start_of_frame && long.base_layer_sync && !long.end_of_frame && !long.independent);
        assert_eq!(long.temporal_id, Some(2));
        let short = FrameMarking::parse(&[0x60]).unwrap();
        assert!(short.end_of_frame && short.independent && !short.base_layer_sync);
        assert_eq!((short.temporal_id, FrameMarking::parse(&[])), (None, None));
    }
}
