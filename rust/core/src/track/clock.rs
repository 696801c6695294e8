//! Which instant an RTP timestamp stands for.

use std::time::{Duration, Instant};

/// One point of an RTP clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockPoint {
    /// When the media was sampled (or, without a sender report, came), on our clock.
    pub instant: Instant,
    /// What its timestamp is.
    pub rtp_timestamp: u32,
}

impl ClockPoint {
    /// The timestamp at another instant.
    pub fn at(&self, instant: Instant, clock_rate: u32) -> u32 {
        match instant.checked_duration_since(self.instant) {
            Some(later) => self.rtp_timestamp.wrapping_add(ticks(later, clock_rate)),
            None => self.rtp_timestamp.wrapping_sub(ticks(self.instant.duration_since(instant), clock_rate)),
        }
    }
}

/// How far the timestamp of a first sender report may lie from the newest packet's to be believed at once: encoders take
/// time ...
const MAX_LEAD: Duration = Duration::from_millis(250);
/// ... some of them this long, with frames that look ahead: then something else has to speak for the report.
const MAX_LATENESS: Duration = Duration::from_secs(10);
/// How far two reports may be apart in what they say of the clock: a report is written when it is sent.
const MAX_DISAGREEMENT: Duration = Duration::from_millis(100);
/// The same, as a part of the time between them.
const MAX_DRIFT: u32 = 20;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Trust {
    /// The newest report says what the packets say, or what the one before said.
    Proven,
    /// The only report there is, by which all packets are late: their encoder is slow, or the report is wrong.
    Unproven,
    #[default]
    Refuted,
}

/// What the sender reports of an encoding say of its clock, unless they contradict one another: there are senders whose
/// reported timestamps run twice as fast as those of their packets (GStreamer's webrtcbin 1.22).
#[derive(Clone, Copy, Debug, Default)]
pub struct ReportedClock {
    /// NTP and RTP time of the newest report.
    newest: Option<(u64, u32)>,
    trust: Trust,
}

impl ReportedClock {
    /// Takes a report that has come at `now`; `packet` is the newest that came before it.
    pub fn report(&mut self, now: Instant, report: (u64, u32), clock_rate: u32, packet: Option<ClockPoint>) {
        self.trust = match self.newest.replace(report) {
            Some(before) if agree(before, report, clock_rate) => Trust::Proven,
            Some(_) => Trust::Refuted,
            None => packet.map_or(Trust::Refuted, |packet| {
                let lead = report.1.wrapping_sub(packet.at(now, clock_rate)).cast_signed();
                match lead.unsigned_abs() {
                    apart if apart <= ticks(MAX_LEAD, clock_rate) => Trust::Proven,
                    apart if lead > 0 && apart <= ticks(MAX_LATENESS, clock_rate) => Trust::Unproven,
                    _ => Trust::Refuted,
                }
            }),
        };
    }

    /// Whether the newest report is believed for its own sake.
    pub fn is_proven(&self) -> bool {
        self.trust == Trust::Proven
    }

    /// NTP and RTP time of one moment. `sender_proven` says that reports of another track of this sender are believed:
    /// it does not write what is wrong, so the packets of this one are late.
    pub fn point(&self, sender_proven: bool) -> Option<(u64, u32)> {
        let believed = match self.trust {
            Trust::Proven => true,
            Trust::Unproven => sender_proven,
            Trust::Refuted => false,
        };
        self.newest.filter(|_| believed)
    }
}

/// Whether NTP and RTP time have gone on alike between two reports. Without a wall clock there is nothing to compare.
fn agree(before: (u64, u32), after: (u64, u32), clock_rate: u32) -> bool {
    if after.0 == 0 {
        return true;
    }
    let elapsed = after.0.wrapping_sub(before.0).cast_signed();
    let expected = (i128::from(elapsed) * i128::from(clock_rate)) >> 32;
    let allowed = expected.unsigned_abs() / u128::from(MAX_DRIFT) + u128::from(ticks(MAX_DISAGREEMENT, clock_rate));
    let actual = i128::from(after.1.wrapping_sub(before.1).cast_signed());
    (actual - expected).unsigned_abs() <= allowed
}

fn ticks(span: Duration, clock_rate: u32) -> u32 {
    (span.as_micros() * u128::from(clock_rate) / 1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 90_000;

    fn ntp(millis: u64) -> u64 {
        (77 << 32) + ((millis << 32) / 1000)
    }

    /// Reports, in ms of NTP and of RTP time, and whether each is believed. Packets are on time.
    fn believed(reports: &[(u64, u32)]) -> Vec<bool> {
        heard(reports, false)
    }

    fn heard(reports: &[(u64, u32)], sender_proven: bool) -> Vec<bool> {
        let start = Instant::now();
        let mut clock = ReportedClock::default();
        let heard = |&(at, rtp): &(u64, u32)| {
            let now = start + Duration::from_millis(at);
            let packet = ClockPoint { instant: now, rtp_timestamp: (at as u32 * 90).wrapping_sub(4000) };
            clock.report(now, (ntp(at), (rtp * 90).wrapping_sub(4000)), RATE, Some(packet));
            clock.point(sender_proven).is_some()
        };
        reports.iter().map(heard).collect()
    }

    #[test]
    fn a_report_that_fits_the_packets_is_believed_at_once() {
        assert_eq!(believed(&[(0, 0), (1000, 1000), (2000, 2030), (9000, 8960)]), [true; 4]);
        assert_eq!(believed(&[(0, 200), (1000, 1200)]), [true, true]);
        let mut clock = ReportedClock::default();
        clock.report(Instant::now(), (ntp(0), 7), RATE, None);
        assert_eq!(clock.point(true), None, "no packet to compare it with");
    }

    #[test]
    fn a_slow_encoder_is_believed_when_it_says_so_twice() {
        assert_eq!(believed(&[(0, 900), (1000, 1900), (2000, 2900)]), [false, true, true]);
    }

    #[test]
    fn a_slow_encoder_is_believed_at_once_when_another_track_speaks_for_its_sender() {
        assert_eq!(heard(&[(0, 900), (1000, 1900)], true), [true, true]);
        assert_eq!(heard(&[(0, 9900)], true), [true]);
        assert_eq!(heard(&[(0, 11_000)], true), [false], "no encoder is so slow");
        assert_eq!(heard(&[(500, 0)], true), [false], "nothing comes before it was sampled");
        assert_eq!(heard(&[(0, 900), (1000, 2900), (2000, 4900)], true), [true, false, false], "refuted");
    }

    #[test]
    fn a_report_is_proven_by_the_packets_or_by_the_next_one() {
        let (now, packet) = (Instant::now(), ClockPoint { instant: Instant::now(), rtp_timestamp: 0 });
        let mut clock = ReportedClock::default();
        clock.report(now, (ntp(0), 90_000), RATE, Some(packet));
        assert!(!clock.is_proven());
        clock.report(now, (ntp(1000), 180_000), RATE, Some(packet));
        assert!(clock.is_proven());
        clock.report(now, (ntp(2000), 1_180_000), RATE, Some(packet));
        assert!(!clock.is_proven());
    }

    #[test]
    fn timestamps_that_run_twice_as_fast_are_never_believed() {
        assert_eq!(believed(&[(779, 1558), (1644, 3288), (5698, 11396)]), [false; 3]);
    }

    #[test]
    fn one_report_that_is_wrong_costs_two() {
        let reports = [(0, 0), (1000, 1000), (2000, 7000), (3000, 3000), (4000, 4000)];
        assert_eq!(believed(&reports), [true, true, false, false, true]);
    }

    #[test]
    fn a_sender_without_a_wall_clock_is_not_compared() {
        let (now, packet) = (Instant::now(), ClockPoint { instant: Instant::now(), rtp_timestamp: 0 });
        let mut clock = ReportedClock::default();
        for rtp in [0, 5, 400_000] {
            clock.report(now, (0, rtp), RATE, Some(packet));
            assert_eq!(clock.point(false), Some((0, rtp)));
        }
    }

    #[test]
    fn extrapolates_in_both_directions() {
        let instant = Instant::now() + Duration::from_secs(10);
        let point = ClockPoint { instant, rtp_timestamp: 100 };
        assert_eq!(point.at(instant + Duration::from_millis(10), 90_000), 1000);
        assert_eq!(point.at(instant - Duration::from_millis(10), 90_000), 100_u32.wrapping_sub(900));
    }
}
