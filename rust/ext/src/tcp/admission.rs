//! How many may be connected: in all, and from one place.

use std::collections::HashMap;
use std::net::IpAddr;

/// Connections of one media thread.
pub const MAX_CONNECTIONS: usize = 8192;
/// Connections from one address: a company behind a NAT has many viewers.
pub const MAX_FROM_ADDRESS: usize = 1024;
/// Of these, such that have not proved yet whose they are.
pub const MAX_UNPROVEN: usize = 64;
/// One of so many connections may be a stranger's, wherever they come from. Who has the password proves it in one round trip.
const STRANGERS: usize = 4;

/// Who is connected from where.
#[derive(Debug)]
pub struct Admission {
    places: HashMap<IpAddr, Place>,
    /// Connections in all, and of these such that have not proved yet whose they are.
    capacity: usize,
    unproven: usize,
}

#[derive(Debug, Default)]
struct Place {
    connections: usize,
    unproven: usize,
}

impl Admission {
    /// For so many connections, at least one, and not more than [`MAX_CONNECTIONS`].
    pub fn new(capacity: usize) -> Self {
        Self { places: HashMap::new(), capacity: capacity.clamp(1, MAX_CONNECTIONS), unproven: 0 }
    }

    /// Whether strangers have all the room that is for them: the one who has been there longest has to go.
    pub fn crowded(&self) -> bool {
        self.unproven > self.capacity / STRANGERS
    }

    /// A connection has come, the `present` others being there. False: it is one too many, and not counted.
    pub fn enter(&mut self, address: IpAddr, present: usize) -> bool {
        if present >= self.capacity {
            return false;
        }
        let place = self.places.entry(network(address)).or_default();
        let admitted = place.connections < MAX_FROM_ADDRESS && place.unproven < MAX_UNPROVEN;
        if admitted {
            place.connections += 1;
            place.unproven += 1;
            self.unproven += 1;
        }
        admitted
    }

    /// It has proved whose it is.
    pub fn prove(&mut self, address: IpAddr) {
        if let Some(place) = self.places.get_mut(&network(address)) {
            place.unproven -= 1;
            self.unproven -= 1;
        }
    }

    /// It has gone.
    pub fn leave(&mut self, address: IpAddr, proven: bool) {
        let network = network(address);
        let Some(place) = self.places.get_mut(&network) else { return };
        place.connections -= 1;
        place.unproven -= usize::from(!proven);
        self.unproven -= usize::from(!proven);
        if place.connections == 0 {
            self.places.remove(&network);
        }
    }
}

/// One subscriber has all of a /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_place_has_a_bound_and_others_do_not_feel_it() {
        let mut admission = Admission::new(MAX_CONNECTIONS);
        let cases =
            [("192.0.2.1", true), ("::ffff:192.0.2.1", false), ("2001:db8::1", true), ("2001:db8::2:0:0:1", false)];
        for (host, new) in cases {
            let taken = (0..2 * MAX_UNPROVEN).filter(|_| admission.enter(address(host), 0)).count();
            assert_eq!(taken, if new { MAX_UNPROVEN } else { 0 }, "{host}");
        }
        assert!(admission.enter(address("2001:db8:0:1::1"), 0), "another /64");
        assert!(!admission.enter(address("192.0.2.7"), MAX_CONNECTIONS));
    }

    #[test]
    fn strangers_from_everywhere_leave_room_for_those_who_are_known() {
        let mut admission = Admission::new(8);
        let addresses: Vec<IpAddr> = (1..=9).map(|host| [192, 0, 2, host].into()).collect();
        assert!(admission.enter(addresses[0], 0) && admission.enter(addresses[1], 1) && !admission.crowded());
        assert!(admission.enter(addresses[2], 2) && admission.crowded());
        admission.prove(addresses[0]);
        assert!(!admission.crowded());
        assert!(admission.enter(addresses[3], 3) && admission.crowded());
        admission.leave(addresses[1], false);
        assert!(!admission.crowded());
        assert!(!admission.enter(addresses[4], 8), "there is no room at all");
    }

    #[test]
    fn who_has_proved_itself_makes_room_for_the_next() {
        let mut admission = Admission::new(MAX_CONNECTIONS);
        let office = address("192.0.2.1");
        for _ in 0..MAX_FROM_ADDRESS {
            assert!(admission.enter(office, 0));
            admission.prove(office);
        }
        assert!(!admission.enter(office, 0));
        admission.leave(office, true);
        assert!(admission.enter(office, 0));
        assert!(!admission.enter(office, 0));
        admission.leave(office, false);
        for _ in 1..MAX_FROM_ADDRESS {
            admission.leave(office, true);
        }
        assert!(admission.places.is_empty());
    }
}
