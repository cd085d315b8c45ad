//! The call of a handler: it has answered when its future is ready, or when that has opened a stream, which it then goes on
//! to fill.

use std::panic::AssertUnwindSafe;
use std::task::Poll;

use axum::response::Response;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, poll_fn};
use gatewire_hub::Payload;

use super::HttpError;
use super::feed::Feed;
use super::stream::Emitter;
use crate::gateway::panic_text;
use crate::pipeline::{Answer, AnswerKind, Exception, ExecutionContext, Panicked};

/// What a handler makes of a request.
pub type Called = BoxFuture<'static, Result<Outcome, Exception>>;

/// What a handler has answered.
pub enum Outcome {
    /// A value, as JSON.
    Json(String),
    /// A response of axum's.
    Response(Response),
    /// It listens to a namespace.
    Feed(Feed),
    /// The stream that it has opened is at its end.
    Ended,
}

/// The answer to a request, as it is to be served.
pub(crate) enum Answered {
    /// Nothing: an interceptor has answered so.
    Nothing,
    Json(String),
    Response(Response),
    Feed(Feed),
    /// A stream, which the call goes on to fill.
    Stream(Called, Emitter),
}

/// The handler of a request, and after it was called what it has answered.
pub(crate) enum HttpCall {
    Due(Called, Emitter),
    Done(Answered),
}

impl HttpCall {
    /// Calls it.
    pub(crate) async fn call(
        mut called: Called,
        emitter: Emitter,
        name: &str,
    ) -> Result<Answered, Exception> {
        let opened = poll_fn(|cx| match called.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending if emitter.is_open() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        let outcome = match AssertUnwindSafe(opened).catch_unwind().await {
            Ok(outcome) => outcome,
            Err(panic) => {
                let text = panic_text(&*panic);
                tracing::error!(target: "gatewire", context = name, "a handler panicked: {text}");
                return Err(Panicked.into());
            }
        };
        Ok(match outcome {
            None => Answered::Stream(called, emitter),
            Some(outcome) => match outcome? {
                Outcome::Json(json) => Answered::Json(json),
                Outcome::Response(response) => Answered::Response(response),
                Outcome::Feed(feed) => Answered::Feed(feed),
                Outcome::Ended => Answered::Nothing,
            },
        })
    }

    /// Calls the handler of a request that has come through its guards.
    pub(crate) async fn run(context: &ExecutionContext) -> Result<Answer, Exception> {
        let call = context.http_call().and_then(|mut call| call.take());
        let Some(Self::Due(called, emitter)) = call else {
            // It was called before, and an interceptor asks again.
            return Ok(Answer::nothing());
        };
        let answered = Self::call(called, emitter, context.gateway()).await?;
        if let Answered::Json(json) = answered {
            return Payload::from_json(&json, Vec::new())
                .map(Answer::payload)
                .map_err(|error| Exception::of_http(HttpError::internal(error)));
        }
        if let Some(mut call) = context.http_call() {
            *call = Some(Self::Done(answered));
        }
        Ok(Answer(AnswerKind::Kept))
    }

    /// What is to be served for the answer that has come through the interceptors.
    pub(crate) fn answered(answer: &Answer, context: &ExecutionContext) -> Answered {
        if let Some(data) = answer.data() {
            return Answered::Json(match data.args() {
                args if args.len() == 1 => args.json().to_owned(),
                args => format!("[{}]", args.json()),
            });
        }
        match context.http_call().and_then(|mut call| call.take()) {
            Some(Self::Done(answered)) if answer.0 == AnswerKind::Kept => answered,
            _ => Answered::Nothing,
        }
    }
}
