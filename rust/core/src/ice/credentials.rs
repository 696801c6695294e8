//! The ufrags and passwords of one ICE generation.

use crate::command::IceParameters;
use crate::stun::{IntegrityKey, Message};

/// Both ends' credentials; the peer's may come later.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) local_ufrag: String,
    pub(super) local_key: IntegrityKey,
    pub(super) remote_ufrag: Option<String>,
    pub(super) remote_key: Option<IntegrityKey>,
}

impl Credentials {
    pub(super) fn new(parameters: &IceParameters) -> Self {
        Self {
            local_ufrag: parameters.local_ufrag.clone(),
            local_key: IntegrityKey::new(&parameters.local_pwd),
            remote_ufrag: parameters.remote_ufrag.clone(),
            remote_key: parameters.remote_pwd.as_deref().map(IntegrityKey::new),
        }
    }

    /// Whether the peer made this request for us. Its ufrag must match where it is known.
    pub(super) fn authenticate_request(&self, request: &Message<'_>) -> bool {
        let Some((local, remote)) = request.ufrags() else { return false };
        local == self.local_ufrag
            && self.remote_ufrag.as_deref().is_none_or(|known| known == remote)
            && request.verify(&self.local_key)
    }

    /// Whether the peer made this answer.
    pub(super) fn authenticate_response(&self, response: &Message<'_>) -> bool {
        self.remote_key.as_ref().is_some_and(|key| response.verify(key))
    }
}
