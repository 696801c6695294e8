//! MESSAGE-INTEGRITY under short-term credentials (RFC 8489 sections 9.1 and 14.5).

use aws_lc_rs::hmac;

/// A password, ready to sign and verify.
#[derive(Clone)]
pub struct IntegrityKey(hmac::Key);

impl IntegrityKey {
    /// The key of a short-term credential is the password itself.
    pub fn new(password: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes()))
    }

    /// HMAC-SHA1 of a message up to the attribute, whose header says that the message ends with the attribute.
    pub(super) fn sign(&self, header: &[u8], attributes: &[u8]) -> [u8; 20] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(header);
        context.update(attributes);
        context.sign().as_ref().try_into().expect("SHA-1 has 20 bytes")
    }
}

impl std::fmt::Debug for IntegrityKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IntegrityKey(..)")
    }
}
