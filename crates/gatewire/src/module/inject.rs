//! The types a field or a factory parameter may have, and the view of the container that they are built from.

use std::sync::Arc;

use super::container::Scope;
use super::provider::{Dependency, Key};
use crate::gateway::Space;
use crate::logger::Logger;
use crate::{ParentServer, Server};

/// A type that the container can fill a field with: `Arc<T>` (`T` may be `dyn Trait`), `Option<Arc<T>>`,
/// [`Logger`], and in a gateway [`Server`], or [`ParentServer`] if its namespace is a pattern. Implement it for a type of
/// your own that is made of those.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot be injected",
    label = "the container does not know how to make this",
    note = "an injected field is an `Arc<T>`, an `Option<Arc<T>>`, a `Logger` or, in a gateway, the `Server` (`ParentServer` for a pattern)",
    note = "give another field its value with `#[inject(default)]` or `#[inject(value = ..)]`"
)]
pub trait Inject: Sized {
    /// What must be there for [`inject`](Self::inject) to work; checked before anything is built.
    fn requirement() -> Requirement;

    /// Makes the value.
    ///
    /// # Errors
    /// If the requirement does not hold.
    fn inject(resolver: &Resolver<'_>) -> Result<Self, InjectError>;
}

/// What an injected value needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Requirement {
    /// Nothing.
    Nothing,
    /// A provider that is visible in the owner's module.
    Provider(Key),
    /// The same, if there is one.
    Optional(Key),
    /// The namespace of the gateway that owns the field.
    Server,
    /// The namespaces of the gateway that owns the field, whose namespace is a pattern.
    ParentServer,
}

impl Requirement {
    /// The provider that is needed, or used if it is there.
    pub(super) fn key(self) -> Option<Key> {
        match self {
            Self::Provider(key) | Self::Optional(key) => Some(key),
            Self::Nothing | Self::Server | Self::ParentServer => None,
        }
    }
}

/// Why a value could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InjectError {
    /// No provider was found; the check at start reports this before, unless `dependencies()` keeps it back.
    #[error("{owner} asks for {dependency}, which is not provided in its module, and did not declare it")]
    Missing {
        /// Who asked.
        owner: String,
        /// For what.
        dependency: String,
    },
    /// A `Server` was asked for by something that is not a gateway, or is one of a pattern; or a `ParentServer` by what is
    /// not a gateway of a pattern.
    #[error("{owner} asks for a Server or ParentServer that it does not have")]
    NoServer {
        /// Who asked.
        owner: String,
    },
    /// An async factory gave an error.
    #[error("the factory of {product} failed: {message}")]
    Factory {
        /// What it should have made.
        product: String,
        /// Its error.
        message: String,
    },
    /// The function behind `#[websocket_gateway(options = ..)]` gave an error.
    #[error("the options of {gateway} are not known: {message}")]
    Options {
        /// The gateway.
        gateway: String,
        /// The function's error.
        message: String,
    },
}

/// What one provider may see while it is built.
pub struct Resolver<'a> {
    pub(super) scope: Scope<'a>,
    pub(super) owner: &'a str,
    pub(super) space: Option<&'a Space>,
}

impl Resolver<'_> {
    /// The provider of `T`.
    ///
    /// # Errors
    /// [`InjectError::Missing`] if the owner's module does not see one.
    pub fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<T>, InjectError> {
        self.optional().ok_or_else(|| InjectError::Missing {
            owner: self.owner.to_owned(),
            dependency: Key::of::<T>().name(),
        })
    }

    /// The provider of `T`, if the owner's module sees one.
    pub fn optional<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.scope.get::<T>()
    }

    /// The name of the provider that is being built.
    pub fn owner(&self) -> &str {
        self.owner
    }

    /// The namespace of the gateway that is being built.
    ///
    /// # Errors
    /// [`InjectError::NoServer`] if it is not a gateway, or its namespace is a pattern.
    pub fn server(&self) -> Result<Server, InjectError> {
        match self.space {
            Some(Space::One(server)) => Ok(server.clone()),
            Some(Space::Pattern(_)) | None => Err(self.no_server()),
        }
    }

    /// The namespaces of the gateway that is being built.
    ///
    /// # Errors
    /// [`InjectError::NoServer`] if it is not a gateway whose namespace is a pattern.
    pub fn parent_server(&self) -> Result<ParentServer, InjectError> {
        match self.space {
            Some(Space::Pattern(parent)) => Ok(parent.clone()),
            Some(Space::One(_)) | None => Err(self.no_server()),
        }
    }

    fn no_server(&self) -> InjectError {
        InjectError::NoServer {
            owner: self.owner.to_owned(),
        }
    }
}

impl<T: ?Sized + Send + Sync + 'static> Inject for Arc<T> {
    fn requirement() -> Requirement {
        Requirement::Provider(Key::of::<T>())
    }

    fn inject(resolver: &Resolver<'_>) -> Result<Self, InjectError> {
        resolver.get()
    }
}

impl<T: ?Sized + Send + Sync + 'static> Inject for Option<Arc<T>> {
    fn requirement() -> Requirement {
        Requirement::Optional(Key::of::<T>())
    }

    fn inject(resolver: &Resolver<'_>) -> Result<Self, InjectError> {
        Ok(resolver.optional())
    }
}

impl Inject for Logger {
    fn requirement() -> Requirement {
        Requirement::Nothing
    }

    fn inject(resolver: &Resolver<'_>) -> Result<Self, InjectError> {
        Ok(Self::new(resolver.owner().to_owned()))
    }
}

impl Inject for Server {
    fn requirement() -> Requirement {
        Requirement::Server
    }

    fn inject(resolver: &Resolver<'_>) -> Result<Self, InjectError> {
        resolver.server()
    }
}

impl Inject for ParentServer {
    fn requirement() -> Requirement {
        Requirement::ParentServer
    }

    fn inject(resolver: &Resolver<'_>) -> Result<Self, InjectError> {
        resolver.parent_server()
    }
}

/// What a field with `#[websocket_server]` may be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no server",
    label = "a `#[websocket_server]` is a `Server`",
    note = "write `Server`, the gateway's namespace; or `ParentServer` if that is a pattern such as \"/room-:id\""
)]
pub trait ServerField: Inject {}

impl ServerField for Server {}
impl ServerField for ParentServer {}

/// What a field with `#[websocket_server]` needs.
pub fn server_dependency<T: ServerField>(place: &'static str) -> Dependency {
    Dependency::of::<T>(place)
}

/// The value of a field with `#[websocket_server]`.
///
/// # Errors
/// As [`Inject::inject`].
pub fn server_field<T: ServerField>(resolver: &Resolver<'_>) -> Result<T, InjectError> {
    T::inject(resolver)
}
