//! What goes out: a bounded queue, in order, whoever fills it, and the task that empties it in batches, as many as have
//! come while Redis was answering the batch before. What was under way when the connection broke is not sent again: it
//! may have arrived.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::FutureExt;
use gatewire_hub::cluster::ClusterStatus;
use gatewire_hub::task;
use redis::{Cmd, RedisResult, Value, cmd};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::source::OnPush;
use super::status::Part;
use super::{Link, Source, Status, Topic};
use crate::{RedisConfig, lock};

/// Commands that go out at a time.
const BATCH: usize = 256;

/// Bytes of them, about.
const BATCH_BYTES: usize = 1 << 20;

/// What a command costs beside its arguments.
const OVERHEAD: usize = 64;

/// A command that was not answered: it is not known whether it was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost;

/// The queue of an adapter. A clone is the same one; when all are gone, what is in it is still sent.
#[derive(Clone)]
pub(crate) struct Publisher(Arc<Owner>);

/// Held by those who put in.
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        lock(&self.0.queue).is_closed = true;
        self.0.wake.notify_one();
    }
}

struct Shared {
    queue: Mutex<Queue>,
    /// Nanoseconds that the oldest message of the last batch took; 0 if there was none.
    lag: AtomicU64,
    wake: Notify,
    max_queue: usize,
    max_queue_bytes: usize,
    status: Arc<Status>,
    /// As far as is known.
    is_connected: AtomicBool,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    /// Since when something waits.
    since: Option<Instant>,
    bytes: usize,
    is_closed: bool,
    /// Messages that were dropped since the queue was full; told of when it is empty again.
    dropped: usize,
}

struct Item {
    command: Cmd,
    size: usize,
    /// Where the answer is wanted.
    answer: Option<oneshot::Sender<RedisResult<Value>>>,
}

impl Publisher {
    /// Starts to send; `link` is a connection that there is already.
    pub(crate) fn start(
        source: Arc<Source>,
        config: &RedisConfig,
        status: &Arc<Status>,
        link: Option<(Link, Arc<Notify>)>,
        runtime: &Handle,
    ) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            lag: AtomicU64::new(0),
            wake: Notify::new(),
            max_queue: config.max_queue,
            max_queue_bytes: config.max_queue_bytes,
            status: status.clone(),
            is_connected: AtomicBool::new(link.is_some()),
        });
        let sender = Sender {
            shared: shared.clone(),
            source,
            part: status.part(),
            backoff: Backoff::new(config.max_reconnect_delay),
        };
        task::spawn_on(runtime, "gatewire redis publisher", sender.run(link));
        Self(Arc::new(Owner(shared)))
    }

    /// Whether what is sent goes out now, and does not wait for Redis to come back.
    pub(crate) fn is_connected(&self) -> bool {
        self.0.0.is_connected.load(Ordering::Relaxed)
    }

    /// How a node of this adapter is.
    pub(crate) fn cluster_status(&self) -> ClusterStatus {
        let shared = &self.0.0;
        let stats = shared.status.stats();
        let mut status = ClusterStatus::default();
        status.is_connected = stats.is_connected;
        status.outages = stats.outages;
        status.queued = lock(&shared.queue).items.len();
        let lag = shared.lag.load(Ordering::Relaxed);
        status.lag = (lag > 0).then(|| Duration::from_nanos(lag));
        (status.sent, status.received) = (stats.sent, stats.received);
        (status.lost, status.malformed) = (stats.lost, stats.malformed);
        status
    }

    /// Sends a message to a channel.
    pub(crate) fn publish(&self, channel: &str, message: &[u8]) {
        self.push("PUBLISH", channel, message);
    }

    /// Sends a message to a channel of one shard.
    pub(crate) fn publish_sharded(&self, channel: &str, message: &[u8]) {
        self.push("SPUBLISH", channel, message);
    }

    fn push(&self, name: &'static str, channel: &str, message: &[u8]) {
        let mut command = Cmd::with_capacity(3, name.len() + channel.len() + message.len());
        command.arg(name).arg(channel).arg(message);
        self.0.0.push(command, channel.len() + message.len(), None);
    }

    /// Sends a command of `size` bytes in the same order.
    pub(crate) fn send(&self, command: Cmd, size: usize) {
        self.0.0.push(command, size, None);
    }

    /// Sends a command of `size` bytes in the same order; what Redis says to it.
    pub(crate) fn command(
        &self,
        command: Cmd,
        size: usize,
    ) -> impl Future<Output = Result<RedisResult<Value>, Lost>> + Send + use<> {
        let (answer, receiver) = oneshot::channel();
        self.0.0.push(command, size, Some(answer));
        async move { receiver.await.map_err(|_| Lost) }
    }

    /// How many connections subscribe to a topic, in the whole of a Redis cluster. `None` if Redis does not say.
    pub(crate) fn count_subscribers(
        &self,
        topic: &Topic,
    ) -> impl Future<Output = Option<usize>> + Send + use<> {
        let name = topic.name();
        let what = match topic {
            Topic::Shard(_) => "SHARDNUMSUB",
            Topic::Channel(_) | Topic::Pattern(_) => "NUMSUB",
        };
        let mut command = cmd("PUBSUB");
        command.arg(what).arg(name);
        let answer = self.command(command, name.len());
        async move {
            let answer = answer.await.ok()?.ok()?;
            numbers(&answer)
        }
    }
}

/// The number, or the sum of several, in `[name, number]` or `{name: number}`.
fn numbers(answer: &Value) -> Option<usize> {
    match answer {
        Value::Array(items) => match &**items {
            [_, Value::Int(count)] => usize::try_from(*count).ok(),
            _ => None,
        },
        Value::Map(entries) => {
            let mut sum = 0;
            for (_, count) in entries {
                let Value::Int(count) = count else { return None };
                sum += usize::try_from(*count).ok()?;
            }
            Some(sum)
        }
        _ => None,
    }
}

impl Shared {
    fn push(&self, command: Cmd, size: usize, answer: Option<oneshot::Sender<RedisResult<Value>>>) {
        let size = size + OVERHEAD;
        let mut queue = lock(&self.queue);
        queue.bytes += size;
        if queue.items.is_empty() {
            queue.since = Some(Instant::now());
        }
        queue.items.push_back(Item {
            command,
            size,
            answer,
        });
        let mut dropped = 0;
        while queue.items.len() > self.max_queue || queue.bytes > self.max_queue_bytes {
            let Some(oldest) = queue.items.pop_front() else {
                break;
            };
            queue.bytes -= oldest.size;
            dropped += 1;
        }
        let is_first = dropped > 0 && queue.dropped == 0;
        queue.dropped += dropped;
        drop(queue);
        self.status.counters.add_lost(dropped);
        if is_first {
            tracing::warn!(
                "messages for Redis are dropped, the oldest first: max_queue or max_queue_bytes of them wait"
            );
        }
        self.wake.notify_one();
    }

    /// What goes out next, and since when its oldest waits; `None` if nothing is there.
    fn batch(&self) -> Option<(Vec<Item>, Instant)> {
        let mut queue = lock(&self.queue);
        let (mut count, mut bytes) = (0, 0);
        for item in queue.items.iter().take(BATCH) {
            if count > 0 && bytes + item.size > BATCH_BYTES {
                break;
            }
            count += 1;
            bytes += item.size;
        }
        if count == 0 {
            let dropped = std::mem::take(&mut queue.dropped);
            drop(queue);
            if dropped > 0 {
                tracing::warn!(
                    dropped,
                    "{dropped} messages for Redis were dropped; the queue is empty again"
                );
            }
            return None;
        }
        queue.bytes -= bytes;
        // What is left has waited about as long.
        let since = queue.since.unwrap_or_else(Instant::now);
        Some((queue.items.drain(..count).collect(), since))
    }

    fn is_closed(&self) -> bool {
        lock(&self.queue).is_closed
    }
}

/// The task.
struct Sender {
    shared: Arc<Shared>,
    source: Arc<Source>,
    part: Part,
    backoff: Backoff,
}

impl Sender {
    async fn run(mut self, mut link: Option<(Link, Arc<Notify>)>) {
        loop {
            let (mut connection, broken) = match link.take() {
                Some(link) => link,
                None => match connect(&self.source).await {
                    Ok(link) => link,
                    Err(error) => {
                        self.part.down(&error);
                        if self.shared.is_closed() {
                            return;
                        }
                        tokio::time::sleep(self.backoff.delay()).await;
                        continue;
                    }
                },
            };
            self.part.up();
            self.backoff.reset();
            self.shared.is_connected.store(true, Ordering::Relaxed);
            if self.send(&mut connection, &broken).await {
                return;
            }
            self.shared.is_connected.store(false, Ordering::Relaxed);
        }
    }

    /// Until the connection breaks; true if nothing will come any more.
    async fn send(&mut self, link: &mut Link, broken: &Notify) -> bool {
        loop {
            // Asked first, so that nothing is given to a connection that is known to be broken.
            if broken.notified().now_or_never().is_some() {
                self.part.down("the connection broke");
                return false;
            }
            let Some((batch, since)) = self.shared.batch() else {
                if self.shared.is_closed() {
                    return true;
                }
                tokio::select! {
                    () = self.shared.wake.notified() => {}
                    () = broken.notified() => broken.notify_one(),
                }
                continue;
            };
            let (commands, answers): (Vec<Cmd>, Vec<_>) =
                batch.into_iter().map(|item| (item.command, item.answer)).unzip();
            match link.query_all(&commands).await {
                Ok(results) => {
                    let lag = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    self.shared.lag.store(lag.max(1), Ordering::Relaxed);
                    self.settle(answers, results);
                }
                Err(error) => {
                    self.part.down(&error);
                    self.part.counters().add_lost(commands.len());
                    return false;
                }
            }
        }
    }

    fn settle(
        &self,
        answers: Vec<Option<oneshot::Sender<RedisResult<Value>>>>,
        results: Vec<RedisResult<Value>>,
    ) {
        let counters = self.part.counters();
        let mut refused = 0;
        for (answer, result) in answers.into_iter().zip(results) {
            match (&result, &answer) {
                (Ok(_), _) => counters.add_sent(1),
                (Err(error), None) => {
                    if refused == 0 {
                        tracing::warn!("Redis refused a message: {error}");
                    }
                    refused += 1;
                }
                (Err(_), Some(_)) => {}
            }
            if let Some(answer) = answer {
                // Who asked may be gone.
                let _ = answer.send(result);
            }
        }
        counters.add_lost(refused);
    }
}

/// A connection, and what tells that it broke.
pub(crate) async fn connect(source: &Source) -> RedisResult<(Link, Arc<Notify>)> {
    let broken = Arc::new(Notify::new());
    let notify = broken.clone();
    let on_push: OnPush = Arc::new(move |info| {
        if info.kind == redis::PushKind::Disconnection {
            notify.notify_one();
        }
    });
    Ok((source.connect(Some(on_push)).await?, broken))
}
