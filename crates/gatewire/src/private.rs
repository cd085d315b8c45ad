//! What the expansions of the macros use and nobody else: no part of the public interface.

/// Which hooks and subscriptions a gateway has.
pub mod probe {
    pub use crate::gateway::probe::{
        HasConnection, HasDisconnect, HasEnhancers, HasInit, HasRouteEnhancers, HasRoutes, HasSubscriptions,
        NoConnection, NoDisconnect, NoEnhancers, NoInit, NoRouteEnhancers, NoRoutes, NoSubscriptions, Probe,
    };
}

/// How a handler's result is answered.
pub mod reply {
    pub use crate::gateway::answer::{
        AnyReply, NotResult, ResultTag, SpecialReply, StreamTag, extract, part, pipe_input, transform,
    };
    pub use crate::pipeline::Chain;
    pub use crate::tag::{NotOption, OptionTag, Tag};
}

/// How a controller's result is answered.
pub mod route {
    pub use crate::controller::answer::{
        EventTag, FeedTag, ItemTag, NotResult, ResponseTag, ResultTag, StreamTag, ValueTag, last, no_more,
        part,
    };
    pub use crate::tag::{NotOption, OptionTag, Tag};
    pub use axum::extract::Request;
    pub use http::Method;
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
