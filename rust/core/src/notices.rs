//! What leaves a worker besides datagrams: events for control and messages for other workers.

use std::collections::VecDeque;

use crate::event::Event;
use crate::relay::{RelayMessage, RouteId};

/// DTLS datagrams that wait for control; more come from a peer that floods or while control stands still.
const MAX_DTLS: usize = 1024;

/// Events of all kinds that wait for control.
const MAX_EVENTS: usize = 65_536;

/// The outgoing queues.
#[derive(Debug, Default)]
pub struct Notices {
    events: VecDeque<Event>,
    dtls: usize,
    relay: VecDeque<(RouteId, RelayMessage)>,
    /// Events that were not queued.
    pub dropped: u64,
}

impl Notices {
    /// Queues an event. Those are bounded whose number peers decide on.
    pub fn event(&mut self, event: Event) {
        if self.events.len() >= MAX_EVENTS && !event.is_essential() {
            self.dropped += 1;
            return;
        }
        if matches!(event, Event::Dtls { .. }) {
            if self.dtls == MAX_DTLS {
                self.dropped += 1;
                return;
            }
            self.dtls += 1;
        }
        self.events.push_back(event);
    }

    /// Takes the oldest event.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if matches!(event, Event::Dtls { .. }) {
            self.dtls -= 1;
        }
        Some(event)
    }

    /// Queues a message to another worker.
    pub fn relay(&mut self, route: RouteId, message: RelayMessage) {
        self.relay.push_back((route, message));
    }

    /// Takes the oldest message.
    pub fn poll_relay(&mut self) -> Option<(RouteId, RelayMessage)> {
        self.relay.pop_front()
    }

    /// Lengths of the queues: events, relay messages.
    pub fn len(&self) -> (usize, usize) {
        (self.events.len(), self.relay.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::TransportId;

    #[test]
    fn a_flood_of_dtls_is_bounded_and_counted() {
        let mut notices = Notices::default();
        let transport = TransportId(1);
        for _ in 0..MAX_DTLS + 5 {
            notices.event(Event::Dtls { transport, data: Vec::new() });
        }
        notices.event(Event::IceLost { transport });
        assert_eq!((notices.len().0, notices.dropped), (MAX_DTLS + 1, 5));
        notices.poll_event();
        notices.event(Event::Dtls { transport, data: Vec::new() });
        assert_eq!((notices.len().0, notices.dropped), (MAX_DTLS + 1, 5));
    }
}
