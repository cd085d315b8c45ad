//! The steps from a handler's result to its answer, chosen by concrete type in the expansion of `#[subscriptions]`:
//! `Result`, then `Option`, then `()`, `WsResponse`, `Payload`, `AckOnly`, a stream or any value; and the same steps for
//! each item of a stream. Calls on `&Tag` prefer the impl for `Tag<..>`, and fall back to the one for `&Tag<T>`.
//!
//! A kind answers in one of two ways: `answer` at once, for a method that has returned, or `finish` for a handler's
//! future, which goes on with what that gives, if it gives something.

use std::future::Ready;

use futures_util::Stream;
use serde::{Deserialize, Serialize};

use super::context::MessageContext;
use super::extract::{FromMessage, read_part};
use super::reply::{AckOnly, PendingReply, WsResponse};
use super::stream::drive;
use super::subscription::Handled;
use crate::Payload;
use crate::pipeline::{Argument, Exception, Pipe, WsException};
use crate::tag::Tag;

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
    pub fn split<T, E: HandlerError>(self, result: Result<T, E>) -> Result<T, E> {
        result
    }
}

/// What a handler may fail with.
#[diagnostic::on_unimplemented(
    message = "a handler cannot fail with `{Self}`: it is not said what the client may read of it",
    label = "does not become a `WsException`",
    note = "for an error of yours write `impl From<{Self}> for WsException`",
    note = "for any other return `Result<_, WsException>`, and write `.map_err(WsException::internal)?`: the client reads `Internal server error`, and the error is logged"
)]
pub trait HandlerError: Into<WsException> + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<E: Into<WsException> + Send + Sync + 'static> HandlerError for E {}

/// The step for what is none.
pub struct IsNoResult;

impl IsNoResult {
    /// The value.
    ///
    /// # Errors
    /// None.
    pub fn split<T>(self, value: T) -> Result<T, WsException> {
        Ok(value)
    }
}

/// Last step, for the types that mean something else than their value.
pub trait SpecialReply {
    /// How it is sent.
    type Kind;

    /// How it is sent.
    fn kind(&self) -> Self::Kind;
}

/// Last step, for any value.
pub trait AnyReply {
    /// How it is sent.
    fn kind(&self) -> ValueReply {
        ValueReply
    }
}

impl<T> AnyReply for &Tag<T> {}

/// What the macro makes of each item of a stream; of a result that is none, it is asked about `()` and never called.
type EachOf<T> = fn(T, &PendingReply) -> Result<(), Exception>;

macro_rules! kind {
    ($kind:ident, [$($generics:tt)*], $ty:ty, |$value:ident, $reply:ident| $send:expr) => {
        #[doc = concat!("`", stringify!($ty), "`.")]
        pub struct $kind;

        impl $kind {
            /// Answers with it.
            #[allow(clippy::needless_pass_by_value, reason = "the value ends here")]
            pub fn answer<$($generics)*>(self, $value: $ty, message: &MessageContext<'_>, _: EachOf<()>) -> Handled {
                let $reply = message.reply();
                $send;
                None
            }

            /// Answers with it.
            #[allow(clippy::needless_pass_by_value, reason = "the value ends here")]
            pub fn finish<$($generics)*>(
                self,
                $value: $ty,
                reply: &mut PendingReply,
                _: EachOf<()>,
            ) -> Option<Ready<()>> {
                let $reply = reply.reply();
                $send;
                None
            }
        }
    };
}

macro_rules! special {
    ($kind:ident, [$($generics:tt)*], $ty:ty, |$value:ident, $reply:ident| $send:expr) => {
        kind!($kind, [$($generics)*], $ty, |$value, $reply| $send);

        impl<$($generics)*> SpecialReply for Tag<$ty> {
            type Kind = $kind;

            fn kind(&self) -> $kind {
                $kind
            }
        }
    };
}

kind!(ValueReply, [T: Serialize], T, |value, reply| reply.value(&value));
special!(UnitReply, [], (), |_nothing, reply| reply.nothing());
special!(ResponseReply, [T: Serialize], WsResponse<T>, |response, reply| reply.response(&response));
special!(PayloadReply, [], Payload, |payload, reply| reply
    .payload(&payload));
special!(AckOnlyReply, [T: Serialize], AckOnly<T>, |value, reply| reply.ack_only(&value.0));

macro_rules! item {
    ($kind:ident, [$($generics:tt)*], $ty:ty, |$value:ident, $reply:ident| $emit:expr) => {
        impl $kind {
            /// Emits it, as an item of a stream.
            ///
            /// # Errors
            /// If it cannot be encoded.
            #[allow(clippy::needless_pass_by_value, reason = "the item ends here")]
            pub fn emit<$($generics)*>(self, $value: $ty, $reply: &PendingReply) -> Result<(), Exception> {
                $emit
            }
        }
    };
}

item!(ValueReply, [T: Serialize], T, |value, reply| reply.emit(&value));
item!(UnitReply, [], (), |_nothing, _reply| Ok(()));
item!(ResponseReply, [T: Serialize], WsResponse<T>, |response, reply| {
    reply.emit_as(&response.event, &response.data)
});
item!(PayloadReply, [], Payload, |payload, reply| {
    reply.emit_payload(&payload);
    Ok(())
});

/// Last step, for a stream.
pub trait StreamTag {
    /// How it is sent.
    fn kind(&self) -> StreamReply {
        StreamReply
    }
}

impl<S: Stream> StreamTag for Tag<S> {}

/// A stream.
pub struct StreamReply;

impl StreamReply {
    /// Sends its items, as they come.
    pub fn answer<S: Stream + Send + 'static>(
        self,
        stream: S,
        message: &MessageContext<'_>,
        each: EachOf<S::Item>,
    ) -> Handled {
        let mut reply = message.detach();
        Some(Box::pin(async move { drive(stream, &mut reply, each).await }))
    }

    /// Sends its items, as they come.
    pub fn finish<S: Stream>(
        self,
        stream: S,
        reply: &mut PendingReply,
        each: EachOf<S::Item>,
    ) -> Option<impl Future<Output = ()>> {
        Some(drive(stream, reply, each))
    }
}

/// One argument of a handler that is a part of the body, or all of it; none if it was rejected, which is answered already.
pub fn part<T: for<'de> Deserialize<'de> + 'static>(
    message: &MessageContext<'_>,
    key: Option<&'static str>,
) -> Option<T> {
    read_part(message.event(), key)
        .map_err(|rejection| message.reply().exception(rejection))
        .ok()
}

/// What the pipe of an argument begins with.
pub fn pipe_input<T, P>(
    message: &MessageContext<'_>,
    key: Option<&'static str>,
    _: impl FnOnce() -> P,
) -> Option<P::Input>
where
    P: Pipe<T, Input: for<'de> Deserialize<'de> + 'static>,
{
    part(message, key)
}

/// Sends an argument through its pipe.
pub fn transform<T, P: Pipe<T>>(
    pipe: &P,
    value: P::Input,
    argument: &Argument,
) -> impl Future<Output = Result<T, Exception>> + Send {
    pipe.transform(value, argument)
}

/// One argument of a handler; none if it was rejected, which is answered already.
pub fn extract<T: FromMessage>(message: &MessageContext<'_>) -> Option<T> {
    T::from_message(message)
        .map_err(|rejection| message.reply().exception(rejection))
        .ok()
}
