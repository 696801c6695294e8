//! Opening: what a transport receives.

use super::SrtpError;
use super::cipher::{Cipher, RTCP_HEADER_LEN};
use super::key::{InvalidKey, MasterKey, SessionKeys, Stream};
use super::profile::Profile;
use super::replay::ReplayWindow;

/// The receiving direction of one transport: rollover counter and replay window of each SSRC.
///
/// A source is remembered only after one of its packets was authentic, and at most [`Inbound::MAX_SOURCES`] are.
pub struct Inbound {
    rtp: Cipher,
    rtcp: Cipher,
    rtp_sources: Sources,
    rtcp_sources: Sources,
    profile: Profile,
}

impl Inbound {
    /// SSRCs that one transport may send from, for RTP and for RTCP each.
    pub const MAX_SOURCES: usize = 128;

    /// Derives the session keys of a direction.
    ///
    /// # Errors
    /// [`InvalidKey`] if the master key does not fit the profile.
    pub fn new(profile: Profile, master: &MasterKey) -> Result<Self, InvalidKey> {
        Ok(Self {
            rtp: Cipher::new(profile, &SessionKeys::derive(profile, master, Stream::Rtp)?)?,
            rtcp: Cipher::new(profile, &SessionKeys::derive(profile, master, Stream::Rtcp)?)?,
            rtp_sources: Sources::default(),
            rtcp_sources: Sources::default(),
            profile,
        })
    }

    /// The profile in use.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Opens one SRTP packet in place and returns the length of header and plain payload: the tag is cut off.
    /// `header_len` covers CSRCs and extensions, `ssrc` and `sequence` are the header's.
    ///
    /// # Errors
    /// Any [`SrtpError`] but `Unencrypted` and `KeyExhausted`. After an error the payload bytes are undefined.
    pub fn open_rtp(
        &mut self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        sequence: u16,
    ) -> Result<usize, SrtpError> {
        if packet.len() < header_len + self.profile.parameters().rtp_overhead {
            return Err(SrtpError::TooShort);
        }
        let window = self.rtp_sources.window(ssrc)?;
        let index = window.estimate(sequence).ok_or(SrtpError::Replay)?;
        if !window.is_fresh(index) {
            return Err(SrtpError::Replay);
        }
        let plain_len = self.rtp.open_rtp(packet, header_len, ssrc, index)?;
        self.rtp_sources.commit(ssrc, index);
        Ok(plain_len)
    }

    /// Opens one SRTCP packet in place and returns the length of the compound packet: tag and index are cut off.
    ///
    /// # Errors
    /// Any [`SrtpError`] but `KeyExhausted`. After an error all but the first eight bytes are undefined.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        if packet.len() < RTCP_HEADER_LEN + self.profile.parameters().rtcp_overhead {
            return Err(SrtpError::TooShort);
        }
        let index = self.rtcp.rtcp_index(packet)?;
        let ssrc = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        let window = self.rtcp_sources.window(ssrc)?;
        if !window.is_fresh(u64::from(index)) {
            return Err(SrtpError::Replay);
        }
        let plain_len = self.rtcp.open_rtcp(packet, index)?;
        self.rtcp_sources.commit(ssrc, u64::from(index));
        Ok(plain_len)
    }

    /// The newest index (`ROC << 16 | sequence`) accepted from an SSRC.
    pub fn highest_index(&self, ssrc: u32) -> Option<u64> {
        self.rtp_sources.entries.iter().find(|(known, _)| *known == ssrc).and_then(|(_, window)| window.highest())
    }
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbound")
            .field("profile", &self.profile)
            .field("rtp_sources", &self.rtp_sources.entries.len())
            .finish()
    }
}

/// Windows by SSRC. A transport has a handful and they come in bursts: a scan that begins at the last hit.
#[derive(Default)]
struct Sources {
    entries: Vec<(u32, ReplayWindow)>,
    last: usize,
}

impl Sources {
    /// The source's window; an empty one if the source is unknown and there is room for it.
    fn window(&mut self, ssrc: u32) -> Result<&ReplayWindow, SrtpError> {
        static EMPTY: ReplayWindow = ReplayWindow::new();
        if self.entries.get(self.last).is_none_or(|(known, _)| *known != ssrc) {
            let found = self.entries.iter().position(|(known, _)| *known == ssrc);
            if found.is_none() && self.entries.len() >= Inbound::MAX_SOURCES {
                return Err(SrtpError::TooManySources);
            }
            self.last = found.unwrap_or(self.entries.len());
        }
        Ok(self.entries.get(self.last).map_or(&EMPTY, |(_, window)| window))
    }

    /// Remembers a packet of the source whose window was asked for last.
    fn commit(&mut self, ssrc: u32, index: u64) {
        if self.last == self.entries.len() {
            // A viewer has one source, and a window is half a kilobyte.
            self.entries.reserve_exact(1);
            self.entries.push((ssrc, ReplayWindow::new()));
        }
        self.entries[self.last].1.commit(index);
    }
}
