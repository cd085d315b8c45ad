//! The end of a client's identity, or of the time for which it was looked at.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gatewire_hub::TransportKind;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::{INTERNAL, WsException};
use crate::Socket;
use crate::gateway::panic_text;
use gatewire_hub::task;

/// Puts a client out of its namespace when its identity ends, a token for instance: it gets an `exception` that says so,
/// then the disconnect. Set again, with a new token, the new end counts. What has no end of its own, such as a session in
/// a store, is looked at again from time to time: [`recheck`](Self::recheck).
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
#[must_use = "it counts once it is set"]
pub struct Expiry {
    at: Instant,
    reason: WsException,
    close_code: u16,
    recheck: Option<Recheck>,
}

type Recheck = Box<dyn Fn(Socket) -> BoxFuture<'static, Result<Duration, WsException>> + Send + Sync>;

/// The timer of a client; it ends with the values that are kept with the client, wherever these go.
struct Timer(AbortHandle);

impl Expiry {
    /// The end is at `time`; what is over already ends at once.
    pub fn at(time: SystemTime) -> Self {
        Self::after(time.duration_since(SystemTime::now()).unwrap_or_default())
    }

    /// The end is in `time` from now.
    pub fn after(time: Duration) -> Self {
        Self {
            at: later(time),
            reason: WsException::new("Identity expired"),
            close_code: POLICY,
            recheck: None,
        }
    }

    /// What the client gets as `exception`. Default the message `Identity expired`.
    pub fn reason(mut self, reason: impl Into<WsException>) -> Self {
        self.reason = reason.into();
        self
    }

    /// What the connection of a plain WebSocket is closed with: 1008, 3000 or a code of your own from 4000 to 4999. Default
    /// 1008.
    pub fn close_code(mut self, code: u16) -> Self {
        self.close_code = code;
        self
    }

    /// At the end asks `check`, which gives how much longer the client is good; it is asked again after that. An error, or no
    /// time, is the end.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gatewire::prelude::*;
    ///
    /// #[injectable]
    /// struct Sessions;
    /// # impl Sessions { async fn is_open(&self, id: &str) -> bool { true } }
    ///
    /// #[injectable]
    /// struct SessionGuard {
    ///     sessions: Arc<Sessions>,
    /// }
    ///
    /// const MINUTE: Duration = Duration::from_secs(60);
    ///
    /// impl Guard for SessionGuard {
    ///     async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
    ///         if context.is_connection() {
    ///             let sessions = Arc::clone(&self.sessions);
    ///             let recheck = move |client: Socket| {
    ///                 let sessions = Arc::clone(&sessions);
    ///                 async move {
    ///                     let id: String = client.auth().map_err(|_| "no session")?;
    ///                     if sessions.is_open(&id).await { Ok(MINUTE) } else { Err("logged out".into()) }
    ///                 }
    ///             };
    ///             Expiry::after(MINUTE).recheck(recheck).set(context.client());
    ///         }
    ///         Ok(true)
    ///     }
    /// }
    /// ```
    pub fn recheck<F, Fut>(mut self, check: F) -> Self
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Duration, WsException>> + Send + 'static,
    {
        self.recheck = Some(Box::new(move |client| check(client).boxed()));
        self
    }

    /// From now on this is the end for `client`; one that was set before is forgotten. For a request to a controller it is the
    /// end of the stream that it opens: at the end of a stream that is no `Feed`, nobody is asked whether it is good for
    /// longer, for its client comes back by itself.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn set(self, client: &Socket) {
        // By its id: a client that comes back with its session has it and the timer, but is another socket.
        let (namespace, id) = (client.namespace().clone(), client.id());
        let mut expiry = self;
        let (ended, end) = oneshot::channel();
        if client.transport() == TransportKind::Sse {
            client.set(StreamEnd(Mutex::new(Some(end))));
        }
        let timer = task::spawn("gatewire expiry", async move {
            loop {
                tokio::time::sleep_until(expiry.at).await;
                let Some(client) = namespace.socket(id.as_str()) else {
                    // An error says that no stream hears of it.
                    let _ = ended.send(expiry.reason.to_json(None));
                    return;
                };
                if !expiry.renew(&client).await {
                    client.emit("exception", &*expiry.reason.to_json(None));
                    client.disconnect_with(expiry.close_code, "identity expired");
                    return;
                }
            }
        });
        client.set(Timer(timer.abort_handle()));
    }

    /// Asks whether the client is good for longer; false if it is not.
    async fn renew(&mut self, client: &Socket) -> bool {
        let Some(check) = &self.recheck else {
            return false;
        };
        let asked = AssertUnwindSafe(async { check(client.clone()).await }).catch_unwind();
        match asked.await {
            Ok(Ok(Duration::ZERO)) => false,
            Ok(Ok(more)) => {
                self.at = later(more);
                true
            }
            Ok(Err(reason)) => {
                if let Some(hidden) = reason.hidden() {
                    tracing::error!(target: "gatewire", context = "Expiry", "an identity could not be looked at: {hidden}");
                }
                self.reason = reason;
                false
            }
            Err(panic) => {
                let text = panic_text(&*panic);
                tracing::error!(target: "gatewire", context = "Expiry", "the look at an identity panicked: {text}");
                self.reason = WsException::new(INTERNAL);
                false
            }
        }
    }

    /// `client` stays.
    pub fn clear(client: &Socket) {
        client.remove::<Timer>();
    }
}

/// Hears of the end of who asked for a stream, with what the client is told.
struct StreamEnd(Mutex<Option<oneshot::Receiver<Box<RawValue>>>>);

/// Takes what hears of the end of `client`, which stands for a request.
pub(crate) fn stream_end(client: &Socket) -> Option<oneshot::Receiver<Box<RawValue>>> {
    let end = client.get::<StreamEnd>()?;
    let mut end = end.0.lock().unwrap_or_else(PoisonError::into_inner);
    end.take()
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expiry")
            .field("at", &self.at)
            .field("reason", &self.reason)
            .field("close_code", &self.close_code)
            .finish_non_exhaustive()
    }
}

/// What is too far to be counted is a century away.
fn later(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now + CENTURY)
}

/// RFC 6455 §7.4.1: what was received breaks the endpoint's rules.
const POLICY: u16 = 1008;
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
