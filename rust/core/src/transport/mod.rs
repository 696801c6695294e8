//! One peer's ICE and SRTP, and what hangs on them.

pub mod adaptation;
pub mod bindings;
pub mod ignored;
pub mod reception;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::bandwidth::sent::SentLog;
use crate::command::{IceParameters, TransportId};
use crate::egress::flush::Extra;
use crate::egress::pacer::Pacer;
use crate::event::{Path, SocketId};
use crate::ice::Agent;
use crate::rtp::{ExtensionKind, ExtensionMap};
use crate::srtp::{Inbound, Outbound};
use crate::timers::Scheduled;
use crate::track::Track;
use adaptation::Adaptation;
use bindings::{Binding, Bindings};
use ignored::{Ignored, Reason};
use reception::Reception;

/// SRTP datagrams that are kept until the keys come: the peer may be done with DTLS before control is.
const MAX_HELD: usize = 32;
/// Longest datagram that is kept.
const MAX_HELD_LEN: usize = 2048;
/// Round trip assumed until one is measured.
pub const DEFAULT_RTT: Duration = Duration::from_millis(100);

/// Counters of one transport, see `TransportStats`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Authentic SRTP and SRTCP packets.
    pub packets_received: u64,
    /// Their size on the wire.
    pub bytes_received: u64,
    /// SRTP and SRTCP packets sent.
    pub packets_sent: u64,
    /// Their size on the wire.
    pub bytes_sent: u64,
    /// Failed authentication or replay check.
    pub srtp_rejected: u64,
}

/// What the egress keeps per transport.
#[derive(Debug, Default)]
pub struct EgressState {
    /// Number of the last flush that concerned the transport.
    pub epoch: u64,
    /// What left under transport-wide sequence numbers.
    pub log: SentLog,
    /// Answers to NACKs and packets of the past that wait for the flush.
    pub extras: Vec<Extra>,
    /// Spreads out what leaves, where the link is narrow.
    pub pacer: Option<Box<Pacer>>,
}

impl EgressState {
    /// What waits of a subscription does not leave any more.
    pub fn forget(&mut self, subscription: usize) {
        if let Some(pacer) = &mut self.pacer {
            pacer.forget(subscription);
        }
    }
}

/// The state of one transport.
#[derive(Debug)]
pub struct Transport {
    /// Where its media goes.
    pub path: Option<Path>,
    /// Sealing; `None` before the keys.
    pub outbound: Option<Outbound>,
    /// What the egress keeps.
    pub egress: EgressState,
    /// Slots of its subscriptions, video first.
    pub subscriptions: Vec<usize>,
    /// What is counted.
    pub counters: Counters,
    /// Opening; `None` before the keys.
    pub inbound: Option<Inbound>,
    /// ICE.
    pub agent: Agent,
    /// Its id.
    pub id: TransportId,
    /// When it was opened.
    pub opened: Instant,
    /// It has sockets to itself, and uses no other.
    own_socket: bool,
    /// SSRCs of what the peer publishes.
    pub bindings: Bindings,
    /// Header extension ids of what the peer publishes.
    pub extensions: ExtensionMap,
    /// Slots of its tracks.
    pub tracks: Vec<usize>,
    /// Feedback about what the peer publishes.
    pub reception: Reception,
    /// What was dropped.
    pub ignored: Ignored,
    /// Round trip to a viewer, from its receiver reports.
    pub rtt: Option<Duration>,
    /// What the path to a viewer carries; `None` before anything is known of it.
    pub bandwidth: Option<Box<Adaptation>>,
    /// When the next sender reports are due.
    pub sender_reports_at: Option<Instant>,
    /// Next timer.
    pub scheduled: Scheduled,
    /// SSRCs that were ever sent under these keys: a second stream under one of them would use a nonce twice.
    pub used_ssrcs: Vec<u32>,
    extension_pairs: Vec<(u8, ExtensionKind)>,
    held: VecDeque<(Path, Vec<u8>)>,
}

impl Transport {
    /// A transport that waits for its first check. `seed` makes ICE's transaction ids.
    pub fn new(id: TransportId, ice: &IceParameters, own_socket: bool, seed: u64, now: Instant) -> Transport {
        Transport {
            path: None,
            outbound: None,
            egress: EgressState::default(),
            subscriptions: Vec::new(),
            counters: Counters::default(),
            inbound: None,
            agent: Agent::new(ice, seed, now),
            id,
            opened: now,
            own_socket,
            bindings: Bindings::default(),
            extensions: ExtensionMap::default(),
            tracks: Vec::new(),
            reception: Reception::default(),
            ignored: Ignored::default(),
            rtt: None,
            bandwidth: None,
            sender_reports_at: None,
            scheduled: None,
            used_ssrcs: Vec::new(),
            extension_pairs: Vec::new(),
            held: VecDeque::new(),
        }
    }

    /// Whether its peer was told to send to this socket.
    pub fn listens_on(&self, socket: SocketId) -> bool {
        socket.owner() == self.own_socket.then_some(self.id)
    }

    /// Keeps a datagram until the keys come.
    pub fn hold(&mut self, path: Path, datagram: &[u8]) {
        if self.held.len() < MAX_HELD && datagram.len() <= MAX_HELD_LEN {
            self.held.push_back((path, datagram.to_vec()));
        } else {
            self.ignored.count(Reason::NoKeys);
        }
    }

    /// What was held, oldest first.
    pub fn take_held(&mut self) -> VecDeque<(Path, Vec<u8>)> {
        std::mem::take(&mut self.held)
    }

    /// Datagrams held, for `dump`.
    pub fn held_len(&self) -> usize {
        self.held.len()
    }

    /// Binds the SSRCs that a track's parameters name, and takes over its extension ids: they are the same in all
    /// m-sections of a bundle (RFC 8843 section 14).
    pub fn learn_track(&mut self, slot: usize, track: &Track) {
        for (index, encoding) in track.encodings.iter().enumerate() {
            let encoding_index = index as u8;
            let named = [(encoding.signalled_ssrc, false), (encoding.signalled_rtx_ssrc, true)];
            for (ssrc, rtx) in named.into_iter().filter_map(|(ssrc, rtx)| Some((ssrc?, rtx))) {
                self.bindings.bind(ssrc, Binding { track: slot, encoding: encoding_index, rtx });
            }
        }
        self.extension_pairs.extend_from_slice(&track.extensions);
        self.extensions = ExtensionMap::new(&self.extension_pairs);
    }

    /// What the path to the peer has been seen to carry, in bit/s, all packets of the transport counted with UDP and IP;
    /// `None` while nothing is known. It may carry more: see [`Transport::bitrate_limit`].
    pub fn available_bitrate(&self) -> Option<u64> {
        self.bandwidth.as_ref()?.estimator.estimate()
    }

    /// What may be sent at most, where the path is known to carry hardly more: it was full, and no probe has shown
    /// otherwise since.
    pub fn bitrate_limit(&self) -> Option<u64> {
        self.bandwidth.as_ref()?.estimator.drain()
    }

    /// Undoes the bindings of a track.
    pub fn forget_track(&mut self, slot: usize) {
        self.bindings.forget_track(slot);
    }
}
