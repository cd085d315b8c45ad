//! What the expansions of the macros use and nobody else: no part of the public interface.

/// Which hooks and subscriptions a gateway has.
pub mod probe {
    pub use crate::gateway::probe::{
        HasConnection, HasDisconnect, HasEnhancers, HasInit, HasSubscriptions, NoConnection, NoDisconnect,
        NoEnhancers, NoInit, NoSubscriptions, Probe,
    };
}

/// How a handler's result is answered.
pub mod reply {
    pub use crate::gateway::answer::{
        AnyReply, NotOption, NotResult, OptionTag, ResultTag, SpecialReply, StreamTag, Tag, extract, part,
        pipe_input, transform,
    };
    pub use crate::pipeline::Chain;
}

/// How a module's lists are read.
pub mod module {
    pub use crate::module::inject::{server_dependency, server_field};
    pub use crate::module::tag::{ExportTag, FactoryTag, Fallible, Infallible, IsModule, IsProvider};
}

/// Which hooks of the application's life a provider has.
pub mod lifecycle {
    pub use crate::module::tag::{
        HasBeforeShutdown, HasBootstrap, HasModuleDestroy, HasModuleInit, HasShutdown, LifecycleTag,
        NoBeforeShutdown, NoBootstrap, NoModuleDestroy, NoModuleInit, NoShutdown,
    };
}
