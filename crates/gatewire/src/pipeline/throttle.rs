//! How many messages may come, by token buckets: of each client, each user, or whatever key an application has.

use std::any::Any;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gatewire_hub::Payload;
use gatewire_server::{Bucket, Rate};
use serde_json::json;
use tokio::time;

use super::{Answer, Exception, ExecutionContext, Guard, Interceptor, Next, WsException};

/// Refuses messages that come too fast. It is a guard, and an interceptor, too, for who wants it behind the guards.
///
/// Each key has a bucket of `limit` tokens that fills up in `per`, and each message takes one: so many may come at once,
/// and `limit` in each `per` in the long run. A message for which there is none is refused with [`Throttled`].
///
/// Bound to a gateway, or to the application, it counts the messages of all handlers together unless it is told to count
/// [`per_event`](Self::per_event); and a connection of the key as one message.
///
/// ```
/// use std::time::Duration;
/// use gatewire::prelude::*;
///
/// struct User { id: u64 }
///
/// #[websocket_gateway]
/// #[use_guards(Throttle::per_client(20, Duration::from_secs(1)))]
/// struct ChatGateway;
///
/// #[subscriptions]
/// impl ChatGateway {
///     #[subscribe_message("upload")]
///     #[use_guards(Throttle::per_user(5, Duration::from_secs(60), |user: &User| user.id))]
///     async fn upload(&self, MessageBody(name): MessageBody<String>) {}
/// }
/// ```
pub struct Throttle {
    /// Which of a client's buckets are this one's.
    id: usize,
    rate: Rate,
    is_per_event: bool,
    counts_bytes: bool,
    disconnects: bool,
    /// None for a bucket that the client itself keeps.
    keyed: Option<Box<dyn Keyed>>,
    /// By address, for requests: none of them is a client that comes again.
    requests: Box<dyn Keyed>,
}

/// A message came too fast. The client gets `{"status":"error","message":"Too many requests","retryAfter":ms}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Too many requests")]
pub struct Throttled {
    /// When the next one may come.
    pub retry_after: Duration,
}

impl From<Duration> for Throttled {
    fn from(retry_after: Duration) -> Self {
        Self { retry_after }
    }
}

impl From<Throttled> for WsException {
    fn from(throttled: Throttled) -> Self {
        // Rounded up: a client that waits so long is let through.
        let millis = throttled.retry_after.as_nanos().div_ceil(1_000_000);
        Self::from(json!({
            "status": "error",
            "message": throttled.to_string(),
            "retryAfter": u64::try_from(millis).unwrap_or(u64::MAX),
        }))
    }
}

impl Throttle {
    /// A bucket for each client in its namespace. It is gone with the client: who connects anew has a full one. Requests to
    /// controllers have one for each address that they come from.
    pub fn per_client(limit: u32, per: Duration) -> Self {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        Self {
            id: LAST.fetch_add(1, Ordering::Relaxed),
            rate: Rate::new(limit.into(), per),
            is_per_event: false,
            counts_bytes: false,
            disconnects: false,
            keyed: None,
            requests: Box::new(Keys {
                key: address,
                buckets: Mutex::default(),
            }),
        }
    }

    /// A bucket for each user, over all of the user's clients: `key` makes the key of the value of type `U` that is kept
    /// with the client (`client.set(user)`), usually by a guard. A client without one has a bucket of its own.
    pub fn per_user<U: Any + Send + Sync, K: Hash + Eq + Send + 'static>(
        limit: u32,
        per: Duration,
        key: impl Fn(&U) -> K + Send + Sync + 'static,
    ) -> Self {
        Self::by(limit, per, move |context| {
            context.client().get::<U>().map(|user| key(&user))
        })
    }

    /// A bucket for each address that clients connect from. Behind a proxy, that is the proxy's unless it is
    /// [trusted](crate::App::trust_proxies).
    pub fn per_address(limit: u32, per: Duration) -> Self {
        Self::by(limit, per, address)
    }

    /// A bucket for each key; where there is no key, each client has its own.
    pub fn by<K: Hash + Eq + Send + 'static>(
        limit: u32,
        per: Duration,
        key: impl Fn(&ExecutionContext) -> Option<K> + Send + Sync + 'static,
    ) -> Self {
        Self {
            keyed: Some(Box::new(Keys {
                key,
                buckets: Mutex::default(),
            })),
            ..Self::per_client(limit, per)
        }
    }

    /// Counts each event for itself.
    #[must_use]
    pub fn per_event(mut self) -> Self {
        self.is_per_event = true;
        self
    }

    /// Counts the bytes of messages, their bodies and attachments, instead of messages. One that is bigger than the limit
    /// is let through if nothing is owed, and paid off by time. Connections and requests count nothing.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gatewire::prelude::*;
    ///
    /// # struct User { id: u64 }
    /// // Each user 1 MB in ten seconds, over all clients.
    /// Throttle::per_user(1_000_000, Duration::from_secs(10), |user: &User| user.id).in_bytes();
    /// ```
    #[must_use]
    pub fn in_bytes(mut self) -> Self {
        self.counts_bytes = true;
        self
    }

    /// Puts the client out with the first message that is refused: it gets the `exception`, then the disconnect; a plain
    /// WebSocket is closed with 1008.
    #[must_use]
    pub fn or_disconnect(mut self) -> Self {
        self.disconnects = true;
        self
    }

    /// Lets the message through, or refuses it.
    fn admit(&self, context: &ExecutionContext) -> Result<(), Throttled> {
        let admitted = self.take(context);
        if let Err(throttled) = admitted
            && self.disconnects
            && !context.is_connection()
            && context.request().is_none()
        {
            let client = context.client();
            client.emit("exception", &*WsException::from(throttled).to_json(None));
            client.disconnect_with(POLICY, "too many requests");
        }
        admitted
    }

    /// Takes what the message needs.
    fn take(&self, context: &ExecutionContext) -> Result<(), Throttled> {
        let event = if self.is_per_event { context.pattern() } else { "" };
        let now = time::Instant::now().into_std();
        let bytes = self.counts_bytes.then(|| context.args().map_or(0, size));
        let charge = Charge {
            rate: self.rate,
            bytes,
            now,
        };
        if let Some(keyed) = &self.keyed
            && let Some(taken) = keyed.take(context, event, &charge)
        {
            return taken;
        }
        if context.request().is_some()
            && let Some(taken) = self.requests.take(context, event, &charge)
        {
            return taken;
        }
        let client = context.client();
        let buckets = client.get::<Buckets>().or_else(|| {
            client.set(Buckets::default());
            client.get()
        });
        // It was put there just now; a client that has lost it in between is as good as new.
        let Some(buckets) = buckets else {
            return Ok(());
        };
        let mut buckets = buckets.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = (self.id, event);
        let bucket = match buckets.iter_mut().position(|(key, _)| *key == own) {
            Some(at) => &mut buckets[at].1,
            None => {
                buckets.push((own, Bucket::full(now)));
                let last = buckets.len() - 1;
                &mut buckets[last].1
            }
        };
        charge.on(bucket)
    }
}

impl Guard for Throttle {
    async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
        self.admit(context)?;
        Ok(true)
    }
}

impl Interceptor for Throttle {
    async fn intercept(&self, context: &ExecutionContext, next: Next<'_>) -> Result<Answer, Exception> {
        self.admit(context)?;
        next.handle().await
    }
}

fn address(context: &ExecutionContext) -> Option<IpAddr> {
    context.client().handshake().peer().map(|address| address.ip())
}

/// What a message takes out of a bucket.
struct Charge {
    rate: Rate,
    /// Of its body; `None` if the message itself is counted.
    bytes: Option<u64>,
    now: Instant,
}

impl Charge {
    fn on(&self, bucket: &mut Bucket) -> Result<(), Throttled> {
        let taken = match self.bytes {
            None => bucket.take(self.rate, self.now),
            Some(bytes) => bucket.draw(self.rate, bytes, self.now),
        };
        taken.map_err(Throttled::from)
    }
}

fn size(args: &Payload) -> u64 {
    let attachments: usize = args.attachments().iter().map(Bytes::len).sum();
    (args.args().json().len() + attachments) as u64
}

/// The buckets of one client, by throttle and event: as many as the application has.
#[derive(Default)]
struct Buckets(Mutex<Vec<((usize, &'static str), Bucket)>>);

/// Buckets by a key.
trait Keyed: Send + Sync {
    /// Takes a token; `None` if there is no key.
    fn take(
        &self,
        context: &ExecutionContext,
        event: &'static str,
        charge: &Charge,
    ) -> Option<Result<(), Throttled>>;
}

struct Keys<K, F> {
    key: F,
    buckets: Mutex<HashMap<(K, &'static str), Bucket>>,
}

impl<K, F> Keyed for Keys<K, F>
where
    K: Hash + Eq + Send,
    F: Fn(&ExecutionContext) -> Option<K> + Send + Sync,
{
    fn take(
        &self,
        context: &ExecutionContext,
        event: &'static str,
        charge: &Charge,
    ) -> Option<Result<(), Throttled>> {
        let key = ((self.key)(context)?, event);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        // A full bucket is as good as none. The map grows to twice what is in use before it is looked through.
        if buckets.len() == buckets.capacity() {
            buckets.retain(|_, bucket| !bucket.is_full(charge.now));
            let used = buckets.len();
            buckets.reserve(used.max(LEAST_KEYS));
        }
        if buckets.len() >= MAX_KEYS && !buckets.contains_key(&key) {
            return Some(Err(Throttled::from(charge.rate.fill())));
        }
        let bucket = buckets.entry(key).or_insert_with(|| Bucket::full(charge.now));
        Some(charge.on(bucket))
    }
}

/// Keys that are kept before the first look at them.
const LEAST_KEYS: usize = 64;
/// Keys whose buckets are not full, at most; messages of further ones are refused until there are fewer.
const MAX_KEYS: usize = 1_000_000;

/// RFC 6455 §7.4.1: what was received breaks the endpoint's rules.
const POLICY: u16 = 1008;
