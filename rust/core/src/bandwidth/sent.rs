//! What left for a viewer under transport-wide sequence numbers, until its feedback tells what became of it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bursts that are remembered of a viewer that sends feedback: four seconds of a thousand a second ...
const MAX_BURSTS: usize = 4096;
/// ... and before its first one, which may never come.
const MAX_UNANSWERED: usize = 64;
/// Nobody reports on what is older.
const MAX_AGE: Duration = Duration::from_secs(4);
/// What IPv4 and UDP add to a packet. What is estimated is what a link carries.
pub const PACKET_OVERHEAD: usize = 28;

/// Packets that left together, under consecutive numbers.
#[derive(Clone, Copy, Debug)]
pub struct Burst {
    /// Number of the first.
    pub first: u64,
    /// How many.
    pub count: u32,
    /// Their size on the wire, [`PACKET_OVERHEAD`] included.
    pub bytes: u32,
    /// When.
    pub at: Instant,
    /// The probe that they belong to, 0 for none.
    pub cluster: u32,
    /// Bytes that had left before.
    pub before: u64,
}

impl Burst {
    /// Mean size of its packets.
    pub fn packet_bytes(&self) -> u32 {
        self.bytes / self.count.max(1)
    }
}

/// The bursts of one transport. Writing costs once for each flush, not for each packet.
#[derive(Debug, Default)]
pub struct SentLog {
    bursts: VecDeque<Burst>,
    /// Number of the newest packet; its low 16 bits are on the wire.
    newest: u64,
    /// Bytes of all packets so far.
    total: u64,
    /// What new bursts belong to.
    pub cluster: u32,
    answered: bool,
}

impl SentLog {
    /// The number of the next packet of the burst that is being written.
    #[inline]
    pub fn number(&mut self) -> u16 {
        self.newest += 1;
        self.newest as u16
    }

    /// Notes the last `count` numbers as sent.
    #[inline]
    pub fn sent(&mut self, at: Instant, count: u32, bytes: u32) {
        let before = self.total;
        self.total += u64::from(bytes);
        let first = self.newest + 1 - u64::from(count);
        if let Some(last) = self.bursts.back_mut()
            && last.at == at
            && last.cluster == self.cluster
        {
            last.count += count;
            last.bytes += bytes;
            return;
        }
        let most = if self.answered { MAX_BURSTS } else { MAX_UNANSWERED };
        // One more than comes goes, until only young ones are left.
        for _ in 0..2 {
            let full = self.bursts.len() >= most;
            let old = |burst: &Burst| full || at.saturating_duration_since(burst.at) > MAX_AGE;
            if self.bursts.front().is_some_and(old) {
                self.bursts.pop_front();
            }
        }
        self.bursts.push_back(Burst { first, count, bytes, at, cluster: self.cluster, before });
    }

    /// Bytes sent so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// When the newest burst left.
    pub fn newest_at(&self) -> Option<Instant> {
        self.bursts.back().map(|burst| burst.at)
    }

    /// The extended number of a 16-bit one, and how many packets from there on are known; None for what was not sent.
    pub fn locate(&mut self, sequence: u16) -> Option<(u64, u64)> {
        self.answered = true;
        let behind = u64::from((self.newest as u16).wrapping_sub(sequence));
        let number = self.newest.checked_sub(behind)?;
        let oldest = self.bursts.front()?.first;
        (number >= oldest || oldest - number < 0x4000).then_some((number, self.newest - number + 1))
    }

    /// Index of the burst with this number or, where it is forgotten, of the next one.
    pub fn index_of(&self, number: u64) -> usize {
        self.bursts.partition_point(|burst| burst.first + u64::from(burst.count) <= number)
    }

    /// A burst by index.
    pub fn get(&self, index: usize) -> Option<&Burst> {
        self.bursts.get(index)
    }

    /// Bursts that are remembered.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.bursts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_back_to_their_burst() {
        let start = Instant::now();
        let mut log = SentLog::default();
        for step in 0..30_000_u64 {
            for _ in 0..3 {
                log.number();
            }
            log.sent(start + Duration::from_millis(10 * step), 3, 3000);
            log.answered = true;
        }
        let newest = 90_000_u64;
        assert!(log.len() <= 402, "four seconds: {}", log.len());
        let (number, known) = log.locate((newest - 5) as u16).expect("just sent");
        assert_eq!((number, known), (newest - 5, 6));
        let burst = log.get(log.index_of(number)).expect("just sent");
        assert_eq!((burst.first, burst.count, burst.packet_bytes()), (newest - 5, 3, 1000));
        assert_eq!(log.index_of(1), 0, "forgotten");
        assert_eq!(log.index_of(newest + 1), log.len(), "not sent yet");
        assert!(log.locate((newest + 1) as u16).is_none());
    }

    #[test]
    fn without_feedback_little_is_kept() {
        let start = Instant::now();
        let mut log = SentLog::default();
        for step in 0..1000 {
            log.number();
            log.sent(start + Duration::from_millis(step), 1, 100);
        }
        assert_eq!(log.len(), MAX_UNANSWERED);
    }

    #[test]
    fn what_leaves_at_one_instant_is_one_burst_but_a_probe_is_apart() {
        let start = Instant::now();
        let mut log = SentLog::default();
        for cluster in [0, 0, 1] {
            log.number();
            log.cluster = cluster;
            log.sent(start, 1, 100);
        }
        assert_eq!((log.len(), log.total()), (2, 300));
        assert_eq!(log.get(0).map(|burst| (burst.first, burst.count)), Some((1, 2)));
        assert_eq!(log.get(1).map(|burst| (burst.first, burst.cluster)), Some((3, 1)));
    }
}
