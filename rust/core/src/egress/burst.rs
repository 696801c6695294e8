//! Plaintext RTP of one burst, shared by everything that forwards it.

/// Packets of one burst in order of arrival.
#[derive(Debug, Default)]
pub struct PacketBuffer {
    bytes: Vec<u8>,
}
