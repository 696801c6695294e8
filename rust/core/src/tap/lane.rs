//! One encoding on its way to a tap: put in order, made frames.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::codec::Codec;
use crate::command::CodecParameters;
use crate::depacketise::red;
use crate::egress::burst::{Packet, Source};
use crate::tap::Counters;
use crate::tap::assembly::{Assembled, Assembly, Part};
use crate::tap::reorder::{Ordered, Reorder};

/// How long a missing packet is waited for that a NACK may bring: four round trips of 100 ms.
const REPAIR: Duration = Duration::from_millis(500);
/// The same where nobody is asked: it may still be late.
const REORDERING: Duration = Duration::from_millis(50);

/// The state of one encoding and generation.
#[derive(Debug)]
pub struct Lane {
    /// What it is.
    pub source: Source,
    /// Its restriction identifier.
    pub rid: Option<Arc<str>>,
    /// A key frame has come: what follows is wanted.
    pub started: bool,
    /// Key frames of which the parameter sets are not known.
    pub bare: u8,
    reorder: Reorder,
    /// With its payload type.
    assembly: Option<(u8, Assembly)>,
    patience: Duration,
}

impl Lane {
    /// Begins in the middle of a stream.
    pub fn new(source: Source, rid: Option<&str>) -> Lane {
        Lane {
            source,
            rid: rid.map(Arc::from),
            started: false,
            bare: 0,
            reorder: Reorder::default(),
            assembly: None,
            patience: REORDERING,
        }
    }

    /// What the frames are, once it is known.
    pub fn codec(&self) -> Option<Codec> {
        self.assembly.as_ref().map(|(_, assembly)| assembly.codec)
    }

    /// Something is missing since the last frame.
    pub fn has_gap(&self) -> bool {
        self.assembly.as_ref().is_some_and(|(_, assembly)| assembly.gap)
    }

    /// Packets that wait for one before them.
    pub fn waiting(&self) -> usize {
        self.reorder.waiting()
    }

    /// When `give_up` has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.reorder.deadline(self.patience)
    }

    /// Takes a packet.
    pub fn push(
        &mut self,
        packet: &Packet,
        payload: &[u8],
        codecs: &[CodecParameters],
        counters: &mut Counters,
        out: &mut Vec<Assembled>,
    ) {
        if let Some(codec) = codecs.iter().find(|codec| codec.payload_type == packet.payload_type) {
            self.patience = if codec.nack { REPAIR } else { REORDERING };
        }
        let patience = self.patience;
        self.ordered(codecs, counters, out, |reorder, sink| reorder.insert(packet, payload, patience, sink));
    }

    /// Gives up what was waited for too long.
    pub fn give_up(
        &mut self,
        now: Instant,
        codecs: &[CodecParameters],
        counters: &mut Counters,
        out: &mut Vec<Assembled>,
    ) {
        let patience = self.patience;
        self.ordered(codecs, counters, out, |reorder, sink| reorder.give_up(now, patience, sink));
    }

    /// No packet follows.
    pub fn finish(&mut self, codecs: &[CodecParameters], counters: &mut Counters, out: &mut Vec<Assembled>) {
        self.ordered(codecs, counters, out, |reorder, sink| reorder.finish(sink));
    }

    /// Takes what `feed` makes the reorder buffer give.
    fn ordered(
        &mut self,
        codecs: &[CodecParameters],
        counters: &mut Counters,
        out: &mut Vec<Assembled>,
        feed: impl FnOnce(&mut Reorder, &mut dyn FnMut(Ordered<'_>)),
    ) {
        let Lane { reorder, assembly, started, .. } = self;
        feed(reorder, &mut |ordered| match ordered {
            Ordered::Lost(count) => {
                counters.lost_packets += count;
                if let Some((_, assembly)) = assembly {
                    assembly.lost();
                }
            }
            Ordered::Packet(packet, payload) => {
                let Some((codec, payload)) = media_of(packet.payload_type, payload, codecs) else { return };
                if assembly.as_ref().is_none_or(|(payload_type, _)| *payload_type != codec.payload_type) {
                    let Some(mut new) = Assembly::new(codec.codec, codec.clock_rate, packet.arrival) else { return };
                    codec.parameter_sets.iter().for_each(|set| new.learn(set));
                    if let Some((_, mut old)) = assembly.take() {
                        old.end(&mut |frame| out.push(frame));
                        counters.damaged += old.damaged;
                        new.lost();
                        *started = false;
                    }
                    *assembly = Some((codec.payload_type, new));
                }
                let Some((_, assembly)) = assembly else { return };
                let (timestamp, marker, arrival) = (packet.timestamp, packet.marker, packet.arrival);
                assembly.push(Part { timestamp, marker, arrival, payload }, &mut |frame| out.push(frame));
            }
        });
        if let Some((_, assembly)) = assembly {
            counters.damaged += std::mem::take(&mut assembly.damaged);
        }
    }
}

/// The codec and the data of a payload that is media; redundancy is taken off. Padding and events are none.
fn media_of<'a, 'c>(
    payload_type: u8,
    payload: &'a [u8],
    codecs: &'c [CodecParameters],
) -> Option<(&'c CodecParameters, &'a [u8])> {
    let find = |wanted| codecs.iter().find(|codec| codec.payload_type == wanted);
    let codec = find(payload_type)?;
    if codec.codec == Codec::Red {
        let (payload_type, primary) = red::primary(payload)?;
        return Some((find(payload_type).filter(|codec| codec.codec != Codec::Red)?, primary));
    }
    (!payload.is_empty()).then_some((codec, payload))
}
