//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).

/// One packet's fate: `delta` since the arrival before, in 250 us; `None` is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Transport-wide sequence number.
    pub sequence: u16,
    /// Signed time since the previous received packet (the first: since the reference time), in 250 us.
    pub delta: Option<i16>,
}

/// A feedback packet as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    /// First sequence number reported on.
    pub base_sequence: u16,
    /// How many packets are reported on.
    pub packet_count: u16,
    /// In 64 ms, 24 bits signed.
    pub reference_time: i32,
    /// Wraps at 8 bits.
    pub feedback_count: u8,
    chunks_and_deltas: &'a [u8],
}

const SMALL: u8 = 1;
const LARGE: u8 = 2;
/// Most packets that one run-length chunk stands for.
const MAX_RUN: usize = 0x1fff;

impl<'a> TransportFeedback<'a> {
    pub(super) fn read(fci: &'a [u8]) -> Option<TransportFeedback<'a>> {
        let fixed: &[u8; 8] = fci.first_chunk()?;
        Some(TransportFeedback {
            base_sequence: u16::from_be_bytes([fixed[0], fixed[1]]),
            packet_count: u16::from_be_bytes([fixed[2], fixed[3]]),
            reference_time: i32::from_be_bytes([fixed[4], fixed[5], fixed[6], 0]) >> 8,
            feedback_count: fixed[7],
            chunks_and_deltas: &fci[8..],
        })
    }

    /// (received, lost) as far as the packet's chunks tell.
    pub fn counts(&self) -> (u32, u32) {
        self.symbols().fold((0, 0), |(received, lost), symbol| match symbol {
            SMALL | LARGE => (received + 1, lost),
            _ => (received, lost + 1),
        })
    }

    /// Each packet's fate, in sequence; ends early where the packet does.
    pub fn arrivals(&self) -> impl Iterator<Item = Arrival> + use<'a> {
        let mut deltas = self.deltas();
        let mut sequence = self.base_sequence;
        self.symbols().map_while(move |symbol| {
            let delta = match symbol {
                SMALL => {
                    let (&first, rest) = deltas.split_first()?;
                    deltas = rest;
                    Some(i16::from(first))
                }
                LARGE => {
                    let (first, rest) = deltas.split_first_chunk::<2>()?;
                    deltas = rest;
                    Some(i16::from_be_bytes(*first))
                }
                _ => None,
            };
            let arrival = Arrival { sequence, delta };
            sequence = sequence.wrapping_add(1);
            Some(arrival)
        })
    }

    /// What follows the chunks.
    fn deltas(&self) -> &'a [u8] {
        let mut left = usize::from(self.packet_count);
        let mut rest = self.chunks_and_deltas;
        while left > 0 {
            let Some((chunk, tail)) = rest.split_first_chunk::<2>() else { return &[] };
            left = left.saturating_sub(Chunk::read(*chunk).len());
            rest = tail;
        }
        rest
    }

    fn symbols(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.chunks_and_deltas
            .chunks_exact(2)
            .flat_map(|bytes| Chunk::read([bytes[0], bytes[1]]).symbols())
            .take(usize::from(self.packet_count))
    }
}

#[derive(Clone, Copy)]
enum Chunk {
    Run { symbol: u8, len: usize },
    OneBit(u16),
    TwoBit(u16),
}

impl Chunk {
    fn read(bytes: [u8; 2]) -> Chunk {
        let word = u16::from_be_bytes(bytes);
        match word >> 14 {
            0 | 1 => Chunk::Run { symbol: (word >> 13 & 3) as u8, len: usize::from(word & 0x1fff) },
            2 => Chunk::OneBit(word),
            _ => Chunk::TwoBit(word),
        }
    }

    fn len(self) -> usize {
        match self {
            Chunk::Run { len, .. } => len,
            Chunk::OneBit(_) => 14,
            Chunk::TwoBit(_) => 7,
        }
    }

    fn symbols(self) -> impl Iterator<Item = u8> {
        (0..self.len()).map(move |index| match self {
            Chunk::Run { symbol, .. } => symbol,
            Chunk::OneBit(word) => (word >> (13 - index) & 1) as u8,
            Chunk::TwoBit(word) => (word >> (12 - 2 * index) & 3) as u8,
        })
    }
}

/// Appends a whole feedback packet to `out`. `arrivals` are consecutive sequence numbers from `base_sequence` on;
/// `reference_time` is in 64 ms.
pub fn write_transport_feedback(
    out: &mut Vec<u8>,
    sender_ssrc: u32,
    media_ssrc: u32,
    reference_time: i32,
    feedback_count: u8,
    arrivals: &[Arrival],
) {
    let start = out.len();
    let base = arrivals.first().map_or(0, |arrival| arrival.sequence);
    out.extend_from_slice(&[0x8f, 205, 0, 0]);
    out.extend_from_slice(&sender_ssrc.to_be_bytes());
    out.extend_from_slice(&media_ssrc.to_be_bytes());
    out.extend_from_slice(&base.to_be_bytes());
    out.extend_from_slice(&(arrivals.len() as u16).to_be_bytes());
    out.extend_from_slice(&reference_time.to_be_bytes()[1..]);
    out.push(feedback_count);
    let mut rest = arrivals;
    while !rest.is_empty() {
        let (chunk, covered) = next_chunk(rest);
        out.extend_from_slice(&chunk.to_be_bytes());
        rest = &rest[covered..];
    }
    for delta in arrivals.iter().filter_map(|arrival| arrival.delta) {
        match u8::try_from(delta) {
            Ok(small) => out.push(small),
            Err(_) => out.extend_from_slice(&delta.to_be_bytes()),
        }
    }
    let padding = (4 - (out.len() - start) % 4) % 4;
    if padding > 0 {
        out[start] |= 0x20;
        out.resize(out.len() + padding, 0);
        if let Some(last) = out.last_mut() {
            *last = padding as u8;
        }
    }
    let words = ((out.len() - start) / 4 - 1) as u16;
    out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}

fn symbol(arrival: &Arrival) -> u8 {
    match arrival.delta {
        None => 0,
        Some(delta) if u8::try_from(delta).is_ok() => SMALL,
        Some(_) => LARGE,
    }
}

/// The chunk that covers most of what is next, and how much that is.
fn next_chunk(arrivals: &[Arrival]) -> (u16, usize) {
    let first = symbol(&arrivals[0]);
    let run = arrivals.iter().take(MAX_RUN).take_while(|arrival| symbol(arrival) == first).count();
    if run >= 14 || run == arrivals.len() {
        return (u16::from(first) << 13 | run as u16, run);
    }
    let vector = |len: usize, bits: u32, tag: u16| {
        let word =
            arrivals.iter().take(len).enumerate().fold(tag, |word, (index, arrival)| {
                word | u16::from(symbol(arrival)) << (bits * (len - 1 - index) as u32)
            });
        (word, len.min(arrivals.len()))
    };
    if arrivals.iter().take(14).all(|arrival| symbol(arrival) < LARGE) {
        vector(14, 1, 0x8000)
    } else if run >= 7 {
        (u16::from(first) << 13 | run as u16, run)
    } else {
        vector(7, 2, 0xc000)
    }
}
