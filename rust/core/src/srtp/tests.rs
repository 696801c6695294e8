//! Vectors of the RFCs, round trips, and everything that must be refused.

use proptest::prelude::*;

use super::cipher::Cipher;
use super::key::SessionKeys;
use super::*;

const PROFILES: [Profile; 3] = [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::AesCm128HmacSha1_80];
const SSRC: u32 = 0x5501_a0b2;

/// Bytes of a hexadecimal string; white space is skipped.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn master(profile: Profile, seed: u8) -> MasterKey {
    let row = profile.parameters();
    let bytes: Vec<u8> = (0..64).map(|index: u8| index.wrapping_mul(37) ^ seed).collect();
    MasterKey::new(&bytes[..row.key_len], &bytes[32..32 + row.salt_len])
}

fn pair(profile: Profile) -> (Outbound, Inbound) {
    let key = master(profile, 1);
    (Outbound::new(profile, &key).unwrap(), Inbound::new(profile, &key).unwrap())
}

fn rtp(ssrc: u32, sequence: u16, payload: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&0x1234_5678u32.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend((0..payload).map(|index| index as u8));
    packet
}

fn seal(outbound: &mut Outbound, index: u64, payload: usize) -> Vec<u8> {
    let mut packet = rtp(SSRC, index as u16, payload);
    let plain_len = packet.len();
    packet.resize(plain_len + MAX_RTP_OVERHEAD, 0);
    let wire_len = outbound.seal_rtp(&mut packet, 12, plain_len, index);
    packet.truncate(wire_len);
    packet
}

fn open(inbound: &mut Inbound, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut packet = packet.to_vec();
    let ssrc = u32::from_be_bytes(packet[8..12].try_into().unwrap());
    let sequence = u16::from_be_bytes(packet[2..4].try_into().unwrap());
    let plain_len = inbound.open_rtp(&mut packet, 12, ssrc, sequence)?;
    packet.truncate(plain_len);
    Ok(packet)
}

fn rtcp(payload: usize) -> Vec<u8> {
    let mut packet = hex("80c8000d 4d617273");
    packet.extend((0..payload).map(|index| index as u8));
    packet
}

fn seal_rtcp(outbound: &mut Outbound, plain: &[u8]) -> Vec<u8> {
    let mut packet = plain.to_vec();
    packet.resize(plain.len() + MAX_RTCP_OVERHEAD, 0);
    let wire_len = outbound.seal_rtcp(&mut packet, plain.len()).unwrap();
    packet.truncate(wire_len);
    packet
}

/// RFC 3711 appendix B.2.
#[test]
fn counter_mode_makes_the_key_stream_of_rfc_3711() {
    let keys = SessionKeys::from_parts(
        Profile::AesCm128HmacSha1_80,
        &hex("2B7E151628AED2A6ABF7158809CF4F3C"),
        &hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"),
        &[0; 20],
    );
    let cipher = Cipher::new(Profile::AesCm128HmacSha1_80, &keys).unwrap();
    let mut packet = vec![0; 12 + 48 + MAX_RTP_OVERHEAD];
    cipher.encrypt_rtp(&mut packet, 12, 60, 0);
    let stream = "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0";
    assert_eq!(packet[12..60], hex(stream));
}

/// RFC 7714 section 16.1.1 and 16.2.1.
#[test]
fn gcm_seals_and_opens_the_packets_of_rfc_7714_section_16() {
    let plain = hex("8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070
        61727465 73207472 6573");
    for (profile, key_len, sealed) in [
        (
            Profile::AeadAes128Gcm,
            16,
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b
             36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        ),
        (
            Profile::AeadAes256Gcm,
            32,
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f
             1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        ),
    ] {
        let key: Vec<u8> = (0..key_len).collect();
        let keys = SessionKeys::from_parts(profile, &key, &hex("51756964 2070726f 2071756f"), &[]);
        let cipher = Cipher::new(profile, &keys).unwrap();
        let mut packet = plain.clone();
        packet.resize(plain.len() + MAX_RTP_OVERHEAD, 0);
        let wire_len = cipher.encrypt_rtp(&mut packet, 12, plain.len(), 0xf17b);
        assert!(cipher.pending(wire_len).is_none());
        assert_eq!(packet[..wire_len], hex(sealed));
        assert_eq!(cipher.open_rtp(&mut packet, 12, SSRC, 0xf17b), Ok(plain.len()));
        assert_eq!(packet[..plain.len()], plain);
    }
}

/// RFC 7714 section 17.1 and 17.3.
#[test]
fn gcm_seals_and_opens_the_packets_of_rfc_7714_section_17() {
    let plain =
        hex("81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef
        deadbeef deadbeef");
    for (profile, key_len, sealed) in [
        (
            Profile::AeadAes128Gcm,
            16,
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46
             86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        ),
        (
            Profile::AeadAes256Gcm,
            32,
            "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658
             c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
        ),
    ] {
        let key: Vec<u8> = (0..key_len).collect();
        let keys = SessionKeys::from_parts(profile, &key, &hex("51756964 2070726f 2071756f"), &[]);
        let cipher = Cipher::new(profile, &keys).unwrap();
        let mut packet = plain.clone();
        packet.resize(plain.len() + MAX_RTCP_OVERHEAD, 0);
        let wire_len = cipher.seal_rtcp(&mut packet, plain.len(), 0x5d4);
        assert_eq!(packet[..wire_len], hex(sealed));
        assert_eq!(cipher.rtcp_index(&packet), Ok(0x5d4));
        assert_eq!(cipher.open_rtcp(&mut packet, 0x5d4), Ok(plain.len()));
        assert_eq!(packet[..plain.len()], plain);
    }
}

/// The same master keys, packets and indices given to libsrtp 2.
#[test]
fn seals_the_same_bytes_as_libsrtp() {
    for (profile, sealed_rtp, sealed_rtcp) in [
        (
            Profile::AeadAes128Gcm,
            "80600007 12345678 5501a0b2 d92568e6708085482b13d892b9986611c77107035759ab518e1dd005bc2490e6b6da190ef60efcb1
             445456f7124ec2d1fa8e935386cb25e0",
            "80c8000d 4d617273 34265e79af10deaf8602fada6e070f0fb8e2f7de 5fbee769b7e9db00b9581cee0bde1f60 80000001",
        ),
        (
            Profile::AeadAes256Gcm,
            "80600007 12345678 5501a0b2 35d991a543c5480f49bb0af590817242ed063bca743455bfd74feac175b4ceda87bcbae3c2d44de1
             dec9a1f823938fb55b382a1598781efc",
            "80c8000d 4d617273 42d04d301057918dbdbbe3fb5b14fd0558f564f7 7d0e7628e94e00dc8285c05f4ffb39ac 80000001",
        ),
        (
            Profile::AesCm128HmacSha1_80,
            "80600007 12345678 5501a0b2 640cd745b0eebf8e7829d7fe1f04405b6521bee05a8928abc73a20778ee16133d48e67d1446cde08
             88c3ce30870a5cdf197b",
            "80c8000d 4d617273 b833864e6c8df4e946434d8230f0080c35b6ab13 80000001 399fd92d0e9c4b5a719a",
        ),
    ] {
        let (mut outbound, _) = pair(profile);
        assert_eq!(seal(&mut outbound, 7, 40), hex(sealed_rtp), "{profile:?}");
        outbound.set_rtcp_index(1);
        assert_eq!(seal_rtcp(&mut outbound, &rtcp(20)), hex(sealed_rtcp), "{profile:?}");
    }
}

#[test]
fn rollover_counter_follows_two_wraps() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        // Steps of less than half the sequence space: a gap can hide no wrap.
        for index in (65_530..65_550).chain([98_000, 118_000]).chain(131_060..131_090) {
            let packet = seal(&mut outbound, index, 50);
            assert_eq!(open(&mut inbound, &packet), Ok(rtp(SSRC, index as u16, 50)), "{index} {profile:?}");
            assert_eq!(inbound.highest_index(SSRC), Some(index));
        }
    }
}

#[test]
fn late_packets_before_the_wrap_open_after_it() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let late = seal(&mut outbound, 65_534, 10);
        for index in [65_533, 65_535, 65_536, 65_537] {
            let packet = seal(&mut outbound, index, 10);
            assert!(open(&mut inbound, &packet).is_ok());
        }
        assert_eq!(open(&mut inbound, &late), Ok(rtp(SSRC, 65_534, 10)));
        assert_eq!(open(&mut inbound, &late), Err(SrtpError::Replay));
    }
}

#[test]
fn a_replayed_packet_is_refused_and_an_old_one_too() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let first = seal(&mut outbound, 500, 100);
        assert!(open(&mut inbound, &first).is_ok());
        assert_eq!(open(&mut inbound, &first), Err(SrtpError::Replay));
        let (old, edge) = (seal(&mut outbound, 3904, 100), seal(&mut outbound, 3905, 100));
        let newest = seal(&mut outbound, 8000, 100);
        assert!(open(&mut inbound, &newest).is_ok());
        assert_eq!(open(&mut inbound, &old), Err(SrtpError::Replay));
        assert!(open(&mut inbound, &edge).is_ok());
    }
}

#[test]
fn a_forged_packet_changes_nothing() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        assert!(open(&mut inbound, &seal(&mut outbound, 10, 100)).is_ok());
        let good = seal(&mut outbound, 11, 100);
        for position in [1, 5, 12, 60, good.len() - 1] {
            let mut forged = good.clone();
            forged[position] ^= 1;
            assert_eq!(open(&mut inbound, &forged), Err(SrtpError::Authentication), "{position} {profile:?}");
        }
        let mut far = good.clone();
        far[2..4].copy_from_slice(&30_000u16.to_be_bytes());
        assert_eq!(open(&mut inbound, &far), Err(SrtpError::Authentication));
        assert_eq!(inbound.highest_index(SSRC), Some(10));
        assert_eq!(open(&mut inbound, &good), Ok(rtp(SSRC, 11, 100)));
    }
}

#[test]
fn another_ssrc_or_another_key_does_not_authenticate() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let mut packet = seal(&mut outbound, 10, 100);
        let mut stranger = Inbound::new(profile, &master(profile, 2)).unwrap();
        assert_eq!(open(&mut stranger, &packet), Err(SrtpError::Authentication));
        packet[8] ^= 1;
        assert_eq!(open(&mut inbound, &packet), Err(SrtpError::Authentication));
        assert_eq!(inbound.highest_index(SSRC), None);
    }
}

#[test]
fn unauthenticated_sources_take_no_room_and_authentic_ones_are_bounded() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let packet = |outbound: &mut Outbound, ssrc: u32| {
            let mut packet = rtp(ssrc, 7, 20);
            packet.resize(32 + MAX_RTP_OVERHEAD, 0);
            let wire_len = outbound.seal_rtp(&mut packet, 12, 32, 7);
            packet.truncate(wire_len);
            packet
        };
        for ssrc in 0..2 * Inbound::MAX_SOURCES as u32 {
            let mut forged = packet(&mut outbound, ssrc);
            *forged.last_mut().unwrap() ^= 1;
            assert_eq!(open(&mut inbound, &forged), Err(SrtpError::Authentication));
        }
        for ssrc in 0..Inbound::MAX_SOURCES as u32 {
            assert!(open(&mut inbound, &packet(&mut outbound, ssrc)).is_ok());
        }
        let beyond = packet(&mut outbound, 1_000_000);
        assert_eq!(open(&mut inbound, &beyond), Err(SrtpError::TooManySources));
        assert_eq!(open(&mut inbound, &packet(&mut outbound, 3)), Err(SrtpError::Replay));
    }
}

#[test]
fn short_packets_are_refused() {
    for profile in PROFILES {
        let (_, mut inbound) = pair(profile);
        for len in 0..64 {
            let mut packet = vec![0x80; len];
            let _ = inbound.open_rtcp(&mut packet);
            let result = inbound.open_rtp(&mut packet, 12, SSRC, 1);
            if len < 12 + profile.parameters().rtp_overhead {
                assert_eq!(result, Err(SrtpError::TooShort));
            }
        }
    }
}

#[test]
fn rtcp_is_opened_once_and_only_encrypted() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let plain = rtcp(44);
        let first = seal_rtcp(&mut outbound, &plain);
        let second = seal_rtcp(&mut outbound, &plain);
        assert_eq!(first.len(), plain.len() + profile.parameters().rtcp_overhead);
        assert_ne!(first, second);
        for sealed in [&second, &first] {
            let mut packet = sealed.clone();
            let plain_len = inbound.open_rtcp(&mut packet).unwrap();
            assert_eq!(packet[..plain_len], plain);
            assert_eq!(inbound.open_rtcp(&mut sealed.clone()), Err(SrtpError::Replay));
        }
        let third = seal_rtcp(&mut outbound, &plain);
        for position in [1, 4, 20, third.len() - 1] {
            let mut forged = third.clone();
            forged[position] ^= 1;
            assert_eq!(inbound.open_rtcp(&mut forged), Err(SrtpError::Authentication), "{position} {profile:?}");
        }
        let mut unencrypted = third.clone();
        let word_at = if profile.uses_hmac() { third.len() - 14 } else { third.len() - 4 };
        unencrypted[word_at] &= 0x7f;
        assert_eq!(inbound.open_rtcp(&mut unencrypted), Err(SrtpError::Unencrypted));
        assert!(inbound.open_rtcp(&mut third.clone()).is_ok());
    }
}

#[test]
fn rtcp_indices_are_never_used_twice() {
    let (mut outbound, _) = pair(Profile::AeadAes128Gcm);
    let mut packet = rtcp(100);
    assert_eq!(outbound.seal_rtcp(&mut packet, 7), Err(SrtpError::TooShort));
    outbound.set_rtcp_index(0x7fff_ffff);
    assert!(outbound.seal_rtcp(&mut packet, 28).is_ok());
    assert_eq!(outbound.seal_rtcp(&mut packet, 28), Err(SrtpError::KeyExhausted));
}

#[test]
fn a_verbatim_retransmission_is_byte_identical() {
    for profile in PROFILES {
        let (mut outbound, _) = pair(profile);
        assert_eq!(seal(&mut outbound, 70_000, 1188), seal(&mut outbound, 70_000, 1188));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Reordering within half the sequence space and loss never desynchronise the two ends.
    #[test]
    fn any_order_within_the_window_opens(
        start in 0u64..65_536,
        mut order in Just((0u64..100).collect::<Vec<_>>()).prop_shuffle(),
        profile in prop::sample::select(PROFILES.to_vec()),
    ) {
        let (mut outbound, mut inbound) = pair(profile);
        prop_assert!(open(&mut inbound, &seal(&mut outbound, start, 5)).is_ok());
        order.truncate(60);
        for offset in order {
            let packet = seal(&mut outbound, start + 1 + offset, 20);
            prop_assert!(open(&mut inbound, &packet).is_ok());
        }
    }

    /// Whatever header, payload and index: what was sealed opens, batched or not, and both ways give the same bytes.
    #[test]
    fn batched_and_single_sealing_agree(
        lengths in prop::collection::vec((0usize..1400, 0u64..(1 << 48)), 1..MacBatch::CAPACITY),
    ) {
        let profile = Profile::AesCm128HmacSha1_80;
        let (mut outbound, _) = pair(profile);
        let mut other = Outbound::new(profile, &master(profile, 9)).unwrap();
        let mut buffer = Vec::new();
        let mut batch = MacBatch::new();
        let mut expected = Vec::new();
        for (turn, (payload, index)) in lengths.iter().enumerate() {
            let sealer = if turn % 3 == 0 { &mut other } else { &mut outbound };
            expected.extend(seal(sealer, *index, *payload));
            let start = buffer.len();
            buffer.extend(rtp(SSRC, *index as u16, *payload));
            let plain_len = buffer.len() - start;
            buffer.resize(start + plain_len + profile.parameters().rtp_overhead, 0);
            let (wire_len, pending) = sealer.seal_rtp_deferred(&mut buffer[start..], 12, plain_len, *index);
            prop_assert_eq!(wire_len, plain_len + 10);
            if let Some(pending) = pending {
                batch.push(start, pending);
            }
        }
        batch.finish(&mut buffer);
        prop_assert!(buffer == expected);
        prop_assert!(batch.is_empty());
    }
}
