//! The classes of the answer to `stats`.

use std::collections::BTreeMap;

use live777_media::stats as media;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::record::record;
use crate::snapshot::Snapshot;

record! {
    /// Counters of one transport.
    TransportStats {
        transport: u64,
        worker: usize,
        connected: bool,
        remote: Option<String>,
        packets_received: u64,
        bytes_received: u64,
        packets_sent: u64,
        bytes_sent: u64,
        srtp_rejected: u64,
        datagrams_ignored: u64,
        rtt_ms: Option<f64>,
        available_bitrate: Option<u64>,
        silent_ms: Option<f64>,
    }
}

record! {
    /// Counters of one encoding of a published track.
    TrackStats {
        track: u64,
        transport: u64,
        rid: Option<String>,
        ssrc: u32,
        payload_type: u8,
        packets: u64,
        bytes: u64,
        lost: u64,
        repaired: u64,
        reordered: u64,
        nacks_sent: u64,
        plis_sent: u64,
        key_frames: u64,
        frames: u64,
        freezes: u64,
        freeze_ms: f64,
        first_packet_ms: Option<f64>,
        first_key_frame_ms: Option<f64>,
        jitter_ms: f64,
        width: u16,
        height: u16,
        bitrate: u64,
        active: bool,
        layers: Vec<LayerStats>,
    }
}

record! {
    /// A choice of layers within an encoding.
    LayerStats {
        spatial: u8,
        temporal: u8,
        width: u16,
        height: u16,
        bitrate: u64,
        frame_rate: f64,
        active: bool,
    }
}

record! {
    /// Counters of one subscription.
    SubscriptionStats {
        subscription: u64,
        transport: u64,
        track: Option<u64>,
        rid: Option<String>,
        spatial: u8,
        temporal: u8,
        packets: u64,
        bytes: u64,
        retransmitted: u64,
        nacks_received: u64,
        nacks_unanswered: u64,
        plis_received: u64,
        replayed: u64,
        dropped: u64,
        lost: u64,
        fraction_lost: f64,
        jitter_ms: f64,
    }
}

record! {
    /// Counters of one tap.
    TapStats {
        tap: u64,
        track: u64,
        rid: Option<String>,
        codec: Option<String>,
        frames: u64,
        bytes: u64,
        key_frames: u64,
        lost_packets: u64,
        damaged: u64,
        skipped: u64,
        dropped: u64,
        queued_frames: usize,
        queued_bytes: usize,
        waiting_packets: usize,
        synced: bool,
    }
}

record! {
    /// Counters of one source.
    SourceStats {
        track: u64,
        worker: usize,
        ssrc: u32,
        frames: u64,
        key_frames: u64,
        packets: u64,
        bytes: u64,
        refused: u64,
        key_frames_needed: u64,
    }
}

record! {
    /// Counters of one media thread.
    WorkerStats {
        worker: usize,
        thread_cpu_seconds: f64,
        datagrams_received: u64,
        datagrams_sent: u64,
        send_calls: u64,
        send_errors: u64,
        gso: bool,
        unknown_datagrams: u64,
        relay_dropped: u64,
        tcp_connections: u64,
        tcp_accepted: u64,
        tcp_refused: u64,
        tcp_rejected: u64,
        tcp_datagrams_sent: u64,
        tcp_datagrams_dropped: u64,
        packets_received: u64,
        packets_sent: u64,
        srtp_rejected: u64,
        datagrams_ignored: u64,
        lost: u64,
        repaired: u64,
        nacks_sent: u64,
        plis_sent: u64,
        key_frames: u64,
        retransmitted: u64,
        nacks_received: u64,
        nacks_unanswered: u64,
        plis_received: u64,
        packets_offered: u64,
        packets_forwarded: u64,
        packets_replayed: u64,
        packets_dropped: BTreeMap<&'static str, u64>,
    }
}

impl TransportStats {
    fn new(worker: usize, row: media::TransportStats) -> Self {
        Self {
            transport: row.transport.0,
            worker,
            connected: row.connected,
            remote: row.path.map(|path| path.remote.to_string()),
            packets_received: row.packets_received,
            bytes_received: row.bytes_received,
            packets_sent: row.packets_sent,
            bytes_sent: row.bytes_sent,
            srtp_rejected: row.srtp_rejected,
            datagrams_ignored: row.datagrams_ignored,
            rtt_ms: row.rtt_ms,
            available_bitrate: row.available_bitrate,
            silent_ms: row.silent_ms,
        }
    }
}

impl From<media::TrackStats> for TrackStats {
    fn from(row: media::TrackStats) -> Self {
        Self {
            track: row.track.0,
            transport: row.transport.0,
            rid: row.rid,
            ssrc: row.ssrc,
            payload_type: row.payload_type,
            packets: row.packets,
            bytes: row.bytes,
            lost: row.lost,
            repaired: row.repaired,
            reordered: row.reordered,
            nacks_sent: row.nacks_sent,
            plis_sent: row.plis_sent,
            key_frames: row.key_frames,
            frames: row.frames,
            freezes: row.freezes,
            freeze_ms: row.freeze_ms,
            first_packet_ms: row.first_packet_ms,
            first_key_frame_ms: row.first_key_frame_ms,
            jitter_ms: row.jitter_ms,
            width: row.width,
            height: row.height,
            bitrate: row.bitrate,
            active: row.active,
            layers: row.layers.iter().map(LayerStats::from).collect(),
        }
    }
}

impl From<&media::LayerStats> for LayerStats {
    fn from(row: &media::LayerStats) -> Self {
        let &media::LayerStats { spatial, temporal, width, height, bitrate, frame_rate, active } = row;
        Self { spatial, temporal, width, height, bitrate, frame_rate, active }
    }
}

impl From<media::SubscriptionStats> for SubscriptionStats {
    fn from(row: media::SubscriptionStats) -> Self {
        Self {
            subscription: row.subscription.0,
            transport: row.transport.0,
            track: row.track.map(|track| track.0),
            rid: row.rid,
            spatial: row.spatial,
            temporal: row.temporal,
            packets: row.packets,
            bytes: row.bytes,
            retransmitted: row.retransmitted,
            nacks_received: row.nacks_received,
            nacks_unanswered: row.nacks_unanswered,
            plis_received: row.plis_received,
            replayed: row.replayed,
            dropped: row.dropped,
            lost: row.lost,
            fraction_lost: row.fraction_lost,
            jitter_ms: row.jitter_ms,
        }
    }
}

impl From<media::TapStats> for TapStats {
    fn from(row: media::TapStats) -> Self {
        Self {
            tap: row.tap.0,
            track: row.track.0,
            rid: row.rid,
            codec: row.codec.map(|codec| codec.name().to_owned()),
            frames: row.frames,
            bytes: row.bytes,
            key_frames: row.key_frames,
            lost_packets: row.lost_packets,
            damaged: row.damaged,
            skipped: row.skipped,
            dropped: row.dropped,
            queued_frames: row.queued_frames,
            queued_bytes: row.queued_bytes,
            waiting_packets: row.waiting_packets,
            synced: row.synced,
        }
    }
}

impl SourceStats {
    fn new(worker: usize, row: &media::SourceStats) -> Self {
        Self {
            track: row.track.0,
            worker,
            ssrc: row.ssrc,
            frames: row.frames,
            key_frames: row.key_frames,
            packets: row.packets,
            bytes: row.bytes,
            refused: row.refused,
            key_frames_needed: row.key_frames_needed,
        }
    }
}

impl WorkerStats {
    fn new(snapshot: &Snapshot) -> Self {
        let totals = &snapshot.stats.worker.totals;
        Self {
            worker: snapshot.worker,
            thread_cpu_seconds: snapshot.thread_cpu.as_secs_f64(),
            datagrams_received: snapshot.stats.worker.datagrams_received,
            datagrams_sent: snapshot.sent.datagrams,
            send_calls: snapshot.sent.calls,
            send_errors: snapshot.sent.errors,
            gso: snapshot.gso,
            unknown_datagrams: snapshot.stats.worker.unknown_datagrams,
            relay_dropped: snapshot.relay_dropped,
            tcp_connections: snapshot.tcp.open,
            tcp_accepted: snapshot.tcp.accepted,
            tcp_refused: snapshot.tcp.refused,
            tcp_rejected: snapshot.tcp.rejected,
            tcp_datagrams_sent: snapshot.tcp.datagrams - snapshot.tcp.dropped,
            tcp_datagrams_dropped: snapshot.tcp.dropped,
            packets_received: totals.packets_received,
            packets_sent: totals.packets_sent,
            srtp_rejected: totals.srtp_rejected,
            datagrams_ignored: totals.datagrams_ignored,
            lost: totals.lost,
            repaired: totals.repaired,
            nacks_sent: totals.nacks_sent,
            plis_sent: totals.plis_sent,
            key_frames: totals.key_frames,
            retransmitted: totals.retransmitted,
            nacks_received: totals.nacks_received,
            nacks_unanswered: totals.nacks_unanswered,
            plis_received: totals.plis_received,
            packets_offered: snapshot.stats.worker.packets_offered,
            packets_forwarded: totals.packets_forwarded,
            packets_replayed: totals.packets_replayed,
            packets_dropped: totals.dropped.iter().collect(),
        }
    }
}

/// Counters of the whole engine.
#[pyclass(frozen, get_all, module = "live777py._media")]
pub struct Stats {
    workers: Py<PyList>,
    transports: Py<PyList>,
    tracks: Py<PyList>,
    subscriptions: Py<PyList>,
    taps: Py<PyList>,
    sources: Py<PyList>,
}

#[pymethods]
impl Stats {
    fn __repr__(&self, py: Python<'_>) -> String {
        let count = |list: &Py<PyList>| list.bind(py).len();
        format!(
            "Stats(workers=<{}>, transports=<{}>, tracks=<{}>, subscriptions=<{}>, taps=<{}>, sources=<{}>)",
            count(&self.workers),
            count(&self.transports),
            count(&self.tracks),
            count(&self.subscriptions),
            count(&self.taps),
            count(&self.sources)
        )
    }
}

impl Stats {
    pub fn new(py: Python<'_>, snapshots: Vec<Snapshot>) -> PyResult<Self> {
        let [workers, transports, tracks, subscriptions, taps, sources] = std::array::from_fn(|_| PyList::empty(py));
        for snapshot in snapshots {
            let worker = snapshot.worker;
            workers.append(WorkerStats::new(&snapshot))?;
            for row in snapshot.stats.transports {
                transports.append(TransportStats::new(worker, row))?;
            }
            for row in snapshot.stats.tracks {
                tracks.append(TrackStats::from(row))?;
            }
            for row in snapshot.stats.subscriptions {
                subscriptions.append(SubscriptionStats::from(row))?;
            }
            for row in snapshot.stats.taps {
                taps.append(TapStats::from(row))?;
            }
            for row in &snapshot.stats.sources {
                sources.append(SourceStats::new(worker, row))?;
            }
        }
        Ok(Self {
            workers: workers.unbind(),
            transports: transports.unbind(),
            tracks: tracks.unbind(),
            subscriptions: subscriptions.unbind(),
            taps: taps.unbind(),
            sources: sources.unbind(),
        })
    }
}
