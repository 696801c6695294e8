//! Reception statistics (RFC 3550 sections 6.4 and A.3, A.8).

use std::time::{Duration, Instant};

use crate::rtcp::{ReportBlock, SenderInfo};

/// A longer jump is a new start, not loss (RFC 3550 A.1).
const MAX_DROPOUT: u64 = 3000;

/// Statistics of one SSRC. Sequence numbers are extended ones.
#[derive(Debug, Default)]
pub struct ReceptionStats {
    first: Option<u64>,
    highest: u64,
    received: u64,
    /// Expected and received at the last report.
    reported: (u64, u64),
    /// In 1/16 of RTP clock units, as in RFC 3550 A.8.
    jitter: u64,
    last_transit: Option<i64>,
    epoch: Option<Instant>,
    last_sr: Option<(u32, Instant)>,
}

impl ReceptionStats {
    /// Notes a packet that is no retransmission. `clock_rate` in Hz.
    pub fn received(&mut self, now: Instant, sequence: u64, timestamp: u32, clock_rate: u32) {
        if self.first.is_some() && sequence > self.highest + MAX_DROPOUT {
            // RFC 3550 A.1: the source has started anew. What it skipped was never sent.
            *self = ReceptionStats { last_sr: self.last_sr, ..ReceptionStats::default() };
        }
        self.received += 1;
        let epoch = *self.epoch.get_or_insert(now);
        if self.first.is_none_or(|first| sequence < first) {
            self.first = Some(sequence);
        }
        self.highest = self.highest.max(sequence);
        let arrival = now.saturating_duration_since(epoch).as_micros() * u128::from(clock_rate) / 1_000_000;
        // Both wrap like the timestamp; only their difference counts.
        let transit = i64::from((arrival as u32).wrapping_sub(timestamp));
        if let Some(last) = self.last_transit.replace(transit) {
            let difference = u64::from((transit.wrapping_sub(last) as i32).unsigned_abs());
            // A timestamp that jumps (a new source behind the same SSRC) is no jitter.
            if difference < u64::from(clock_rate) {
                self.jitter = (self.jitter + difference).saturating_sub((self.jitter + 8) >> 4);
            }
        }
    }

    /// Notes a sender report of this SSRC.
    pub fn sender_report(&mut self, now: Instant, info: &SenderInfo) {
        self.last_sr = Some(((info.ntp >> 16) as u32, now));
    }

    /// Interarrival jitter in RTP clock units.
    pub fn jitter(&self) -> u32 {
        (self.jitter >> 4) as u32
    }

    /// The block for the next report, `None` before the first packet. The fraction is since the last call.
    pub fn report(&mut self, now: Instant, ssrc: u32) -> Option<ReportBlock> {
        let expected = self.highest - self.first? + 1;
        let (expected_before, received_before) = std::mem::replace(&mut self.reported, (expected, self.received));
        let expected_now = expected.saturating_sub(expected_before);
        let lost_now = expected_now.saturating_sub(self.received - received_before);
        let fraction_lost = (lost_now * 256).checked_div(expected_now).unwrap_or(0).min(255) as u8;
        let (last_sr, delay_since_last_sr) = self.last_sr.map_or((0, 0), |(middle, at)| {
            (middle, (now.saturating_duration_since(at).as_micros() * 65536 / 1_000_000) as u32)
        });
        Some(ReportBlock {
            ssrc,
            fraction_lost,
            cumulative_lost: expected.cast_signed().saturating_sub_unsigned(self.received) as i32,
            // The unwrapper begins in the second cycle, RFC 3550 in the first.
            highest_sequence: self.highest.wrapping_sub(1 << 16) as u32,
            jitter: self.jitter(),
            last_sr,
            delay_since_last_sr,
        })
    }
}

/// Round trip from a report block about our own SSRC (RFC 3550 section 6.4.1): `ntp_now` is the clock that our SRs carry.
/// `None` before the peer has seen an SR, or where the arithmetic gives nonsense.
pub fn round_trip(block: &ReportBlock, ntp_now: u64) -> Option<Duration> {
    if block.last_sr == 0 {
        return None;
    }
    let units = ((ntp_now >> 16) as u32).wrapping_sub(block.last_sr).wrapping_sub(block.delay_since_last_sr);
    // In 1/65536 s. The rounding of three stamps may make a short trip negative; more is a peer whose clock lies.
    let units = if units >= 2u32.wrapping_neg() { 0 } else { units };
    (units < 60 << 16).then(|| Duration::from_micros((u64::from(units) * 1_000_000) >> 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_loss_and_jitter() {
        let start = Instant::now();
        let mut stats = ReceptionStats::default();
        assert!(stats.report(start, 1).is_none());
        for index in 0..100u32 {
            if index % 10 != 9 {
                let late = Duration::from_millis(u64::from(index % 2));
                let now = start + Duration::from_millis(20) * index + late;
                stats.received(now, 70_000 + u64::from(index), index.wrapping_mul(960), 48_000);
            }
        }
        let block = stats.report(start, 1).unwrap();
        assert_eq!((block.cumulative_lost, block.highest_sequence), (9, 70_098 - 65_536));
        assert_eq!(block.fraction_lost, (9 * 256 / 99) as u8);
        assert!((30..=48).contains(&block.jitter), "{}", block.jitter);
        assert_eq!(stats.report(start, 1).unwrap().fraction_lost, 0);
    }

    #[test]
    fn a_late_first_packet_and_duplicates() {
        let now = Instant::now();
        let mut stats = ReceptionStats::default();
        for sequence in [70_005, 70_004, 70_006, 70_006, 70_006] {
            stats.received(now, sequence, 0, 90_000);
        }
        let block = stats.report(now, 1).unwrap();
        assert_eq!((block.cumulative_lost, block.fraction_lost), (-2, 0));
    }

    #[test]
    fn a_new_start_is_no_loss() {
        let now = Instant::now();
        let mut stats = ReceptionStats::default();
        stats.sender_report(now, &SenderInfo { ntp: 5 << 32, rtp_timestamp: 0, packets: 0, octets: 0 });
        for sequence in (70_000..70_010).chain(120_000..120_010) {
            stats.received(now, sequence, 0, 90_000);
        }
        let block = stats.report(now, 1).unwrap();
        assert_eq!((block.cumulative_lost, block.fraction_lost, block.last_sr), (0, 0, 5 << 16));
    }

    #[test]
    fn timestamps_that_wrap_are_no_jitter() {
        let start = Instant::now();
        let mut stats = ReceptionStats::default();
        for step in 0..100u32 {
            let timestamp = (u32::MAX - 9_600).wrapping_add(step * 960);
            stats.received(start + Duration::from_millis(20) * step, u64::from(70_000 + step), timestamp, 48_000);
        }
        assert_eq!(stats.jitter(), 0);
    }

    #[test]
    fn round_trip_from_a_report() {
        let ntp = |seconds: u64| seconds << 32;
        let block = ReportBlock { last_sr: (ntp(10) >> 16) as u32, delay_since_last_sr: 1 << 16, ..Default::default() };
        assert_eq!(round_trip(&block, ntp(11) + (1 << 31)), Some(Duration::from_millis(500)));
        assert_eq!(round_trip(&block, ntp(10)), None);
        assert_eq!(round_trip(&block, ntp(11) - (2 << 16)), Some(Duration::ZERO));
        assert_eq!(round_trip(&ReportBlock::default(), ntp(10)), None);
    }
}
