//! Modules and dependency injection: what provides what, who may see it, and the check of all of it at start.
//!
//! A module lists providers and says which of them other modules may use. Providers are singletons of their
//! module, built once in dependency order. This is not a service locator: a running handler never looks
//! anything up, its gateway holds what it needs in fields.

mod container;
mod dump;
mod dynamic;
mod fault;
mod graph;
pub(crate) mod inject;
mod lifecycle;
mod provider;
pub(crate) mod tag;
mod verify;

use std::borrow::Cow;

use crate::controller::{self, Controller};
use crate::gateway::plan::plan;

pub(crate) use container::Container;
pub use dump::ModuleGraph;
pub use dynamic::DynamicModule;
use dynamic::ModuleId;
pub use fault::{Elsewhere, Fault, VerifyError};
pub(crate) use graph::Graph;
pub use inject::{Inject, InjectError, Requirement, Resolver, ServerField};
pub(crate) use lifecycle::Stage;
pub use lifecycle::{
    BeforeApplicationShutdown, EndHook, HookError, HookResult, LifecycleHooks, OnApplicationBootstrap,
    OnApplicationShutdown, OnModuleDestroy, OnModuleInit, ShutdownSignal, StartHook,
};
pub(crate) use provider::Instance;
pub use provider::{Dependency, Factory, Injectable, Key, Provider};
use verify::check;

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

/// Checks an application as its start does, without building anything: a unit test of the wiring.
///
/// What needs the configuration of a run is not looked at: the options of gateways that a function gives
/// (`#[websocket_gateway(options = ..)]`).
///
/// ```
/// use gatewire::prelude::*;
///
/// #[module()]
/// pub struct AppModule;
///
/// // #[test]
/// fn the_application_is_wired() {
///     gatewire::verify::<AppModule>().unwrap();
/// }
/// # the_application_is_wired();
/// ```
///
/// # Errors
/// Every fault that there is.
pub fn verify<M: Module>() -> Result<(), VerifyError> {
    inspect(&Graph::of::<M>()).map(drop)
}

/// The order in which the providers of a faultless graph can be built.
pub(crate) fn inspect(graph: &Graph) -> Result<Vec<usize>, VerifyError> {
    let mut faults = Vec::new();
    let order = check(graph, &mut faults);
    let gateways = graph.gateways();
    let known: Vec<_> = gateways
        .iter()
        .map(|(_, gateway)| gateway)
        .filter(|gateway| gateway.late.is_none())
        .collect();
    plan(&known, &mut faults);
    let controllers = graph.controllers();
    controller::plan::check(controllers.iter().map(|(_, controller)| controller), &mut faults);
    if faults.is_empty() {
        Ok(order)
    } else {
        Err(VerifyError::new(faults))
    }
}

/// The content of one `#[module(..)]` attribute.
#[derive(Default)]
pub struct ModuleDefinition {
    pub(crate) name: Cow<'static, str>,
    pub(crate) global: bool,
    imports: Vec<Import>,
    pub(crate) providers: Vec<Provider>,
    pub(crate) exports: Vec<Export>,
}

impl ModuleDefinition {
    /// An empty module called `name`.
    pub fn new(name: &'static str) -> Self {
        Self {
            name: name.into(),
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
        self.imports.push(Import::Module(ModuleRef::of::<M>()));
        self
    }

    /// The same for a module that was made by a function.
    #[must_use]
    pub fn import_dynamic(mut self, module: DynamicModule) -> Self {
        self.imports.push(Import::Dynamic(module));
        self
    }

    /// Adds a provider.
    #[must_use]
    pub fn provide(mut self, provider: Provider) -> Self {
        self.providers.push(provider);
        self
    }

    /// Adds a controller, which is a provider like any other.
    #[must_use]
    pub fn control<C: Controller>(self) -> Self {
        self.provide(Provider::injectable::<C>())
    }

    /// Lets modules that import this one see a provider, or everything that another imported module exports.
    #[must_use]
    pub fn export(mut self, export: Export) -> Self {
        self.exports.push(export);
        self
    }
}

/// One entry of a module's `imports`.
enum Import {
    Module(ModuleRef),
    Dynamic(DynamicModule),
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
#[derive(Clone)]
pub struct ModuleRef {
    id: ModuleId,
    definition: fn() -> ModuleDefinition,
}

impl ModuleRef {
    /// The module `M`.
    pub fn of<M: Module>() -> Self {
        Self {
            id: ModuleId::of::<M>(),
            definition: M::definition,
        }
    }
}
