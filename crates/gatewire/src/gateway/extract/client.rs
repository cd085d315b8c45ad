//! What a handler may ask about the sender: its socket, namespace, handshake, and the data kept with it.

use std::convert::Infallible;
use std::ops::Deref;
use std::sync::Arc;

use super::{FromMessage, MissingExtension};
use crate::gateway::MessageContext;
use crate::{Server, Socket};

/// NestJS's name for the extractor [`Socket`].
pub type ConnectedSocket = Socket;

impl FromMessage for Socket {
    type Rejection = Infallible;

    fn from_message(message: &MessageContext<'_>) -> Result<Self, Infallible> {
        Ok(message.socket().clone())
    }
}

impl FromMessage for Server {
    type Rejection = Infallible;

    fn from_message(message: &MessageContext<'_>) -> Result<Self, Infallible> {
        Ok(message.socket().namespace().clone())
    }
}

/// What the client's connection began with: headers, query, address.
#[derive(Clone)]
pub struct Handshake(pub Arc<gatewire_hub::Handshake>);

impl Deref for Handshake {
    type Target = gatewire_hub::Handshake;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FromMessage for Handshake {
    type Rejection = Infallible;

    fn from_message(message: &MessageContext<'_>) -> Result<Self, Infallible> {
        Ok(Self(Arc::clone(message.socket().handshake())))
    }
}

/// The event's name; of use in a handler of several events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern(pub &'static str);

impl FromMessage for Pattern {
    type Rejection = Infallible;

    fn from_message(message: &MessageContext<'_>) -> Result<Self, Infallible> {
        Ok(Self(message.pattern()))
    }
}

/// The value of type `T` that was kept with the client by `socket.set(..)`, usually in `handle_connection`. A client
/// without one is answered with an internal error; take `Option<Extension<T>>` where it may be missing.
#[derive(Debug)]
pub struct Extension<T>(pub Arc<T>);

impl<T> Deref for Extension<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Send + Sync + 'static> FromMessage for Extension<T> {
    type Rejection = MissingExtension;

    fn from_message(message: &MessageContext<'_>) -> Result<Self, MissingExtension> {
        let type_name = std::any::type_name::<T>();
        let value = message.socket().get().map(Self);
        value.ok_or(MissingExtension { type_name })
    }
}

impl<T: Send + Sync + 'static> FromMessage for Option<Extension<T>> {
    type Rejection = Infallible;

    fn from_message(message: &MessageContext<'_>) -> Result<Self, Infallible> {
        Ok(message.socket().get().map(Extension))
    }
}
