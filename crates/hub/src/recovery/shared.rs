//! Recovery through a cluster adapter: a message gets its offset from the adapter's log before it is delivered, and a
//! client may come back to another node than the one it lost.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::cluster::Missed;
use crate::namespace::Shared;
use crate::{Broadcast, Namespace, Prepared, lock};

/// Messages of one namespace that the log has still to take, first in, first out.
#[derive(Default)]
pub(crate) struct Publications(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    queue: VecDeque<Publication>,
    /// A task works at the queue.
    is_busy: bool,
}

/// A message that the log is taking.
pub(crate) struct Publication {
    pub(crate) offset: BoxFuture<'static, Option<String>>,
    pub(crate) message: Prepared,
    pub(crate) broadcast: Broadcast,
}

impl Publication {
    async fn deliver(self) {
        let message = match self.offset.await {
            Some(offset) => self.message.with_offset(&offset),
            None => self.message,
        };
        self.broadcast.send_here(message);
    }
}

/// Delivers the message when the log has it, behind those that were published before. Without a runtime, which is to run
/// the task, it is delivered now and without an offset.
pub(crate) fn publish(namespace: &Namespace, publication: Publication) {
    let Some(runtime) = namespace.io().runtime() else {
        return publication.broadcast.send_here(publication.message);
    };
    let limit = namespace.io().config().max_fanout_queue;
    let mut waiting = lock(&namespace.shared().publications.0);
    if waiting.queue.len() >= limit {
        tracing::warn!(
            namespace = namespace.name(),
            "a message is not delivered here: max_fanout_queue others wait for the cluster's log"
        );
        return;
    }
    waiting.queue.push_back(publication);
    if !std::mem::replace(&mut waiting.is_busy, true) {
        runtime.spawn(
            Worker {
                namespace: namespace.shared().clone(),
            }
            .run(),
        );
    }
}

struct Worker {
    namespace: Arc<Shared>,
}

impl Worker {
    async fn run(self) {
        while let Some(publication) = self.next() {
            publication.deliver().await;
        }
    }

    fn next(&self) -> Option<Publication> {
        let mut waiting = lock(&self.namespace.publications.0);
        let next = waiting.queue.pop_front();
        if next.is_none() {
            *waiting = Waiting::default();
        }
        next
    }
}

impl Drop for Worker {
    /// The task may be dropped halfway when its runtime ends; then the next message starts another.
    fn drop(&mut self) {
        lock(&self.namespace.publications.0).is_busy = false;
    }
}

/// How long after its return a socket may be handed messages that it got from the log already.
const OVERLAP: Duration = Duration::from_secs(30);

/// What a socket that came back got from the log: the same messages may still be on their way to this node.
pub(crate) struct Seen {
    offsets: HashSet<String>,
    until: Instant,
}

impl Seen {
    pub(crate) fn new(missed: &[Missed]) -> Self {
        Self {
            offsets: missed.iter().map(|missed| missed.offset.clone()).collect(),
            until: Instant::now() + OVERLAP,
        }
    }

    pub(crate) fn has(&self, message: &Prepared) -> bool {
        message
            .offset()
            .is_some_and(|offset| self.offsets.contains(offset))
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() > self.until
    }
}
