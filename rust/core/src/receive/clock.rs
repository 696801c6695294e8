//! NTP time, and how a publisher's NTP time maps to ours.

use std::time::{Duration, Instant};

use crate::rtcp::SenderInfo;

/// Seconds from 1900 (NTP) to 1970 (Unix).
const UNIX_EPOCH: u64 = 2_208_988_800;

/// Our wall clock as NTP, from one reading at the start.
#[derive(Clone, Copy, Debug)]
pub struct NtpClock {
    epoch: Instant,
    epoch_unix_micros: u64,
}

impl NtpClock {
    /// `epoch_unix_micros` is the Unix time of `epoch`, in microseconds.
    pub fn new(epoch: Instant, epoch_unix_micros: u64) -> NtpClock {
        NtpClock { epoch, epoch_unix_micros }
    }

    /// Unix time in microseconds.
    pub fn unix_micros(&self, instant: Instant) -> i64 {
        let epoch = self.epoch_unix_micros.cast_signed();
        match instant.checked_duration_since(self.epoch) {
            Some(later) => epoch + later.as_micros() as i64,
            None => epoch - (self.epoch - instant).as_micros() as i64,
        }
    }

    /// The instant of a Unix time in microseconds; `None` for one that is more than `span` from `now`.
    pub fn instant(&self, now: Instant, unix_micros: i64, span: Duration) -> Option<Instant> {
        let ahead = unix_micros.checked_sub(self.unix_micros(now))?;
        let distance = Duration::from_micros(ahead.unsigned_abs());
        if distance > span {
            None
        } else if ahead < 0 {
            now.checked_sub(distance)
        } else {
            now.checked_add(distance)
        }
    }

    /// The next instant that is a whole number of intervals after the epoch: the same for all workers.
    pub fn next_multiple(&self, now: Instant, interval: Duration) -> Instant {
        let elapsed = now.saturating_duration_since(self.epoch).as_micros();
        let interval = interval.as_micros().max(1);
        now + Duration::from_micros((interval - elapsed % interval) as u64)
    }

    /// 32.32 fixed point seconds since 1900.
    pub fn ntp(&self, instant: Instant) -> u64 {
        let micros = self.unix_micros(instant).max(0).cast_unsigned();
        ((micros / 1_000_000 + UNIX_EPOCH) << 32) | (((micros % 1_000_000) << 32) / 1_000_000)
    }

    /// The lower 24 bits of 6.18 fixed point seconds: abs-send-time.
    pub fn abs_send_time(&self, instant: Instant) -> u32 {
        (self.ntp(instant) >> 14) as u32 & 0x00ff_ffff
    }
}

/// One offset from a publisher's NTP clock to ours, for all its tracks: so they stay in sync with one another, whichever
/// of them has sent a report. The smallest delay seen defines it; it follows drift slowly.
#[derive(Clone, Copy, Debug, Default)]
pub struct PublisherClock {
    /// The publisher's instant in units of 2^-32 s, and when it reached us.
    best: Option<(u64, Instant)>,
}

/// How fast the best report ages: a report that is later by less than this per second is better.
const DRIFT_PER_SECOND: Duration = Duration::from_micros(200);

impl PublisherClock {
    /// Notes a sender report and returns when, on our clock, its media was sampled. A sender without a wall clock says 0
    /// (RFC 3550 section 6.4.1): then it is the arrival.
    pub fn sender_report(&mut self, now: Instant, info: &SenderInfo) -> Instant {
        if info.ntp == 0 {
            return now;
        }
        if self.instant_of(info.ntp).is_none_or(|expected| {
            let age = self.best.map_or(Duration::ZERO, |(_, at)| now.saturating_duration_since(at));
            let allowed = DRIFT_PER_SECOND.mul_f64(age.as_secs_f64());
            // Sooner than the best so far, within drift of it, or so far off that the publisher's clock was set.
            now <= expected + allowed || now > expected + Duration::from_secs(2)
        }) {
            self.best = Some((info.ntp, now));
        }
        self.instant_of(info.ntp).unwrap_or(now)
    }

    /// Our instant of one of the publisher's; `None` before any report, or for an instant hours away from it.
    pub fn instant_of(&self, ntp: u64) -> Option<Instant> {
        let (reference, at) = self.best?;
        let span = |units: u64| {
            let (seconds, fraction) = (units >> 32, units & 0xffff_ffff);
            (seconds < 36_000).then(|| Duration::new(seconds, ((fraction * 1_000_000_000) >> 32) as u32))
        };
        // Serial arithmetic: the era of NTP ends in 2036.
        let ahead = ntp.wrapping_sub(reference);
        if ahead < 1 << 63 { at.checked_add(span(ahead)?) } else { at.checked_sub(span(ahead.wrapping_neg())?) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_of_a_known_instant() {
        let epoch = Instant::now();
        let clock = NtpClock::new(epoch, 1_000_000_500_000);
        let ntp = clock.ntp(epoch + Duration::from_millis(250));
        assert_eq!(ntp >> 32, 1_000_000 + UNIX_EPOCH);
        assert_eq!(ntp as u32, 0xc000_0000);
        assert_eq!(clock.abs_send_time(epoch + Duration::from_secs(64)), clock.abs_send_time(epoch));
    }

    #[test]
    fn unix_time_and_back() {
        let epoch = Instant::now() + Duration::from_secs(10);
        let clock = NtpClock::new(epoch, 1_000_000);
        let hour = Duration::from_secs(3600);
        for at in [epoch - Duration::from_millis(700), epoch + Duration::from_millis(300)] {
            assert_eq!(clock.instant(epoch, clock.unix_micros(at), hour), Some(at));
        }
        assert_eq!(clock.unix_micros(epoch - Duration::from_secs(2)), -1_000_000);
        assert_eq!((clock.instant(epoch, i64::MAX, hour), clock.instant(epoch, i64::MIN, hour)), (None, None));
    }

    #[test]
    fn multiples_of_an_interval() {
        let epoch = Instant::now();
        let clock = NtpClock::new(epoch, 77);
        let tenth = Duration::from_millis(100);
        for (now, next) in [(0, 100), (1, 100), (99, 100), (100, 200), (250, 300)] {
            let at = |millis| epoch + Duration::from_millis(millis);
            assert_eq!(clock.next_multiple(at(now), tenth), at(next));
        }
    }

    #[test]
    fn the_end_of_the_era() {
        let start = Instant::now() + Duration::from_secs(10);
        let report = |ntp: u64| SenderInfo { ntp, rtp_timestamp: 0, packets: 0, octets: 0 };
        let mut clock = PublisherClock::default();
        clock.sender_report(start, &report(u64::MAX - (1 << 32) + 1));
        assert_eq!(clock.instant_of(1 << 32), Some(start + Duration::from_secs(2)));
        clock.sender_report(start + Duration::from_secs(2), &report(1 << 32));
        assert_eq!(clock.instant_of(u64::MAX - (1 << 32) + 1), Some(start));
    }

    #[test]
    fn a_sender_without_a_wall_clock() {
        let start = Instant::now();
        let report = SenderInfo { ntp: 0, rtp_timestamp: 0, packets: 0, octets: 0 };
        let mut clock = PublisherClock::default();
        for second in 0..3 {
            let now = start + Duration::from_secs(second);
            assert_eq!(clock.sender_report(now, &report), now);
        }
        assert_eq!(clock.instant_of(0), None);
    }

    #[test]
    fn two_tracks_share_one_offset() {
        let start = Instant::now();
        let report =
            |ms: u64| SenderInfo { ntp: (77 << 32) + ((ms << 32) / 1000), rtp_timestamp: 0, packets: 0, octets: 0 };
        let mut clock = PublisherClock::default();
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!(clock.sender_report(at(30), &report(0)), at(30));
        // The second report was 20 ms quicker on its way: the offset moves, once.
        let close = |a: Instant, b: Instant| a.max(b) - a.min(b) < Duration::from_micros(300);
        assert!(close(clock.sender_report(at(1010), &report(1000)), at(1010)));
        // A slow one does not move it.
        assert!(close(clock.sender_report(at(2090), &report(2000)), at(2010)));
        assert!(close(clock.instant_of(report(500).ntp).unwrap(), at(510)));
        // The publisher's clock was set.
        assert_eq!(clock.sender_report(at(9000), &report(3000)), at(9000));
    }
}
