//! Providers: what can be injected and how it is made. A provider describes; the container builds.

use std::any::{Any, TypeId};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::inject::{Inject, InjectError, Requirement, Resolver};
use super::lifecycle::{self, Lifecycle, LifecycleHooks};
use crate::controller::ControllerDefinition;
use crate::gateway::GatewayDefinition;

/// A struct that the container can build from other providers; implemented by
/// [`#[injectable]`](crate::injectable), [`#[websocket_gateway]`](crate::websocket_gateway) and
/// [`#[controller]`](macro@crate::controller).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be provided: the container does not know how to build it",
    label = "not injectable",
    note = "mark the struct with `#[injectable]` (or `#[websocket_gateway]`, or `#[controller(..)]`)",
    note = "or give a ready value with `value(..)`, or an async function with `factory(..)`"
)]
pub trait Injectable: Sized + Send + Sync + 'static {
    /// The struct's own name.
    const NAME: &'static str;

    /// What its fields need.
    fn dependencies() -> Vec<Dependency>;

    /// Builds it; every dependency that was declared is there.
    ///
    /// # Errors
    /// If a dependency that was not declared is asked for.
    fn construct(resolver: &Resolver<'_>) -> Result<Self, InjectError>;

    /// The gateway that this struct is, if it is one.
    fn gateway() -> Option<GatewayDefinition> {
        None
    }

    /// The controller that this struct is, if it is one.
    fn controller() -> Option<ControllerDefinition> {
        None
    }

    /// The hooks of the application's life that the struct implements.
    fn lifecycle() -> LifecycleHooks<Self> {
        LifecycleHooks::none()
    }
}

/// What a provider is found by: a type, sized or `dyn Trait`.
#[derive(Clone, Copy)]
pub struct Key {
    id: TypeId,
    name: &'static str,
}

impl Key {
    /// The key of what is injected as `Arc<T>`.
    pub fn of<T: ?Sized + 'static>() -> Self {
        Self {
            id: TypeId::of::<T>(),
            name: std::any::type_name::<T>(),
        }
    }

    pub(crate) fn id(self) -> TypeId {
        self.id
    }

    /// The type's name without its path: `ChatService`, `dyn Repo`.
    pub fn name(self) -> String {
        short_name(self.name)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// One thing that a provider needs, and where it is written.
#[derive(Clone, Debug)]
pub struct Dependency {
    pub(crate) requirement: Requirement,
    pub(crate) place: &'static str,
}

impl Dependency {
    /// What a field (or parameter) of type `T` called `place` needs.
    pub fn of<T: Inject>(place: &'static str) -> Self {
        Self {
            requirement: T::requirement(),
            place,
        }
    }
}

/// An `Arc<T>` of any `T`.
pub(crate) type Instance = Box<dyn Any + Send + Sync>;

/// An instance, and the hooks that it has.
pub(crate) struct Built {
    pub(super) instance: Instance,
    pub(super) lifecycle: Option<Lifecycle>,
}

impl Built {
    /// Without hooks.
    pub(super) fn new<T: ?Sized + Send + Sync + 'static>(value: Arc<T>) -> Self {
        Self {
            instance: Box::new(value),
            lifecycle: None,
        }
    }

    fn with_lifecycle<T: Send + Sync + 'static>(value: Arc<T>, hooks: LifecycleHooks<T>) -> Self {
        Self {
            lifecycle: lifecycle::bind(&value, hooks),
            instance: Box::new(value),
        }
    }
}

/// What was built, at once or after a future.
pub(crate) enum Building {
    Ready(Built),
    Future(BoxFuture<'static, Result<Built, InjectError>>),
}

type Build = Box<dyn FnOnce(&Resolver<'_>) -> Result<Building, InjectError> + Send + Sync>;

/// One entry of a module's `providers`.
pub struct Provider {
    pub(crate) key: Key,
    /// The name a fault or a log record calls it by.
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) gateway: Option<GatewayDefinition>,
    pub(crate) controller: Option<ControllerDefinition>,
    pub(crate) build: Build,
    /// The struct behind a `Struct as dyn Trait`, for when the module does not list it itself.
    pub(crate) implied: Option<Box<Self>>,
}

impl Provider {
    /// `T`, built from its own dependencies.
    pub fn injectable<T: Injectable>() -> Self {
        let gateway = T::gateway();
        let mut dependencies = T::dependencies();
        if let Some(late) = gateway.as_ref().and_then(|gateway| gateway.late.as_ref()) {
            dependencies.extend_from_slice(&late.dependencies);
        }
        Self {
            key: Key::of::<T>(),
            name: T::NAME.to_owned(),
            dependencies,
            gateway,
            controller: T::controller(),
            build: Box::new(|resolver| {
                let instance = Arc::new(T::construct(resolver)?);
                Ok(Building::Ready(Built::with_lifecycle(instance, T::lifecycle())))
            }),
            implied: None,
        }
    }

    /// `T` seen as `U`, usually a `dyn Trait`: `Provider::alias::<PgRepo, dyn Repo>(|repo| repo)`. Both are the same
    /// instance; `T` is built in this module even if it is not listed by itself.
    pub fn alias<T: Injectable, U: ?Sized + Send + Sync + 'static>(coerce: fn(Arc<T>) -> Arc<U>) -> Self {
        Self {
            key: Key::of::<U>(),
            name: format!("{} as {}", T::NAME, Key::of::<U>().name()),
            dependencies: vec![Dependency::of::<Arc<T>>("alias")],
            gateway: None,
            controller: None,
            build: Box::new(move |resolver| Ok(Building::Ready(Built::new(coerce(resolver.get::<T>()?))))),
            implied: Some(Box::new(Self::injectable::<T>())),
        }
    }

    /// A ready value; `make` runs once, when its turn to be built comes. Hooks of the application's life are found only
    /// by `value(..)` in [`#[module]`](macro@crate::module) and on injectable structs.
    pub fn value<T: Send + Sync + 'static>(make: impl FnOnce() -> T + Send + Sync + 'static) -> Self {
        Self::shared(move || Arc::new(make()))
    }

    /// A ready value that is shared already, also as `Arc<dyn Trait>`.
    pub fn shared<T: ?Sized + Send + Sync + 'static>(
        make: impl FnOnce() -> Arc<T> + Send + Sync + 'static,
    ) -> Self {
        Self::ready::<T>(move || Built::new(make()))
    }

    /// A ready value with its hooks, seen as `U`.
    #[doc(hidden)]
    pub fn value_with<T: Send + Sync + 'static, U: ?Sized + Send + Sync + 'static>(
        make: impl FnOnce() -> T + Send + Sync + 'static,
        hooks: LifecycleHooks<T>,
        coerce: fn(Arc<T>) -> Arc<U>,
    ) -> Self {
        Self::ready::<U>(move || {
            let value = Arc::new(make());
            Built {
                lifecycle: lifecycle::bind(&value, hooks),
                instance: Box::new(coerce(value)),
            }
        })
    }

    fn ready<T: ?Sized + 'static>(make: impl FnOnce() -> Built + Send + Sync + 'static) -> Self {
        let key = Key::of::<T>();
        Self {
            key,
            name: key.name(),
            dependencies: Vec::new(),
            gateway: None,
            controller: None,
            build: Box::new(move |_| Ok(Building::Ready(make()))),
            implied: None,
        }
    }

    /// What an async function (or closure) makes of its injected parameters.
    ///
    /// ```
    /// use gatewire::module::Provider;
    ///
    /// struct Pool(String);
    ///
    /// let url = "db".to_owned();
    /// let provider = Provider::factory(move || async move { Pool(url) });
    /// ```
    pub fn factory<Args, F>(factory: F) -> Self
    where
        F: Factory<Args, Output: Send + Sync>,
    {
        Self::factory_with(factory, Ok, LifecycleHooks::none())
    }

    /// As [`factory`](Self::factory), with a function that may fail; its error stops the start.
    pub fn try_factory<Args, F, T, E>(factory: F) -> Self
    where
        F: Factory<Args, Output = Result<T, E>>,
        T: Send + Sync + 'static,
        E: fmt::Display + 'static,
    {
        Self::factory_with(
            factory,
            |output| output.map_err(|error| error.to_string()),
            LifecycleHooks::none(),
        )
    }

    /// `finish` turns the function's result into the value or says why there is none.
    #[doc(hidden)]
    pub fn factory_with<Args, F: Factory<Args>, T: Send + Sync + 'static>(
        factory: F,
        finish: fn(F::Output) -> Result<T, String>,
        hooks: LifecycleHooks<T>,
    ) -> Self {
        let key = Key::of::<T>();
        let name = key.name();
        let product = name.clone();
        Self {
            key,
            name,
            dependencies: F::dependencies(),
            gateway: None,
            controller: None,
            build: Box::new(move |resolver| {
                let future = factory.call(resolver)?;
                Ok(Building::Future(Box::pin(async move {
                    match finish(future.await) {
                        Ok(value) => Ok(Built::with_lifecycle(Arc::new(value), hooks)),
                        Err(message) => Err(InjectError::Factory { product, message }),
                    }
                })))
            }),
            implied: None,
        }
    }
}

/// An async function whose parameters can be injected (at most eight).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a factory",
    label = "not an async function of injectable parameters",
    note = "a factory is an `async fn` of `Arc<T>`, `Option<Arc<T>>` or `Logger` parameters that returns a `T` or a `Result<T, E>`"
)]
pub trait Factory<Args>: Send + Sync + 'static {
    /// What the future gives.
    type Output: 'static;

    /// What the parameters need.
    fn dependencies() -> Vec<Dependency>;

    /// Resolves the parameters and starts the function.
    ///
    /// # Errors
    /// If a parameter cannot be resolved.
    fn call(self, resolver: &Resolver<'_>) -> Result<BoxFuture<'static, Self::Output>, InjectError>;
}

macro_rules! factory {
    ($($arg:ident $place:literal),*) => {
        impl<Function, Fut, $($arg),*> Factory<($($arg,)*)> for Function
        where
            Function: FnOnce($($arg),*) -> Fut + Send + Sync + 'static,
            Fut: Future + Send + 'static,
            Fut::Output: 'static,
            $($arg: Inject,)*
        {
            type Output = Fut::Output;

            fn dependencies() -> Vec<Dependency> {
                vec![$(Dependency::of::<$arg>($place)),*]
            }

            fn call(self, _resolver: &Resolver<'_>) -> Result<BoxFuture<'static, Self::Output>, InjectError> {
                Ok(Box::pin(self($($arg::inject(_resolver)?),*)))
            }
        }
    };
}

factory!();
factory!(A "1st parameter");
factory!(A "1st parameter", B "2nd parameter");
factory!(A "1st parameter", B "2nd parameter", C "3rd parameter");
factory!(A "1st parameter", B "2nd parameter", C "3rd parameter", D "4th parameter");
factory!(A "1st parameter", B "2nd parameter", C "3rd parameter", D "4th parameter", E "5th parameter");
factory!(A "1st parameter", B "2nd parameter", C "3rd parameter", D "4th parameter", E "5th parameter", G "6th parameter");
factory!(A "1st parameter", B "2nd parameter", C "3rd parameter", D "4th parameter", E "5th parameter", G "6th parameter", H "7th parameter");
factory!(A "1st parameter", B "2nd parameter", C "3rd parameter", D "4th parameter", E "5th parameter", G "6th parameter", H "7th parameter", I "8th parameter");

/// A type name without module paths, also inside generics: `Option<chat::Room>` reads `Option<Room>`.
pub(crate) fn short_name(full: &str) -> String {
    let mut short = String::with_capacity(full.len());
    let mut start = 0;
    for (at, c) in full.char_indices() {
        match c {
            ':' => start = at + 1,
            c if c.is_alphanumeric() || c == '_' => {}
            _ => {
                short.push_str(&full[start..at]);
                short.push(c);
                start = at + c.len_utf8();
            }
        }
    }
    short.push_str(&full[start..]);
    short
}

#[cfg(test)]
mod tests {
    use super::short_name;

    #[test]
    fn names_lose_their_paths() {
        for (full, short) in [
            ("ChatService", "ChatService"),
            ("app::chat::ChatService", "ChatService"),
            ("dyn app::repo::Repo", "dyn Repo"),
            ("dyn app::Repo + core::marker::Send", "dyn Repo + Send"),
            ("core::option::Option<app::chat::Room>", "Option<Room>"),
            ("app::Pair<a::B, c::D<e::F>>", "Pair<B, D<F>>"),
        ] {
            assert_eq!(short_name(full), short);
        }
    }
}
