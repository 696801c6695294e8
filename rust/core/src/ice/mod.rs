//! Interactive Connectivity Establishment (RFC 8445) of one transport, and its consent (RFC 7675).
//!
//! An [`Agent`] reads STUN messages that the caller received, writes the answers, and says which paths are proven. It has
//! no socket and no clock. A lite agent answers and never asks a peer; a full one also checks the candidates it is given. In
//! both, a path is *authenticated* once a message came over it that only the holder of a password can have made, and
//! *selected* once it is nominated: media goes there.
//!
//! Nobody gets an answer without valid credentials, so that the agent neither amplifies nor tells anything.

mod agent;
mod checklist;
mod consent;
mod credentials;
mod paths;
mod random;
mod reflexive;

#[cfg(test)]
mod tests;

pub use agent::{Agent, Outcome};
pub use checklist::MAX_CANDIDATES;
pub use consent::CONSENT_TIMEOUT;
pub use paths::MAX_PATHS;
pub use reflexive::MAX_QUERIES;
