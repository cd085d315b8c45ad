//! Modules that are made by a function: what `ChatModule::for_root(config)` returns.

use std::any::TypeId;
use std::borrow::Cow;

use super::{Export, Key, Module, ModuleDefinition, ModuleRef, Provider};

/// A module with more than its attribute says: providers that are made from what a caller gives, usually its
/// configuration. It stands in the `imports` of another module.
///
/// The additions come to what `#[module(..)]` says of the module. A module is one, however often it is imported: those
/// that import it by its type alone get the configured one. Configuring it twice is an error at start, unless the
/// two have [names](Self::named).
///
/// ```
/// use gatewire::module::Provider;
/// use gatewire::prelude::*;
///
/// pub struct ChatConfig {
///     pub history: usize,
/// }
///
/// #[injectable]
/// pub struct ChatService {
///     config: Arc<ChatConfig>,
/// }
///
/// #[module(providers = [ChatService], exports = [ChatService])]
/// pub struct ChatModule;
///
/// impl ChatModule {
///     pub fn for_root(config: ChatConfig) -> DynamicModule {
///         DynamicModule::of::<Self>().provide(Provider::value(|| config))
///     }
/// }
///
/// #[module(imports = [ChatModule::for_root(ChatConfig { history: 100 })])]
/// pub struct AppModule;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> gatewire::Result<()> {
/// let app = App::create::<AppModule>().await?;
/// assert_eq!(app.get::<ChatService>().config.history, 100);
/// # Ok(())
/// # }
/// ```
#[must_use = "a dynamic module does nothing unless it is imported"]
pub struct DynamicModule {
    pub(super) module: ModuleRef,
    /// What comes to the module's own definition.
    pub(super) additions: ModuleDefinition,
}

/// What makes two mentions of a module the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ModuleId {
    module: TypeId,
    pub(super) name: Option<Cow<'static, str>>,
}

impl ModuleId {
    pub(super) fn of<M: Module>() -> Self {
        Self {
            module: TypeId::of::<M>(),
            name: None,
        }
    }
}

impl DynamicModule {
    /// The module `M`, to be added to.
    pub fn of<M: Module>() -> Self {
        Self {
            module: ModuleRef::of::<M>(),
            additions: ModuleDefinition::default(),
        }
    }

    /// Makes it another module than the one without a name, or with another one: for modules that are meant to be
    /// there several times, each with its own providers. The name is shown in the log and in errors.
    pub fn named(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.module.id.name = Some(name.into());
        self
    }

    /// Makes the exports visible to every module, imported or not.
    pub fn global(mut self) -> Self {
        self.additions = self.additions.global();
        self
    }

    /// Imports one more module.
    pub fn import<M: Module>(mut self) -> Self {
        self.additions = self.additions.import::<M>();
        self
    }

    /// Imports one more dynamic module.
    pub fn import_dynamic(mut self, module: Self) -> Self {
        self.additions = self.additions.import_dynamic(module);
        self
    }

    /// Adds a provider.
    pub fn provide(mut self, provider: Provider) -> Self {
        self.additions = self.additions.provide(provider);
        self
    }

    /// Exports one more provider: what is injected as `Arc<T>`.
    pub fn export<T: ?Sized + 'static>(mut self) -> Self {
        self.additions = self.additions.export(Export::Provider(Key::of::<T>()));
        self
    }

    /// Exports everything that an imported module exports.
    pub fn export_module<M: Module>(mut self) -> Self {
        self.additions = self.additions.export(Export::Module(ModuleRef::of::<M>()));
        self
    }
}
