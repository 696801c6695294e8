//! When to ask the publisher for a key frame: the wishes of all viewers become one request.

use std::time::{Duration, Instant};

/// Least time between two requests for one encoding.
pub const INTERVAL: Duration = Duration::from_millis(500);

/// The merged wishes for one encoding.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyFrameRequests {
    wanted: bool,
    /// One would be of use, but nobody waits for it.
    welcome: bool,
    asked: Option<Instant>,
    /// Requests sent.
    pub sent: u64,
}

impl KeyFrameRequests {
    /// Somebody needs a key frame.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// A viewer has what it needs, and would have it sooner with a new key frame. Lasts until the next `poll`.
    pub fn welcome(&mut self) {
        self.welcome = true;
    }

    /// A key frame came, or nobody watches any more.
    pub fn satisfy(&mut self) {
        self.wanted = false;
    }

    /// Whether a request waits for its time or for an answer.
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// When the next request is due.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        self.wanted.then(|| self.asked.map_or(now, |asked| asked + INTERVAL))
    }

    /// Whether to send a request now. It is repeated until `satisfy`.
    pub fn poll(&mut self, now: Instant) -> bool {
        let welcome = std::mem::take(&mut self.welcome) && self.asked.is_none_or(|asked| now >= asked + INTERVAL);
        let due = welcome || self.due(now).is_some_and(|due| due <= now);
        if due {
            self.asked = Some(now);
            self.sent += 1;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_welcome_key_frame_is_asked_for_once() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut requests = KeyFrameRequests::default();
        requests.welcome();
        assert!(requests.poll(at(0)));
        assert!(!requests.poll(at(900)));
        requests.welcome();
        assert!(requests.poll(at(900)));
        requests.welcome();
        assert!(!requests.poll(at(1000)), "too soon");
        assert!(!requests.poll(at(2000)), "and not remembered");
    }

    #[test]
    fn wishes_merge_and_repeat_until_a_key_frame_comes() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut requests = KeyFrameRequests::default();
        assert!(!requests.poll(at(0)));
        requests.want();
        requests.want();
        assert!(requests.poll(at(0)));
        requests.want();
        assert!(!requests.poll(at(499)));
        assert!(requests.poll(at(500)));
        requests.satisfy();
        assert_eq!(requests.due(at(600)), None);
        requests.want();
        assert_eq!(requests.due(at(600)), Some(at(1000)));
        assert_eq!(requests.sent, 2);
    }
}
