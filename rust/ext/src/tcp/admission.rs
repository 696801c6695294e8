//! How many may be connected: in all, and from one place.

use std::collections::HashMap;
use std::net::IpAddr;

/// Connections of one media thread.
pub const MAX_CONNECTIONS: usize = 8192;
/// Connections from one address: a company behind a NAT has many viewers.
pub const MAX_FROM_ADDRESS: usize = 1024;
/// Of these, such that have not proved yet whose they are.
pub const MAX_UNPROVEN: usize = 64;

/// Who is connected from where.
#[derive(Debug, Default)]
pub struct Admission {
    places: HashMap<IpAddr, Place>,
}

#[derive(Debug, Default)]
struct Place {
    connections: usize,
    unproven: usize,
}

impl Admission {
    /// A connection has come, the `present` others being there. False: it is one too many, and not counted.
    pub fn enter(&mut self, address: IpAddr, present: usize) -> bool {
        if present >= MAX_CONNECTIONS {
            return false;
        }
        let place = self.places.entry(network(address)).or_default();
        let admitted = place.connections < MAX_FROM_ADDRESS && place.unproven < MAX_UNPROVEN;
        if admitted {
            place.connections += 1;
            place.unproven += 1;
        }
        admitted
    }

    /// It has proved whose it is.
    pub fn prove(&mut self, address: IpAddr) {
        if let Some(place) = self.places.get_mut(&network(address)) {
            place.unproven -= 1;
        }
    }

    /// It has gone.
    pub fn leave(&mut self, address: IpAddr, proven: bool) {
        let network = network(address);
        let Some(place) = self.places.get_mut(&network) else { return };
        place.connections -= 1;
        place.unproven -= usize::from(!proven);
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
        let mut admission = Admission::default();
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
    fn who_has_proved_itself_makes_room_for_the_next() {
        let mut admission = Admission::default();
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
