//! Large broadcasts of one namespace: sent in slices by a task that lets others run between, first in, first out. While
//! one is under way, later emits of the namespace queue behind it, and disconnects too, so that nothing overtakes
//! another. With none under way this costs a look at a flag.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::lock;
use crate::namespace::Shared;
use crate::room::Receivers;
use crate::selection::Flags;
use crate::task;
use crate::{Namespace, Prepared, Socket};

/// The queue of one namespace.
#[derive(Default)]
pub(crate) struct Fanout {
    /// Invariant: changes only under the lock of `queue`; true while a task works at it.
    busy: AtomicBool,
    queue: Mutex<VecDeque<Item>>,
    /// Told when `busy` becomes false.
    idle: Notify,
}

/// What waits for its turn.
enum Item {
    Message(Job),
    /// The socket is disconnected; if true, with its connection.
    End(Socket, bool),
}

/// One message and whom it is for.
pub(crate) struct Job {
    pub(crate) receivers: Receivers,
    pub(crate) message: Prepared,
    pub(crate) flags: Flags,
}

impl Job {
    fn send(&self) {
        for socket in self.receivers.iter() {
            socket.deliver(&self.message, self.flags);
        }
    }

    /// Whether `other`, which follows, goes to the same sockets, so that each may take both at once.
    fn joins(&self, other: &Self) -> bool {
        !self.flags.volatile && !other.flags.volatile && self.receivers.is_same(&other.receivers)
    }
}

/// Messages in a row that a receiver takes with one write at most.
const BATCH: usize = 32;

/// Messages in a row for the same receivers.
struct Batch {
    receivers: Receivers,
    messages: Vec<Prepared>,
    flags: Flags,
}

/// What the worker does next.
enum Turn {
    Send(Batch),
    End(Socket, bool),
}

impl Batch {
    fn send(&self, start: usize, count: usize) {
        for socket in self.receivers.range(start, count) {
            match &*self.messages {
                [message] => socket.deliver(message, self.flags),
                messages => socket.deliver_all(messages),
            }
        }
    }
}

impl Fanout {
    /// Whether a message must queue. It need not if another thread makes this true a moment later: messages of
    /// different threads have no order.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// Waits until no large broadcast is under way.
    pub(crate) async fn idle(&self) {
        loop {
            // Before the look: what it is told from now on, it hears.
            let idle = self.idle.notified();
            if !self.is_busy() {
                return;
            }
            idle.await;
        }
    }
}

/// Sends the message now, or behind others.
pub(crate) fn submit(namespace: &Namespace, job: Job) {
    let fanout = &namespace.shared().fanout;
    let config = namespace.io().config();
    let is_large = job.receivers.len() > config.fanout_slice;
    if !is_large && !fanout.is_busy() {
        return job.send();
    }
    let runtime = namespace.io().runtime();
    let mut queue = lock(&fanout.queue);
    if fanout.is_busy() {
        if queue.len() < config.max_fanout_queue {
            queue.push_back(Item::Message(job));
        } else {
            if let Some(meter) = namespace.io().metered() {
                meter.count(|counts| &counts.dropped_fanout, job.receivers.len());
            }
            tracing::warn!(
                namespace = namespace.name(),
                "a message was dropped: max_fanout_queue others wait"
            );
        }
        return;
    }
    let Some(runtime) = runtime.filter(|_| is_large) else {
        drop(queue);
        return job.send();
    };
    fanout.busy.store(true, Ordering::Release);
    queue.push_back(Item::Message(job));
    drop(queue);
    let worker = Worker {
        namespace: namespace.shared().clone(),
        is_done: false,
    };
    task::spawn_on(
        &runtime,
        "gatewire broadcast",
        worker.run(config.fanout_slice.max(1)),
    );
}

/// Has the socket disconnected behind what waits; false if that would be now.
pub(crate) fn submit_end(socket: &Socket, close: bool) -> bool {
    let fanout = &socket.namespace().shared().fanout;
    if !fanout.is_busy() {
        return false;
    }
    let limit = socket.namespace().io().config().max_fanout_queue;
    let mut queue = lock(&fanout.queue);
    let is_queued = fanout.is_busy() && queue.len() < limit;
    if is_queued {
        queue.push_back(Item::End(socket.clone(), close));
    }
    is_queued
}

/// Works at the queue until it is empty.
struct Worker {
    namespace: Arc<Shared>,
    /// The queue was empty; what comes later is another worker's.
    is_done: bool,
}

impl Worker {
    async fn run(mut self, slice: usize) {
        let mut left = slice;
        while let Some(turn) = self.next() {
            let batch = match turn {
                Turn::Send(batch) => batch,
                Turn::End(socket, close) => {
                    if left == 0 {
                        tokio::task::yield_now().await;
                        left = slice;
                    }
                    socket.end(close);
                    left -= 1;
                    continue;
                }
            };
            let mut start = 0;
            while start < batch.receivers.len() {
                if left == 0 {
                    tokio::task::yield_now().await;
                    left = slice;
                }
                let count = left.min(batch.receivers.len() - start);
                batch.send(start, count);
                start += count;
                left -= count;
            }
        }
    }

    /// What comes next: a message, with those behind it that go to the same sockets, or the end of a socket.
    fn next(&mut self) -> Option<Turn> {
        let mut queue = lock(&self.namespace.fanout.queue);
        let Some(first) = queue.pop_front() else {
            *queue = VecDeque::new();
            self.namespace.fanout.busy.store(false, Ordering::Release);
            self.is_done = true;
            drop(queue);
            self.namespace.fanout.idle.notify_waiters();
            return None;
        };
        let first = match first {
            Item::Message(job) => job,
            Item::End(socket, close) => return Some(Turn::End(socket, close)),
        };
        let more = queue
            .iter()
            .take(BATCH - 1)
            .take_while(|item| matches!(item, Item::Message(job) if first.joins(job)))
            .count();
        let others = queue.drain(..more).filter_map(|item| match item {
            Item::Message(job) => Some(job.message),
            Item::End(..) => None,
        });
        let messages = std::iter::once(first.message).chain(others).collect();
        Some(Turn::Send(Batch {
            receivers: first.receivers,
            messages,
            flags: first.flags,
        }))
    }
}

impl Drop for Worker {
    /// The task may be dropped halfway when its runtime ends; then nothing may wait for it.
    fn drop(&mut self) {
        if !self.is_done {
            let mut queue = lock(&self.namespace.fanout.queue);
            // Dropped after the lock is: with a socket, values of the user may go, and do what they like.
            let items = std::mem::take(&mut *queue);
            self.namespace.fanout.busy.store(false, Ordering::Release);
            drop(queue);
            self.namespace.fanout.idle.notify_waiters();
            for item in items {
                if let Item::End(socket, close) = item {
                    socket.end(close);
                }
            }
        }
    }
}
