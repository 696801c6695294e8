//! Fuzz targets as ordinary functions, and a runner that needs nothing but a stable compiler.
//!
//! A target takes any bytes and panics where an invariant does not hold. The tests run every target on mutations of a
//! small corpus, always the same ones. `LIVE777_FUZZ_SECONDS` makes each run that long, `FUZZ_ITERATIONS` changes the number
//! of mutations, `FUZZ_SEED` makes it another run. The same functions can be the body of a `cargo fuzz` target.

mod frames;
mod media;

pub use frames::{fuzz_depacketise, fuzz_packetise, fuzz_tap};
pub use media::{fuzz_descriptor, fuzz_layers, fuzz_payload, fuzz_receive, fuzz_rtcp, fuzz_rtp};

use std::time::Instant;

use crate::command::{IceParameters, IceRole};
use crate::event::{Path, SocketId};
use crate::framing::{self, Deframer};
use crate::ice::Agent;
use crate::srtp::{Inbound, MasterKey, Profile};
use crate::stun::{self, IntegrityKey, Message};

/// STUN: no bytes make the parser panic, and none that are not signed make an agent answer or learn.
pub fn fuzz_stun(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else { return };
    assert!(stun::is_stun(bytes), "what is parsed is also recognised");
    let _ = (message.ufrags(), message.mapped_address(), message.error(), message.priority());
    assert!(message.unknown_attributes().len() <= stun::MAX_UNKNOWN);
    assert!(!message.verify(&IntegrityKey::new("a password that no corpus has")));

    let now = Instant::now();
    let path = Path { socket: SocketId::shared(0), remote: ([192, 0, 2, 1], 5000).into() };
    for role in [IceRole::Lite, IceRole::Controlling, IceRole::Controlled] {
        let parameters = IceParameters {
            role,
            local_ufrag: "evtj".into(),
            local_pwd: "a password that no corpus has".into(),
            remote_ufrag: None,
            remote_pwd: Some("another password that no corpus has".into()),
        };
        let mut agent = Agent::new(&parameters, 1, now);
        let mut reply = Vec::new();
        let outcome = agent.handle_stun(now, path, &message, &mut reply);
        assert!(!outcome.authenticated && reply.is_empty() && !agent.authenticated(path));
        assert!(agent.poll_transmit().is_none());
        fuzz_reflexive(agent, now, path, bytes);
    }
}

/// The same bytes as the answer of a STUN server: taken from there alone, and for an address alone.
fn fuzz_reflexive(mut agent: Agent, now: Instant, server: Path, bytes: &[u8]) {
    assert!(agent.discover_reflexive(now, server));
    let (_, question) = agent.poll_transmit().expect("a question");
    let mut answer = bytes.to_vec();
    answer[8..20].copy_from_slice(&question[8..20]);
    let Ok(answer) = Message::parse(&answer) else { return };
    let mut reply = Vec::new();
    let elsewhere = Path { remote: ([192, 0, 2, 2], 5000).into(), ..server };
    for (path, believed) in [(elsewhere, false), (server, answer.class() == stun::Class::Success)] {
        let outcome = agent.handle_stun(now, path, &answer, &mut reply);
        assert!(!outcome.authenticated && reply.is_empty() && !agent.authenticated(path));
        assert!(outcome.reflexive.is_none() || believed && answer.mapped_address().is_some());
    }
}

/// SRTP and SRTCP: no bytes make the transforms panic, and none that are not sealed are opened.
pub fn fuzz_srtp(bytes: &[u8]) {
    for profile in [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::AesCm128HmacSha1_80] {
        let row = profile.parameters();
        let master = MasterKey::new(&[1; 32][..row.key_len], &[2; 14][..row.salt_len]);
        let mut inbound = Inbound::new(profile, &master).expect("lengths are the profile's");
        let header_len = bytes.first().map_or(12, |byte| 12 + usize::from(byte & 15) * 4);
        assert!(inbound.open_rtp(&mut bytes.to_vec(), header_len, 1, 1).is_err());
        assert!(inbound.open_rtcp(&mut bytes.to_vec()).is_err());
    }
}

/// A TCP stream: however it is cut into pieces, the same datagrams come out, and no more is kept than one.
pub fn fuzz_framing(bytes: &[u8]) {
    let read = |piece: usize| {
        let (mut deframer, mut found) = (Deframer::default(), Vec::new());
        let whole = bytes.to_vec().chunks_mut(piece.max(1)).try_for_each(|chunk| {
            let result = deframer.push(chunk, |datagram| found.push(datagram.to_vec()));
            assert!(deframer.kept() < framing::framed_len(framing::MAX_FRAME));
            result
        });
        (found, whole)
    };
    let once = read(bytes.len());
    assert!(once.0.iter().all(|datagram| !datagram.is_empty() && datagram.len() <= framing::MAX_FRAME));
    for piece in [1, 2, 3, usize::from(*bytes.first().unwrap_or(&5)) + 1] {
        assert_eq!(read(piece), once);
    }
}

/// Runs a target on every corpus entry, on each cut short, and on `iterations` mutations drawn from `seed`.
pub fn run(target: impl Fn(&[u8]), corpus: &[Vec<u8>], seed: u64, iterations: u64) {
    for entry in corpus {
        for len in 0..=entry.len() {
            target(&entry[..len]);
        }
    }
    let mut random = Random(seed);
    for _ in 0..iterations {
        let mut bytes = corpus.get(random.below(corpus.len())).cloned().unwrap_or_default();
        for _ in 0..=random.below(4) {
            random.mutate(&mut bytes, corpus);
        }
        target(&bytes);
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ value >> 31
    }

    /// 0 for an empty range.
    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        match self.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.next() as u8,
            // Lengths and counts break at their limits.
            2 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
            3 => bytes.truncate(at),
            4 => bytes.insert(at, self.next() as u8),
            5 => {
                let end = (at + self.below(16)).min(bytes.len());
                bytes.drain(at..end);
            }
            6 => {
                let end = (at + self.below(32)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => {
                let other = corpus.get(self.below(corpus.len())).map_or(&[][..], Vec::as_slice);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[self.below(other.len() + 1)..]);
            }
        }
        bytes.truncate(2048);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::stun::{Builder, Class, ErrorCode, TransactionId};

    /// A number from the environment.
    fn setting(name: &str, default: u64) -> u64 {
        std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
    }

    /// A short run, or one of `LIVE777_FUZZ_SECONDS`. A failure names the seed of its round.
    pub(super) fn run_from_environment(target: impl Fn(&[u8]) + std::panic::RefUnwindSafe, corpus: &[Vec<u8>]) {
        let (first, iterations) = (setting("FUZZ_SEED", 1), setting("FUZZ_ITERATIONS", 5_000));
        let end = Instant::now() + Duration::from_secs(setting("LIVE777_FUZZ_SECONDS", 0));
        for seed in first.. {
            let round = std::panic::catch_unwind(|| run(&target, corpus, seed, iterations));
            assert!(round.is_ok(), "again with FUZZ_SEED={seed} FUZZ_ITERATIONS={iterations}");
            if Instant::now() >= end {
                break;
            }
        }
    }

    #[test]
    fn stun() {
        let key = IntegrityKey::new("corpus");
        let transaction = TransactionId([7; 12]);
        let mut corpus = vec![Vec::new(); 5];
        Builder::new(&mut corpus[0], Class::Request, transaction)
            .username("evtj", "h6vY")
            .priority(1)
            .controlling(2)
            .use_candidate()
            .finish(&key);
        Builder::new(&mut corpus[1], Class::Success, transaction)
            .mapped_address("192.0.2.1:32853".parse().unwrap())
            .finish(&key);
        Builder::new(&mut corpus[2], Class::Success, transaction)
            .mapped_address("[2001:db8::1]:32853".parse().unwrap())
            .finish_unsigned();
        Builder::new(&mut corpus[3], Class::Error, transaction)
            .error(ErrorCode::UnknownAttribute)
            .unknown_attributes(&[1, 2, 3])
            .finish(&key);
        Builder::new(&mut corpus[4], Class::Indication, transaction).controlled(3).finish_unsigned();
        // Without a fingerprint, so that mutations get past it.
        for index in 0..corpus.len() {
            let mut bare = corpus[index].clone();
            bare.truncate(bare.len() - 8);
            let length = (bare.len() - stun::HEADER_LEN) as u16;
            bare[2..4].copy_from_slice(&length.to_be_bytes());
            corpus.push(bare);
        }
        run_from_environment(fuzz_stun, &corpus);
    }

    #[test]
    fn srtp() {
        let mut corpus: Vec<Vec<u8>> = [12, 40, 200].map(|len| vec![0x80; len]).into();
        corpus.push(vec![0x8f; 90]);
        run_from_environment(fuzz_srtp, &corpus);
    }

    #[test]
    fn framing() {
        let mut stream = Vec::new();
        for len in [20, 1, 0, 300, 2] {
            crate::framing::append(&mut stream, &vec![len as u8; len]);
        }
        run_from_environment(fuzz_framing, &[stream, vec![0, 0], b"GET / HTTP/1.1\r\n\r\n".to_vec()]);
    }

    #[test]
    fn runs_are_repeatable_and_bounded() {
        let trace = |seed| {
            let seen = std::cell::RefCell::new(Vec::new());
            run(|bytes| seen.borrow_mut().push(bytes.to_vec()), &[vec![1, 2, 3], vec![]], seed, 200);
            seen.into_inner()
        };
        assert_eq!(trace(1), trace(1));
        assert_ne!(trace(1), trace(2));
        assert!(trace(3).iter().all(|bytes| bytes.len() <= 2048));
        run(|_| {}, &[], 1, 10);
    }
}
