//! When packets of a publisher's transport arrived, by transport-wide sequence number, until that is reported.

use std::time::{Duration, Instant};

use crate::rtcp::{Arrival, write_transport_feedback};
use crate::rtp::Unwrapper;

/// Numbers whose arrival is remembered: half a second of 8000 packets per second.
const WINDOW: u64 = 4096;
/// A longer jump is a new start of the numbering, not loss.
const MAX_GAP: u64 = 2000;
/// A packet that comes later than this many others changes no report.
const MAX_LATE: u64 = 500;
/// Chunks and deltas of one feedback in bytes, so that it fits one datagram.
const MAX_BODY: usize = 1000;
/// Unit of a delta.
const TICK_MICROS: i64 = 250;
/// Unit of the reference time, in ticks.
const REFERENCE_TICKS: i64 = 256;

/// Arrivals in a ring, and how far they have been reported.
#[derive(Debug, Default)]
pub struct TwccRecorder {
    unwrapper: Unwrapper,
    epoch: Option<Instant>,
    /// Ticks since the epoch, by number modulo [`WINDOW`]; empty before the first packet.
    arrivals: Vec<Option<i64>>,
    /// First number of the next feedback...
    begin: u64,
    /// ...and the one behind the newest.
    end: u64,
    feedback_count: u8,
    scratch: Vec<Arrival>,
}

impl TwccRecorder {
    /// Time between two feedbacks.
    pub const INTERVAL: Duration = Duration::from_millis(50);

    /// Notes a packet. The first arrival of a number counts; one that was reported lost and comes after all is reported
    /// again, with what came after it.
    pub fn received(&mut self, now: Instant, sequence: u16) {
        let epoch = *self.epoch.get_or_insert(now);
        let ticks = now.saturating_duration_since(epoch).as_micros() as i64 / TICK_MICROS;
        let sequence = self.unwrapper.unwrap(sequence);
        if self.arrivals.is_empty() || sequence >= self.end + MAX_GAP {
            self.arrivals.clear();
            self.arrivals.resize(WINDOW as usize, None);
            (self.begin, self.end) = (sequence, sequence);
        } else if sequence < self.end {
            if sequence + MAX_LATE < self.end || self.slot(sequence).is_some() {
                return;
            }
            self.begin = self.begin.min(sequence);
        }
        for skipped in self.end..sequence {
            *self.slot(skipped) = None;
        }
        *self.slot(sequence) = Some(ticks);
        self.end = self.end.max(sequence + 1);
        // What leaves the window is not reported any more.
        self.begin = self.begin.max(self.end.saturating_sub(WINDOW));
    }

    /// Whether a feedback is due.
    pub fn pending(&self) -> bool {
        self.begin < self.end
    }

    /// Appends one feedback on what came since the last, at most a datagram of it: the rest stays pending. What is
    /// missing now is reported lost.
    pub fn write(&mut self, out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32) {
        self.scratch.clear();
        let mut reference = 0;
        let mut last = None;
        let mut deltas = 0;
        for sequence in self.begin..self.end {
            let arrival = *self.slot(sequence);
            let delta = match arrival {
                None => None,
                Some(ticks) => {
                    let before = *last.get_or_insert_with(|| {
                        reference = ticks.div_euclid(REFERENCE_TICKS);
                        reference * REFERENCE_TICKS
                    });
                    // Eight seconds between two packets: the rest goes into a feedback of its own.
                    let Ok(delta) = i16::try_from(ticks - before) else { break };
                    last = Some(ticks);
                    deltas += if u8::try_from(delta).is_ok() { 1 } else { 2 };
                    Some(delta)
                }
            };
            self.scratch.push(Arrival { sequence: sequence as u16, delta });
            // A chunk of two bytes stands for at least seven packets.
            if deltas + 2 * self.scratch.len().div_ceil(7) >= MAX_BODY {
                break;
            }
        }
        if self.scratch.is_empty() {
            return;
        }
        self.begin += self.scratch.len() as u64;
        // The reference time has 24 bits, signed.
        let reference = (reference as i32) << 8 >> 8;
        write_transport_feedback(out, sender_ssrc, media_ssrc, reference, self.feedback_count, &self.scratch);
        self.feedback_count = self.feedback_count.wrapping_add(1);
    }

    fn slot(&mut self, sequence: u64) -> &mut Option<i64> {
        &mut self.arrivals[(sequence % WINDOW) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{Packet, Packets};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// All that is pending, feedback by feedback.
    fn feedback(recorder: &mut TwccRecorder) -> Vec<(u8, i32, Vec<Arrival>)> {
        let mut all = Vec::new();
        while recorder.pending() {
            let mut out = Vec::new();
            recorder.write(&mut out, 1, 2);
            assert!(out.len() < 1100, "{}", out.len());
            let Some(Packet::TransportFeedback(f)) = Packets::new(&out).next() else { panic!("{out:?}") };
            let arrivals: Vec<_> = f.arrivals().collect();
            assert_eq!(arrivals.len(), usize::from(f.packet_count));
            all.push((f.feedback_count, f.reference_time, arrivals));
        }
        all
    }

    /// Number and arrival in ticks since the first packet, as a sender understands all that is pending.
    fn understood(recorder: &mut TwccRecorder) -> Vec<(u16, Option<i64>)> {
        let mut all = Vec::new();
        for (_, reference, arrivals) in feedback(recorder) {
            let mut ticks = i64::from(reference) * REFERENCE_TICKS;
            for arrival in arrivals {
                let at = arrival.delta.map(|delta| {
                    ticks += i64::from(delta);
                    ticks
                });
                all.push((arrival.sequence, at));
            }
        }
        all
    }

    #[test]
    fn reports_order_gaps_and_the_wrap() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut recorder = TwccRecorder::default();
        recorder.received(at(0), 65534);
        recorder.received(at(2), 0);
        recorder.received(at(1), 65535);
        recorder.received(at(70), 2);
        let reports = feedback(&mut recorder);
        let deltas: Vec<_> = reports[0].2.iter().map(|arrival| (arrival.sequence, arrival.delta)).collect();
        assert_eq!(deltas, [(65534, Some(0)), (65535, Some(4)), (0, Some(4)), (1, None), (2, Some(272))]);
        assert!(!recorder.pending());
        recorder.received(at(90), 3);
        let reports = feedback(&mut recorder);
        assert_eq!((reports[0].0, reports[0].1), (1, 1));
        assert_eq!(reports[0].2, [Arrival { sequence: 3, delta: Some(360 - 256) }]);
    }

    #[test]
    fn a_late_packet_takes_its_loss_back() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut recorder = TwccRecorder::default();
        recorder.received(at(0), 10);
        recorder.received(at(1), 12);
        assert_eq!(understood(&mut recorder), [(10, Some(0)), (11, None), (12, Some(4))]);
        recorder.received(at(2), 11);
        assert_eq!(understood(&mut recorder), [(11, Some(8)), (12, Some(4))]);
        recorder.received(at(3), 11);
        assert!(!recorder.pending());
        recorder.received(at(4), 9);
        assert_eq!(understood(&mut recorder)[0], (9, Some(16)));
    }

    #[test]
    fn a_numbering_that_starts_anew_is_followed() {
        let start = Instant::now();
        let mut recorder = TwccRecorder::default();
        recorder.received(start, 30_000);
        understood(&mut recorder);
        for sequence in 40..50 {
            recorder.received(start + Duration::from_millis(1), sequence);
        }
        assert_eq!(understood(&mut recorder).last(), Some(&(49, Some(4))));
    }

    #[test]
    fn what_nobody_fetches_leaves_the_window() {
        let start = Instant::now();
        let mut recorder = TwccRecorder::default();
        for step in 0..10_000u64 {
            recorder.received(start + Duration::from_micros(step * 250), step as u16);
        }
        let all = understood(&mut recorder);
        assert_eq!(all.len() as u64, WINDOW);
        assert!(all.iter().all(|&(sequence, at)| at == Some(i64::from(sequence))));
    }

    proptest! {
        #[test]
        fn a_sender_learns_when_each_packet_came(
            first in any::<u16>(),
            steps in proptest::collection::vec((-3i64..8, 0u64..90_000, any::<bool>()), 1..600)
        ) {
            let start = Instant::now();
            let mut recorder = TwccRecorder::default();
            let (mut truth, mut known) = (BTreeMap::new(), BTreeMap::new());
            let (mut position, mut now) = (100i64, start);
            for (step, micros, fetch) in steps {
                position = (position + step).max(0);
                now += Duration::from_micros(if truth.is_empty() { 0 } else { micros });
                let sequence = first.wrapping_add(position as u16);
                recorder.received(now, sequence);
                truth.entry(sequence).or_insert((now - start).as_micros() as i64 / TICK_MICROS);
                if fetch {
                    known.extend(understood(&mut recorder).into_iter().filter_map(|(s, at)| Some((s, at?))));
                }
            }
            known.extend(understood(&mut recorder).into_iter().filter_map(|(s, at)| Some((s, at?))));
            prop_assert_eq!(known, truth);
        }
    }

    #[test]
    fn a_long_silence_splits_the_feedback_and_a_jump_begins_anew() {
        let start = Instant::now();
        let mut recorder = TwccRecorder::default();
        recorder.received(start, 10);
        recorder.received(start + Duration::from_secs(20), 11);
        assert_eq!(feedback(&mut recorder).len(), 2);
        recorder.received(start, 12);
        recorder.received(start, 12 + 5000);
        let reports = feedback(&mut recorder);
        assert_eq!(reports[0].2.len(), 1);
        assert_eq!(reports[0].2[0].sequence, 5012);
    }
}
