//! The timer wheel that all sessions of an engine share. It has one entry a session and one task for all: heartbeats
//! need no timer of their own. The wheel knows no protocol: it asks each entry that is due what it wants next.

use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

use crate::clock;
use crate::lapses::Lapses;

/// Ticks into which the shortest deadline is cut, so that any deadline is at most one per cent late.
const TICKS: u32 = 100;

/// More slots than ticks in the shortest deadline: an entry never lies a whole turn ahead.
const SLOTS: usize = 128;

/// Something with deadlines.
pub(crate) trait Timed: Send + Sync + 'static {
    /// Acts on the deadlines that have passed and names the next; `None` leaves the wheel for good. `lapse` is the time before
    /// `now` in which the process did not run, if it was long: what came meanwhile is not read yet.
    fn on_time(&self, now: Instant, lapse: Option<Duration>) -> Option<Instant>;
}

/// A hashed wheel. Entries are weak: what is gone just falls out.
pub(crate) struct Wheel<T> {
    tick: Duration,
    /// An entry is asked again after this time at the latest, so deadlines that move to the front are kept, too.
    horizon: Duration,
    start: Instant,
    inner: Mutex<Slots<T>>,
    filled: Notify,
}

struct Slots<T> {
    slots: Vec<Vec<Weak<T>>>,
    /// Ticks that have been worked off.
    turned: u64,
    entries: usize,
}

impl<T: Timed> Wheel<T> {
    /// A wheel for entries none of whose deadlines lies less than `shortest` ahead when it is set.
    pub(crate) fn new(shortest: Duration, now: Instant) -> Self {
        let tick = (shortest / TICKS).clamp(Duration::from_millis(1), Duration::from_millis(250));
        let horizon = shortest.min(tick * TICKS);
        let slots = (0..SLOTS).map(|_| Vec::new()).collect();
        let inner = Mutex::new(Slots {
            slots,
            turned: 0,
            entries: 0,
        });
        Self {
            tick,
            horizon,
            start: now,
            inner,
            filled: Notify::new(),
        }
    }

    /// Adds an entry that is asked for the first time at `deadline` or before.
    pub(crate) fn insert(&self, entry: Weak<T>, deadline: Instant, now: Instant) {
        let mut inner = self.lock();
        if inner.entries == 0 {
            // Nobody turned the wheel while it was empty.
            inner.turned = self.tick_of(now);
            self.filled.notify_one();
        }
        inner.entries += 1;
        self.place(&mut inner, entry, deadline, now);
    }

    /// Entries that the wheel asks again; some may be gone, which it then notices.
    pub(crate) fn len(&self) -> usize {
        self.lock().entries
    }

    /// Turns the wheel for as long as the future is polled.
    pub(crate) async fn run(&self) {
        let mut interval = tokio::time::interval(self.tick);
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut lapses = Lapses::new(self.tick + self.horizon / 4);
        loop {
            if self.lock().entries == 0 {
                self.filled.notified().await;
                lapses.look();
            }
            interval.tick().await;
            match lapses.look() {
                None => self.advance(clock::now()),
                Some(lapse) => self.resume(clock::now(), lapse),
            }
        }
    }

    /// Asks every entry: the process did not run for a while.
    fn resume(&self, now: Instant, lapse: Duration) {
        tracing::warn!(
            ?lapse,
            "the process did not run for a while: clients are given the time that they could not be heard in"
        );
        let entries: Vec<Weak<T>> = {
            let mut inner = self.lock();
            inner.turned = self.tick_of(now);
            inner.slots.iter_mut().flat_map(std::mem::take).collect()
        };
        self.ask(entries, now, Some(lapse));
    }

    /// Asks every entry whose slot lies at or before `now`.
    pub(crate) fn advance(&self, now: Instant) {
        let target = self.tick_of(now);
        // After a long stop one whole turn visits every entry there is.
        let steps = target.saturating_sub(self.lock().turned).min(SLOTS as u64);
        for step in (0..steps).rev() {
            let due = {
                let mut inner = self.lock();
                inner.turned = target - step;
                let slot = slot_of(inner.turned);
                std::mem::take(&mut inner.slots[slot])
            };
            self.ask(due, now, None);
        }
    }

    fn ask(&self, entries: Vec<Weak<T>>, now: Instant, lapse: Option<Duration>) {
        for entry in entries {
            let next = entry.upgrade().and_then(|timed| timed.on_time(now, lapse));
            let mut inner = self.lock();
            match next {
                Some(deadline) => self.place(&mut inner, entry, deadline, now),
                None => inner.entries -= 1,
            }
        }
    }

    fn place(&self, inner: &mut Slots<T>, entry: Weak<T>, deadline: Instant, now: Instant) {
        let deadline = deadline.min(now + self.horizon);
        // The end of the tick: an entry may be asked late by one tick, never early.
        let tick = (self.tick_of(deadline) + 1).max(inner.turned + 1);
        inner.slots[slot_of(tick)].push(entry);
    }

    fn tick_of(&self, at: Instant) -> u64 {
        let ticks = at.saturating_duration_since(self.start).as_nanos() / self.tick.as_nanos();
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Slots<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn slot_of(tick: u64) -> usize {
    // The remainder is below SLOTS, so it fits.
    usize::try_from(tick % SLOTS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    struct Alarm {
        deadline: Mutex<Option<Instant>>,
        rung: Mutex<Vec<Instant>>,
    }

    impl Alarm {
        fn at(deadline: Instant) -> Arc<Self> {
            Arc::new(Self {
                deadline: Mutex::new(Some(deadline)),
                rung: Mutex::default(),
            })
        }
    }

    impl Timed for Alarm {
        fn on_time(&self, now: Instant, lapse: Option<Duration>) -> Option<Instant> {
            let mut deadline = self.deadline.lock().unwrap();
            if let (Some(deadline), Some(lapse)) = (&mut *deadline, lapse) {
                *deadline += lapse;
            }
            if deadline.is_some_and(|deadline| deadline <= now) {
                self.rung.lock().unwrap().push(now);
                *deadline = None;
            }
            *deadline
        }
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn rings_once_and_at_most_a_tick_late() {
        let start = Instant::now();
        let wheel = Wheel::new(200 * MS, start);
        let deadlines = [1, 2, 3, 199, 200, 201, 555, 5_000];
        let alarms = deadlines.map(|deadline| Alarm::at(start + deadline * MS));
        for (alarm, deadline) in alarms.iter().zip(deadlines) {
            wheel.insert(Arc::downgrade(alarm), start + deadline * MS, start);
        }
        let mut now = start;
        for _ in 0..6_000 {
            now += MS;
            wheel.advance(now);
        }
        for (alarm, deadline) in alarms.iter().zip(deadlines) {
            let rung = alarm.rung.lock().unwrap();
            assert_eq!(rung.len(), 1, "deadline {deadline} ms");
            let late = rung[0] - (start + deadline * MS);
            assert!(late <= 4 * MS, "deadline {deadline} ms was {late:?} late");
        }
        assert_eq!(wheel.lock().entries, 0);
    }

    #[test]
    fn a_deadline_that_moves_to_the_front_is_kept() {
        let start = Instant::now();
        let wheel = Wheel::new(100 * MS, start);
        let alarm = Alarm::at(start + 10_000 * MS);
        wheel.insert(Arc::downgrade(&alarm), start + 10_000 * MS, start);
        let mut now = start;
        for step in 0..400 {
            now += MS;
            wheel.advance(now);
            if step == 150 {
                *alarm.deadline.lock().unwrap() = Some(now + 100 * MS);
            }
        }
        let rung = alarm.rung.lock().unwrap();
        assert_eq!(rung.len(), 1);
        assert!(rung[0] <= start + 255 * MS);
    }

    #[test]
    fn a_long_stop_visits_everyone_once() {
        let start = Instant::now();
        let wheel = Wheel::new(100 * MS, start);
        let alarms: Vec<_> = (1..=50).map(|n| Alarm::at(start + n * 7 * MS)).collect();
        for alarm in &alarms {
            let deadline = alarm.deadline.lock().unwrap().unwrap();
            wheel.insert(Arc::downgrade(alarm), deadline, start);
        }
        wheel.advance(start + Duration::from_secs(60));
        assert!(alarms.iter().all(|alarm| alarm.rung.lock().unwrap().len() == 1));
    }

    #[test]
    fn after_a_lapse_everyone_is_told_of_it_once() {
        let start = Instant::now();
        let wheel = Wheel::new(100 * MS, start);
        let alarms: Vec<_> = (1..=50).map(|n| Alarm::at(start + n * 7 * MS)).collect();
        for (n, alarm) in (1..).zip(&alarms) {
            wheel.insert(Arc::downgrade(alarm), start + n * 7 * MS, start);
        }
        let minute = Duration::from_secs(60);
        wheel.resume(start + minute, minute);
        assert!(alarms.iter().all(|alarm| alarm.rung.lock().unwrap().is_empty()));
        for step in 1..=400 {
            wheel.advance(start + minute + step * MS);
        }
        assert!(alarms.iter().all(|alarm| alarm.rung.lock().unwrap().len() == 1));
        assert_eq!(wheel.lock().entries, 0);
    }

    #[test]
    fn what_is_gone_falls_out() {
        let start = Instant::now();
        let wheel = Wheel::new(100 * MS, start);
        let alarm = Alarm::at(start + 50 * MS);
        wheel.insert(Arc::downgrade(&alarm), start + 50 * MS, start);
        drop(alarm);
        wheel.advance(start + 200 * MS);
        assert_eq!(wheel.lock().entries, 0);
    }
}
