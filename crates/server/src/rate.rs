//! Token buckets: how fast something may come in the long run, and how much of it at once. Time is an argument.

use std::time::{Duration, Instant};

/// How much a [`Bucket`] holds, and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    burst: u64,
    /// From empty to full.
    fill: Duration,
}

impl Rate {
    /// `limit` in each `per` in the long run, and as many at once. A limit of zero lets nothing through.
    #[must_use]
    pub const fn new(limit: u64, per: Duration) -> Self {
        Self {
            burst: limit,
            fill: per,
        }
    }

    /// `limit` in each second in the long run, and as many at once.
    #[must_use]
    pub const fn per_second(limit: u64) -> Self {
        Self::new(limit, Duration::from_secs(1))
    }

    /// So many at once, at the same rate in the long run.
    #[must_use]
    pub fn burst(self, burst: u64) -> Self {
        Self {
            burst,
            fill: self.time(burst),
        }
    }

    /// How long it takes until an empty bucket is full.
    #[must_use]
    pub const fn fill(self) -> Duration {
        self.fill
    }

    /// How long it takes for so much to flow in.
    fn time(self, amount: u64) -> Duration {
        let nanos = self.fill.as_nanos().saturating_mul(amount.into());
        match nanos.checked_div(self.burst.into()) {
            Some(nanos) => Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)),
            // Nothing flows.
            None => Duration::MAX,
        }
    }
}

/// A bucket of tokens, kept as the time at which it is full.
///
/// ```
/// use std::time::{Duration, Instant};
/// use gatewire_server::{Bucket, Rate};
///
/// let (rate, now) = (Rate::per_second(2), Instant::now());
/// let mut bucket = Bucket::full(now);
/// assert_eq!(bucket.take(rate, now), Ok(()));
/// assert_eq!(bucket.take(rate, now), Ok(()));
/// assert_eq!(bucket.take(rate, now), Err(Duration::from_millis(500)));
/// assert_eq!(bucket.take(rate, now + Duration::from_millis(500)), Ok(()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket(Instant);

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn full(now: Instant) -> Self {
        Self(now)
    }

    /// Whether it is full: as good as a new one.
    #[must_use]
    pub fn is_full(&self, now: Instant) -> bool {
        self.0 <= now
    }

    /// Takes a token.
    ///
    /// # Errors
    /// If there is none: how long it takes until there is.
    pub fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let missing = self.missing(now).saturating_add(rate.time(1));
        if missing > rate.fill || rate.burst == 0 {
            return Err(missing.saturating_sub(rate.fill));
        }
        self.set(now, missing);
        Ok(())
    }

    /// Takes `amount` if there is anything at all: what is bigger than the bucket overdraws it, and is paid off by time.
    ///
    /// # Errors
    /// If it is empty: how long it takes until it is not. Nothing is taken then.
    pub fn draw(&mut self, rate: Rate, amount: u64, now: Instant) -> Result<(), Duration> {
        let missing = self.missing(now);
        if missing >= rate.fill || rate.burst == 0 {
            return Err(missing.saturating_sub(rate.fill).max(Duration::from_nanos(1)));
        }
        self.overdraw(rate, amount, now);
        Ok(())
    }

    /// Takes `amount`, whether or not it is there; how long it takes then until nothing is owed.
    pub fn overdraw(&mut self, rate: Rate, amount: u64, now: Instant) -> Duration {
        let missing = self.missing(now).saturating_add(rate.time(amount));
        self.set(now, missing);
        missing.saturating_sub(rate.fill)
    }

    /// How long it takes until it is full.
    fn missing(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    fn set(&mut self, now: Instant, missing: Duration) {
        // What is too far to be counted is a century away.
        self.0 = now.checked_add(missing).unwrap_or(now + CENTURY);
    }
}

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_the_rate() {
        let rate = Rate::new(3, millis(300));
        let start = Instant::now();
        let mut bucket = Bucket::full(start);
        for (at, taken) in [
            (0, Ok(())),
            (0, Ok(())),
            (0, Ok(())),
            (0, Err(millis(100))),
            (60, Err(millis(40))),
            (100, Ok(())),
            (101, Err(millis(99))),
            (10_000, Ok(())),
            (10_000, Ok(())),
            (10_000, Ok(())),
            (10_000, Err(millis(100))),
        ] {
            assert_eq!(bucket.take(rate, start + millis(at)), taken, "at {at} ms");
        }
    }

    #[test]
    fn a_burst_of_its_own_changes_nothing_in_the_long_run() {
        let rate = Rate::per_second(10).burst(40);
        let start = Instant::now();
        let mut bucket = Bucket::full(start);
        let mut taken = (0..100).filter(|_| bucket.take(rate, start).is_ok()).count();
        assert_eq!(taken, 40);
        for at in 1..=100 {
            taken += usize::from(bucket.take(rate, start + millis(100 * at)).is_ok());
        }
        assert_eq!(taken, 140);
        assert!(!bucket.is_full(start + millis(13_900)));
        assert!(bucket.is_full(start + millis(14_000)));
    }

    #[test]
    fn what_is_bigger_than_the_bucket_is_paid_off() {
        let rate = Rate::per_second(1_000);
        let start = Instant::now();
        let mut bucket = Bucket::full(start);
        assert_eq!(bucket.draw(rate, 3_000, start), Ok(()));
        assert_eq!(bucket.draw(rate, 1, start), Err(millis(2_000)));
        assert_eq!(bucket.draw(rate, 1, start + millis(1_999)), Err(millis(1)));
        assert!(bucket.draw(rate, 1, start + millis(2_000)).is_err());
        assert_eq!(bucket.draw(rate, 1, start + millis(2_001)), Ok(()));
        assert_eq!(bucket.overdraw(rate, 500, start + millis(2_001)), millis(500));
        assert_eq!(bucket.overdraw(rate, 0, start + millis(2_501)), Duration::ZERO);
    }

    #[test]
    fn no_tokens_let_nothing_through() {
        let now = Instant::now();
        for rate in [
            Rate::new(0, millis(1_000)),
            Rate::new(0, Duration::ZERO),
            Rate::per_second(0).burst(0),
            Rate::new(0, Duration::MAX),
        ] {
            assert!(Bucket::full(now).take(rate, now).is_err());
            assert!(Bucket::full(now).draw(rate, 1, now).is_err());
        }
    }

    #[test]
    fn no_rate_and_no_amount_overflow() {
        let now = Instant::now();
        for rate in [
            Rate::per_second(u64::MAX),
            Rate::per_second(1).burst(u64::MAX),
            Rate::new(1, Duration::MAX),
            Rate::new(u64::MAX, Duration::MAX),
            Rate::new(5, Duration::ZERO),
        ] {
            let mut bucket = Bucket::full(now);
            let _ = bucket.take(rate, now);
            let _ = bucket.draw(rate, u64::MAX, now);
            let _ = bucket.draw(rate, u64::MAX, now);
            let _ = bucket.is_full(now);
        }
    }
}
