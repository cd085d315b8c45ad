//! How long something took: a clock that is cheap to ask, and a table of durations in ranges of fixed bounds. It never grows,
//! however much is noted and however seldom it is read.

use std::num::NonZeroU64;
use std::sync::LazyLock;

use quanta::Clock;

use super::{Count, Lane};

/// The upper bounds of the ranges, in nanoseconds, each included: 10 µs to 10 s. What took longer has a range of its own.
pub const BOUNDS: [u64; 19] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// The processor's own counter where it can be trusted: asking the system costs several times as much.
static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::new);

/// A moment, to see later how long ago it was. The clock is the system's, even where a test has tokio's in its hand.
#[derive(Debug, Clone, Copy)]
pub struct Stamp(NonZeroU64);

impl Stamp {
    /// Now. The first call of all compares the clocks, which takes about a millisecond.
    #[must_use]
    #[inline]
    pub fn now() -> Self {
        Self(NonZeroU64::new(CLOCK.raw()).unwrap_or(NonZeroU64::MIN))
    }

    /// Nanoseconds from then to now.
    #[must_use]
    #[inline]
    pub fn elapsed(self) -> u64 {
        CLOCK.delta_as_nanos(self.0.get(), CLOCK.raw())
    }
}

/// How many durations there were in each range, and their sum.
#[derive(Debug, Default)]
pub struct Times {
    ranges: [Count; BOUNDS.len() + 1],
    nanos: Count,
}

impl Lane<'_, Times> {
    /// Notes a duration, in nanoseconds.
    #[inline]
    pub fn note(&self, nanos: u64) {
        let range = BOUNDS.partition_point(|bound| *bound < nanos);
        self.add(|times| &times.ranges[range], 1);
        self.add(|times| &times.nanos, nanos);
    }
}

/// The durations that were noted, of all lanes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimesStats {
    /// How many there were in each range: at most the first of [`BOUNDS`], more than that and at most the second, and so on;
    /// the last is of those above all bounds.
    pub ranges: [u64; BOUNDS.len() + 1],
    /// Their sum in nanoseconds.
    pub nanos: u64,
}

impl TimesStats {
    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ranges.iter().sum()
    }
}

impl<'a> FromIterator<&'a Times> for TimesStats {
    fn from_iter<I: IntoIterator<Item = &'a Times>>(lanes: I) -> Self {
        let mut stats = Self::default();
        for times in lanes {
            for (sum, range) in stats.ranges.iter_mut().zip(&times.ranges) {
                *sum += range.get();
            }
            stats.nanos += times.nanos.get();
        }
        stats
    }
}

impl FromIterator<Self> for TimesStats {
    fn from_iter<I: IntoIterator<Item = Self>>(all: I) -> Self {
        let mut stats = Self::default();
        for one in all {
            for (sum, range) in stats.ranges.iter_mut().zip(one.ranges) {
                *sum += range;
            }
            stats.nanos += one.nanos;
        }
        stats
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::meter::Lanes;

    #[test]
    fn a_duration_is_in_the_range_whose_bound_it_does_not_exceed() {
        let lanes = Lanes::<Times>::default();
        for nanos in [0, 10_000, 10_001, 10_000_000_000, 10_000_000_001, u64::MAX / 2] {
            lanes.lane().note(nanos);
        }
        let stats: TimesStats = lanes.iter().collect();
        assert_eq!(stats.ranges[0], 2);
        assert_eq!(stats.ranges[1], 1);
        assert_eq!(stats.ranges[BOUNDS.len() - 1], 1);
        assert_eq!(stats.ranges[BOUNDS.len()], 2);
        assert_eq!(stats.count(), 6);
        assert_eq!(stats.nanos, 20_000_020_002 + u64::MAX / 2);
    }

    #[test]
    fn the_clock_goes_as_the_systems_does() {
        let (stamp, instant) = (Stamp::now(), Instant::now());
        std::thread::sleep(Duration::from_millis(20));
        // The stamp is the older one and is asked later, so that a thread that is held up in between does no harm.
        let (elapsed, nanos) = (instant.elapsed().as_nanos(), stamp.elapsed());
        assert!(u128::from(nanos) + 1_000_000 >= elapsed, "{nanos} {elapsed}");
    }
}
