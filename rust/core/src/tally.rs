//! Counters by reason.

/// Declares the reasons and what counts them: `tally! { /// Text. Reason, /// Text. Counter { /// Text. Name => "as people read it", ... } }`
macro_rules! tally {
    (
        $(#[$reason_doc:meta])* $reason:ident,
        $(#[$counter_doc:meta])* $counter:ident {
            $($(#[$doc:meta])* $name:ident => $text:literal,)+
        }
    ) => {
        $(#[$reason_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $reason {
            $($(#[$doc])* $name,)+
        }

        impl $reason {
            /// All reasons, in order.
            pub const ALL: &[($reason, &str)] = &[$(($reason::$name, $text),)+];
        }

        $(#[$counter_doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $counter {
            counts: [u64; $reason::ALL.len()],
        }

        impl $counter {
            /// Counts one.
            #[inline]
            pub fn count(&mut self, reason: $reason) {
                self.counts[reason as usize] += 1;
            }

            /// The sum.
            pub fn total(&self) -> u64 {
                self.counts.iter().sum()
            }

            /// The reasons that occurred.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
                let occurred = self.counts.iter().enumerate().filter(|&(_, &count)| count > 0);
                occurred.map(|(index, &count)| ($reason::ALL[index].1, count))
            }
        }
    };
}

pub(crate) use tally;
