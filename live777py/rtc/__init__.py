"""One WebRTC session: SDP, negotiation, DTLS, the peer. Media is the engine's."""
