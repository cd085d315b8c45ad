//! Counters of which every thread has its own copy: it adds to it without asking any other thread, and who reads adds them
//! up. A locked instruction for each message, on memory that two workers share, would cost more than all else that is counted.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Threads that have a lane to themselves. There are as many as workers, nearly always; the others share one.
const OWN: usize = 64;

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// What was counted so far, on this lane.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The same counters once for each thread.
pub struct Lanes<T> {
    own: Box<[OnceLock<Box<Padded<T>>>]>,
    shared: Padded<T>,
    make: Box<dyn Fn() -> T + Send + Sync>,
}

/// No two lanes share a cache line, nor the one that is fetched with it.
#[repr(align(128))]
struct Padded<T>(T);

/// The lane of the thread that asked for it, to be written to.
#[derive(Debug)]
pub struct Lane<'a, T> {
    counts: &'a T,
    is_own: bool,
}

impl<T: Default + 'static> Default for Lanes<T> {
    fn default() -> Self {
        Self::new(T::default)
    }
}

impl<T> Lanes<T> {
    /// Lanes each of which begins as `make` makes it, with the first use by its thread.
    pub fn new(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self {
            own: (0..OWN).map(|_| OnceLock::new()).collect(),
            shared: Padded(make()),
            make: Box::new(make),
        }
    }

    /// The lane of this thread.
    #[inline]
    pub fn lane(&self) -> Lane<'_, T> {
        match self.own.get(number()) {
            Some(lane) => Lane {
                counts: &lane.get_or_init(|| Box::new(Padded((self.make)()))).0,
                is_own: true,
            },
            None => Lane {
                counts: &self.shared.0,
                is_own: false,
            },
        }
    }

    /// All lanes that there are.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let own = self.own.iter().filter_map(|lane| Some(&lane.get()?.0));
        own.chain([&self.shared.0])
    }

    /// What was counted on all lanes.
    pub fn sum(&self, count: impl Fn(&T) -> &Count) -> u64 {
        self.iter().map(|lane| count(lane).get()).sum()
    }
}

impl<T> fmt::Debug for Lanes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes").finish_non_exhaustive()
    }
}

impl<'a, T> Lane<'a, T> {
    /// A part of what is counted here.
    pub fn part<P>(&self, part: impl FnOnce(&'a T) -> &'a P) -> Lane<'a, P> {
        Lane {
            counts: part(self.counts),
            is_own: self.is_own,
        }
    }

    /// Adds to a count.
    #[inline]
    pub fn add(&self, count: impl FnOnce(&T) -> &Count, by: u64) {
        let count = &count(self.counts).0;
        if self.is_own {
            // Nobody else writes here.
            count.store(count.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
        } else {
            count.fetch_add(by, Ordering::Relaxed);
        }
    }
}

/// The number of a thread: no other thread that lives has it.
struct Number(usize);

/// Which numbers are taken.
struct Numbers {
    next: usize,
    /// Of threads that have ended. What they wrote is seen by whoever takes the number, by the lock.
    free: Vec<usize>,
}

static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers {
    next: 0,
    free: Vec::new(),
});

thread_local! {
    static NUMBER: Number = Number::take();
}

/// The number of this thread; one without a lane if the thread is just ending.
#[inline]
fn number() -> usize {
    NUMBER.try_with(|number| number.0).unwrap_or(usize::MAX)
}

impl Number {
    fn take() -> Self {
        let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
        Self(numbers.free.pop().unwrap_or_else(|| {
            numbers.next += 1;
            numbers.next - 1
        }))
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.free.push(self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[derive(Default)]
    struct Pair {
        left: Count,
        right: Count,
    }

    #[test]
    fn what_each_thread_counts_is_added_up() {
        let lanes = Lanes::<Pair>::default();
        // More at once than there are lanes.
        let threads = OWN + 8;
        let barrier = Barrier::new(threads);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    barrier.wait();
                    for _ in 0..1_000 {
                        lanes.lane().add(|pair| &pair.left, 1);
                        lanes.lane().add(|pair| &pair.right, 2);
                    }
                    barrier.wait();
                });
            }
        });
        assert_eq!(lanes.sum(|pair| &pair.left), threads as u64 * 1_000);
        assert_eq!(lanes.sum(|pair| &pair.right), threads as u64 * 2_000);
    }

    #[test]
    fn a_thread_goes_on_where_one_that_has_ended_stopped() {
        let lanes = Lanes::<Pair>::default();
        for _ in 0..4 * OWN {
            thread::scope(|scope| {
                scope.spawn(|| lanes.lane().add(|pair| &pair.left, 1));
            });
        }
        assert_eq!(lanes.sum(|pair| &pair.left), 4 * OWN as u64);
    }
}
