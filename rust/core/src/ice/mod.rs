//! Interactive Connectivity Establishment (RFC 8445) of one transport, and its consent (RFC 7675).
//!
//! An [`Agent`] reads STUN messages that the caller received, writes the answers, and says which paths are proven. It has
//! no socket and no clock. A lite agent answers and never asks a peer; a full one also checks the candidates it is given. In
//! both, a path is *authenticated* once a message came over it that only the holder of a password can have made, and
//! *selected* once it is nominated: media goes there.
//!
//! Nobody gets an answer without valid credentials, so that the agent neither amplifies nor tells anything.
//!
//! Where media goes follows the peer. It moves by a nomination, which is what a NAT's new mapping or a new network bring
//! with them; where a peer does not nominate again (RFC 7675 asks for no more than a check), by its media, which nobody
//! else can make or repeat; and where it sends none, by any check, once the selected path has long been silent.

mod agent;
mod checklist;
mod consent;
mod credentials;
mod paths;
mod random;
mod reflexive;
mod replay;

#[cfg(test)]
mod tests;

pub use agent::{Agent, Outcome};
pub use checklist::MAX_CANDIDATES;
pub use consent::CONSENT_TIMEOUT;
pub use paths::MAX_PATHS;
pub use reflexive::MAX_QUERIES;
