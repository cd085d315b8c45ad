//! What a stage of the pipeline failed with, still of the type that was thrown, so that a filter for that type can
//! catch it. What the client reads of it is [`WsException`]'s matter.

use std::any::Any;
use std::fmt;

use super::WsException;
use crate::controller::HttpError;

/// An error on its way through the pipeline: whatever a handler, extractor, guard or interceptor failed with.
///
/// Every type that converts into a [`WsException`] converts into this one, so that `?` works in guards and
/// interceptors; the value is kept as it is until a filter [catches](super::ExceptionFilter) it or the client is told.
///
/// ```
/// use gatewire::pipeline::Exception;
/// use gatewire::prelude::*;
///
/// #[derive(Debug, PartialEq)]
/// struct RoomFull(u32);
///
/// impl From<RoomFull> for WsException {
///     fn from(full: RoomFull) -> Self {
///         Self::new(format!("room {} is full", full.0))
///     }
/// }
///
/// let exception = Exception::from(RoomFull(7));
/// assert_eq!(exception.downcast_ref(), Some(&RoomFull(7)));
/// assert_eq!(exception.into_ws(), WsException::new("room 7 is full"));
/// ```
pub struct Exception(Box<dyn Typed>);

trait Typed: Send + Sync {
    fn into_ws(self: Box<Self>) -> WsException;
    /// What the client of a controller is told, if it was thrown for one.
    fn into_http(self: Box<Self>) -> Result<HttpError, WsException>;
    fn any(&self) -> &dyn Any;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
    fn name(&self) -> &'static str;
}

impl<E: Into<WsException> + Send + Sync + 'static> Typed for E {
    fn into_ws(self: Box<Self>) -> WsException {
        (*self).into()
    }

    fn into_http(self: Box<Self>) -> Result<HttpError, WsException> {
        let this: Box<dyn Any> = self;
        match this.downcast::<HttpError>() {
            Ok(error) => Ok(*error),
            Err(this) => Err(match this.downcast::<E>() {
                Ok(error) => (*error).into(),
                // It is the type that it was.
                Err(_) => WsException::internal("an exception of another type"),
            }),
        }
    }

    fn any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }

    fn name(&self) -> &'static str {
        std::any::type_name::<E>()
    }
}

/// An error of a controller's handler, which may mean nothing to clients of gateways.
struct OfHttp<E>(E);

impl<E: Into<HttpError> + Send + Sync + 'static> Typed for OfHttp<E> {
    fn into_ws(self: Box<Self>) -> WsException {
        self.0.into().into()
    }

    fn into_http(self: Box<Self>) -> Result<HttpError, WsException> {
        Ok(self.0.into())
    }

    fn any(&self) -> &dyn Any {
        &self.0
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        Box::new(self.0)
    }

    fn name(&self) -> &'static str {
        std::any::type_name::<E>()
    }
}

impl Exception {
    /// What the client is told.
    pub fn into_ws(self) -> WsException {
        self.0.into_ws()
    }

    /// One of a controller's handler.
    pub(crate) fn of_http<E: Into<HttpError> + Send + Sync + 'static>(error: E) -> Self {
        Self(Box::new(OfHttp(error)))
    }

    /// What the client of a controller is told; an error that was not thrown for one comes as what others are told.
    pub(crate) fn into_http(self) -> Result<HttpError, WsException> {
        self.0.into_http()
    }

    /// Whether it was thrown as an `E`.
    pub fn is<E: 'static>(&self) -> bool {
        self.0.any().is::<E>()
    }

    /// The error, if it was thrown as an `E`.
    pub fn downcast_ref<E: 'static>(&self) -> Option<&E> {
        self.0.any().downcast_ref()
    }

    /// The error, if it was thrown as an `E`.
    ///
    /// # Errors
    /// The exception itself, if it was not.
    pub fn downcast<E: 'static>(self) -> Result<E, Self> {
        if !self.is::<E>() {
            return Err(self);
        }
        match self.0.into_any().downcast() {
            Ok(error) => Ok(*error),
            // It was asked just now.
            Err(_) => Err(WsException::internal("an exception of another type").into()),
        }
    }

    /// The type that was thrown, for the log.
    pub fn type_name(&self) -> &'static str {
        self.0.name()
    }
}

impl<E: Into<WsException> + Send + Sync + 'static> From<E> for Exception {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

/// The message of a [`WsException`]; of any other type the name, since only the client's form of it has a text.
impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.downcast_ref::<WsException>() {
            Some(exception) => exception.fmt(f),
            None => f.write_str(self.type_name()),
        }
    }
}

impl fmt::Debug for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.downcast_ref::<WsException>() {
            Some(exception) => f.debug_tuple("Exception").field(exception).finish(),
            None => write!(f, "Exception({})", self.type_name()),
        }
    }
}
