//! Opus (RFC 7587), G.722, PCMU and PCMA (RFC 3551): a frame is the payload of one packet.

use super::{MAX_PAYLOAD, Malformed, Payloads};

pub fn packetise(frame: &[u8], out: &mut Payloads) -> Result<(), Malformed> {
    if frame.is_empty() || frame.len() > MAX_PAYLOAD {
        return Err(Malformed);
    }
    out.push(&[frame]);
    Ok(())
}
