//! The layers of a track: what a viewer can get of it, what that costs, and what it is to get.

use crate::track::Track;

/// What a viewer gets of a video track: an encoding, and of that all spatial and temporal layers up to these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Layer {
    /// Index in the track's encodings.
    pub encoding: u8,
    /// Highest spatial layer; [`Layer::ALL`] is whichever is the highest.
    pub spatial: u8,
    /// Highest temporal layer.
    pub temporal: u8,
}

impl Layer {
    /// Stands for the highest layer, whatever its number.
    pub const ALL: u8 = u8::MAX;

    /// An encoding with all that is in it.
    pub const fn whole(encoding: u8) -> Layer {
        Layer { encoding, spatial: Layer::ALL, temporal: Layer::ALL }
    }

    /// Whether the other one has all of it.
    pub const fn is_within(self, other: Layer) -> bool {
        self.encoding == other.encoding && self.spatial <= other.spatial && self.temporal <= other.temporal
    }
}

/// A layer and what it takes to send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerRate {
    /// Which one; no field is [`Layer::ALL`].
    pub layer: Layer,
    /// Picture size in pixels, 0 while unknown.
    pub size: (u16, u16),
    /// RTP header and payload of this layer and all that it needs, in bits per second.
    pub bitrate: u64,
    /// The most that this was in the last ten seconds.
    pub highest: u64,
    /// Pictures in ten seconds, over the last few seconds; 0 while unknown.
    pub pictures: u32,
    /// It is being sent: what is not cannot be switched to now.
    pub active: bool,
}

/// What control has asked for. With a `rid`, `spatial` or `temporal` the subscription is *pinned*: it gets exactly that (and
/// of what is not named the best within the limits), whatever the viewer's network. Else it is automatic, within the limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Encoding.
    pub rid: Option<String>,
    /// Spatial layer, with those below it.
    pub spatial: Option<u8>,
    /// Temporal layer, with those below it.
    pub temporal: Option<u8>,
    /// Largest picture, in pixels. What is smallest is allowed whatever its size.
    pub max_width: Option<u16>,
    /// The same.
    pub max_height: Option<u16>,
    /// Highest spatial layer.
    pub max_spatial: Option<u8>,
    /// Highest temporal layer.
    pub max_temporal: Option<u8>,
}

impl Choice {
    /// An encoding by its name.
    pub fn of(rid: Option<String>) -> Choice {
        Choice { rid, ..Choice::default() }
    }

    /// Whether nobody but control may change what flows.
    pub fn is_pinned(&self) -> bool {
        self.rid.is_some() || self.spatial.is_some() || self.temporal.is_some()
    }

    /// Whether a layer is within what was asked for.
    pub fn allows(&self, track: &Track, rate: &LayerRate) -> bool {
        let within = |limit: Option<u8>, layer: u8| limit.is_none_or(|limit| layer <= limit);
        let encoding = track.encodings.get(usize::from(rate.layer.encoding));
        let named = self.rid.is_none() || encoding.is_some_and(|encoding| encoding.rid == self.rid);
        named
            && within(self.spatial, rate.layer.spatial)
            && within(self.temporal, rate.layer.temporal)
            && within(self.max_spatial, rate.layer.spatial)
            && within(self.max_temporal, rate.layer.temporal)
            && self.allows_size(rate.size)
    }

    /// Whether a picture is small enough.
    pub fn allows_size(&self, (width, height): (u16, u16)) -> bool {
        self.max_width.is_none_or(|limit| width <= limit) && self.max_height.is_none_or(|limit| height <= limit)
    }

    /// Whether large pictures are unwanted.
    pub fn limits_size(&self) -> bool {
        self.max_width.is_some() || self.max_height.is_some()
    }
}
