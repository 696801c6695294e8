//! The two transforms: AES-GCM (RFC 7714) and AES-CM with HMAC-SHA1 (RFC 3711 section 4), under session keys.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::iv::FixedLength;

use super::SrtpError;
use super::key::{InvalidKey, SessionKeys};
use super::mac::{MacKey, PendingTag, TAG_LEN as MAC_LEN};
use super::profile::Profile;

/// RTCP header and SSRC of the sender: what SRTCP leaves readable.
pub(super) const RTCP_HEADER_LEN: usize = 8;
/// The word with the E bit and the SRTCP index.
const INDEX_LEN: usize = 4;
const ENCRYPTED: u32 = 1 << 31;
const GCM_TAG_LEN: usize = 16;
const ROLLOVER_LEN: usize = 4;

/// A transform with its session keys, for RTP or for RTCP of one direction. Boxed, so that a table of transports stays
/// dense; one indirection per packet.
pub(super) enum Cipher {
    Gcm(Gcm),
    CounterMode(Box<CounterMode>),
}

pub(super) struct Gcm {
    key: LessSafeKey,
    salt: [u8; 12],
}

pub(super) struct CounterMode {
    key: EncryptingKey,
    salt: [u8; 14],
    mac: MacKey,
}

impl Cipher {
    pub(super) fn new(profile: Profile, keys: &SessionKeys) -> Result<Self, InvalidKey> {
        let gcm = |algorithm| -> Result<Self, InvalidKey> {
            let key = UnboundKey::new(algorithm, keys.key()).map_err(|_| InvalidKey)?;
            let salt = keys.salt().try_into().map_err(|_| InvalidKey)?;
            Ok(Self::Gcm(Gcm { key: LessSafeKey::new(key), salt }))
        };
        match profile {
            Profile::AeadAes128Gcm => gcm(&aead::AES_128_GCM),
            Profile::AeadAes256Gcm => gcm(&aead::AES_256_GCM),
            Profile::AesCm128HmacSha1_80 => {
                let key =
                    UnboundCipherKey::new(&AES_128, keys.key()).and_then(EncryptingKey::ctr).map_err(|_| InvalidKey)?;
                let salt = keys.salt().try_into().map_err(|_| InvalidKey)?;
                Ok(Self::CounterMode(Box::new(CounterMode { key, salt, mac: MacKey::new(keys.auth()) })))
            }
        }
    }

    /// Encrypts in place and returns the length on the wire. An AEAD's packet is complete; another lacks its tag.
    pub(super) fn encrypt_rtp(&self, packet: &mut [u8], header_len: usize, plain_len: usize, index: u64) -> usize {
        let ssrc = ssrc_of(&packet[8..12]);
        match self {
            Self::Gcm(gcm) => {
                let (header, rest) = packet.split_at_mut(header_len);
                let (payload, tag) = rest.split_at_mut(plain_len - header_len);
                tag[..GCM_TAG_LEN].copy_from_slice(gcm.seal(gcm.rtp_nonce(ssrc, index), header, payload).as_ref());
                plain_len + GCM_TAG_LEN
            }
            Self::CounterMode(cm) => {
                cm.apply(&mut packet[header_len..plain_len], ssrc, index);
                // The tag covers the rollover counter as well, which is not sent: it stands where the tag will be.
                let rollover = (index >> 16) as u32;
                packet[plain_len..plain_len + ROLLOVER_LEN].copy_from_slice(&rollover.to_be_bytes());
                plain_len + MAC_LEN
            }
        }
    }

    /// The missing tag of an encrypted packet, as work for a batch. None where nothing is missing or batches do not pay.
    pub(super) fn pending(&self, wire_len: usize) -> Option<PendingTag> {
        match self {
            Self::Gcm(_) => None,
            Self::CounterMode(cm) => cm.mac.pending(wire_len - MAC_LEN + ROLLOVER_LEN),
        }
    }

    /// Writes the missing tag of an encrypted packet.
    pub(super) fn authenticate(&self, packet: &mut [u8], wire_len: usize) {
        if let Self::CounterMode(cm) = self {
            let plain_len = wire_len - MAC_LEN;
            let tag = cm.mac.tag(&packet[..plain_len + ROLLOVER_LEN], &[]);
            packet[plain_len..wire_len].copy_from_slice(&tag);
        }
    }

    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => {
                let plain_len = packet.len() - GCM_TAG_LEN;
                let (body, tag) = packet.split_at_mut(plain_len);
                let (header, payload) = body.split_at_mut(header_len);
                gcm.open(gcm.rtp_nonce(ssrc, index), header, payload, tag)?;
                Ok(plain_len)
            }
            Self::CounterMode(cm) => {
                let plain_len = packet.len() - MAC_LEN;
                let (body, tag) = packet.split_at_mut(plain_len);
                let rollover = (index >> 16) as u32;
                cm.verify(body, &rollover.to_be_bytes(), tag)?;
                cm.apply(&mut body[header_len..], ssrc, index);
                Ok(plain_len)
            }
        }
    }

    pub(super) fn seal_rtcp(&self, packet: &mut [u8], plain_len: usize, index: u32) -> usize {
        let ssrc = ssrc_of(&packet[4..8]);
        let word = (ENCRYPTED | index).to_be_bytes();
        match self {
            Self::Gcm(gcm) => {
                let (header, rest) = packet.split_at_mut(RTCP_HEADER_LEN);
                let (payload, trailer) = rest.split_at_mut(plain_len - RTCP_HEADER_LEN);
                let tag = gcm.seal(gcm.rtcp_nonce(ssrc, index), &rtcp_aad(header, word), payload);
                trailer[..GCM_TAG_LEN].copy_from_slice(tag.as_ref());
                trailer[GCM_TAG_LEN..GCM_TAG_LEN + INDEX_LEN].copy_from_slice(&word);
                plain_len + GCM_TAG_LEN + INDEX_LEN
            }
            Self::CounterMode(cm) => {
                cm.apply(&mut packet[RTCP_HEADER_LEN..plain_len], ssrc, u64::from(index));
                let (body, tag) = packet.split_at_mut(plain_len + INDEX_LEN);
                body[plain_len..].copy_from_slice(&word);
                tag[..MAC_LEN].copy_from_slice(&cm.mac.tag(body, &[]));
                plain_len + INDEX_LEN + MAC_LEN
            }
        }
    }

    /// The index that an SRTCP packet carries. It is not authentic before the packet is opened.
    pub(super) fn rtcp_index(&self, packet: &[u8]) -> Result<u32, SrtpError> {
        let end = match self {
            Self::Gcm(_) => packet.len(),
            Self::CounterMode(_) => packet.len() - MAC_LEN,
        };
        let word = u32::from_be_bytes([packet[end - 4], packet[end - 3], packet[end - 2], packet[end - 1]]);
        if word & ENCRYPTED == 0 { Err(SrtpError::Unencrypted) } else { Ok(word & !ENCRYPTED) }
    }

    pub(super) fn open_rtcp(&self, packet: &mut [u8], index: u32) -> Result<usize, SrtpError> {
        let ssrc = ssrc_of(&packet[4..8]);
        match self {
            Self::Gcm(gcm) => {
                let plain_len = packet.len() - GCM_TAG_LEN - INDEX_LEN;
                let (body, trailer) = packet.split_at_mut(plain_len);
                let (header, payload) = body.split_at_mut(RTCP_HEADER_LEN);
                let aad = rtcp_aad(header, (ENCRYPTED | index).to_be_bytes());
                gcm.open(gcm.rtcp_nonce(ssrc, index), &aad, payload, &trailer[..GCM_TAG_LEN])?;
                Ok(plain_len)
            }
            Self::CounterMode(cm) => {
                let plain_len = packet.len() - MAC_LEN - INDEX_LEN;
                let (body, tag) = packet.split_at_mut(plain_len + INDEX_LEN);
                cm.verify(body, &[], tag)?;
                cm.apply(&mut body[RTCP_HEADER_LEN..plain_len], ssrc, u64::from(index));
                Ok(plain_len)
            }
        }
    }
}

impl Gcm {
    /// RFC 7714 section 8.1.
    fn rtp_nonce(&self, ssrc: u32, index: u64) -> Nonce {
        self.nonce(u128::from(ssrc) << 48 | u128::from(index & 0xffff_ffff_ffff))
    }

    /// RFC 7714 section 9.1.
    fn rtcp_nonce(&self, ssrc: u32, index: u32) -> Nonce {
        self.nonce(u128::from(ssrc) << 48 | u128::from(index))
    }

    fn nonce(&self, value: u128) -> Nonce {
        let mut nonce = self.salt;
        for (byte, counter) in nonce.iter_mut().zip(&value.to_be_bytes()[4..]) {
            *byte ^= counter;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&self, nonce: Nonce, aad: &[u8], payload: &mut [u8]) -> aead::Tag {
        self.key
            .seal_in_place_separate_tag(nonce, Aad::from(aad), payload)
            .expect("a datagram is shorter than GCM's limit")
    }

    fn open(&self, nonce: Nonce, aad: &[u8], payload: &mut [u8], tag: &[u8]) -> Result<(), SrtpError> {
        match self.key.open_in_place_separate_tag(nonce, Aad::from(aad), tag, payload) {
            Ok(_) => Ok(()),
            Err(_) => Err(SrtpError::Authentication),
        }
    }
}

impl CounterMode {
    /// RFC 3711 section 4.1.1. Encryption and decryption are the same.
    fn apply(&self, payload: &mut [u8], ssrc: u32, index: u64) {
        let mut iv = (u128::from(ssrc) << 64 | u128::from(index & 0xffff_ffff_ffff) << 16).to_be_bytes();
        for (byte, salt) in iv.iter_mut().zip(&self.salt) {
            *byte ^= salt;
        }
        self.key
            .less_safe_encrypt(payload, EncryptionContext::Iv128(FixedLength::from(iv)))
            .expect("counter mode takes any length under a 16-byte IV");
    }

    fn verify(&self, message: &[u8], suffix: &[u8], tag: &[u8]) -> Result<(), SrtpError> {
        verify_slices_are_equal(&self.mac.tag(message, suffix), tag).map_err(|_| SrtpError::Authentication)
    }
}

fn ssrc_of(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// RFC 7714 section 9.2: the readable header, then the word with E bit and index.
fn rtcp_aad(header: &[u8], word: [u8; 4]) -> [u8; RTCP_HEADER_LEN + INDEX_LEN] {
    let mut aad = [0; RTCP_HEADER_LEN + INDEX_LEN];
    aad[..RTCP_HEADER_LEN].copy_from_slice(header);
    aad[RTCP_HEADER_LEN..].copy_from_slice(&word);
    aad
}
