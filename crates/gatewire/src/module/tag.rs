//! Choices by concrete type that the expansions of `#[module]` and `#[injectable]` make: calls on `&Tag` prefer the impl
//! for `Tag<T>` under its bounds, and fall back to the one for `&Tag<T>`.

use std::fmt::Display;
use std::marker::PhantomData;

use super::{
    BeforeApplicationShutdown, EndHook, Export, Factory, Key, Module, ModuleRef, OnApplicationBootstrap,
    OnApplicationShutdown, OnModuleDestroy, OnModuleInit, StartHook,
};

/// An entry of `exports`: a module or a provider.
pub struct ExportTag<T: ?Sized>(PhantomData<fn() -> Box<T>>);

impl<T: ?Sized> ExportTag<T> {
    /// The entry `T`.
    #[allow(clippy::new_without_default, reason = "only the macro makes one")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// For modules.
pub trait IsModule {
    /// The entry.
    fn export(&self) -> Export;
}

impl<T: Module> IsModule for ExportTag<T> {
    fn export(&self) -> Export {
        Export::Module(ModuleRef::of::<T>())
    }
}

/// For every other type.
pub trait IsProvider {
    /// The entry.
    fn export(&self) -> Export;
}

impl<T: ?Sized + 'static> IsProvider for &ExportTag<T> {
    fn export(&self) -> Export {
        Export::Provider(Key::of::<T>())
    }
}

/// The output of a factory: a value, or a `Result` of one.
pub struct FactoryTag<T>(PhantomData<fn() -> T>);

impl<T> FactoryTag<T> {
    /// The output of `factory`.
    pub fn of<Args, F: Factory<Args, Output = T>>(_: &F) -> Self {
        Self(PhantomData)
    }
}

/// For a `Result`.
pub trait Fallible<T, E> {
    /// The value, or the error's text.
    fn finish(&self) -> fn(Result<T, E>) -> Result<T, String>;
}

impl<T, E: Display> Fallible<T, E> for FactoryTag<Result<T, E>> {
    fn finish(&self) -> fn(Result<T, E>) -> Result<T, String> {
        |output| output.map_err(|error| error.to_string())
    }
}

/// For every other output.
pub trait Infallible<T> {
    /// The value.
    fn finish(&self) -> fn(T) -> Result<T, String>;
}

impl<T> Infallible<T> for &FactoryTag<T> {
    fn finish(&self) -> fn(T) -> Result<T, String> {
        Ok
    }
}

/// A provider that may have hooks of the application's life.
pub struct LifecycleTag<T>(PhantomData<fn() -> T>);

impl<T> LifecycleTag<T> {
    /// The provider `T`.
    #[allow(clippy::new_without_default, reason = "only the macro makes one")]
    pub fn new() -> Self {
        Self(PhantomData)
    }

    /// What `make` returns.
    pub fn of_value(_: &impl FnOnce() -> T) -> Self {
        Self(PhantomData)
    }

    /// What `finish` returns if all goes well.
    pub fn of_product<O>(_: &fn(O) -> Result<T, String>) -> Self {
        Self(PhantomData)
    }
}

macro_rules! hook {
    ($has:ident, $no:ident, $bound:ident, $method:ident -> $hook:ident, $call:expr) => {
        /// For a provider that has it.
        pub trait $has<T> {
            /// The hook.
            fn $method(&self) -> Option<$hook<T>>;
        }

        impl<T: $bound + Send + Sync + 'static> $has<T> for LifecycleTag<T> {
            fn $method(&self) -> Option<$hook<T>> {
                Some($call)
            }
        }

        /// For a provider that has it not.
        pub trait $no<T> {
            /// Nothing.
            fn $method(&self) -> Option<$hook<T>>;
        }

        impl<T> $no<T> for &LifecycleTag<T> {
            fn $method(&self) -> Option<$hook<T>> {
                None
            }
        }
    };
}

hook!(HasModuleInit, NoModuleInit, OnModuleInit, module_init -> StartHook,
    |provider| Box::pin(async move { provider.on_module_init().await }));
hook!(HasBootstrap, NoBootstrap, OnApplicationBootstrap, application_bootstrap -> StartHook,
    |provider| Box::pin(async move { provider.on_application_bootstrap().await }));
hook!(HasModuleDestroy, NoModuleDestroy, OnModuleDestroy, module_destroy -> EndHook,
    |provider, _| Box::pin(async move { provider.on_module_destroy().await }));
hook!(HasBeforeShutdown, NoBeforeShutdown, BeforeApplicationShutdown, before_application_shutdown -> EndHook,
    |provider, signal| Box::pin(async move { provider.before_application_shutdown(signal).await }));
hook!(HasShutdown, NoShutdown, OnApplicationShutdown, application_shutdown -> EndHook,
    |provider, signal| Box::pin(async move { provider.on_application_shutdown(signal).await }));
