//! Why datagrams and packets of a transport were not used.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident => $text:literal,)+) => {
        /// A reason to drop something.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$doc])* $name,)+
        }

        impl Reason {
            /// All reasons, in order.
            pub const ALL: &[(Reason, &str)] = &[$((Reason::$name, $text),)+];
        }
    };
}

reasons! {
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

/// A counter per reason.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ignored {
    counts: [u64; Reason::ALL.len()],
}

impl Ignored {
    /// Counts one.
    pub fn count(&mut self, reason: Reason) {
        self.counts[reason as usize] += 1;
    }

    /// The sum.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The reasons that occurred.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let occurred = self.counts.iter().enumerate().filter(|&(_, &count)| count > 0);
        occurred.map(|(index, &count)| (Reason::ALL[index].1, count))
    }
}
