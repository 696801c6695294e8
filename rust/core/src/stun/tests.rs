//! RFC 5769 and what a peer may not do.

use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const TRANSACTION: TransactionId =
    TransactionId([0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]);

/// RFC 5769 section 2.1.
const REQUEST: &str = "00010058 2112a442 b7e7a701bc34d686fa87dfae
    80220010 5354554e207465737420636c69656e74
    00240004 6e0001ff
    80290008 932ff9b151263b36
    00060009 6576746a3a68367659202020
    00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2
    80280004 e57a3bcf";

/// RFC 5769 section 2.2.
const RESPONSE_V4: &str = "0101003c 2112a442 b7e7a701bc34d686fa87dfae
    8022000b 7465737420766563746f7220
    00200008 0001a147e112a643
    00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7
    80280004 c07d4c96";

/// RFC 5769 section 2.3.
const RESPONSE_V6: &str = "01010048 2112a442 b7e7a701bc34d686fa87dfae
    8022000b 7465737420766563746f7220
    00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9
    00080014 a382954e4be67bf11784c97c8292c275bfe3ed41
    80280004 c8fb0b4c";

#[test]
fn reads_the_request_of_rfc_5769() {
    let bytes = hex(REQUEST);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.class(), Class::Request);
    assert_eq!(message.transaction(), TRANSACTION);
    assert_eq!(message.ufrags(), Some(("evtj", "h6vY")));
    assert_eq!(message.priority(), Some(0x6e00_01ff));
    assert_eq!(message.controlled(), Some(0x932f_f9b1_5126_3b36));
    assert_eq!(message.controlling(), None);
    assert!(!message.use_candidate());
    assert!(message.unknown_attributes().is_empty());
    assert!(message.verify(&IntegrityKey::new(PASSWORD)));
    assert!(!message.verify(&IntegrityKey::new("VOkJxbRl1RmTxUk/WvJxBT")));
}

#[test]
fn reads_the_responses_of_rfc_5769() {
    for (text, address) in
        [(RESPONSE_V4, "192.0.2.1:32853"), (RESPONSE_V6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    {
        let bytes = hex(text);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.class(), Class::Success);
        assert_eq!(message.mapped_address(), Some(address.parse().unwrap()));
        assert!(message.verify(&IntegrityKey::new(PASSWORD)));
    }
}

#[test]
fn reads_what_it_writes() {
    let key = IntegrityKey::new("secret");
    let mut bytes = vec![1, 2, 3];
    Builder::new(&mut bytes, Class::Request, TRANSACTION)
        .username("theirs", "ours")
        .priority(77)
        .controlling(u64::MAX)
        .use_candidate()
        .finish(&key);
    assert!(is_stun(&bytes));
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.ufrags(), Some(("theirs", "ours")));
    assert_eq!((message.priority(), message.controlling()), (Some(77), Some(u64::MAX)));
    assert!(message.use_candidate() && message.verify(&key));

    for address in ["192.0.2.1:1", "[2001:db8::1]:65535", "[::ffff:10.0.0.1]:99"] {
        let address: std::net::SocketAddr = address.parse().unwrap();
        Builder::new(&mut bytes, Class::Success, TRANSACTION).mapped_address(address).finish(&key);
        let message = Message::parse(&bytes).unwrap();
        let canonical = std::net::SocketAddr::new(address.ip().to_canonical(), address.port());
        assert_eq!(message.mapped_address(), Some(canonical));
    }

    Builder::new(&mut bytes, Class::Error, TRANSACTION)
        .error(ErrorCode::UnknownAttribute)
        .unknown_attributes(&[0x7001, 0x7002, 0x7003])
        .finish(&key);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.class(), message.error()), (Class::Error, Some(420)));
    assert!(message.verify(&key));

    Builder::new(&mut bytes, Class::Indication, TRANSACTION).finish_unsigned();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.class(), Class::Indication);
    assert!(!message.verify(&key));
}

#[test]
fn names_the_attributes_it_had_to_understand() {
    let mut bytes = hex("00010010 2112a442 000000000000000000000000 7fff0000 ffff0000 7ffe0001 aa000000");
    assert_eq!(Message::parse(&bytes).unwrap().unknown_attributes(), [0x7fff, 0x7ffe]);
    bytes.truncate(HEADER_LEN);
    for kind in 0x7000u16..0x7040 {
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
    }
    bytes[2..4].copy_from_slice(&0x100u16.to_be_bytes());
    assert_eq!(Message::parse(&bytes).unwrap().unknown_attributes().len(), MAX_UNKNOWN);
}

#[test]
fn attributes_behind_the_integrity_do_not_count() {
    let key = IntegrityKey::new(PASSWORD);
    let mut bytes = Vec::new();
    Builder::new(&mut bytes, Class::Request, TRANSACTION).username("a", "b").finish(&key);
    bytes.truncate(bytes.len() - 8);
    bytes.extend(hex("00250000 7fff0000"));
    let length = (bytes.len() - HEADER_LEN) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    let message = Message::parse(&bytes).unwrap();
    assert!(message.verify(&key));
    assert!(!message.use_candidate());
    assert!(message.unknown_attributes().is_empty());
}

#[test]
fn refuses_what_is_not_a_binding_message() {
    let good = hex(REQUEST);
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        Message::parse(&bytes).map(|_| ()).unwrap_err()
    };
    assert_eq!(refused(&|bytes| bytes.truncate(19)), ParseError::NotStun);
    assert_eq!(refused(&|bytes| bytes[0] |= 0x80), ParseError::NotStun);
    assert_eq!(refused(&|bytes| bytes[4] ^= 1), ParseError::NotStun);
    assert_eq!(refused(&|bytes| bytes.truncate(100)), ParseError::NotStun);
    assert_eq!(refused(&|bytes| bytes.extend([0; 4])), ParseError::NotStun);
    assert_eq!(refused(&|bytes| bytes[3] = 0x57), ParseError::NotStun);
    assert_eq!(refused(&|bytes| bytes[1] = 3), ParseError::OtherMethod);
    assert_eq!(refused(&|bytes| bytes[0] = 0x3e), ParseError::OtherMethod);
    assert_eq!(refused(&|bytes| bytes[23] = 0xff), ParseError::BadAttribute);
    assert_eq!(refused(&|bytes| bytes[43] = 3), ParseError::BadAttribute);
    assert_eq!(refused(&|bytes| *bytes.last_mut().unwrap() ^= 1), ParseError::BadFingerprint);
    assert_eq!(refused(&|bytes| bytes[30] ^= 1), ParseError::BadFingerprint);
}

proptest! {
    /// One changed bit is never authentic.
    #[test]
    fn any_changed_bit_is_noticed(bit in 0usize..(HEADER_LEN + 0x58 - 8) * 8) {
        let mut bytes = hex(REQUEST);
        bytes[bit / 8] ^= 1 << (bit % 8);
        // Without the fingerprint, which would notice first.
        let length = bytes.len() - 8;
        bytes.truncate(length);
        let declared = u16::from_be_bytes([bytes[2], bytes[3]]).wrapping_sub(8);
        bytes[2..4].copy_from_slice(&declared.to_be_bytes());
        if let Ok(message) = Message::parse(&bytes) {
            prop_assert!(!message.verify(&IntegrityKey::new(PASSWORD)));
        }
    }
}
