//! The steps from a handler's result to its answer, chosen by concrete type in the expansion of `#[routes]`: `Result`,
//! then for a stream `Option`, then the kind. Calls on `&Tag` prefer the impl for `Tag<..>`, and fall back to the one for
//! `&Tag<T>`.

use axum::response::IntoResponse;
use futures_util::Stream;
use gatewire_proto::sse::SseEvent;
use http::StatusCode;
use serde::Serialize;

use super::call::Outcome;
use super::stream::{Emitter, drive};
use super::{Feed, HttpError};
use crate::pipeline::Exception;
use crate::tag::Tag;

pub use super::extract::{last, part};

/// First step, for a `Result`.
pub trait ResultTag {
    /// The step.
    fn result(&self) -> IsResult {
        IsResult
    }
}

impl<T, E> ResultTag for Tag<Result<T, E>> {}

/// First step, for anything else.
pub trait NotResult {
    /// The step.
    fn result(&self) -> IsNoResult {
        IsNoResult
    }
}

impl<T> NotResult for &Tag<T> {}

/// The step for a `Result`.
pub struct IsResult;

impl IsResult {
    /// The value or the error.
    ///
    /// # Errors
    /// The handler's.
    pub fn split<T, E: RouteError>(self, result: Result<T, E>) -> Result<T, Exception> {
        result.map_err(Exception::of_http)
    }
}

/// What a handler may fail with.
#[diagnostic::on_unimplemented(
    message = "a handler cannot fail with `{Self}`: it is not said what the client may read of it",
    label = "does not become an `HttpError`",
    note = "for an error of yours write `impl From<{Self}> for HttpError`",
    note = "for any other return `Result<_, HttpError>`, and write `.map_err(HttpError::internal)?`: the client reads `Internal server error`, and the error is logged"
)]
pub trait RouteError: Into<HttpError> + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<E: Into<HttpError> + Send + Sync + 'static> RouteError for E {}

/// The step for what is none.
pub struct IsNoResult;

impl IsNoResult {
    /// The value.
    ///
    /// # Errors
    /// None.
    pub fn split<T>(self, value: T) -> Result<T, Exception> {
        Ok(value)
    }
}

/// What no stream is answered with: a browser does not come back then.
pub fn no_more() -> Outcome {
    Outcome::Response(StatusCode::NO_CONTENT.into_response())
}

/// Last step of `#[get]` and the like, for what axum can answer with.
pub trait ResponseTag {
    /// The step.
    fn kind(&self) -> IsResponse {
        IsResponse
    }
}

impl<T: IntoResponse> ResponseTag for Tag<T> {}

/// Last step of `#[get]` and the like, for any other value.
pub trait ValueTag {
    /// The step.
    fn kind(&self) -> IsValue {
        IsValue
    }
}

impl<T> ValueTag for &Tag<T> {}

/// A response of axum's.
pub struct IsResponse;

impl IsResponse {
    /// Answers with it.
    ///
    /// # Errors
    /// None.
    pub fn answer<T: IntoResponse>(self, value: T) -> Result<Outcome, Exception> {
        Ok(Outcome::Response(value.into_response()))
    }
}

/// A value.
pub struct IsValue;

impl IsValue {
    /// Answers with it as JSON.
    ///
    /// # Errors
    /// If it cannot be JSON.
    #[allow(clippy::needless_pass_by_value, reason = "the value ends here")]
    pub fn answer<T: Serialize>(self, value: T) -> Result<Outcome, Exception> {
        match serde_json::to_string(&value) {
            Ok(json) => Ok(Outcome::Json(json)),
            Err(error) => Err(Exception::of_http(HttpError::internal(error))),
        }
    }
}

/// Last step of `#[sse]`, for a feed.
pub trait FeedTag {
    /// The step.
    fn source(&self) -> IsFeed {
        IsFeed
    }
}

impl FeedTag for Tag<Feed> {}

/// Last step of `#[sse]`, for a stream.
pub trait StreamTag {
    /// The step.
    fn source(&self) -> IsStream {
        IsStream
    }
}

impl<T> StreamTag for &Tag<T> {}

/// A feed.
pub struct IsFeed;

impl IsFeed {
    /// Answers with it.
    ///
    /// # Errors
    /// None.
    pub fn answer(
        self,
        feed: Feed,
        _: Emitter,
        _: fn(()) -> Result<SseEvent, Exception>,
    ) -> impl Future<Output = Result<Outcome, Exception>> {
        std::future::ready(Ok(Outcome::Feed(feed)))
    }
}

/// A stream.
pub struct IsStream;

impl IsStream {
    /// Sends its items, as they come.
    ///
    /// # Errors
    /// What the stream fails with.
    pub async fn answer<S: Stream>(
        self,
        stream: S,
        emitter: Emitter,
        each: fn(S::Item) -> Result<SseEvent, Exception>,
    ) -> Result<Outcome, Exception> {
        drive(stream, &emitter, each).await
    }
}

/// An item of a stream that is an event, or a text.
pub trait EventTag {
    /// The step.
    fn item(&self) -> IsEvent {
        IsEvent
    }
}

impl EventTag for Tag<SseEvent> {}
impl EventTag for Tag<String> {}
impl EventTag for Tag<&'static str> {}

/// An item of a stream that is any other value.
pub trait ItemTag {
    /// The step.
    fn item(&self) -> IsItem {
        IsItem
    }
}

impl<T> ItemTag for &Tag<T> {}

/// An event, or a text.
pub struct IsEvent;

/// What is an event as it is.
pub trait Eventful {
    /// The event.
    fn into_event(self) -> SseEvent;
}

impl Eventful for SseEvent {
    fn into_event(self) -> SseEvent {
        self
    }
}

impl Eventful for String {
    fn into_event(self) -> SseEvent {
        SseEvent::data(self)
    }
}

impl Eventful for &'static str {
    fn into_event(self) -> SseEvent {
        SseEvent::data(self)
    }
}

impl IsEvent {
    /// The event.
    ///
    /// # Errors
    /// None.
    pub fn event<T: Eventful>(self, item: T) -> Result<SseEvent, Exception> {
        Ok(item.into_event())
    }
}

/// A value.
pub struct IsItem;

impl IsItem {
    /// An event with it as JSON.
    ///
    /// # Errors
    /// If it cannot be JSON.
    #[allow(clippy::needless_pass_by_value, reason = "the item ends here")]
    pub fn event<T: Serialize>(self, item: T) -> Result<SseEvent, Exception> {
        SseEvent::json(&item).map_err(|error| Exception::of_http(HttpError::internal(error)))
    }
}
