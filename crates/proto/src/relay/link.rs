//! One end of a link between two servers: its messages are numbered, and silence is asked about. It keeps no streams.

use std::time::{Duration, Instant};

use thiserror::Error;

/// How long the side that did not open an idle link keeps it longer than the other: that one must be the first to forget
/// it, for it may use it at any time.
const GRACE: u32 = 3;

/// Which end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// That of the server which opened it.
    Opener,
    /// That of the server which it was opened to.
    Accepter,
}

/// The clocks of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A peer that has been silent for so long is asked whether it is there, if there are streams.
    pub keepalive: Duration,
    /// A peer that has not answered for so long is taken for dead.
    pub patience: Duration,
    /// A link without streams is forgotten after this time.
    pub idle: Duration,
}

/// One end of a link.
#[derive(Debug)]
pub struct Link {
    side: Side,
    timing: Timing,
    /// Messages sent, and received.
    sent: u64,
    received: u64,
    /// When the peer was heard last.
    heard: Instant,
    /// When it was asked whether it is there, if it has not been heard since.
    asked: Option<Instant>,
    /// Since when there are no streams.
    idle_since: Option<Instant>,
}

impl Link {
    /// A link that was opened now. The accepter's first call is [`receive`](Self::receive).
    #[must_use]
    pub fn new(side: Side, timing: Timing, now: Instant) -> Self {
        Self {
            side,
            timing,
            sent: 0,
            received: 0,
            heard: now,
            asked: None,
            idle_since: Some(now),
        }
    }

    /// The number of the message that is sent now.
    #[must_use]
    pub fn next_number(&mut self) -> u64 {
        self.sent += 1;
        self.sent - 1
    }

    /// A message came.
    ///
    /// # Errors
    /// If one before it did not: the link is broken.
    pub fn receive(&mut self, number: u64, now: Instant) -> Result<(), Lost> {
        if number != self.received {
            return Err(Lost);
        }
        self.received += 1;
        self.heard = now;
        self.asked = None;
        Ok(())
    }

    /// When the peer was heard last, or the link was opened.
    #[must_use]
    pub fn heard(&self) -> Instant {
        self.heard
    }

    /// Notes whether there are streams. When the first one comes after a long silence, [`Timeout::Ask`] is due at once.
    pub fn set_idle(&mut self, is_idle: bool, now: Instant) {
        self.idle_since = is_idle.then(|| self.idle_since.unwrap_or(now));
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        let Timing {
            keepalive,
            patience,
            idle,
        } = self.timing;
        match (self.asked, self.idle_since) {
            (Some(asked), _) => asked + patience,
            (None, None) => self.heard + keepalive,
            (None, Some(since)) => match self.side {
                Side::Opener => since + idle,
                Side::Accepter => since + idle * GRACE,
            },
        }
    }

    /// This server did not run for a while, up to `now`: what the peer has answered meanwhile is not read yet. Call it before
    /// [`handle_timeout`](Self::handle_timeout). A peer that was asked has its whole patience again.
    pub fn resume(&mut self, now: Instant) {
        if let Some(asked) = &mut self.asked {
            *asked = now;
        }
    }

    /// What is due, if something is. After [`Timeout::Ask`] the clock goes on, after the others the link is over.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Timeout> {
        if self.poll_timeout() > now {
            return None;
        }
        Some(match (self.asked, self.idle_since) {
            (Some(_), _) => Timeout::Silent,
            (None, Some(_)) => Timeout::Idle,
            (None, None) => {
                self.asked = Some(now);
                Timeout::Ask
            }
        })
    }
}

/// A message that the bus lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a message between two servers was lost: what goes over their link ends")]
pub struct Lost;

/// What has come due on a link; see [`Link::handle_timeout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// Send a ping.
    Ask,
    /// The peer did not answer: the link is broken.
    Silent,
    /// The link is not needed: forget it, and say nothing.
    Idle,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing {
        keepalive: Duration::from_secs(5),
        patience: Duration::from_secs(2),
        idle: Duration::from_secs(30),
    };

    fn pair() -> (Link, Link, Instant) {
        let now = Instant::now();
        (
            Link::new(Side::Opener, TIMING, now),
            Link::new(Side::Accepter, TIMING, now),
            now,
        )
    }

    fn after(now: Instant, seconds: u64) -> Instant {
        now + Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_lost_is_noticed_with_the_next_message() {
        let (mut a, mut b, now) = pair();
        for _ in 0..3 {
            assert_eq!(b.receive(a.next_number(), now), Ok(()));
        }
        let _lost = a.next_number();
        assert_eq!(b.receive(a.next_number(), now), Err(Lost));
        let (_, mut late, _) = pair();
        assert_eq!(late.receive(1, now), Err(Lost));
    }

    #[test]
    fn a_silent_peer_is_asked_and_then_taken_for_dead() {
        let (mut a, mut b, now) = pair();
        a.set_idle(false, now);
        assert_eq!(a.poll_timeout(), after(now, 5));
        assert_eq!(a.handle_timeout(after(now, 4)), None);
        assert_eq!(a.handle_timeout(after(now, 5)), Some(Timeout::Ask));
        // It answers, and is asked again.
        a.receive(b.next_number(), after(now, 6)).unwrap();
        assert_eq!(a.handle_timeout(after(now, 11)), Some(Timeout::Ask));
        assert_eq!(a.handle_timeout(after(now, 12)), None);
        assert_eq!(a.handle_timeout(after(now, 13)), Some(Timeout::Silent));
    }

    #[test]
    fn a_peer_is_not_dead_because_this_server_stood_still() {
        let (mut a, mut b, now) = pair();
        a.set_idle(false, now);
        assert_eq!(a.handle_timeout(after(now, 5)), Some(Timeout::Ask));
        a.resume(after(now, 60));
        assert_eq!(a.handle_timeout(after(now, 60)), None);
        a.receive(b.next_number(), after(now, 61)).unwrap();
        assert_eq!(a.handle_timeout(after(now, 63)), None);
        // A longer stop before it was asked: it is asked now.
        a.resume(after(now, 120));
        assert_eq!(a.handle_timeout(after(now, 120)), Some(Timeout::Ask));
        assert_eq!(a.handle_timeout(after(now, 122)), Some(Timeout::Silent));
    }

    #[test]
    fn a_link_that_is_used_again_is_asked_first() {
        let (mut a, _, now) = pair();
        a.set_idle(false, after(now, 20));
        assert_eq!(a.handle_timeout(after(now, 20)), Some(Timeout::Ask));
        assert_eq!(a.handle_timeout(after(now, 22)), Some(Timeout::Silent));
    }

    #[test]
    fn the_opener_forgets_first() {
        let (mut a, mut b, now) = pair();
        assert_eq!(a.handle_timeout(after(now, 30)), Some(Timeout::Idle));
        assert_eq!(b.handle_timeout(after(now, 30)), None);
        assert_eq!(b.handle_timeout(after(now, 90)), Some(Timeout::Idle));
        // Whoever was asked must answer, though nobody waits for it any more.
        let (mut a, _, now) = pair();
        a.set_idle(false, now);
        assert_eq!(a.handle_timeout(after(now, 5)), Some(Timeout::Ask));
        a.set_idle(true, after(now, 5));
        assert_eq!(a.handle_timeout(after(now, 7)), Some(Timeout::Silent));
    }
}
