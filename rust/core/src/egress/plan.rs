//! Which packets of one viewer leave in one send.
//!
//! A send costs about 1.9 us whatever it holds, a further segment 0.03-0.46 us, so runs of equal size are worth padding
//! for. UDP GSO wants all segments but the last to be of one size; RTP padding (RFC 3550 section 5.1) closes differences of a few
//! bytes, which is how encoders split a frame "about equally".

use std::ops::Range;

/// Most segments in one run: beyond this a send gets hardly cheaper, and long bursts hurt access links.
pub const MAX_SEGMENTS: usize = 16;

/// Most bytes of padding that a packet gets to join a run.
pub const MAX_PADDING: u16 = 8;

/// What the planner needs to know of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Plaintext size in bytes, without padding.
    pub size: u16,
    /// Padding to add, decided by [`next_run`].
    pub padding: u8,
    /// Whether padding is allowed: not where a retransmission would have to repeat the packet byte by byte.
    pub paddable: bool,
}

/// One send: a range of the viewer's segments and the (plaintext) size of all but the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Indices of the segments.
    pub segments: Range<usize>,
    /// Plaintext size of each but the last, in bytes.
    pub size: u16,
}

/// Takes the longest run that starts at `start` and sets the padding of its segments. `start` must be in range.
pub fn next_run(segments: &mut [Segment], start: usize) -> Run {
    let mut size = segments[start].size;
    let mut smallest = size;
    let mut all_paddable = segments[start].paddable;
    let mut end = start + 1;
    while end < segments.len() && end - start < MAX_SEGMENTS {
        let next = segments[end];
        if next.size > size {
            if !all_paddable || next.size - smallest > MAX_PADDING {
                break;
            }
            size = next.size;
        } else if next.size < size {
            let joins = next.paddable && size - next.size <= MAX_PADDING;
            let last = end + 1 == segments.len() || end + 1 - start == MAX_SEGMENTS;
            if !joins || last {
                end += 1;
                break;
            }
            smallest = smallest.min(next.size);
        }
        all_paddable &= next.paddable;
        end += 1;
    }
    for segment in &mut segments[start..end - 1] {
        segment.padding = (size - segment.size) as u8;
    }
    segments[end - 1].padding = 0;
    Run { segments: start..end, size }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(sizes: &[u16], paddable: bool) -> (Vec<Run>, Vec<u8>) {
        let mut segments: Vec<Segment> = sizes.iter().map(|&size| Segment { size, padding: 0, paddable }).collect();
        let mut runs = Vec::new();
        let mut start = 0;
        while start < segments.len() {
            let run = next_run(&mut segments, start);
            start = run.segments.end;
            runs.push(run);
        }
        (runs, segments.iter().map(|segment| segment.padding).collect())
    }

    #[test]
    fn equal_sizes_are_one_run_and_a_short_tail_joins() {
        let (runs, padding) = plan(&[1200, 1200, 1200, 300], false);
        assert_eq!(runs, [Run { segments: 0..4, size: 1200 }]);
        assert_eq!(padding, [0, 0, 0, 0]);
    }

    #[test]
    fn nothing_follows_a_short_segment() {
        let (runs, _) = plan(&[1200, 300, 1200, 1200], true);
        assert_eq!(runs, [Run { segments: 0..2, size: 1200 }, Run { segments: 2..4, size: 1200 }]);
    }

    #[test]
    fn about_equal_parts_are_padded_to_the_largest() {
        let (runs, padding) = plan(&[1100, 1100, 1101, 1101], true);
        assert_eq!(runs, [Run { segments: 0..4, size: 1101 }]);
        assert_eq!(padding, [1, 1, 0, 0]);
        let (runs, padding) = plan(&[1108, 1100, 1105, 1108], true);
        assert_eq!(runs, [Run { segments: 0..4, size: 1108 }]);
        assert_eq!(padding, [0, 8, 3, 0]);
    }

    #[test]
    fn the_last_of_a_run_is_not_padded() {
        let (runs, padding) = plan(&[1108, 1108, 1100], true);
        assert_eq!(runs, [Run { segments: 0..3, size: 1108 }]);
        assert_eq!(padding, [0, 0, 0]);
    }

    #[test]
    fn without_padding_a_longer_packet_begins_a_run() {
        let (runs, padding) = plan(&[1100, 1100, 1101, 1101], false);
        assert_eq!(runs, [Run { segments: 0..2, size: 1100 }, Run { segments: 2..4, size: 1101 }]);
        assert_eq!(padding, [0, 0, 0, 0]);
        let (runs, _) = plan(&[1101, 1100, 1101], false);
        assert_eq!(runs, [Run { segments: 0..2, size: 1101 }, Run { segments: 2..3, size: 1101 }]);
    }

    #[test]
    fn padding_is_bounded() {
        let (runs, _) = plan(&[1100, 1109], true);
        assert_eq!(runs.len(), 2);
        let (runs, _) = plan(&[1104, 1100, 1110], true);
        assert_eq!(runs.len(), 2);
    }

    #[test]
    fn runs_are_capped() {
        let (runs, _) = plan(&[500; 40], true);
        let lengths: Vec<usize> = runs.iter().map(|run| run.segments.len()).collect();
        assert_eq!(lengths, [16, 16, 8]);
    }

    #[test]
    fn every_plan_is_a_legal_gso_message() {
        let mut state = 7_u32;
        let mut next = |bound: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % bound
        };
        for _ in 0..2000 {
            let mut segments: Vec<Segment> = (0..1 + next(40))
                .map(|_| Segment { size: 1190 + next(14) as u16, padding: 0, paddable: next(3) > 0 })
                .collect();
            let mut start = 0;
            while start < segments.len() {
                let run = next_run(&mut segments, start);
                let planned = &segments[run.segments.clone()];
                let (last, others) = planned.split_last().expect("a run is not empty");
                assert!(others.iter().all(|s| s.size + u16::from(s.padding) == run.size));
                assert!(last.size + u16::from(last.padding) <= run.size);
                assert!(planned.iter().all(|s| s.padding == 0 || s.paddable));
                assert!(planned.iter().all(|s| u16::from(s.padding) <= MAX_PADDING));
                assert!(planned.len() <= MAX_SEGMENTS);
                start = run.segments.end;
            }
        }
    }
}
