//! The subscriptions of one node, on a connection of their own: Redis counts the nodes of a cluster by them. Whatever
//! becomes of the connection, what is subscribed to stays so.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use redis::{Cmd, PushInfo, PushKind, Value, cmd};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::backoff::Backoff;
use super::source::OnPush;
use super::status::Part;
use super::{Link, Source, Status};
use crate::node::Inbox;
use crate::{RedisConfig, lock};
use gatewire_hub::task;

/// Topics that are subscribed to with one write.
const BATCH: usize = 512;

/// What can be subscribed to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    Channel(Box<str>),
    Pattern(Box<str>),
    /// A channel of one shard.
    Shard(Box<str>),
}

impl Topic {
    /// Its name; of a pattern, the pattern.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Channel(name) | Self::Pattern(name) | Self::Shard(name) => name,
        }
    }

    pub(super) fn command(&self, is_on: bool) -> Cmd {
        let (verb, name) = match (self, is_on) {
            (Self::Channel(name), true) => ("SUBSCRIBE", name),
            (Self::Channel(name), false) => ("UNSUBSCRIBE", name),
            (Self::Pattern(name), true) => ("PSUBSCRIBE", name),
            (Self::Pattern(name), false) => ("PUNSUBSCRIBE", name),
            (Self::Shard(name), true) => ("SSUBSCRIBE", name),
            (Self::Shard(name), false) => ("SUNSUBSCRIBE", name),
        };
        let mut command = cmd(verb);
        command.arg(&**name);
        command
    }
}

/// Takes what comes for a topic.
pub(crate) trait Receiver: Send + Sync + 'static {
    /// Called by the task that reads: it must not block. `channel` is where the message was published.
    fn receive(&self, channel: &str, message: Bytes);
}

impl Receiver for Inbox {
    fn receive(&self, channel: &str, message: Bytes) {
        self.receive(channel, &message);
    }
}

/// A clone is the same one; when all are gone, the connection ends.
#[derive(Clone)]
pub(crate) struct Subscriber(Arc<Owner>);

struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct Shared {
    topics: RwLock<HashMap<Topic, Subscription>>,
    changes: Mutex<Changes>,
    wake: Notify,
    max_message: usize,
    status: Arc<Status>,
    confirmed: Notify,
    number: AtomicU64,
}

struct Subscription {
    receiver: Arc<dyn Receiver>,
    /// In the order of these, Redis is told.
    number: u64,
    /// Whether Redis has confirmed it, on the connection of now.
    is_confirmed: bool,
}

/// What Redis has not been told yet.
#[derive(Default)]
struct Changes {
    /// Topics, and whether they are wanted.
    list: Vec<(Topic, bool)>,
    is_closed: bool,
}

impl Subscriber {
    pub(crate) fn start(
        source: Arc<Source>,
        config: &RedisConfig,
        status: &Arc<Status>,
        runtime: &Handle,
    ) -> Self {
        let subscriber = Self::idle(config, status);
        let reader = Reader {
            shared: subscriber.0.0.clone(),
            source,
            part: status.part(),
            backoff: Backoff::new(config.max_reconnect_delay),
        };
        task::spawn_on(runtime, "gatewire redis subscriber", reader.run());
        subscriber
    }

    /// One that has no connection, for those who only send.
    pub(crate) fn idle(config: &RedisConfig, status: &Arc<Status>) -> Self {
        Self(Arc::new(Owner(Arc::new(Shared {
            topics: RwLock::default(),
            changes: Mutex::default(),
            wake: Notify::new(),
            max_message: config.max_message,
            status: status.clone(),
            confirmed: Notify::new(),
            number: AtomicU64::new(0),
        }))))
    }

    /// Whether messages come for the topic, as far as Redis has said.
    pub(crate) fn is_confirmed(&self, topic: &Topic) -> bool {
        self.0.0.is_confirmed(topic)
    }

    /// Waits until messages come for the topic.
    pub(crate) fn confirmed(&self, topic: &Topic) -> impl Future<Output = ()> + Send + use<> {
        let (shared, topic) = (self.0.0.clone(), topic.clone());
        async move {
            loop {
                let confirmed = shared.confirmed.notified();
                tokio::pin!(confirmed);
                // From here on nothing is overheard.
                confirmed.as_mut().enable();
                if shared.is_confirmed(&topic) {
                    return;
                }
                confirmed.await;
            }
        }
    }

    /// From now on, and soon, what is published there goes to `receiver`, which replaces another one.
    pub(crate) fn subscribe(&self, topic: Topic, receiver: Arc<dyn Receiver>) {
        let shared = &self.0.0;
        let mut topics = shared.topics.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(subscription) = topics.get_mut(&topic) {
            subscription.receiver = receiver;
            return;
        }
        let subscription = Subscription {
            receiver,
            number: shared.number.fetch_add(1, Ordering::Relaxed),
            is_confirmed: false,
        };
        topics.insert(topic.clone(), subscription);
        // With the lock, so that Redis hears of the changes in their order.
        shared.change(topic, true);
    }

    /// No more of that.
    pub(crate) fn unsubscribe(&self, topic: &Topic) {
        let shared = &self.0.0;
        let mut topics = shared.topics.write().unwrap_or_else(PoisonError::into_inner);
        let removed = topics.remove(topic);
        if removed.is_some() {
            shared.change(topic.clone(), false);
        }
        drop(topics);
    }

    /// Ends the connection, whoever still holds a clone.
    pub(crate) fn close(&self) {
        self.0.0.close();
    }
}

impl Shared {
    fn close(&self) {
        lock(&self.changes).is_closed = true;
        self.wake.notify_one();
    }

    fn change(&self, topic: Topic, is_on: bool) {
        lock(&self.changes).list.push((topic, is_on));
        self.wake.notify_one();
    }

    fn receiver(&self, topic: &Topic) -> Option<Arc<dyn Receiver>> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics
            .get(topic)
            .map(|subscription| subscription.receiver.clone())
    }

    fn is_confirmed(&self, topic: &Topic) -> bool {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics
            .get(topic)
            .is_some_and(|subscription| subscription.is_confirmed)
    }

    fn confirm<'a>(&self, confirmed: impl IntoIterator<Item = &'a Topic>) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        for topic in confirmed {
            if let Some(subscription) = topics.get_mut(topic) {
                subscription.is_confirmed = true;
            }
        }
        drop(topics);
        self.confirmed.notify_waiters();
    }

    fn none_is_confirmed(&self) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        for subscription in topics.values_mut() {
            subscription.is_confirmed = false;
        }
    }

    fn dispatch(&self, push: PushInfo) {
        let mut data = push.data.into_iter();
        let mut text = || match data.next() {
            Some(Value::BulkString(bytes)) => String::from_utf8(bytes).ok(),
            _ => None,
        };
        let (topic, channel) = match push.kind {
            PushKind::Message => {
                let channel = text();
                (channel.clone().map(|name| Topic::Channel(name.into())), channel)
            }
            PushKind::SMessage => {
                let channel = text();
                (channel.clone().map(|name| Topic::Shard(name.into())), channel)
            }
            PushKind::PMessage => (text().map(|name| Topic::Pattern(name.into())), text()),
            _ => return,
        };
        let (Some(topic), Some(channel), Some(Value::BulkString(message))) = (topic, channel, data.next())
        else {
            return self.status.malformed("", "its channel is no text");
        };
        self.status.counters.add_received();
        if message.len() > self.max_message {
            let reason = format_args!("it has {} bytes, more than max_message", message.len());
            return self.status.malformed(&channel, reason);
        }
        if let Some(receiver) = self.receiver(&topic) {
            receiver.receive(&channel, message.into());
        }
    }
}

/// The task.
struct Reader {
    shared: Arc<Shared>,
    source: Arc<Source>,
    part: Part,
    backoff: Backoff,
}

impl Reader {
    async fn run(mut self) {
        loop {
            match self.read().await {
                Ok(()) => return,
                Err(reason) => self.part.down(reason),
            }
            self.shared.none_is_confirmed();
            let delay = self.backoff.delay();
            tokio::time::sleep(delay).await;
        }
    }

    /// Until the connection breaks, which is an error, or nobody is there any more.
    async fn read(&mut self) -> Result<(), String> {
        let said = |error: redis::RedisError| error.to_string();
        let broken = Arc::new(Notify::new());
        let (notify, shared) = (broken.clone(), self.shared.clone());
        let on_push: OnPush = Arc::new(move |push| match push.kind {
            PushKind::Disconnection => notify.notify_one(),
            _ => shared.dispatch(push),
        });
        let mut link = self.source.connect(Some(on_push)).await.map_err(said)?;
        let is_cluster = matches!(link, Link::Cluster(_));
        self.subscribe_all(&mut link).await.map_err(said)?;
        self.part.up();
        self.backoff.reset();
        loop {
            let changes = {
                let mut changes = lock(&self.shared.changes);
                if changes.is_closed {
                    return Ok(());
                }
                std::mem::take(&mut changes.list)
            };
            self.apply(&mut link, &changes).await.map_err(said)?;
            tokio::select! {
                () = self.shared.wake.notified() => {}
                // A cluster of servers is looked after by redis-rs: one of them may come and go.
                () = broken.notified(), if !is_cluster => return Err("the connection broke".to_owned()),
                () = tokio::time::sleep(self.source.response_timeout()) => {
                    link.query(&cmd("PING")).await.map_err(said)?;
                }
            }
        }
    }

    async fn subscribe_all(&self, link: &mut Link) -> redis::RedisResult<()> {
        let wanted: Vec<Topic> = {
            let topics = self.shared.topics.read().unwrap_or_else(PoisonError::into_inner);
            lock(&self.shared.changes).list.clear();
            let mut wanted: Vec<_> = topics
                .iter()
                .map(|(topic, it)| (it.number, topic.clone()))
                .collect();
            wanted.sort_by_key(|(number, _)| *number);
            wanted.into_iter().map(|(_, topic)| topic).collect()
        };
        for topics in wanted.chunks(BATCH) {
            link.subscribe(topics, true).await?;
        }
        self.shared.confirm(&wanted);
        Ok(())
    }

    /// In their order; neighbours of one kind at once.
    async fn apply(&self, link: &mut Link, changes: &[(Topic, bool)]) -> redis::RedisResult<()> {
        for run in changes.chunk_by(|(_, one), (_, other)| one == other) {
            for part in run.chunks(BATCH) {
                let topics: Vec<Topic> = part.iter().map(|(topic, _)| topic.clone()).collect();
                link.subscribe(&topics, run[0].1).await?;
            }
        }
        self.shared
            .confirm(changes.iter().filter(|(_, is_on)| *is_on).map(|(topic, _)| topic));
        Ok(())
    }
}
