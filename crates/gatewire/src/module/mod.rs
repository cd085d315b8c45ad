//! Modules and dependency injection: what provides what, who may see it, and the check of all of it at start.
//!
//! A module lists providers and says which of them other modules may use. Providers are singletons of their
//! module, built once in dependency order. This is not a service locator: a running handler never looks
//! anything up, its gateway holds what it needs in fields.

mod container;
mod fault;
mod graph;
mod inject;
mod provider;
pub(crate) mod tag;
mod verify;

use std::any::TypeId;

pub(crate) use container::Container;
pub use fault::{Elsewhere, Fault, VerifyError};
pub(crate) use graph::Graph;
pub use inject::{Inject, InjectError, Requirement, Resolver};
pub(crate) use provider::Instance;
pub use provider::{Dependency, Factory, Injectable, Key, Provider};
pub(crate) use verify::verify;

/// A set of providers with a boundary around it; implemented by [`#[module]`](macro@crate::module).
///
/// A provider sees the providers of its own module and what the imported modules export, nothing else. A module
/// is built once however often it is imported; modules may import each other.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a module",
    label = "not a module",
    note = "mark it with `#[module(imports = [..], providers = [..], exports = [..])]`"
)]
pub trait Module: Sized + 'static {
    /// What the attribute says: imports, providers, exports.
    fn definition() -> ModuleDefinition;
}

/// The content of one `#[module(..)]` attribute.
#[derive(Default)]
pub struct ModuleDefinition {
    pub(crate) name: &'static str,
    pub(crate) global: bool,
    pub(crate) imports: Vec<ModuleRef>,
    pub(crate) providers: Vec<Provider>,
    pub(crate) exports: Vec<Export>,
}

impl ModuleDefinition {
    /// An empty module called `name`.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// Makes the exports visible to every module, imported or not.
    #[must_use]
    pub fn global(mut self) -> Self {
        self.global = true;
        self
    }

    /// Makes the exports of `M` visible to this module's providers.
    #[must_use]
    pub fn import<M: Module>(mut self) -> Self {
        self.imports.push(ModuleRef::of::<M>());
        self
    }

    /// Adds a provider.
    #[must_use]
    pub fn provide(mut self, provider: Provider) -> Self {
        self.providers.push(provider);
        self
    }

    /// Lets modules that import this one see a provider, or everything that another imported module exports.
    #[must_use]
    pub fn export(mut self, export: Export) -> Self {
        self.exports.push(export);
        self
    }
}

/// One entry of a module's `exports`.
#[derive(Clone)]
pub enum Export {
    /// A provider of this module, or one that it sees through an import.
    Provider(Key),
    /// Everything that this imported module exports.
    Module(ModuleRef),
}

/// A module by its type; its definition is read when it is first met.
#[derive(Clone, Copy)]
pub struct ModuleRef {
    pub(crate) id: TypeId,
    pub(crate) definition: fn() -> ModuleDefinition,
}

impl ModuleRef {
    /// The module `M`.
    pub fn of<M: Module>() -> Self {
        Self {
            id: TypeId::of::<M>(),
            definition: M::definition,
        }
    }
}
