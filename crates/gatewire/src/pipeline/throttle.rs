//! How many messages may come, by token buckets: of each client, each user, or whatever key an application has.

use std::any::Any;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

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
            rate: Rate::new(limit, per),
            is_per_event: false,
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

    /// A bucket for each address that clients connect from. Behind a proxy, that is the proxy's: use
    /// [`by`](Self::by) with what the proxy says.
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

    /// Takes a token.
    fn take(&self, context: &ExecutionContext) -> Result<(), Throttled> {
        let event = if self.is_per_event { context.pattern() } else { "" };
        let now = Instant::now();
        if let Some(keyed) = &self.keyed
            && let Some(taken) = keyed.take(context, event, self.rate, now)
        {
            return taken;
        }
        if context.request().is_some()
            && let Some(taken) = self.requests.take(context, event, self.rate, now)
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
        bucket.take(self.rate, now)
    }
}

impl Guard for Throttle {
    async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
        self.take(context)?;
        Ok(true)
    }
}

impl Interceptor for Throttle {
    async fn intercept(&self, context: &ExecutionContext, next: Next<'_>) -> Result<Answer, Exception> {
        self.take(context)?;
        next.handle().await
    }
}

fn address(context: &ExecutionContext) -> Option<IpAddr> {
    context.client().handshake().peer().map(|address| address.ip())
}

/// How fast a bucket fills, and how much is in it.
#[derive(Clone, Copy)]
struct Rate {
    /// From empty to full.
    per: Duration,
    /// For one token.
    interval: Duration,
}

impl Rate {
    fn new(limit: u32, per: Duration) -> Self {
        Self {
            per,
            // Without tokens the first interval is longer than the bucket lasts: nothing is let through.
            interval: per.checked_div(limit).unwrap_or(Duration::MAX),
        }
    }
}

/// A token bucket, as the time at which it is full.
#[derive(Clone, Copy)]
struct Bucket(Instant);

impl Bucket {
    fn full(now: Instant) -> Self {
        Self(now)
    }

    fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Throttled> {
        let missing = self
            .0
            .saturating_duration_since(now)
            .saturating_add(rate.interval);
        if missing > rate.per {
            let retry_after = missing.saturating_sub(rate.per);
            return Err(Throttled { retry_after });
        }
        self.0 = now + missing;
        Ok(())
    }
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
        rate: Rate,
        now: Instant,
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
        rate: Rate,
        now: Instant,
    ) -> Option<Result<(), Throttled>> {
        let key = ((self.key)(context)?, event);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        // A full bucket is as good as none. The map grows to twice what is in use before it is looked through.
        if buckets.len() == buckets.capacity() {
            buckets.retain(|_, bucket| bucket.0 > now);
            let used = buckets.len();
            buckets.reserve(used.max(LEAST_KEYS));
        }
        if buckets.len() >= MAX_KEYS && !buckets.contains_key(&key) {
            return Some(Err(Throttled {
                retry_after: rate.per,
            }));
        }
        let bucket = buckets.entry(key).or_insert_with(|| Bucket::full(now));
        Some(bucket.take(rate, now))
    }
}

/// Keys that are kept before the first look at them.
const LEAST_KEYS: usize = 64;
/// Keys whose buckets are not full, at most; messages of further ones are refused until there are fewer.
const MAX_KEYS: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_the_rate() {
        let rate = Rate::new(3, Duration::from_millis(300));
        let start = Instant::now();
        let mut bucket = Bucket::full(start);
        let mut at = |millis: u64| {
            bucket
                .take(rate, start + Duration::from_millis(millis))
                .map_err(|throttled| throttled.retry_after.as_millis())
        };
        for (millis, taken) in [
            (0, Ok(())),
            (0, Ok(())),
            (0, Ok(())),
            (0, Err(100)),
            (60, Err(40)),
            (100, Ok(())),
            (101, Err(99)),
            (10_000, Ok(())),
            (10_000, Ok(())),
            (10_000, Ok(())),
            (10_000, Err(100)),
        ] {
            assert_eq!(at(millis), taken, "at {millis} ms");
        }
    }

    #[test]
    fn no_tokens_let_nothing_through() {
        let now = Instant::now();
        for rate in [Rate::new(0, Duration::from_secs(1)), Rate::new(0, Duration::ZERO)] {
            assert!(Bucket::full(now).take(rate, now).is_err());
        }
    }
}
