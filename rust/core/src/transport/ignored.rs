//! Why datagrams and packets of a transport were not used.

use crate::tally::tally;

tally! {
    /// A reason to drop something.
    Reason,
    /// A counter per reason.
    Ignored {
        /// Not a STUN message that the peer made.
        BadStun => "STUN not authentic",
        /// DTLS from a path that ICE never authenticated is not ours; this counts what is too long to be DTLS.
        BadDtls => "DTLS malformed",
        /// More media before the keys than is held.
        NoKeys => "media before keys",
        /// No RTP header, or lengths that contradict each other.
        BadRtp => "RTP malformed",
        /// Longer than what fits a path.
        TooLong => "RTP too long",
        /// No track claims the SSRC.
        UnknownSource => "unknown SSRC",
        /// More SSRCs than are learned.
        TooManySources => "too many SSRCs",
        /// A payload type outside of the negotiated ones.
        UnknownPayloadType => "unknown payload type",
        /// A retransmission that is too short or of an unknown source.
        BadRetransmission => "RTX malformed",
        /// Came before, by another way.
        Duplicate => "duplicate",
        /// RTCP that cannot be read.
        BadRtcp => "RTCP malformed",
        /// Feedback about an SSRC that is not ours.
        UnknownFeedback => "RTCP about unknown SSRC",
    }
}
