//! A bounded queue between who has events and the stream that a handler returns, with a rule for when it is full.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use gatewire_proto::sse::SseEvent;

/// What becomes of an event for which there is no place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The oldest one that waits is dropped for it.
    #[default]
    DropOldest,
    /// It is dropped.
    DropNewest,
    /// The stream ends behind what waits; its client comes back.
    Close,
}

/// The events that wait for one client: the stream that a handler returns.
///
/// ```
/// use gatewire::controller::{Overflow, SseQueue};
/// use gatewire::prelude::*;
///
/// #[controller("/jobs")]
/// struct JobsController;
///
/// #[routes]
/// impl JobsController {
///     #[sse("/progress")]
///     fn progress(&self) -> SseQueue {
///         let (sender, queue) = SseQueue::new(64, Overflow::DropOldest);
///         tokio::spawn(async move {
///             for percent in 0..=100 {
///                 sender.send(SseEvent::data(percent.to_string()));
///             }
///         });
///         queue
///     }
/// }
/// ```
#[derive(Debug)]
pub struct SseQueue(Arc<Mutex<Queue>>);

/// The other end of an [`SseQueue`]; the stream ends with the last of its clones.
#[derive(Debug)]
pub struct SseSender(Arc<Mutex<Queue>>);

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<SseEvent>,
    capacity: usize,
    overflow: Overflow,
    /// Events that were dropped.
    dropped: u64,
    senders: usize,
    is_closed: bool,
    waker: Option<Waker>,
}

impl SseQueue {
    /// A queue of at most `capacity` events, at least one.
    #[must_use]
    pub fn new(capacity: usize, overflow: Overflow) -> (SseSender, Self) {
        let queue = Arc::new(Mutex::new(Queue {
            waiting: VecDeque::new(),
            capacity: capacity.max(1),
            overflow,
            dropped: 0,
            senders: 1,
            is_closed: false,
            waker: None,
        }));
        (SseSender(Arc::clone(&queue)), Self(queue))
    }
}

impl Stream for SseQueue {
    type Item = SseEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SseEvent>> {
        let mut queue = lock(&self.0);
        if let Some(event) = queue.waiting.pop_front() {
            if queue.waiting.is_empty() {
                queue.waiting = VecDeque::new();
            }
            return Poll::Ready(Some(event));
        }
        if queue.is_closed || queue.senders == 0 {
            return Poll::Ready(None);
        }
        queue.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for SseQueue {
    fn drop(&mut self) {
        lock(&self.0).is_closed = true;
    }
}

impl SseSender {
    /// Sends an event; false if it was dropped, because the queue is full or the client has left.
    pub fn send(&self, event: SseEvent) -> bool {
        let mut queue = lock(&self.0);
        if queue.is_closed {
            return false;
        }
        let is_full = queue.waiting.len() >= queue.capacity;
        if is_full {
            queue.dropped += 1;
            match queue.overflow {
                Overflow::DropOldest => drop(queue.waiting.pop_front()),
                Overflow::DropNewest => return false,
                Overflow::Close => {
                    queue.is_closed = true;
                    queue.wake();
                    return false;
                }
            }
        }
        queue.waiting.push_back(event);
        queue.wake();
        true
    }

    /// Whether the client has left, or the stream was ended because it was full.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        lock(&self.0).is_closed
    }

    /// How many events were dropped because the queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        lock(&self.0).dropped
    }
}

impl Clone for SseSender {
    fn clone(&self) -> Self {
        lock(&self.0).senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl Drop for SseSender {
    fn drop(&mut self) {
        let mut queue = lock(&self.0);
        queue.senders -= 1;
        if queue.senders == 0 {
            queue.wake();
        }
    }
}

impl Queue {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    fn filled(overflow: Overflow) -> (SseSender, Vec<bool>, Vec<String>) {
        let (sender, mut queue) = SseQueue::new(2, overflow);
        let sent = ["a", "b", "c"].map(|text| sender.send(SseEvent::data(text)));
        let mut texts = Vec::new();
        while let Some(Some(event)) = queue.next().now_or_never() {
            texts.push(event.text().unwrap_or_default().to_owned());
        }
        (sender, sent.to_vec(), texts)
    }

    #[test]
    fn a_full_queue_keeps_its_rule() {
        for (overflow, sent, kept) in [
            (Overflow::DropOldest, [true, true, true], ["b", "c"]),
            (Overflow::DropNewest, [true, true, false], ["a", "b"]),
            (Overflow::Close, [true, true, false], ["a", "b"]),
        ] {
            let (sender, did, texts) = filled(overflow);
            assert_eq!(
                (did, texts),
                (sent.to_vec(), kept.map(str::to_owned).to_vec()),
                "{overflow:?}"
            );
            assert_eq!(sender.dropped(), 1);
            assert!(sender.is_closed(), "the client has left");
        }
    }

    #[test]
    fn the_stream_ends_with_its_last_sender() {
        let (sender, mut queue) = SseQueue::new(2, Overflow::Close);
        let other = sender.clone();
        drop(sender);
        assert!(queue.next().now_or_never().is_none());
        other.send(SseEvent::data("last"));
        drop(other);
        assert!(queue.next().now_or_never().unwrap().is_some());
        assert!(queue.next().now_or_never().unwrap().is_none());
    }
}
