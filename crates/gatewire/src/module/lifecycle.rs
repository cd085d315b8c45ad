//! The hooks of an application's life, which any provider may have. Implementing a trait is all it takes: the expansions
//! of `#[injectable]`, `#[websocket_gateway]` and `#[module]` find it. When which hook is called is the application's
//! matter; here is what they are, and how they are called on the instances of a container.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::gateway::panic_text;

/// Why a hook stops the start: any error, or a text.
pub type HookError = Box<dyn std::error::Error + Send + Sync>;

/// What the hooks of the start return.
pub type HookResult = Result<(), HookError>;

/// Called once when every provider is built, dependencies first, and before any client is accepted.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `on_module_init` hook",
    note = "write `impl OnModuleInit for {Self} {{ async fn on_module_init(&self) -> HookResult {{ .. }} }}`"
)]
pub trait OnModuleInit {
    /// The hook; the next one is called when it has ended.
    ///
    /// # Errors
    /// Stops the start of the application.
    fn on_module_init(&self) -> impl Future<Output = HookResult> + Send;
}

/// Called once when every `on_module_init` has ended, dependencies first, and before any client is accepted.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `on_application_bootstrap` hook",
    note = "write `impl OnApplicationBootstrap for {Self} {{ async fn on_application_bootstrap(&self) -> HookResult {{ .. }} }}`"
)]
pub trait OnApplicationBootstrap {
    /// The hook; the next one is called when it has ended.
    ///
    /// # Errors
    /// Stops the start of the application.
    fn on_application_bootstrap(&self) -> impl Future<Output = HookResult> + Send;
}

/// Called once when the application is to end, dependents first. Clients are still connected, new ones are refused.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `on_module_destroy` hook",
    note = "write `impl OnModuleDestroy for {Self} {{ async fn on_module_destroy(&self) {{ .. }} }}`"
)]
pub trait OnModuleDestroy {
    /// The hook; the next one is called when it has ended.
    fn on_module_destroy(&self) -> impl Future<Output = ()> + Send;
}

/// Called once when every `on_module_destroy` has ended, dependents first: the last moment at which clients are
/// connected, and can be told.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `before_application_shutdown` hook",
    note = "write `impl BeforeApplicationShutdown for {Self} {{ async fn before_application_shutdown(&self, signal: Option<ShutdownSignal>) {{ .. }} }}`"
)]
pub trait BeforeApplicationShutdown {
    /// The hook; connections are closed when the last one has ended. `signal` is what ended the application, if it was
    /// one.
    fn before_application_shutdown(&self, signal: Option<ShutdownSignal>) -> impl Future<Output = ()> + Send;
}

/// Called once when all connections are closed and their `handle_disconnect` hooks have ended (or the drain timeout is
/// over), dependents first: the place to close what those needed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `on_application_shutdown` hook",
    note = "write `impl OnApplicationShutdown for {Self} {{ async fn on_application_shutdown(&self, signal: Option<ShutdownSignal>) {{ .. }} }}`"
)]
pub trait OnApplicationShutdown {
    /// The hook; the application has ended when the last one has. `signal` is what ended it, if it was one.
    fn on_application_shutdown(&self, signal: Option<ShutdownSignal>) -> impl Future<Output = ()> + Send;
}

/// The signal that ended an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShutdownSignal {
    /// SIGINT: Ctrl-C in the terminal.
    Interrupt,
    /// SIGTERM: what service managers and container hosts send.
    Terminate,
}

impl ShutdownSignal {
    /// The name that NestJS hooks get: `SIGINT`, `SIGTERM`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }
}

impl fmt::Display for ShutdownSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The hooks that a provider has, as plain functions.
pub struct LifecycleHooks<T> {
    /// [`OnModuleInit::on_module_init`].
    pub module_init: Option<StartHook<T>>,
    /// [`OnApplicationBootstrap::on_application_bootstrap`].
    pub application_bootstrap: Option<StartHook<T>>,
    /// [`OnModuleDestroy::on_module_destroy`].
    pub module_destroy: Option<EndHook<T>>,
    /// [`BeforeApplicationShutdown::before_application_shutdown`].
    pub before_application_shutdown: Option<EndHook<T>>,
    /// [`OnApplicationShutdown::on_application_shutdown`].
    pub application_shutdown: Option<EndHook<T>>,
}

/// Runs a hook of the start.
pub type StartHook<T> = fn(Arc<T>) -> BoxFuture<'static, HookResult>;
/// Runs a hook of the end.
pub type EndHook<T> = fn(Arc<T>, Option<ShutdownSignal>) -> BoxFuture<'static, ()>;

impl<T> Clone for LifecycleHooks<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for LifecycleHooks<T> {}

impl<T> LifecycleHooks<T> {
    /// No hook.
    pub const fn none() -> Self {
        Self {
            module_init: None,
            application_bootstrap: None,
            module_destroy: None,
            before_application_shutdown: None,
            application_shutdown: None,
        }
    }

    fn is_empty(&self) -> bool {
        self.module_init.is_none()
            && self.application_bootstrap.is_none()
            && self.module_destroy.is_none()
            && self.before_application_shutdown.is_none()
            && self.application_shutdown.is_none()
    }
}

/// A time at which hooks are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    ModuleInit,
    ApplicationBootstrap,
    ModuleDestroy,
    BeforeApplicationShutdown,
    ApplicationShutdown,
}

impl Stage {
    /// The name of the hook.
    pub(crate) const fn hook(self) -> &'static str {
        match self {
            Self::ModuleInit => "on_module_init",
            Self::ApplicationBootstrap => "on_application_bootstrap",
            Self::ModuleDestroy => "on_module_destroy",
            Self::BeforeApplicationShutdown => "before_application_shutdown",
            Self::ApplicationShutdown => "on_application_shutdown",
        }
    }
}

/// The hooks of one instance, its type erased.
pub(crate) type Lifecycle =
    Box<dyn Fn(Stage, Option<ShutdownSignal>) -> Option<BoxFuture<'static, HookResult>> + Send + Sync>;

/// The hooks for `instance`; `None` if there are none.
pub(super) fn bind<T: Send + Sync + 'static>(
    instance: &Arc<T>,
    hooks: LifecycleHooks<T>,
) -> Option<Lifecycle> {
    if hooks.is_empty() {
        return None;
    }
    let instance = Arc::clone(instance);
    Some(Box::new(move |stage, signal| {
        let instance = Arc::clone(&instance);
        let end = |instance, hook: Option<EndHook<T>>| Some(hook?(instance, signal).map(Ok).boxed());
        match stage {
            Stage::ModuleInit => Some(hooks.module_init?(instance)),
            Stage::ApplicationBootstrap => Some(hooks.application_bootstrap?(instance)),
            Stage::ModuleDestroy => end(instance, hooks.module_destroy),
            Stage::BeforeApplicationShutdown => end(instance, hooks.before_application_shutdown),
            Stage::ApplicationShutdown => end(instance, hooks.application_shutdown),
        }
    }))
}

/// Runs one hook; a panic becomes an error.
pub(super) async fn run(hook: BoxFuture<'static, HookResult>) -> Result<(), String> {
    match AssertUnwindSafe(hook).catch_unwind().await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("panicked: {}", panic_text(&*panic))),
    }
}
