//! How long to wait before the next attempt.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);

/// Twice as long after each failure, and never at the same time as others that failed at the same time.
pub(crate) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub(crate) fn new(longest: Duration) -> Self {
        Self {
            next: FIRST.min(longest),
            longest,
        }
    }

    pub(crate) fn reset(&mut self) {
        self.next = FIRST.min(self.longest);
    }

    /// Between a half and the whole of it.
    pub(crate) fn delay(&mut self) -> Duration {
        let delay = self.next.mul_f64(rand::random_range(0.5..=1.0));
        self.next = (self.next * 2).min(self.longest);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_up_to_the_longest() {
        let longest = Duration::from_secs(1);
        let mut backoff = Backoff::new(longest);
        let mut expected = FIRST;
        for _ in 0..10 {
            let delay = backoff.delay();
            assert!(
                delay >= expected / 2 && delay <= expected,
                "{delay:?} for {expected:?}"
            );
            expected = (expected * 2).min(longest);
        }
        backoff.reset();
        assert!(backoff.delay() <= FIRST);
    }
}
