//! The pipeline around a handler, in NestJS's order: guards, interceptors, pipes and extractors, the handler, interceptors
//! again, and exception filters for every error on the way.
//!
//! Each is bound to a handler or a gateway by an attribute (`#[use_guards(..)]`, `#[use_interceptors(..)]`,
//! `#[use_pipes(..)]`, `#[use_filters(..)]`) or to all by the [`App`](crate::App). An entry that is a type (`JwtGuard`) is resolved from the
//! container, so that it may inject providers; any other expression (`Throttle::per_client(..)`) is a value of its own.
//!
//! A handler to which nothing is bound takes none of this: that is decided at start, not for each message.

mod answer;
mod body_pipe;
mod connection_limit;
mod context;
mod enhancers;
mod exception;
mod expiry;
mod filter;
mod guard;
mod interceptor;
mod pipe;
mod route;
mod sending;
mod throttle;
mod thrown;
mod timeout;

pub use answer::Answer;
pub(crate) use answer::Kind as AnswerKind;
pub use body_pipe::BodyPipe;
pub use connection_limit::{ConnectionLimit, TooManyConnections};
pub(crate) use context::Outcome;
pub use context::{ContextKind, ExecutionContext};
pub(crate) use enhancers::Bound as BoundEnhancers;
pub use enhancers::Enhancers;
pub use exception::WsException;
pub(crate) use exception::{Cause, INTERNAL, Kind as ExceptionKind, internal_json};
pub use expiry::Expiry;
pub(crate) use expiry::stream_end;
pub use filter::ExceptionFilter;
pub use guard::Guard;
pub use interceptor::Interceptor;
#[doc(hidden)]
pub use pipe::Chain;
pub use pipe::{
    Argument, DefaultValue, ParseBool, ParseFloat, ParseInt, ParseRejection, Pipe, Scalar, Trim, Validate,
};
pub use route::Next;
pub(crate) use route::{Destination, Globals, Panicked, Route, Target, answer, run};
pub use throttle::{Throttle, Throttled};
pub use thrown::Exception;
pub use timeout::{TimedOut, Timeout};
