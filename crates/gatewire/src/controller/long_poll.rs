//! Long-polling: a request is held open until there is news, or for so long that nobody between gives it up.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;

/// Holds requests open until there is news: a value with a version, the client's cursor. A clone is the same.
///
/// A client asks without a cursor first and is answered at once; then it asks again with the cursor that it was given, and is
/// answered when the value is another one, or with 204 when the time is up, after which it asks again.
///
/// ```
/// use std::time::Duration;
/// use gatewire::controller::{LongPoll, Query, Waited};
/// use gatewire::prelude::*;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Since { cursor: Option<u64> }
///
/// #[controller("/score")]
/// struct ScoreController {
///     #[inject(value = LongPoll::new(0))]
///     score: LongPoll<u32>,
/// }
///
/// #[routes]
/// impl ScoreController {
///     #[get("/")]
///     async fn score(&self, Query(since): Query<Since>) -> Waited<u32> {
///         self.score.until(since.cursor, Duration::from_secs(25)).await
///     }
///
///     #[post("/")]
///     fn goal(&self) {
///         self.score.update(|score| *score += 1);
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct LongPoll<T>(watch::Sender<Versioned<T>>);

#[derive(Clone, Debug)]
struct Versioned<T> {
    version: u64,
    value: T,
}

/// What has come of waiting; as a response `{"cursor":n,"data":…}`, or 204.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited<T> {
    /// The value, and the cursor to ask with next.
    News {
        /// The cursor.
        cursor: u64,
        /// The value.
        data: T,
    },
    /// The time is up.
    Nothing,
}

impl<T: Clone + Send + Sync + 'static> LongPoll<T> {
    /// A value that has not changed yet.
    pub fn new(value: T) -> Self {
        // Cursors of a run before are none of this one's; JavaScript reads them exactly for two centuries more.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let version = u64::try_from(now.as_micros()).unwrap_or_default();
        Self(watch::Sender::new(Versioned { version, value }))
    }

    /// Changes the value: all who wait are answered.
    pub fn update(&self, change: impl FnOnce(&mut T)) {
        self.0.send_modify(|now| {
            change(&mut now.value);
            now.version += 1;
        });
    }

    /// Sets the value.
    pub fn set(&self, value: T) {
        self.update(|now| *now = value);
    }

    /// The value as it is.
    #[must_use]
    pub fn get(&self) -> T {
        self.0.borrow().value.clone()
    }

    /// Waits until the value is another one than at `cursor`, for `timeout` at most; not at all if there is no cursor, or
    /// if it is none of this run of the program. What changes meanwhile several times is told once, as it is at the end.
    pub async fn until(&self, cursor: Option<u64>, timeout: Duration) -> Waited<T> {
        let mut changes = self.0.subscribe();
        let is_known = |now: &Versioned<T>| cursor == Some(now.version);
        let changed = changes.wait_for(|now| !is_known(now));
        match tokio::time::timeout(timeout, changed).await {
            Ok(Ok(now)) => Waited::News {
                cursor: now.version,
                data: now.value.clone(),
            },
            // The sender is held: it is the time.
            Ok(Err(_)) | Err(_) => Waited::Nothing,
        }
    }
}

impl<T: Serialize> IntoResponse for Waited<T> {
    fn into_response(self) -> Response {
        let no_store = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        match self {
            Self::News { cursor, data } => {
                (no_store, axum::Json(json!({ "cursor": cursor, "data": data }))).into_response()
            }
            Self::Nothing => (StatusCode::NO_CONTENT, no_store).into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(25);

    #[tokio::test(start_paused = true)]
    async fn waits_for_another_value_or_for_the_time() {
        let poll = LongPoll::new("a");
        let Waited::News { cursor, data: "a" } = poll.until(None, LONG).await else {
            panic!("the first answer is there at once")
        };
        assert_eq!(poll.until(Some(cursor), LONG).await, Waited::Nothing);
        let (waited, ()) = tokio::join!(poll.until(Some(cursor), LONG), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            poll.set("b");
            poll.set("c");
        });
        let news = Waited::News {
            cursor: cursor + 2,
            data: "c",
        };
        assert_eq!(waited, news);
        assert_eq!(poll.until(Some(7), LONG).await, news, "a cursor of a run before");
    }
}
