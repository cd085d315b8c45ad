//! Pipes: what turns a part of a message's body into a handler's argument, or refuses it. They see one value, not the
//! message; who may send it is a guard's question. Pipes of whole bodies are in `body_pipe`.

use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Number, Value};

use super::{BodyPipe, Exception, WsException};
use crate::gateway::{BodyRejection, FieldError, validate};
use crate::{Payload, Socket};

/// Turns what a client sent into an `Out`.
///
/// A handler's parameter names its pipes in `#[message_body(..)]`, behind the key of the field if it is not the whole
/// body; each gets what the one before it has made, the first what the client sent. The type of the parameter chooses
/// what they make.
///
/// A pipe is a value: `Trim`, `Clamp { min: 0, max: 9 }`. One that needs providers is a field of the gateway, injected as
/// every other, and named with `self`.
///
/// ```
/// use gatewire::prelude::*;
///
/// #[injectable]
/// struct Users;
///
/// struct User { name: String }
///
/// impl Users {
///     async fn find(&self, id: u64) -> Option<User> {
///         (id == 1).then(|| User { name: "ada".to_owned() })
///     }
/// }
///
/// /// The user with that id.
/// #[injectable]
/// struct UserById {
///     users: Arc<Users>,
/// }
///
/// impl Pipe<User> for UserById {
///     type Input = u64;
///
///     async fn transform(&self, id: u64, _: &Argument) -> Result<User, Exception> {
///         Ok(self.users.find(id).await.ok_or("no such user")?)
///     }
/// }
///
/// #[websocket_gateway]
/// struct Greetings {
///     user_by_id: Arc<UserById>,
/// }
///
/// #[subscriptions]
/// impl Greetings {
///     #[subscribe_message("greet")]
///     async fn greet(
///         &self,
///         #[message_body("id", ParseInt, self.user_by_id)] user: User,
///         #[message_body("with", Trim)] greeting: String,
///     ) -> String {
///         format!("{greeting}, {}", user.name)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no pipe that makes a `{Out}`",
    label = "does not make a `{Out}`",
    note = "write `impl Pipe<{Out}> for {Self} {{ type Input = ..; async fn transform(&self, value: Self::Input, argument: &Argument) -> Result<{Out}, Exception> {{ .. }} }}`"
)]
pub trait Pipe<Out>: Send + Sync {
    /// What it is made of: any type that deserialises, or what the pipe before makes.
    type Input: Send;

    /// Makes it.
    ///
    /// # Errors
    /// The client gets the error as an exception, and the handler is not run.
    fn transform(
        &self,
        value: Self::Input,
        argument: &Argument,
    ) -> impl Future<Output = Result<Out, Exception>> + Send;
}

/// The place of a value that goes through a pipe.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Argument {
    /// The field of the body; `None` for the whole.
    pub key: Option<&'static str>,
    /// The message's event.
    pub pattern: &'static str,
    /// Who sent it.
    pub client: Socket,
}

impl<Out, P: Pipe<Out> + ?Sized> Pipe<Out> for &P {
    type Input = P::Input;

    fn transform(
        &self,
        value: P::Input,
        argument: &Argument,
    ) -> impl Future<Output = Result<Out, Exception>> + Send {
        (**self).transform(value, argument)
    }
}

impl<Out, P: Pipe<Out> + ?Sized> Pipe<Out> for Arc<P> {
    type Input = P::Input;

    fn transform(
        &self,
        value: P::Input,
        argument: &Argument,
    ) -> impl Future<Output = Result<Out, Exception>> + Send {
        (**self).transform(value, argument)
    }
}

/// Two pipes in a row.
#[doc(hidden)]
pub struct Chain<A, B>(pub A, pub B);

impl<Out: Send, A: Pipe<B::Input>, B: Pipe<Out>> Pipe<Out> for Chain<A, B> {
    type Input = A::Input;

    async fn transform(&self, value: A::Input, argument: &Argument) -> Result<Out, Exception> {
        let value = self.0.transform(value, argument).await?;
        self.1.transform(value, argument).await
    }
}

/// Takes the white space off both ends of a text, or of one that may be missing; for whole bodies
/// (`#[use_pipes(Trim)]`) of every text in them, names of fields excepted.
#[derive(Clone, Copy, Debug)]
#[crate::injectable]
pub struct Trim;

impl Pipe<String> for Trim {
    type Input = String;

    async fn transform(&self, value: String, _: &Argument) -> Result<String, Exception> {
        Ok(trim(value))
    }
}

impl Pipe<Option<String>> for Trim {
    type Input = Option<String>;

    async fn transform(&self, value: Option<String>, _: &Argument) -> Result<Option<String>, Exception> {
        Ok(value.map(trim))
    }
}

impl BodyPipe for Trim {
    async fn transform(&self, body: Payload, _: &Argument) -> Result<Payload, Exception> {
        Ok(body.map_json(trim_all).map_err(BodyRejection::from)?)
    }
}

fn trim_all(value: &mut Value) {
    match value {
        Value::String(text) => *text = trim(std::mem::take(text)),
        Value::Array(values) => values.iter_mut().for_each(trim_all),
        Value::Object(fields) => fields.values_mut().for_each(trim_all),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn trim(text: String) -> String {
    let trimmed = text.trim();
    if trimmed.len() == text.len() {
        text
    } else {
        trimmed.to_owned()
    }
}

/// Asks a value's own rules, as [`Valid`](crate::gateway::Valid) does for a whole body; the fields in the answer are
/// named with the key of the part.
#[derive(Clone, Copy, Debug)]
pub struct Validate;

impl<T> Pipe<T> for Validate
where
    T: garde::Validate + Send,
    T::Context: Default,
{
    type Input = T;

    async fn transform(&self, value: T, argument: &Argument) -> Result<T, Exception> {
        validate(&value, argument.key)?;
        Ok(value)
    }
}

/// Takes this value where the client sent none, or `null`.
#[derive(Clone, Copy, Debug)]
pub struct DefaultValue<T>(pub T);

impl<T: Clone + Send + Sync> Pipe<T> for DefaultValue<T> {
    type Input = Option<T>;

    async fn transform(&self, value: Option<T>, _: &Argument) -> Result<T, Exception> {
        Ok(value.unwrap_or_else(|| self.0.clone()))
    }
}

/// A single value as it came: what the parsing pipes begin with.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Scalar {
    /// A text.
    Text(String),
    /// A number.
    Number(Number),
    /// A boolean.
    Bool(bool),
    /// Anything else, which no parsing pipe takes.
    Other(serde::de::IgnoredAny),
}

/// An integer of any type, from a number or from its digits in a text; an `Option` of one may be missing, which a
/// [`DefaultValue`] behind it makes good: `#[message_body("page", ParseInt, DefaultValue(1))]`.
#[derive(Clone, Copy, Debug)]
pub struct ParseInt;

/// A finite number, from a number or from its text; or an `Option` of one, as [`ParseInt`].
#[derive(Clone, Copy, Debug)]
pub struct ParseFloat;

/// A boolean, also from the texts `true` and `false`; or an `Option` of one, as [`ParseInt`].
#[derive(Clone, Copy, Debug)]
pub struct ParseBool;

/// A value is not of the kind that a parsing pipe makes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Validation failed ({expected} is expected)")]
#[non_exhaustive]
pub struct ParseRejection {
    /// The field of the body; `None` for the whole.
    pub key: Option<&'static str>,
    /// What it should be, in NestJS's words.
    pub expected: &'static str,
}

impl From<ParseRejection> for WsException {
    fn from(rejection: ParseRejection) -> Self {
        let constraint = format!("{} is expected", rejection.expected);
        let error = FieldError::new(rejection.key.unwrap_or_default(), constraint);
        Self::new(rejection.to_string()).with("errors", [error])
    }
}

const NUMERIC: &str = "numeric string";
const BOOLEAN: &str = "boolean string";

macro_rules! parse {
    ($pipe:ident, $expected:expr, $read:expr, $($ty:ty),*) => {$(
        impl Pipe<$ty> for $pipe {
            type Input = Scalar;

            async fn transform(&self, value: Scalar, argument: &Argument) -> Result<$ty, Exception> {
                let read: fn(Scalar) -> Option<$ty> = $read;
                let rejection = ParseRejection { key: argument.key, expected: $expected };
                Ok(read(value).ok_or(rejection)?)
            }
        }

        impl Pipe<Option<$ty>> for $pipe {
            type Input = Option<Scalar>;

            async fn transform(
                &self,
                value: Option<Scalar>,
                argument: &Argument,
            ) -> Result<Option<$ty>, Exception> {
                match value {
                    Some(value) => Ok(Some(Pipe::<$ty>::transform(self, value, argument).await?)),
                    None => Ok(None),
                }
            }
        }
    )*};
}

parse!(
    ParseInt,
    NUMERIC,
    |value| match value {
        Scalar::Text(text) if text.starts_with('+') => None,
        Scalar::Text(text) => text.parse().ok(),
        Scalar::Number(number) => number.to_string().parse().ok(),
        _ => None,
    },
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    u8,
    u16,
    u32,
    u64,
    u128,
    usize
);

parse!(ParseFloat, NUMERIC, float, f32, f64);

parse!(
    ParseBool,
    BOOLEAN,
    |value| match value {
        Scalar::Bool(value) => Some(value),
        Scalar::Text(text) => text.parse().ok(),
        _ => None,
    },
    bool
);

fn float<T: FromStr + Into<f64> + Copy>(value: Scalar) -> Option<T> {
    let text = match value {
        Scalar::Text(text) => text,
        Scalar::Number(number) => number.to_string(),
        _ => return None,
    };
    text.parse()
        .ok()
        .filter(|number: &T| (*number).into().is_finite())
}
