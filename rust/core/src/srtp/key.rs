//! Master keys, and the session keys derived from them (RFC 3711 section 4.3; RFC 7714 section 11).

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroize;

use super::profile::Profile;

const MAX_KEY: usize = 32;
const MAX_SALT: usize = 14;
const MAX_AUTH_KEY: usize = 20;

/// A master key and salt, as DTLS exported them for one direction. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct MasterKey {
    key: Vec<u8>,
    salt: Vec<u8>,
}

/// The key or the salt does not have the length that the profile prescribes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidKey;

impl std::fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SRTP key or salt has the wrong length for its profile")
    }
}

impl std::error::Error for InvalidKey {}

impl MasterKey {
    /// Takes the bytes as exported. Lengths are checked against a profile when the key is put to use.
    pub fn new(key: &[u8], salt: &[u8]) -> Self {
        Self { key: key.to_vec(), salt: salt.to_vec() }
    }

    /// Whether both lengths are those of the profile.
    pub fn fits(&self, profile: Profile) -> bool {
        let row = profile.parameters();
        self.key.len() == row.key_len && self.salt.len() == row.salt_len
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.key.zeroize();
        self.salt.zeroize();
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// RTP or RTCP: their session keys differ by the label (RFC 3711 section 4.3.2).
#[derive(Clone, Copy)]
pub(super) enum Stream {
    Rtp,
    Rtcp,
}

/// Keys of one direction of RTP or RTCP, of the lengths in the profile's row.
pub(super) struct SessionKeys {
    key: [u8; MAX_KEY],
    salt: [u8; MAX_SALT],
    auth: [u8; MAX_AUTH_KEY],
    profile: Profile,
}

impl SessionKeys {
    pub(super) fn derive(profile: Profile, master: &MasterKey, stream: Stream) -> Result<Self, InvalidKey> {
        if !master.fits(profile) {
            return Err(InvalidKey);
        }
        let algorithm = if master.key.len() == 32 { &AES_256 } else { &AES_128 };
        let prf = UnboundCipherKey::new(algorithm, &master.key).and_then(EncryptingKey::ctr).map_err(|_| InvalidKey)?;
        let label = match stream {
            Stream::Rtp => 0,
            Stream::Rtcp => 3,
        };
        let mut keys = Self { key: [0; MAX_KEY], salt: [0; MAX_SALT], auth: [0; MAX_AUTH_KEY], profile };
        generate(&prf, &master.salt, label, &mut keys.key);
        generate(&prf, &master.salt, label + 1, &mut keys.auth);
        generate(&prf, &master.salt, label + 2, &mut keys.salt);
        Ok(keys)
    }

    /// Session keys as the RFCs' examples give them.
    #[cfg(test)]
    pub(super) fn from_parts(profile: Profile, key: &[u8], salt: &[u8], auth: &[u8]) -> Self {
        let mut keys = Self { key: [0; MAX_KEY], salt: [0; MAX_SALT], auth: [0; MAX_AUTH_KEY], profile };
        keys.key[..key.len()].copy_from_slice(key);
        keys.salt[..salt.len()].copy_from_slice(salt);
        keys.auth[..auth.len()].copy_from_slice(auth);
        keys
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key[..self.profile.parameters().key_len]
    }

    pub(super) fn salt(&self) -> &[u8] {
        &self.salt[..self.profile.parameters().salt_len]
    }

    pub(super) fn auth(&self) -> &[u8] {
        &self.auth[..self.profile.parameters().auth_key_len]
    }
}

impl Drop for SessionKeys {
    fn drop(&mut self) {
        self.key.zeroize();
        self.salt.zeroize();
        self.auth.zeroize();
    }
}

/// AES-CM PRF with a key derivation rate of 0. A 96-bit salt is padded at its end (RFC 7714 section 11).
fn generate(prf: &EncryptingKey, salt: &[u8], label: u8, out: &mut [u8]) {
    let mut iv = [0u8; 16];
    iv[..salt.len()].copy_from_slice(salt);
    iv[7] ^= label;
    out.fill(0);
    prf.less_safe_encrypt(out, EncryptionContext::Iv128(FixedLength::from(iv)))
        .expect("counter mode takes any length under a 16-byte IV");
}

#[cfg(test)]
mod tests {
    use super::super::tests::hex;
    use super::*;

    /// RFC 3711 appendix B.3.
    #[test]
    fn derives_the_keys_of_rfc_3711_appendix_b3() {
        let master = MasterKey::new(&hex("E1F97A0D3E018BE0D64FA32C06DE4139"), &hex("0EC675AD498AFEEBB6960B3AABE6"));
        let keys = SessionKeys::derive(Profile::AesCm128HmacSha1_80, &master, Stream::Rtp).unwrap();
        assert_eq!(keys.key(), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(keys.salt(), hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(keys.auth(), hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
    }

    #[test]
    fn refuses_lengths_of_another_profile() {
        let master = MasterKey::new(&[0; 16], &[0; 12]);
        assert!(SessionKeys::derive(Profile::AeadAes128Gcm, &master, Stream::Rtp).is_ok());
        assert!(SessionKeys::derive(Profile::AeadAes256Gcm, &master, Stream::Rtp).is_err());
        assert!(SessionKeys::derive(Profile::AesCm128HmacSha1_80, &master, Stream::Rtp).is_err());
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", MasterKey::new(&[0xab; 16], &[0xcd; 14])), "MasterKey(..)");
    }
}
