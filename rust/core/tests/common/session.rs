//! What publishers and viewers have in common: a path, ICE credentials, keys.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use live777_media::command::{Command, CommandError, IceParameters, IceRole, TransportId};
use live777_media::event::{Path, SocketId};
use live777_media::srtp::{Inbound, MasterKey, Outbound, Profile};
use live777_media::stun::{Builder, Class, IntegrityKey, TransactionId};
use live777_media::worker::{Reply, Worker};

use super::wire;

/// A peer's end of a transport, with keys set in advance.
pub struct Session {
    pub id: TransportId,
    pub path: Path,
    pub profile: Profile,
    pub outbound: Outbound,
    pub inbound: Inbound,
    /// When the next consent check is due.
    pub check_at: Instant,
    pub checks: bool,
    /// Whether the checks nominate.
    pub nominates: bool,
    /// How often ICE was begun anew.
    generation: u32,
    transaction: u64,
}

fn key(profile: Profile, fill: u8) -> MasterKey {
    let row = profile.parameters();
    MasterKey::new(&vec![fill; row.key_len], &vec![fill ^ 0x55; row.salt_len])
}

pub fn ufrag(id: TransportId) -> String {
    format!("ufrag{}", id.0)
}

pub fn password(id: TransportId) -> String {
    format!("password-of-transport-{:08}", id.0)
}

fn parameters(id: TransportId, generation: u32) -> IceParameters {
    let named = |text: String| if generation == 0 { text } else { format!("{text}-{generation}") };
    IceParameters {
        role: IceRole::Lite,
        local_ufrag: named(ufrag(id)),
        local_pwd: named(password(id)),
        remote_ufrag: Some(named("peer".to_owned())),
        remote_pwd: Some(named("password-of-the-peer-0000".to_owned())),
    }
}

impl Session {
    /// Opens the transport on the worker. Keys are those of `install_keys`.
    pub fn open(worker: &mut Worker, now: Instant, id: u64, profile: Profile) -> Session {
        let id = TransportId(id);
        let ice = parameters(id, 0);
        worker.command(now, Command::OpenTransport { transport: id, ice, own_socket: false }).expect("open");
        let remote = SocketAddr::from(([10, (id.0 >> 16) as u8, (id.0 >> 8) as u8, id.0 as u8], 5000));
        Session {
            id,
            path: Path { socket: SocketId::shared(0), remote },
            profile,
            outbound: Outbound::new(profile, &key(profile, 1 + (id.0 as u8 & 0x3f))).unwrap(),
            inbound: Inbound::new(profile, &key(profile, 0x80 | (id.0 as u8 & 0x3f))).unwrap(),
            check_at: now,
            checks: true,
            nominates: true,
            generation: 0,
            transaction: 0,
        }
    }

    /// What the worker is to know.
    pub fn parameters(&self) -> IceParameters {
        parameters(self.id, self.generation)
    }

    /// Restarts ICE at the worker alone; the peer checks under the new credentials from `follow_restart` on.
    pub fn restart(&self, worker: &mut Worker, now: Instant, generation: u32) {
        let ice = parameters(self.id, generation);
        worker.command(now, Command::RestartIce { transport: self.id, ice }).expect("restart");
    }

    /// The peer has the worker's answer to a restart, and checks.
    pub fn follow_restart(&mut self, now: Instant, generation: u32) {
        self.generation = generation;
        self.check_at = now;
    }

    pub fn install_keys(&self, worker: &mut Worker, now: Instant) -> Result<Reply, CommandError> {
        let command = Command::InstallKeys {
            transport: self.id,
            profile: self.profile,
            local: key(self.profile, 0x80 | (self.id.0 as u8 & 0x3f)),
            remote: key(self.profile, 1 + (self.id.0 as u8 & 0x3f)),
        };
        worker.command(now, command)
    }

    /// A connectivity check.
    pub fn check(&mut self) -> Vec<u8> {
        self.transaction += 1;
        let mut transaction = [0; 12];
        transaction[..8].copy_from_slice(&self.transaction.to_be_bytes());
        let mut out = Vec::new();
        let ice = self.parameters();
        let mut check = Builder::new(&mut out, Class::Request, TransactionId(transaction))
            .username(&ice.local_ufrag, ice.remote_ufrag.as_deref().unwrap_or_default())
            .priority(1)
            .controlling(7);
        if self.nominates {
            check = check.use_candidate();
        }
        check.finish(&IntegrityKey::new(&ice.local_pwd));
        out
    }

    /// Sends a check if one is due: twice a second until something came back would be usual; every 2.5 s will do.
    pub fn poll(&mut self, now: Instant, out: &mut Vec<(Path, Vec<u8>)>) {
        if self.checks && now >= self.check_at {
            self.check_at = now + Duration::from_millis(2500);
            let check = self.check();
            out.push((self.path, check));
        }
    }

    pub fn next(&self, now_or_later: Instant) -> Instant {
        if self.checks { self.check_at } else { now_or_later }
    }

    pub fn seal_rtp(&mut self, plain: &[u8], index: u64) -> Vec<u8> {
        let header_len = wire::header_len(plain);
        let mut packet = plain.to_vec();
        packet.resize(plain.len() + 16, 0);
        let len = self.outbound.seal_rtp(&mut packet, header_len, plain.len(), index);
        packet.truncate(len);
        packet
    }

    pub fn seal_rtcp(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut packet = plain.to_vec();
        packet.resize(plain.len() + 20, 0);
        let len = self.outbound.seal_rtcp(&mut packet, plain.len()).unwrap();
        packet.truncate(len);
        packet
    }

    /// Opens what came from the worker; None for STUN and DTLS.
    pub fn open_media(&mut self, datagram: &[u8]) -> Option<Opened> {
        if !(128..192).contains(&datagram[0]) {
            return None;
        }
        let mut packet = datagram.to_vec();
        if (192..224).contains(&packet[1]) {
            let len = self.inbound.open_rtcp(&mut packet).expect("authentic SRTCP, never the same twice");
            return Some(Opened::Rtcp(wire::read_rtcp(&packet[..len])));
        }
        let (ssrc, sequence) = wire::ssrc_and_sequence(&packet);
        let header_len = wire::header_len(&packet);
        match self.inbound.open_rtp(&mut packet, header_len, ssrc, sequence) {
            Ok(len) => Some(Opened::Rtp(wire::Rtp::read(&packet[..len]))),
            Err(live777_media::srtp::SrtpError::Replay) => Some(Opened::Replay(ssrc, sequence)),
            Err(error) => panic!("not authentic: {error}"),
        }
    }
}

/// A datagram in plaintext.
pub enum Opened {
    Rtp(wire::Rtp),
    Rtcp(Vec<wire::Rtcp>),
    /// A packet that was there before.
    Replay(u32, u16),
}
