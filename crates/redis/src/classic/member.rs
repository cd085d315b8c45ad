//! One namespace on one node: its channels, and the questions that it has asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gatewire_hub::{Namespace, WeakIo};
use tokio::time::{Instant, timeout_at};

use super::receive::{Broadcasts, Requested, Responded};
use crate::ClassicConfig;
use crate::adapter::Shared;
use crate::connection::{Receiver, Subscriber, Topic};
use crate::heard::Heard;
use crate::requests::{Answers, Requests};
use crate::uid::uid;
use crate::wire::classic::{Answer, Ask, Request};
use crate::wire::{Limits, Target};

/// One namespace.
pub(super) struct Member {
    pub(super) shared: Arc<Shared>,
    pub(super) uid: Arc<str>,
    pub(super) requests: Arc<Requests>,
    /// By whichever namespace.
    pub(super) heard: Arc<Heard>,
    subscriber: Subscriber,
    name: Box<str>,
    /// The server keeps the adapter, so the adapter does not keep the server.
    io: WeakIo,
    channel: Box<str>,
    request_channel: Topic,
    response_channel: Box<str>,
    own_response_channel: Box<str>,
    on_specific_channel: bool,
    /// How many other nodes there were when they were counted last.
    known_others: Arc<AtomicUsize>,
}

impl Member {
    pub(super) fn new(
        shared: Arc<Shared>,
        config: &ClassicConfig,
        uid: Arc<str>,
        subscriber: &Subscriber,
        heard: Arc<Heard>,
        namespace: &Namespace,
    ) -> Arc<Self> {
        let (key, name) = (&config.key, namespace.name());
        Arc::new(Self {
            channel: format!("{key}#{name}#").into(),
            request_channel: Topic::Channel(format!("{key}-request#{name}#").into()),
            response_channel: format!("{key}-response#{name}#").into(),
            own_response_channel: format!("{key}-response#{name}#{uid}#").into(),
            on_specific_channel: config.publish_on_specific_response_channel,
            shared,
            uid,
            requests: Arc::default(),
            heard,
            subscriber: subscriber.clone(),
            name: name.into(),
            io: namespace.io().downgrade(),
            known_others: Arc::default(),
        })
    }

    /// The topics: the one by which nodes are counted last, so that who is counted hears everything.
    fn topics(self: &Arc<Self>) -> [(Topic, Arc<dyn Receiver>); 4] {
        let pattern = format!("{}*", without_globs(&self.channel));
        let responded = Arc::new(Responded(self.clone()));
        [
            (Topic::Pattern(pattern.into()), Arc::new(Broadcasts(self.clone()))),
            (Topic::Channel(self.response_channel.clone()), responded.clone()),
            (Topic::Channel(self.own_response_channel.clone()), responded),
            (self.request_channel.clone(), Arc::new(Requested(self.clone()))),
        ]
    }

    pub(super) fn subscribe(self: &Arc<Self>) {
        for (topic, receiver) in self.topics() {
            self.subscriber.subscribe(topic, receiver);
        }
    }

    pub(super) fn unsubscribe(self: &Arc<Self>) {
        for (topic, _) in self.topics() {
            self.subscriber.unsubscribe(&topic);
        }
    }

    /// `None` if the server or the namespace is gone.
    pub(super) fn namespace(&self) -> Option<Namespace> {
        self.io.upgrade()?.get(&self.name)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The room that a channel of broadcasts is for; `""` for none.
    pub(super) fn room<'a>(&self, channel: &'a str) -> Option<&'a str> {
        let room = channel.strip_prefix(&*self.channel)?;
        Some(room.strip_suffix('#').unwrap_or(room))
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            max_bytes: self.shared.config.max_message,
            ..Limits::default()
        }
    }

    /// What cannot be read is counted, and skipped.
    pub(super) fn malformed(&self, channel: &str, reason: impl std::fmt::Display) {
        self.shared.status.malformed(channel, reason);
    }

    pub(super) fn publish_broadcast(&self, target: &Target, message: &[u8]) {
        match &*target.rooms {
            [room] => {
                let channel = format!("{}{room}#", self.channel);
                self.shared.publisher.publish(&channel, message);
            }
            _ => self.shared.publisher.publish(&self.channel, message),
        }
    }

    /// Says something to the other nodes.
    pub(super) fn tell(&self, ask: Ask<'_>) {
        if let Some(bytes) = self.encode(None, ask) {
            self.shared.publisher.publish(self.request_channel.name(), &bytes);
        }
    }

    fn encode(&self, id: Option<&str>, ask: Ask<'_>) -> Option<Vec<u8>> {
        let request = Request {
            uid: Some((&*self.uid).into()),
            id: id.map(Into::into),
            ask,
        };
        match request.encode() {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                tracing::error!(namespace = &*self.name, %error, "a request was not sent to the other nodes");
                None
            }
        }
    }

    /// Asks the other nodes; what they say, and how many say nothing until the deadline. Without the subscriptions, by which
    /// the answers come, it is asked when they are there again.
    pub(super) fn ask(
        self: &Arc<Self>,
        ask: Ask<'_>,
        deadline: Instant,
    ) -> impl Future<Output = (Answers, usize)> + Send + use<> {
        let id = uid();
        let pending = self.requests.begin(&id);
        let member = self.clone();
        let bytes = self.encode(Some(&id), ask);
        let send = move || {
            let others = member.others();
            if let Some(bytes) = &bytes {
                member
                    .shared
                    .publisher
                    .publish(member.request_channel.name(), bytes);
            }
            others
        };
        let (member, sent) = (self.clone(), self.is_subscribed().then(&send));
        async move {
            let others = async {
                if let Some(others) = sent {
                    return others.await;
                }
                member.subscriber.confirmed(&member.request_channel).await;
                send().await
            };
            pending
                .gather(deadline, others, || member.known_others.load(Ordering::Relaxed))
                .await
        }
    }

    fn is_subscribed(&self) -> bool {
        self.subscriber.is_confirmed(&self.request_channel)
    }

    /// How many other nodes there are; this one is subscribed, and counted. As many as before, if Redis does not say.
    fn others(&self) -> impl Future<Output = usize> + Send + use<> {
        let count = self.shared.publisher.count_subscribers(&self.request_channel);
        let known = self.known_others.clone();
        async move {
            let Some(count) = count.await else {
                return known.load(Ordering::Relaxed);
            };
            let others = count.saturating_sub(1);
            known.store(others, Ordering::Relaxed);
            others
        }
    }

    /// How many nodes there are, this one included; this one alone, if Redis does not say until the deadline.
    pub(super) fn count(self: &Arc<Self>, deadline: Instant) -> impl Future<Output = usize> + Send + use<> {
        let member = self.clone();
        async move {
            let counting = async {
                member.subscriber.confirmed(&member.request_channel).await;
                member.others().await
            };
            1 + timeout_at(deadline, counting).await.unwrap_or(0)
        }
    }

    /// Answers a request of the node with that uid.
    pub(super) fn answer(&self, uid: Option<&str>, id: &str, answer: &Answer) {
        // The Node adapter has this one answered where all hear it.
        let is_shared = matches!(answer, Answer::ServerSide(_)) || !self.on_specific_channel;
        let channel = match uid {
            Some(uid) if !is_shared => format!("{}{uid}#", self.response_channel),
            _ => self.response_channel.clone().into(),
        };
        match answer.encode(id) {
            Ok(bytes) => self.shared.publisher.publish(&channel, &bytes),
            Err(error) => {
                tracing::error!(namespace = &*self.name, %error, "an answer was not sent to another node");
            }
        }
    }
}

/// A pattern of Redis that fits this text alone.
fn without_globs(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for char in text.chars() {
        if matches!(char, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_its_text_alone() {
        assert_eq!(
            without_globs("socket.io#/a[b]*?\\#"),
            "socket.io#/a\\[b\\]\\*\\?\\\\#"
        );
    }
}
