//! The sharded adapter: `createShardedAdapter` of `@socket.io/redis-adapter` 8.3 over the sharded pub/sub of Redis 7. Each
//! channel belongs to one shard of a Redis cluster, so that shards share the work; on a single Redis it is ordinary
//! pub/sub.

use std::sync::{Arc, Mutex, Weak};

use gatewire_hub::cluster::{ClusterError, ClusterStatus};
use gatewire_hub::{BoxFuture, Namespace, Room, RoomEvent};
use redis::{ErrorKind, ServerErrorKind, cmd};

use crate::adapter::{Role, Shared};
use crate::connection::{Link, Publisher, Status, Subscriber, Topic};
use crate::node::{Carrier, Inbox, Node};
use crate::wire::DecodeError;
use crate::wire::cluster::{Body, Form, Message};
use crate::{ShardedConfig, SubscriptionMode, lock};

/// The channels of one node.
struct Channels(Arc<Inner>);

struct Inner {
    /// The node's name, which its own channels end in.
    uid: Box<str>,
    config: ShardedConfig,
    publisher: Publisher,
    subscriber: Subscriber,
    status: Arc<Status>,
    /// Held while the channel of a room is decided on: threads hear of rooms in another order than they come and go.
    deciding: Mutex<()>,
}

/// A node with this configuration.
pub(crate) fn node(adapter: &Shared, sharded: &ShardedConfig, role: Role) -> Node {
    let uid = role.name();
    let channels = Channels(Arc::new(Inner {
        uid: uid.clone(),
        config: sharded.clone(),
        publisher: adapter.publisher.clone(),
        subscriber: adapter.subscriber(role),
        status: adapter.status.clone(),
        deciding: Mutex::default(),
    }));
    Node::new(adapter.settings(uid), channels)
}

/// Whether this Redis has sharded pub/sub at all.
pub(crate) async fn check(link: &mut Link) -> Result<(), ClusterError> {
    let mut command = cmd("PUBSUB");
    command.arg("SHARDNUMSUB").arg("socket.io");
    match link.query(&command).await {
        // What breaks on the way shows again when it is used.
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError) => {
            Err(ClusterError::Config {
                message: format!(
                    "this Redis has no sharded pub/sub ({error}): use Redis 7 or later, or Mode::Classic"
                ),
            })
        }
        _ => Ok(()),
    }
}

impl Inner {
    /// Where what is for all nodes goes.
    fn channel(&self, namespace: &str) -> String {
        format!("{}#{namespace}#", self.config.channel_prefix)
    }

    /// Where what is for one node, or for those that have a room, goes.
    fn inner_channel(&self, namespace: &str, name: &str) -> String {
        format!("{}#{namespace}#{name}#", self.config.channel_prefix)
    }

    fn subscribe(&self, channel: String, inbox: &Inbox) {
        let topic = Topic::Shard(channel.into());
        self.subscriber.subscribe(topic, Arc::new(inbox.clone()));
    }

    fn unsubscribe(&self, channel: String) {
        self.subscriber.unsubscribe(&Topic::Shard(channel.into()));
    }

    fn send(&self, channel: &str, message: &Message<'_>) {
        match message.encode(Form::Text) {
            Ok(bytes) => self.publisher.publish_sharded(channel, &bytes),
            Err(error) => self.status.unsendable(channel, &error),
        }
    }

    /// Whether a room has a channel of its own.
    fn has_channel(&self, room: &str) -> bool {
        match self.config.subscription_mode {
            SubscriptionMode::Static => false,
            SubscriptionMode::Dynamic => !looks_like_a_socket(room),
            SubscriptionMode::DynamicPrivate => true,
        }
    }
}

impl Carrier for Channels {
    fn open(&self, namespace: &Namespace, inbox: &Inbox) {
        let shared = &self.0;
        let name = namespace.name();
        shared.subscribe(shared.channel(name), inbox);
        shared.subscribe(shared.inner_channel(name, &shared.uid), inbox);
        if shared.config.subscription_mode == SubscriptionMode::DynamicPrivate {
            follow_own_rooms(shared, namespace, inbox);
        }
    }

    fn close_namespace(&self, namespace: &str) {
        let shared = &self.0;
        shared.unsubscribe(shared.channel(namespace));
        shared.unsubscribe(shared.inner_channel(namespace, &shared.uid));
    }

    fn publish(&self, message: &Message<'_>) {
        let shared = &self.0;
        let namespace = &message.namespace;
        let channel = match &message.body {
            Body::Broadcast {
                target,
                request: None,
                ..
            } => match &*target.rooms {
                [room] if shared.has_channel(room) => shared.inner_channel(namespace, room),
                _ => shared.channel(namespace),
            },
            _ => shared.channel(namespace),
        };
        shared.send(&channel, message);
    }

    fn respond(&self, requester: &str, message: &Message<'_>) {
        let channel = self.0.inner_channel(&message.namespace, requester);
        self.0.send(&channel, message);
    }

    fn count(&self, namespace: &str) -> BoxFuture<'static, Option<usize>> {
        let topic = Topic::Shard(self.0.channel(namespace).into());
        Box::pin(self.0.publisher.count_subscribers(&topic))
    }

    fn status(&self) -> ClusterStatus {
        self.0.publisher.cluster_status()
    }

    fn malformed(&self, channel: &str, reason: &DecodeError) {
        self.0.status.malformed(channel, reason);
    }

    fn room_created(&self, namespace: &str, room: &Room, inbox: &Inbox) {
        if self.0.has_channel(room) {
            let _deciding = lock(&self.0.deciding);
            self.0.subscribe(self.0.inner_channel(namespace, room), inbox);
        }
    }

    fn room_deleted(&self, namespace: &Namespace, room: &Room) {
        if self.0.has_channel(room) {
            let _deciding = lock(&self.0.deciding);
            // Somebody may have come in meanwhile.
            if !namespace.has_room(room) {
                self.0.unsubscribe(self.0.inner_channel(namespace.name(), room));
            }
        }
    }

    fn close(&self) {
        self.0.subscriber.close();
    }
}

/// The room of a socket's own id is no room that adapters are told of: who wants a channel for each listens to the events
/// of rooms.
fn follow_own_rooms(shared: &Arc<Inner>, namespace: &Namespace, inbox: &Inbox) {
    let (shared, inbox): (Weak<Inner>, _) = (Arc::downgrade(shared), inbox.clone());
    namespace.on_room_event(move |namespace, event| {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let name = namespace.name();
        match event {
            RoomEvent::Created { room } if namespace.socket(room).is_some() => {
                shared.subscribe(shared.inner_channel(name, room), &inbox);
            }
            RoomEvent::Deleted { room } if looks_like_a_socket(room) => {
                shared.unsubscribe(shared.inner_channel(name, room));
            }
            _ => {}
        }
    });
}

/// As the Node server decides: by the length in UTF-16.
fn looks_like_a_socket(room: &str) -> bool {
    room.encode_utf16().count() == 20
}
