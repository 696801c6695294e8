//! What a publisher is told about its packets: reports, transport-wide feedback or a bandwidth estimate, and when.

use std::time::{Duration, Instant};

use crate::receive::clock::PublisherClock;
use crate::receive::remb::RembEstimate;
use crate::receive::twcc::TwccRecorder;

/// From the first packet to the first receiver report, which lets a publisher measure its round trip.
const FIRST_REPORT: Duration = Duration::from_millis(200);
/// Between receiver reports.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The feedback state of one publishing transport.
#[derive(Debug, Default)]
pub struct Reception {
    /// Arrivals for transport-wide feedback.
    pub transport_cc: TwccRecorder,
    /// The estimate for publishers without it.
    pub remb: RembEstimate,
    /// The publisher's NTP clock on ours.
    pub clock: PublisherClock,
    /// When the next receiver report is due; `None` before the first packet.
    pub report_at: Option<Instant>,
    /// When the next transport-wide feedback is due; `None` while nothing came.
    pub feedback_at: Option<Instant>,
}

impl Reception {
    /// Notes an authentic packet of `len` bytes. Returns true if a deadline has moved.
    pub fn packet(&mut self, now: Instant, len: usize, transport_sequence: Option<u16>) -> bool {
        let mut moved = false;
        self.remb.received(len);
        if self.report_at.is_none() {
            self.report_at = Some(now + FIRST_REPORT);
            moved = true;
        }
        if let Some(sequence) = transport_sequence {
            self.transport_cc.received(now, sequence);
            if self.feedback_at.is_none() {
                self.feedback_at = Some(now + TwccRecorder::INTERVAL);
                moved = true;
            }
        }
        moved
    }

    /// When the next report or feedback is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.report_at.into_iter().chain(self.feedback_at).min()
    }
}
