//! Which layers of an encoding a viewer gets, and at which packet that changes.

use crate::egress::burst::Packet;
use crate::layer::Layer;
use crate::track::scalability::{Filter, Forwarded, Scalability};

/// The layers that flow and those that are wanted.
#[derive(Debug)]
pub struct Selection {
    now: Filter,
    wanted: Filter,
    /// What `wanted` was derived from: the layer asked for, and the version of the encoding's layers.
    aim: Option<(Layer, u32)>,
    version: u32,
    forwarded: Forwarded,
    /// RTP timestamp of the newest packet.
    timestamp: Option<u32>,
    changed: bool,
}

/// What a viewer can do with an encoding that lacks some of its layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ability {
    /// It can decode it. Else it takes each frame to refer to the one before it, which holds for one spatial layer.
    pub drops: bool,
    /// It gets the dependency descriptor.
    pub descriptor: bool,
}

impl Selection {
    /// Everything flows.
    pub fn new() -> Selection {
        Selection {
            now: Filter::ALL,
            wanted: Filter::ALL,
            aim: None,
            version: 0,
            forwarded: Forwarded::default(),
            timestamp: None,
            changed: false,
        }
    }

    /// What flows.
    pub fn now(&self) -> &Filter {
        &self.now
    }

    /// Whether something else flows since the last call.
    pub fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// A source begins with a key frame.
    pub fn begin(&mut self, target: Layer, scalability: &Scalability, ability: Ability) -> Filter {
        self.aim(target, scalability, ability);
        self.now = self.wanted;
        (self.version, self.forwarded, self.timestamp) = (scalability.version(), Forwarded::default(), None);
        self.now
    }

    /// A packet that is newer than all before, `in_order` right behind them; `target` is what the viewer is to get now.
    /// Returns what flows from this packet on, where that is something else.
    pub fn follow(
        &mut self,
        packet: &Packet,
        in_order: bool,
        target: Layer,
        scalability: &Scalability,
        ability: Ability,
    ) -> Option<Filter> {
        let tag = &packet.layers;
        let begins = self.timestamp.replace(packet.timestamp) != Some(packet.timestamp);
        self.aim(target, scalability, ability);
        let mut to = self.now;
        if self.now != self.wanted {
            let renumbered = self.version != scalability.version() && scalability.has_references() && tag.first;
            if packet.key_frame || renumbered {
                to = self.wanted;
            } else {
                // Not where parts of the picture that end it otherwise may still come.
                if begins && (in_order || tag.spatial == 0) {
                    to = down(scalability, &self.now, &self.wanted);
                }
                if tag.first
                    && let Some(higher) = scalability.step(tag, &to, &self.wanted, &self.forwarded)
                {
                    to = higher;
                }
            }
        }
        if packet.key_frame {
            self.version = scalability.version();
        }
        if scalability.has_references() && to.passes(tag) {
            self.forwarded.insert(tag.frame);
        }
        if to == self.now {
            return None;
        }
        (self.now, self.version, self.changed) = (to, scalability.version(), true);
        Some(to)
    }

    /// A packet that was sent without being asked for here.
    pub fn note_sent(&mut self, packet: &Packet, scalability: &Scalability) {
        if scalability.has_references() {
            self.forwarded.insert(packet.layers.frame);
        }
        self.timestamp = Some(packet.timestamp);
    }

    /// Whether only a key frame brings what the viewer is to get.
    pub fn waits_for_key_frame(&self, target: Layer, scalability: &Scalability, ability: Ability) -> bool {
        let (now, wanted) = (&self.now, wanted(target, scalability, ability));
        if now.is_all() || *now == wanted {
            return false;
        }
        wanted.spatial > now.spatial
            || !wanted.is_within(now) && !now.is_within(&wanted) && scalability.common(now, &wanted).is_none()
    }

    #[inline]
    fn aim(&mut self, target: Layer, scalability: &Scalability, ability: Ability) {
        let aim = Some((target, scalability.version()));
        if self.aim != aim {
            self.aim = aim;
            self.wanted = wanted(target, scalability, ability);
        }
    }
}

fn wanted(target: Layer, scalability: &Scalability, ability: Ability) -> Filter {
    let filter = if ability.drops { scalability.filter(target) } else { scalability.smallest() };
    Filter { decode_targets: if ability.descriptor { filter.decode_targets } else { 0 }, ..filter }
}

/// Less than now can be had with any picture: all that `wanted` has of it.
fn down(scalability: &Scalability, now: &Filter, wanted: &Filter) -> Filter {
    if wanted.is_within(now) {
        *wanted
    } else if now.is_within(wanted) {
        *now
    } else {
        scalability.common(now, wanted).unwrap_or(*now)
    }
}
