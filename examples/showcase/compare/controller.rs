//! Three of the four ways, which are plain HTTP; and how often there is news.

use std::time::Duration;

use axum::response::Response;
use gatewire::controller::{ETag, Followed, Json, Query, Waited};
use gatewire::prelude::*;
use http::StatusCode;
use serde::Deserialize;

use super::source::{Pace, Sample, Source};

/// How long a request waits for news: less than what proxies usually allow.
const HOLD: Duration = Duration::from_secs(25);

#[controller("/compare")]
pub(crate) struct CompareController {
    source: Arc<Source>,
}

#[derive(Deserialize)]
struct Since {
    cursor: Option<u64>,
}

#[routes]
impl CompareController {
    /// Polling: what is the case now; 304 without a body while that is what the client has.
    #[get("/now")]
    fn now(&self, etag: ETag) -> Response {
        let sample = self.source.now();
        etag.reply(sample.seq, || Json(sample))
    }

    /// Long-polling: held open until there is something newer than what the client has.
    #[get("/next")]
    async fn next(&self, Query(since): Query<Since>) -> Waited<Sample> {
        self.source.next(since.cursor, HOLD).await
    }

    /// Server-Sent Events.
    #[sse("/feed")]
    fn feed(&self, LastEventId(last): LastEventId) -> Followed {
        self.source.follow(last)
    }

    #[post("/pace")]
    fn pace(&self, Json(pace): Json<Pace>) -> StatusCode {
        self.source.set_pace(pace);
        StatusCode::NO_CONTENT
    }
}
