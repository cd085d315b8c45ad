//! How many clients may be connected at a time: of each user, or whatever key an application has.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gatewire_hub::Id;
use serde_json::json;

use super::{Exception, ExecutionContext, Guard, WsException};
use crate::{Server, Socket};

/// Refuses connections of who has as many clients as allowed already. It is a guard for gateways and for the application,
/// and lets messages and requests through.
///
/// A client counts in each namespace with such a guard, from the moment in which the guard lets it in until it has left and
/// nobody has its [`Socket`] any more. One that may [come back](crate::HubConfig::connection_state_recovery) counts as long
/// as it may. Each guard counts for itself: bound to the application, it counts the clients of all gateways together.
///
/// ```
/// use gatewire::prelude::*;
///
/// struct User { id: u64 }
///
/// #[injectable]
/// struct TokenGuard;
/// # impl Guard for TokenGuard {
/// #     async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
/// #         if context.is_connection() { context.client().set(User { id: 7 }); }
/// #         Ok(true)
/// #     }
/// # }
///
/// // TokenGuard says who it is; then that user's clients are counted.
/// #[websocket_gateway]
/// #[use_guards(TokenGuard, ConnectionLimit::per_user(5, |user: &User| user.id))]
/// struct ChatGateway;
///
/// #[subscriptions]
/// impl ChatGateway {}
/// ```
pub struct ConnectionLimit {
    max: usize,
    replaces: bool,
    keyed: Box<dyn Keyed>,
}

/// A connection was one too many. The client gets the `connect_error` `Too many connections`, with
/// `{"status":"error","message":"Too many connections","limit":max}` as its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Too many connections")]
pub struct TooManyConnections {
    /// How many there may be.
    pub limit: usize,
}

impl From<TooManyConnections> for WsException {
    fn from(error: TooManyConnections) -> Self {
        Self::from(json!({ "status": "error", "message": error.to_string(), "limit": error.limit }))
    }
}

impl ConnectionLimit {
    /// At most `max` clients of each user: `key` makes the key of the value of type `U` that is kept with the client
    /// (`client.set(user)`) by a guard that stands before. A client without one is not counted.
    pub fn per_user<U: Any + Send + Sync, K: Hash + Eq + Clone + Send + 'static>(
        max: usize,
        key: impl Fn(&U) -> K + Send + Sync + 'static,
    ) -> Self {
        Self::by(max, move |context| {
            context.client().get::<U>().map(|user| key(&user))
        })
    }

    /// At most `max` clients of each key; where there is no key, nothing is counted.
    pub fn by<K: Hash + Eq + Clone + Send + 'static>(
        max: usize,
        key: impl Fn(&ExecutionContext) -> Option<K> + Send + Sync + 'static,
    ) -> Self {
        Self {
            max,
            replaces: false,
            keyed: Box::new(Keys {
                key,
                table: Arc::default(),
            }),
        }
    }

    /// Puts the oldest client out instead, as far as it is connected: it gets the `exception` `Replaced by a newer
    /// connection`, then the disconnect; a plain WebSocket is closed with 1008.
    #[must_use]
    pub fn replacing_oldest(mut self) -> Self {
        self.replaces = true;
        self
    }
}

impl Guard for ConnectionLimit {
    async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
        if context.is_connection() {
            self.keyed.enter(context, self.max, self.replaces)?;
        }
        Ok(true)
    }
}

impl fmt::Debug for ConnectionLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionLimit")
            .field("max", &self.max)
            .field("replaces", &self.replaces)
            .finish_non_exhaustive()
    }
}

/// Clients by a key.
trait Keyed: Send + Sync {
    /// Counts the client, if there is a key.
    fn enter(&self, context: &ExecutionContext, max: usize, replaces: bool)
    -> Result<(), TooManyConnections>;
}

struct Keys<K, F> {
    key: F,
    table: Arc<Table<K>>,
}

/// The clients of each key that has any, the oldest first.
struct Table<K>(Mutex<HashMap<K, Vec<Member>>>);

/// A client in its namespace.
#[derive(Clone)]
struct Member {
    namespace: Server,
    id: Id,
}

impl Member {
    fn is(&self, other: &Self) -> bool {
        self.id == other.id && self.namespace.name() == other.namespace.name()
    }
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K> Table<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Vec<Member>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, F> Keyed for Keys<K, F>
where
    K: Hash + Eq + Clone + Send + 'static,
    F: Fn(&ExecutionContext) -> Option<K> + Send + Sync,
{
    fn enter(
        &self,
        context: &ExecutionContext,
        max: usize,
        replaces: bool,
    ) -> Result<(), TooManyConnections> {
        let Some(key) = (self.key)(context) else {
            return Ok(());
        };
        let client = context.client();
        let member = Member {
            namespace: client.namespace().clone(),
            id: client.id(),
        };
        let mut replaced = None;
        let mut table = self.table.lock();
        let members = table.entry(key.clone()).or_default();
        if members.len() >= max {
            let mut connected = members.iter().filter(|_| replaces && max > 0);
            replaced = connected.find_map(|member| member.namespace.socket(member.id.as_str()));
            let Some(oldest) = &replaced else {
                if members.is_empty() {
                    table.remove(&key);
                }
                return Err(TooManyConnections { limit: max });
            };
            members.retain(|member| member.id != oldest.id());
        }
        members.push(member.clone());
        drop(table);
        keep(
            client,
            Place {
                table: Arc::clone(&self.table),
                key,
                member,
            },
        );
        if let Some(oldest) = replaced {
            let reason = WsException::new("Replaced by a newer connection");
            oldest.emit("exception", &*reason.to_json(None));
            oldest.disconnect_with(POLICY, "replaced by a newer connection");
        }
        Ok(())
    }
}

/// A counted client; dropped, it counts no more.
struct Place<K: Hash + Eq> {
    table: Arc<Table<K>>,
    key: K,
    member: Member,
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let mut table = self.table.lock();
        if let Some(members) = table.get_mut(&self.key) {
            members.retain(|member| !member.is(&self.member));
            if members.is_empty() {
                table.remove(&self.key);
            }
        }
    }
}

/// The places that a client has, of as many guards as count it: they are given up with what is kept with the client.
#[derive(Default)]
struct Places(Mutex<Vec<Box<dyn Any + Send>>>);

fn keep(client: &Socket, place: impl Any + Send) {
    let places = client.get::<Places>().or_else(|| {
        client.set(Places::default());
        client.get()
    });
    if let Some(places) = places {
        let mut places = places.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.push(Box::new(place));
    }
}

/// RFC 6455 §7.4.1: what was received breaks the endpoint's rules.
const POLICY: u16 = 1008;
