//! The steps from a handler's result to its answer, chosen by concrete type in the expansion of `#[subscriptions]`:
//! `Result`, then `Option`, then `()`, `WsResponse`, `Payload` or any value. Calls on `&Tag` prefer the impl for
//! `Tag<..>`, and fall back to the one for `&Tag<T>`.

use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use serde::Serialize;

use super::context::MessageContext;
use super::extract::FromMessage;
use super::reply::{Reply, WsResponse};
use crate::Payload;
use crate::pipeline::WsException;

/// The type of a result, or of a layer of it.
pub struct Tag<T>(PhantomData<fn() -> T>);

impl<T> Tag<T> {
    /// The type of `value`.
    pub fn of(_: &T) -> Self {
        Self(PhantomData)
    }
}

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
    fn result(&self) -> IsNot {
        IsNot
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
    pub fn split<T, E: Into<WsException> + Send + Sync + 'static>(
        self,
        result: Result<T, E>,
    ) -> Result<T, E> {
        result
    }
}

/// The first step for what is no `Result`, the second for what is no `Option`.
pub struct IsNot;

impl IsNot {
    /// The value, in the layer that the step expects.
    pub fn split<T, L: Layer<T>>(self, value: T) -> L {
        L::wrap(value)
    }
}

/// `Result` and `Option` around a value.
pub trait Layer<T> {
    /// The value inside.
    fn wrap(value: T) -> Self;
}

impl<T> Layer<T> for Result<T, WsException> {
    fn wrap(value: T) -> Self {
        Ok(value)
    }
}

impl<T> Layer<T> for Option<T> {
    fn wrap(value: T) -> Self {
        Some(value)
    }
}

/// Second step, for an `Option`.
pub trait OptionTag {
    /// The step.
    fn option(&self) -> IsOption {
        IsOption
    }
}

impl<T> OptionTag for Tag<Option<T>> {}

/// Second step, for anything else.
pub trait NotOption {
    /// The step.
    fn option(&self) -> IsNot {
        IsNot
    }
}

impl<T> NotOption for &Tag<T> {}

/// The step for an `Option`.
pub struct IsOption;

impl IsOption {
    /// The value, if there is one.
    pub fn split<T>(self, value: Option<T>) -> Option<T> {
        value
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

/// Any value.
pub struct ValueReply;

impl ValueReply {
    /// Sends it.
    #[allow(clippy::needless_pass_by_value, reason = "the value ends here")]
    pub fn send<T: Serialize>(self, value: T, reply: Reply<'_>) {
        reply.value(&value);
    }
}

macro_rules! special {
    ($kind:ident, [$($generics:tt)*], $ty:ty, |$value:ident, $reply:ident| $send:expr) => {
        #[doc = concat!("`", stringify!($ty), "`.")]
        pub struct $kind;

        impl $kind {
            /// Sends it.
            #[allow(clippy::needless_pass_by_value, reason = "the value ends here")]
            pub fn send<$($generics)*>(self, $value: $ty, $reply: Reply<'_>) {
                $send
            }
        }

        impl<$($generics)*> SpecialReply for Tag<$ty> {
            type Kind = $kind;

            fn kind(&self) -> $kind {
                $kind
            }
        }
    };
}

special!(UnitReply, [], (), |_nothing, reply| reply.nothing());
special!(ResponseReply, [T: Serialize], WsResponse<T>, |response, reply| reply.response(&response));
special!(PayloadReply, [], Payload, |payload, reply| reply
    .payload(&payload));

/// One argument of a handler; none if it was rejected, which is answered already.
pub fn extract<T: FromMessage>(message: &MessageContext<'_>) -> Option<T> {
    T::from_message(message)
        .map_err(|rejection| message.reply().exception(rejection))
        .ok()
}

/// The handler's future, with a panic as its error.
pub fn catch_panic<F: Future>(future: F) -> impl Future<Output = std::thread::Result<F::Output>> {
    AssertUnwindSafe(future).catch_unwind()
}
