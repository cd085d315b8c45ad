//! The end of a client's identity.

use std::time::{Duration, SystemTime};

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::WsException;
use crate::Socket;

/// Puts a client out of its namespace when its identity ends, a token for instance: it gets an `exception` that says so,
/// then the disconnect. Set again, with a new token, the new end counts.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use gatewire::prelude::*;
///
/// #[derive(serde::Deserialize)]
/// struct Auth { token: String }
///
/// struct Claims { name: String, exp: u64 }
/// # fn verify(token: &str) -> Result<Claims, WsException> { Err("no".into()) }
///
/// #[injectable]
/// struct TokenGuard;
///
/// impl Guard for TokenGuard {
///     async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
///         if context.is_connection() {
///             let claims = verify(&context.data::<Auth>()?.token)?;
///             let end = SystemTime::UNIX_EPOCH + Duration::from_secs(claims.exp);
///             Expiry::at(end).reason("Token expired").set(context.client());
///             context.client().set(claims);
///         }
///         Ok(true)
///     }
/// }
/// ```
#[derive(Debug)]
#[must_use = "it counts once it is set"]
pub struct Expiry {
    at: Instant,
    reason: WsException,
}

/// The timer of a client; it ends with the values that are kept with the client, wherever these go.
struct Timer(AbortHandle);

impl Expiry {
    /// The end is at `time`; what is over already ends at once.
    pub fn at(time: SystemTime) -> Self {
        Self::after(time.duration_since(SystemTime::now()).unwrap_or_default())
    }

    /// The end is in `time` from now.
    pub fn after(time: Duration) -> Self {
        let now = Instant::now();
        Self {
            // What is too far to be counted is a century away.
            at: now.checked_add(time).unwrap_or(now + CENTURY),
            reason: WsException::new("Identity expired"),
        }
    }

    /// What the client gets as `exception`. Default the message `Identity expired`.
    pub fn reason(mut self, reason: impl Into<WsException>) -> Self {
        self.reason = reason.into();
        self
    }

    /// From now on this is the end for `client`; one that was set before is forgotten.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn set(self, client: &Socket) {
        // By its id: a client that comes back with its session has it and the timer, but is another socket.
        let (namespace, id) = (client.namespace().clone(), client.id());
        let timer = tokio::spawn(async move {
            tokio::time::sleep_until(self.at).await;
            if let Some(client) = namespace.socket(id.as_str()) {
                client.emit("exception", &*self.reason.to_json(None));
                client.disconnect(false);
            }
        });
        client.set(Timer(timer.abort_handle()));
    }

    /// `client` stays.
    pub fn clear(client: &Socket) {
        client.remove::<Timer>();
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
