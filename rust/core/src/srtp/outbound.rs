//! Sealing: what a transport sends.

use super::SrtpError;
use super::cipher::{Cipher, RTCP_HEADER_LEN};
use super::key::{InvalidKey, MasterKey, SessionKeys, Stream};
use super::mac::PendingTag;
use super::profile::Profile;

const MAX_RTCP_INDEX: u32 = 0x7fff_ffff;

/// The sending direction of one transport. Rollover counters are the caller's, since it numbers the packets.
pub struct Outbound {
    rtp: Cipher,
    rtcp: Cipher,
    rtcp_index: u32,
    profile: Profile,
}

impl Outbound {
    /// Derives the session keys of a direction.
    ///
    /// # Errors
    /// [`InvalidKey`] if the master key does not fit the profile.
    pub fn new(profile: Profile, master: &MasterKey) -> Result<Self, InvalidKey> {
        Ok(Self {
            rtp: Cipher::new(profile, &SessionKeys::derive(profile, master, Stream::Rtp)?)?,
            rtcp: Cipher::new(profile, &SessionKeys::derive(profile, master, Stream::Rtcp)?)?,
            rtcp_index: 0,
            profile,
        })
    }

    /// The profile in use.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Seals one RTP packet in place and returns its length on the wire.
    ///
    /// `packet[..plain_len]` is header (with extensions, `header_len` bytes) and payload, padding included; behind it is
    /// room for the tag. `index` is `ROC << 16 | sequence`. An index used twice with one SSRC must carry identical bytes
    /// (a verbatim retransmission): everything else breaks the encryption.
    ///
    /// # Panics
    /// If the lengths contradict each other or there is no room for the tag.
    pub fn seal_rtp(&mut self, packet: &mut [u8], header_len: usize, plain_len: usize, index: u64) -> usize {
        let wire_len = self.rtp.encrypt_rtp(packet, header_len, plain_len, index);
        self.rtp.authenticate(packet, wire_len);
        wire_len
    }

    /// As [`Outbound::seal_rtp`], but an HMAC is left to the caller's [`super::MacBatch`]: the packet must not be sent
    /// before the batch is finished. Where nothing is pending (an AEAD, or a processor on which batches do not pay) the
    /// packet is complete.
    ///
    /// # Panics
    /// As [`Outbound::seal_rtp`].
    pub fn seal_rtp_deferred(
        &mut self,
        packet: &mut [u8],
        header_len: usize,
        plain_len: usize,
        index: u64,
    ) -> (usize, Option<PendingTag>) {
        let wire_len = self.rtp.encrypt_rtp(packet, header_len, plain_len, index);
        let pending = self.rtp.pending(wire_len);
        if pending.is_none() {
            self.rtp.authenticate(packet, wire_len);
        }
        (wire_len, pending)
    }

    /// Seals one compound RTCP packet in place and returns its length on the wire. `packet[..plain_len]` is the packet;
    /// behind it is room for tag and index.
    ///
    /// # Errors
    /// [`SrtpError::TooShort`] for less than an RTCP header and SSRC, [`SrtpError::KeyExhausted`] after 2^31 packets.
    ///
    /// # Panics
    /// If there is no room for tag and index.
    pub fn seal_rtcp(&mut self, packet: &mut [u8], plain_len: usize) -> Result<usize, SrtpError> {
        if plain_len < RTCP_HEADER_LEN {
            return Err(SrtpError::TooShort);
        }
        if self.rtcp_index > MAX_RTCP_INDEX {
            return Err(SrtpError::KeyExhausted);
        }
        let wire_len = self.rtcp.seal_rtcp(packet, plain_len, self.rtcp_index);
        self.rtcp_index += 1;
        Ok(wire_len)
    }

    #[cfg(test)]
    pub(super) fn set_rtcp_index(&mut self, index: u32) {
        self.rtcp_index = index;
    }
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("profile", &self.profile).field("rtcp_index", &self.rtcp_index).finish()
    }
}
