//! The streams adapter: `@socket.io/redis-streams-adapter` 0.3.1. What is for clients goes into a Redis stream, which each
//! node reads from where it left: so it survives a connection that breaks, and is the log of connection state recovery.
//! Questions and answers between nodes go over pub/sub.

mod log;
mod reader;
mod turns;
mod values;

use std::sync::Arc;

use gatewire_hub::cluster::{ClusterStatus, RecoveryLog};
use gatewire_hub::{BoxFuture, Namespace, task};
use redis::{Cmd, cmd};

use crate::adapter::{Role, Shared};
use crate::connection::{Publisher, Status, Subscriber, Topic};
use crate::node::{Carrier, Inbox, Node};
use crate::wire::cluster::{Body, EntryFields, Form, Message};
use crate::wire::{DecodeError, Limits};
use crate::{RedisConfig, StreamsConfig};

use log::Log;
use reader::Reader;
use turns::Turns;

/// The field of an entry that tells its node which of its messages it is; those of Node ignore it.
const NUMBER: &str = "seq";

/// The streams and channels of one node.
pub(super) struct Streams {
    /// The node's name, which its own channels end in.
    uid: Box<str>,
    role: Role,
    config: StreamsConfig,
    redis: RedisConfig,
    publisher: Publisher,
    subscriber: Subscriber,
    status: Arc<Status>,
    /// One of each stream.
    turns: Vec<Arc<Turns>>,
}

struct Channels(Arc<Streams>);

/// A node with this configuration.
pub(crate) fn node(adapter: &Shared, options: &StreamsConfig, role: Role) -> Node {
    let (config, status) = (&adapter.config, &adapter.status);
    let uid = role.name();
    let count = options.stream_count.max(1);
    let turns = || Arc::new(Turns::new(options.offset_wait, config.max_queue));
    let streams = Arc::new(Streams {
        uid: uid.clone(),
        role,
        config: options.clone(),
        redis: config.clone(),
        publisher: adapter.publisher.clone(),
        subscriber: adapter.subscriber(role),
        status: status.clone(),
        turns: std::iter::repeat_with(turns).take(count).collect(),
    });
    let node = Node::new(adapter.settings(uid), Channels(streams.clone()));
    if role == Role::Emitter {
        return node;
    }
    let read = |name: String, turns: &Arc<Turns>, is_log: bool| {
        // In the order of what this node puts in, so that it reads all of that.
        let start = streams.publisher.command(last_entry(&name), name.len());
        let source = adapter.source.clone();
        let reader = Reader::new(&streams, source, name, turns.clone(), node.inbox(), is_log);
        task::spawn_on(&adapter.runtime, "gatewire redis stream", reader.run(start));
    };
    for (index, turns) in streams.turns.iter().enumerate() {
        read(streams.name_of(index), turns, true);
    }
    for index in 1..count {
        // Nothing of this node comes there.
        let turns = Arc::new(Turns::new(options.offset_wait, 1));
        read(format!("{}--{index}", options.stream_name), &turns, false);
    }
    node
}

impl Streams {
    fn limits(&self) -> Limits {
        Limits {
            max_bytes: self.redis.max_message,
            ..Limits::default()
        }
    }

    fn name_of(&self, index: usize) -> String {
        match self.turns.len() {
            1 => self.config.stream_name.clone(),
            _ => format!("{}-{index}", self.config.stream_name),
        }
    }

    /// Which stream a namespace is in. Where the Node adapter comes to a negative index it writes to a stream that none of
    /// its nodes reads; what is written here they all read, and their stream is read here, too, though it is no log.
    fn index(&self, namespace: &str) -> usize {
        let count = i64::try_from(self.turns.len()).unwrap_or(i64::MAX);
        usize::try_from(i64::from(hash(namespace)).rem_euclid(count)).unwrap_or_default()
    }

    /// The command that puts an entry into the stream.
    fn add(&self, stream: &str, fields: &EntryFields, number: Option<u64>) -> (Cmd, usize) {
        let mut size = stream.len();
        let mut command = cmd("XADD");
        command
            .arg(stream)
            .arg("MAXLEN")
            .arg("~")
            .arg(self.config.max_len)
            .arg("*");
        for (field, value) in fields {
            size += value.len();
            command.arg(*field).arg(value);
        }
        if let Some(number) = number {
            command.arg(NUMBER).arg(number);
        }
        (command, size)
    }

    /// Whether a message goes into the stream: what changes clients, and is not a question. The Node emitter puts events for
    /// servers there, too.
    fn is_kept(&self, body: &Body<'_>) -> bool {
        match body {
            Body::Broadcast { request: None, .. }
            | Body::SocketsJoin { .. }
            | Body::SocketsLeave { .. }
            | Body::DisconnectSockets { .. } => true,
            Body::ServerSideEmit { request: None, .. } => self.role == Role::Emitter,
            _ => false,
        }
    }

    fn topic(&self, channel: String) -> Topic {
        if self.config.use_sharded_pub_sub {
            Topic::Shard(channel.into())
        } else {
            Topic::Channel(channel.into())
        }
    }

    /// Where what is for all nodes goes.
    fn channel(&self, namespace: &str) -> String {
        format!("{}#{namespace}#", self.config.channel_prefix)
    }

    /// Where what is for one node goes.
    fn own_channel(&self, namespace: &str, uid: &str) -> String {
        format!("{}#{namespace}#{uid}#", self.config.channel_prefix)
    }

    fn send(&self, channel: &str, message: &Message<'_>) {
        match message.encode(Form::Msgpack) {
            Ok(bytes) if self.config.use_sharded_pub_sub => self.publisher.publish_sharded(channel, &bytes),
            Ok(bytes) => self.publisher.publish(channel, &bytes),
            Err(error) => self.status.unsendable(channel, &error),
        }
    }
}

impl Carrier for Channels {
    fn open(&self, namespace: &Namespace, inbox: &Inbox) {
        let (streams, name) = (&self.0, namespace.name());
        for channel in [streams.channel(name), streams.own_channel(name, &streams.uid)] {
            let topic = streams.topic(channel);
            streams.subscriber.subscribe(topic, Arc::new(inbox.clone()));
        }
    }

    fn close_namespace(&self, namespace: &str) {
        let streams = &self.0;
        for channel in [
            streams.channel(namespace),
            streams.own_channel(namespace, &streams.uid),
        ] {
            streams.subscriber.unsubscribe(&streams.topic(channel));
        }
    }

    fn publish(&self, message: &Message<'_>) {
        let (streams, namespace) = (&self.0, &*message.namespace);
        if !streams.is_kept(&message.body) {
            return streams.send(&streams.channel(namespace), message);
        }
        let name = streams.name_of(streams.index(namespace));
        match message.to_entry() {
            Ok(fields) => {
                let (command, size) = streams.add(&name, &fields, None);
                streams.publisher.send(command, size);
            }
            Err(error) => streams.status.unsendable(&name, &error),
        }
    }

    fn respond(&self, requester: &str, message: &Message<'_>) {
        let channel = self.0.own_channel(&message.namespace, requester);
        self.0.send(&channel, message);
    }

    fn count(&self, namespace: &str) -> BoxFuture<'static, Option<usize>> {
        let topic = self.0.topic(self.0.channel(namespace));
        Box::pin(self.0.publisher.count_subscribers(&topic))
    }

    fn status(&self) -> ClusterStatus {
        self.0.publisher.cluster_status()
    }

    fn malformed(&self, channel: &str, reason: &DecodeError) {
        self.0.status.malformed(channel, reason);
    }

    fn recovery_log(&self) -> Option<Arc<dyn RecoveryLog>> {
        Some(Arc::new(Log(self.0.clone())))
    }

    fn close(&self) {
        self.0.turns.iter().for_each(|turns| turns.close());
        self.0.subscriber.close();
    }
}

/// Asks for the last entry of a stream.
fn last_entry(stream: &str) -> Cmd {
    let mut command = cmd("XREVRANGE");
    command.arg(stream).arg("+").arg("-").arg("COUNT").arg(1);
    command
}

/// The hash of the Node adapter: over UTF-16, in the 32 bits of JavaScript.
fn hash(name: &str) -> i32 {
    name.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_node_adapter() {
        // By its own function, in Node.
        for (name, expected) in [
            ("", 0),
            ("/", 47),
            ("/chat", 46_457_863),
            ("/support", -1_547_060_032),
            ("/é€😀", 60_157_493),
        ] {
            assert_eq!(hash(name), expected, "{name}");
        }
    }
}
