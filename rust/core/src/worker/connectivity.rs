//! STUN, DTLS and the paths of transports.

use std::time::Instant;

use crate::event::{Event, Path};
use crate::ice::Outcome;
use crate::stun::{Class, Message};
use crate::transport::ignored::Reason;
use crate::worker::Worker;

/// Longer datagrams are no DTLS records of a handshake over UDP.
const MAX_DTLS_LEN: usize = 4096;

impl Worker {
    pub(super) fn handle_stun(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        let slot = match Message::parse(datagram) {
            Ok(message) => match self.owner_of(path, &message) {
                Some(slot) => {
                    let agent = &mut self.objects.transports[slot].agent;
                    let outcome = agent.handle_stun(now, path, &message, &mut self.stun_reply);
                    let agent_knows = agent.authenticated(path);
                    if !self.stun_reply.is_empty() {
                        self.outbox.push(path, &self.stun_reply);
                    }
                    if !outcome.authenticated && outcome.reflexive.is_none() {
                        self.objects.transports[slot].ignored.count(Reason::BadStun);
                    }
                    // Whoever proved itself last owns the path: a NAT hands ports on, and a forged sender does not get it
                    // for longer than until the next check.
                    if outcome.authenticated && agent_knows {
                        self.by_path.insert(path, slot);
                    }
                    self.apply(now, slot, &outcome);
                    Some(slot)
                }
                None => None,
            },
            Err(_) => None,
        };
        if slot.is_none() {
            self.counters.unknown_datagrams += 1;
        }
    }

    /// Requests name the transport by its ufrag, and come to the socket that it offered; answers belong to whoever asked.
    fn owner_of(&self, path: Path, message: &Message<'_>) -> Option<usize> {
        match message.class() {
            Class::Request => {
                let slot = message.ufrags().and_then(|(local, _)| self.by_ufrag.get(local).copied());
                slot.filter(|slot| self.objects.transports[*slot].listens_on(path.socket))
            }
            Class::Indication => self.by_path.get(&path).copied(),
            Class::Success | Class::Error => {
                let expects = |slot: &usize| self.objects.transports[*slot].agent.expects(message.transaction());
                self.by_path
                    .get(&path)
                    .copied()
                    .filter(|slot| expects(slot))
                    .or_else(|| self.askers.iter().copied().find(|slot| expects(slot)))
            }
        }
    }

    /// Takes over what ICE found out, and sends what it wants to say.
    pub(super) fn apply(&mut self, now: Instant, slot: usize, outcome: &Outcome) {
        if let Some(forgotten) = outcome.forgotten {
            self.forget_path(slot, forgotten);
        }
        let transport = &mut self.objects.transports[slot];
        while let Some((path, datagram)) = transport.agent.poll_transmit() {
            self.outbox.push(path, &datagram);
        }
        let before = transport.path;
        transport.path = transport.agent.send_path();
        let elsewhere = |before: Path, path: Path| {
            before.remote.ip() != path.remote.ip() || before.socket.is_connection() != path.socket.is_connection()
        };
        let moved = before.zip(transport.path).is_some_and(|(before, path)| elsewhere(before, path));
        // Another port may be the NAT's doing; another address is another network, and TCP carries what UDP did not.
        if moved && let Some(state) = &mut transport.bandwidth {
            state.forget_path(now, &mut transport.egress.log);
        }
        if let Some(path) = outcome.selected {
            self.notices.event(Event::IceConnected { transport: transport.id, path });
        }
        if let Some((socket, address)) = outcome.reflexive {
            self.notices.event(Event::ReflexiveAddress { transport: transport.id, socket, address });
        }
        if outcome.lost {
            self.notices.event(Event::IceLost { transport: transport.id });
            self.forget_paths(slot);
        }
        if before.is_none() && self.objects.transports[slot].path.is_some() {
            self.awaken(now, slot);
        }
        self.schedule_transport(slot);
    }

    /// Takes all paths away from a transport. Its agent knows them, so that nobody else's are looked at.
    pub(super) fn forget_paths(&mut self, slot: usize) {
        let paths: Vec<Path> = self.objects.transports[slot].agent.paths().collect();
        paths.into_iter().for_each(|path| self.forget_path(slot, path));
    }

    /// Takes a path away from a transport, and lets go of the connection if it is one.
    fn forget_path(&mut self, slot: usize, path: Path) {
        if self.by_path.get(&path) == Some(&slot) {
            self.by_path.remove(&path);
            if path.socket.is_connection() {
                self.released.push(path.socket);
            }
        }
    }

    pub(super) fn forget_connection(&mut self, now: Instant, path: Path) {
        if let Some(slot) = self.by_path.remove(&path) {
            self.objects.transports[slot].agent.forget_socket(path.socket);
            self.apply(now, slot, &Outcome::default());
        }
    }

    /// An authentic packet of the peer has come over `path`.
    #[inline]
    pub(super) fn note_activity(&mut self, now: Instant, slot: usize, path: Path) {
        let selected = self.objects.transports[slot].agent.note_activity(now, path);
        if selected.is_some() {
            self.apply(now, slot, &Outcome { selected, ..Outcome::default() });
        }
    }

    pub(super) fn handle_dtls(&mut self, slot: usize, datagram: &[u8]) {
        let transport = &mut self.objects.transports[slot];
        if datagram.len() > MAX_DTLS_LEN {
            transport.ignored.count(Reason::BadDtls);
            return;
        }
        self.notices.event(Event::Dtls { transport: transport.id, data: datagram.to_vec() });
    }
}
