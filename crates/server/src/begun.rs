//! What a request to an engine turned out to be for, and how its answer is come by: so that a poll, which may wait for long,
//! has no room for what others need. Which of them it is the [engine](crate::Engine) finds out.

use std::pin::Pin;
use std::sync::Arc;

use http::{Response, StatusCode};

use crate::compression::Encoding;
use crate::http::{self as answer, Body};
use crate::outbox::Outbox;
use crate::request::{Callback, Target};
use crate::shared::Node;
use crate::transport::polling;

/// What a request turned out to be for.
pub(crate) enum Begun {
    /// Nothing: this is the answer.
    Answered(Response<Body>),
    Poll(Poll),
    Here(Target),
    /// A session of another node, maybe.
    Elsewhere(Arc<Node>),
}

/// How the answer to it is come by.
pub(crate) enum Step<H, E> {
    Answered(Response<Body>),
    Poll(Poll),
    Here(Pin<Box<H>>),
    Elsewhere(Pin<Box<E>>),
}

/// A GET of a session on polling.
pub(crate) struct Poll {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) callback: Callback,
    pub(crate) accepted: Option<Encoding>,
    /// It comes from an old browser.
    pub(crate) is_old: bool,
}

impl Poll {
    pub(crate) async fn answer(self) -> Response<Body> {
        let mut response = polling::poll(&self.outbox, self.callback.as_deref(), self.accepted).await;
        if response.status() == StatusCode::OK && self.is_old {
            answer::calm(response.headers_mut());
        }
        response
    }
}
