//! Choices by concrete type that the expansion of `#[module]` makes: calls on `&Tag` prefer the impl for `Tag<T>` under
//! its bounds, and fall back to the one for `&Tag<T>`.

use std::fmt::Display;
use std::marker::PhantomData;

use super::{Export, Factory, Key, Module, ModuleRef};

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
