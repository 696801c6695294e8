//! The protection profiles, as rows of one table.

/// A DTLS-SRTP protection profile (RFC 5764, RFC 7714).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// AES-128-GCM, 16-byte tag.
    AeadAes128Gcm,
    /// AES-256-GCM, 16-byte tag.
    AeadAes256Gcm,
    /// AES-128 counter mode with an 80-bit HMAC-SHA1 tag.
    AesCm128HmacSha1_80,
}

/// What a profile prescribes. Lengths in bytes.
#[derive(Debug)]
pub struct Parameters {
    /// The row's key.
    pub profile: Profile,
    /// IANA's name without `SRTP_`.
    pub name: &'static str,
    /// Master key and session encryption key.
    pub key_len: usize,
    /// Master salt and session salt.
    pub salt_len: usize,
    /// Session authentication key; 0 for an AEAD.
    pub auth_key_len: usize,
    /// Authentication tag.
    pub tag_len: usize,
    /// What SRTP adds to an RTP packet.
    pub rtp_overhead: usize,
    /// What SRTCP adds to an RTCP packet: the tag and the word with E bit and index.
    pub rtcp_overhead: usize,
}

/// Room that suffices behind an RTP packet, whatever the profile.
pub const MAX_RTP_OVERHEAD: usize = 16;
/// Room that suffices behind an RTCP packet, whatever the profile.
pub const MAX_RTCP_OVERHEAD: usize = 20;

static TABLE: [Parameters; 3] = [
    Parameters {
        profile: Profile::AeadAes128Gcm,
        name: "AEAD_AES_128_GCM",
        key_len: 16,
        salt_len: 12,
        auth_key_len: 0,
        tag_len: 16,
        rtp_overhead: 16,
        rtcp_overhead: 20,
    },
    Parameters {
        profile: Profile::AeadAes256Gcm,
        name: "AEAD_AES_256_GCM",
        key_len: 32,
        salt_len: 12,
        auth_key_len: 0,
        tag_len: 16,
        rtp_overhead: 16,
        rtcp_overhead: 20,
    },
    Parameters {
        profile: Profile::AesCm128HmacSha1_80,
        name: "AES128_CM_HMAC_SHA1_80",
        key_len: 16,
        salt_len: 14,
        auth_key_len: 20,
        tag_len: 10,
        rtp_overhead: 10,
        rtcp_overhead: 14,
    },
];

impl Profile {
    /// The profile's row.
    pub fn parameters(self) -> &'static Parameters {
        &TABLE[self as usize]
    }

    /// IANA's name without `SRTP_`, as the boundary spells it.
    pub fn name(self) -> &'static str {
        self.parameters().name
    }

    /// The inverse of [`Profile::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.profile)
    }

    /// Whether its packets are authenticated by HMAC-SHA1, and so gain from a [`super::MacBatch`].
    pub fn uses_hmac(self) -> bool {
        self.parameters().auth_key_len > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_the_order_of_the_enum_and_consistent() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.profile as usize, index);
            assert_eq!(Profile::from_name(row.name), Some(row.profile));
            assert_eq!(row.rtp_overhead, row.tag_len);
            assert_eq!(row.rtcp_overhead, row.tag_len + 4);
            assert!(row.rtp_overhead <= MAX_RTP_OVERHEAD && row.rtcp_overhead <= MAX_RTCP_OVERHEAD);
        }
        assert_eq!(Profile::from_name("SRTP_AES128_CM_HMAC_SHA1_32"), None);
    }
}
