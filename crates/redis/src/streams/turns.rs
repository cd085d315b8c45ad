//! Messages of this node that wait for their place in the stream. They are delivered by the task that reads the stream,
//! when it comes to them; if that takes too long, without an offset, and those that come meanwhile at once.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use gatewire_hub::cluster::Delivery;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::lock;

/// How many times as long a message waits while others come.
const PATIENCE: u32 = 10;

/// The messages of one stream.
pub(super) struct Turns {
    queue: Mutex<Queue>,
    wake: Notify,
    wait: Duration,
    max: usize,
}

#[derive(Default)]
struct Queue {
    next: u64,
    /// In the order of their numbers.
    waiting: VecDeque<Waiting>,
    /// A message has waited in vain, and none has come back since: the others need not try.
    is_suspended: bool,
    is_closed: bool,
    /// When entries were read last.
    moved: Option<Instant>,
}

struct Waiting {
    number: u64,
    since: Instant,
    delivery: Delivery,
}

/// Messages whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// They never came back, and have no place.
    pub(super) before: Vec<Delivery>,
    /// The one that has come back.
    pub(super) this: Option<Delivery>,
}

impl Turns {
    /// `wait` is without anything being read, `max` messages may wait.
    pub(super) fn new(wait: Duration, max: usize) -> Self {
        Self {
            queue: Mutex::default(),
            wake: Notify::new(),
            wait,
            max: max.max(1),
        }
    }

    /// Has the message wait; `send` sends it with its number, which nobody gets before it is sent.
    pub(super) fn push(&self, delivery: Delivery, send: impl FnOnce(u64)) {
        let mut queue = lock(&self.queue);
        if queue.is_closed {
            drop(queue);
            return delivery.without_offset();
        }
        let number = queue.next;
        queue.next += 1;
        send(number);
        if queue.waiting.len() >= self.max {
            queue.is_suspended = true;
        }
        let is_first = queue.waiting.is_empty();
        queue.waiting.push_back(Waiting {
            number,
            since: Instant::now(),
            delivery,
        });
        if is_first || queue.is_suspended {
            self.wake.notify_one();
        }
    }

    /// Entries are read.
    pub(super) fn moved(&self) {
        lock(&self.queue).moved = Some(Instant::now());
    }

    /// The message with that number has come back.
    pub(super) fn come_to(&self, number: u64) -> Due {
        let mut queue = lock(&self.queue);
        queue.is_suspended = false;
        let mut due = Due::default();
        while let Some(front) = queue.waiting.front()
            && front.number <= number
        {
            let is_this = front.number == number;
            let delivery = queue.waiting.pop_front().map(|waiting| waiting.delivery);
            if is_this {
                due.this = delivery;
            } else {
                due.before.extend(delivery);
            }
        }
        due
    }

    /// Waits for messages that have waited too long; `None` when nothing will come any more.
    pub(super) async fn late(&self) -> Option<Vec<Delivery>> {
        loop {
            let woken = self.wake.notified();
            let until = {
                let mut queue = lock(&self.queue);
                if queue.is_closed {
                    return None;
                }
                let until = queue.until(self.wait);
                let late = queue.late(until.is_some_and(|until| until <= Instant::now()));
                if !late.is_empty() {
                    return Some(late);
                }
                until
            };
            match until {
                Some(until) => tokio::select! {
                    () = woken => {}
                    () = sleep_until(until) => {}
                },
                None => woken.await,
            }
        }
    }

    /// The stream is read again: messages may come back.
    pub(super) fn resume(&self) {
        lock(&self.queue).is_suspended = false;
    }

    /// Nothing comes back from now on.
    pub(super) fn close(&self) {
        let mut queue = lock(&self.queue);
        queue.is_closed = true;
        let left = std::mem::take(&mut queue.waiting);
        drop(queue);
        left.into_iter()
            .for_each(|waiting| waiting.delivery.without_offset());
        self.wake.notify_one();
    }
}

impl Queue {
    /// When the first message will have waited too long.
    fn until(&self, wait: Duration) -> Option<Instant> {
        let since = self.waiting.front()?.since;
        let moved = self.moved.map_or(since, |moved| moved.max(since));
        Some((moved + wait).min(since + wait * PATIENCE))
    }

    fn late(&mut self, is_over: bool) -> Vec<Delivery> {
        self.is_suspended |= is_over;
        if !self.is_suspended {
            return Vec::new();
        }
        // All of them, so that they keep their order.
        self.waiting.drain(..).map(|waiting| waiting.delivery).collect()
    }
}
