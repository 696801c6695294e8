//! When packets of a publisher's transport arrived, by transport-wide sequence number, until that is reported.

use std::time::{Duration, Instant};

use crate::rtcp::{Arrival, write_transport_feedback};
use crate::rtp::Unwrapper;

/// Packets between the first and the last of one feedback.
const WINDOW: usize = 1024;
/// Unit of a delta.
const TICK_MICROS: i64 = 250;
/// Unit of the reference time, in ticks.
const REFERENCE_TICKS: i64 = 256;

/// Arrivals since the last feedback.
#[derive(Debug, Default)]
pub struct TwccRecorder {
    unwrapper: Unwrapper,
    epoch: Option<Instant>,
    /// First number of the next feedback.
    base: Option<u64>,
    /// Ticks since the epoch by number from `base` on.
    arrivals: Vec<Option<i64>>,
    feedback_count: u8,
    scratch: Vec<Arrival>,
}

impl TwccRecorder {
    /// Notes a packet. One that was reported on already, or that is far ahead, is handled as the draft asks: the first
    /// report stands, and a jump begins anew.
    pub fn received(&mut self, now: Instant, sequence: u16) {
        let sequence = self.unwrapper.unwrap(sequence);
        let epoch = *self.epoch.get_or_insert(now);
        let base = *self.base.get_or_insert(sequence);
        let Some(mut index) = sequence.checked_sub(base).map(|distance| distance as usize) else { return };
        if index >= WINDOW {
            self.base = Some(sequence);
            self.arrivals.clear();
            index = 0;
        }
        if self.arrivals.len() <= index {
            self.arrivals.resize(index + 1, None);
        }
        let ticks = now.saturating_duration_since(epoch).as_micros() as i64 / TICK_MICROS;
        self.arrivals[index].get_or_insert(ticks);
    }

    /// Whether a feedback is due.
    pub fn pending(&self) -> bool {
        !self.arrivals.is_empty()
    }

    /// Appends feedback on all that came since the last. What is missing now is reported lost.
    pub fn write(&mut self, out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32) {
        let Some(mut sequence) = self.base else { return };
        let mut rest = &self.arrivals[..];
        while let Some(first) = rest.iter().flatten().next() {
            let reference = first.div_euclid(REFERENCE_TICKS);
            let mut last = reference * REFERENCE_TICKS;
            self.scratch.clear();
            for (index, arrival) in rest.iter().enumerate() {
                let delta = match arrival {
                    None => None,
                    Some(ticks) => match i16::try_from(ticks - last) {
                        Ok(delta) => {
                            last = *ticks;
                            Some(delta)
                        }
                        // Eight seconds between two packets: the rest goes into a feedback of its own.
                        Err(_) => break,
                    },
                };
                self.scratch.push(Arrival { sequence: (sequence + index as u64) as u16, delta });
            }
            // The reference time has 24 bits, signed.
            let reference = (reference as i32) << 8 >> 8;
            write_transport_feedback(out, sender_ssrc, media_ssrc, reference, self.feedback_count, &self.scratch);
            self.feedback_count = self.feedback_count.wrapping_add(1);
            sequence += self.scratch.len() as u64;
            rest = &rest[self.scratch.len()..];
        }
        self.base = Some(sequence + rest.len() as u64);
        self.arrivals.clear();
    }

    /// Time between two feedbacks.
    pub const INTERVAL: Duration = Duration::from_millis(50);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{Packet, Packets};

    fn feedback(recorder: &mut TwccRecorder) -> Vec<(u8, i32, Vec<Arrival>)> {
        let mut out = Vec::new();
        recorder.write(&mut out, 1, 2);
        Packets::new(&out)
            .map(|packet| match packet {
                Packet::TransportFeedback(f) => (f.feedback_count, f.reference_time, f.arrivals().collect()),
                other => panic!("{other:?}"),
            })
            .collect()
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
        // What was reported lost stays lost; the next report goes on behind.
        recorder.received(at(80), 1);
        recorder.received(at(90), 3);
        let reports = feedback(&mut recorder);
        assert_eq!((reports[0].0, reports[0].1), (1, 1));
        assert_eq!(reports[0].2, [Arrival { sequence: 3, delta: Some(360 - 256) }]);
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
