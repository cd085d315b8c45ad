//! The interceptor that bounds how long a handler may take.

use std::time::Duration;

use super::{Answer, Exception, ExecutionContext, Interceptor, Next, WsException};

/// Drops a handler that has not answered in time: `#[use_interceptors(Timeout::after(Duration::from_secs(5)))]`.
///
/// The client gets the exception `Request timeout`, which a filter can catch as [`TimedOut`]. Interceptors that are
/// written before it are not part of the time. A handler is dropped where it awaits; one that blocks is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(Duration);

impl Timeout {
    /// The time from now to the answer.
    pub const fn after(limit: Duration) -> Self {
        Self(limit)
    }
}

impl Interceptor for Timeout {
    async fn intercept(&self, _context: &ExecutionContext, next: Next<'_>) -> Result<Answer, Exception> {
        match tokio::time::timeout(self.0, next.handle()).await {
            Ok(answer) => answer,
            Err(_) => Err(TimedOut { limit: self.0 }.into()),
        }
    }
}

/// A handler did not answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Request timeout")]
pub struct TimedOut {
    /// How much time it had.
    pub limit: Duration,
}

impl From<TimedOut> for WsException {
    fn from(error: TimedOut) -> Self {
        Self::new(error.to_string())
    }
}
