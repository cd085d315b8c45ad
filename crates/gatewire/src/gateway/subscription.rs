//! A handler as the macros see it: an event, and a function that handles one message from extraction to answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::Gateway;
use super::call::{OnDisconnect, Patience};
use super::context::MessageContext;
use crate::pipeline::Enhancers;

/// How many calls of a `concurrent` handler run at a time for one client, unless it says otherwise.
pub const CONCURRENT_LIMIT: usize = 64;

/// What is left to do for a message: nothing, or a future that runs the handler and answers.
pub type Handled = Option<BoxFuture<'static, ()>>;

/// The handlers of a gateway; implemented by [`#[subscriptions]`](crate::subscriptions).
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no subscriptions",
    note = "mark its impl block with `#[subscriptions]` and its handlers with `#[subscribe_message(\"event\")]`"
)]
pub trait Subscriptions: Gateway {
    /// One entry for each `#[subscribe_message]`.
    fn subscriptions() -> Vec<Subscription<Self>>;

    /// What the attributes of the block bind to the gateway.
    fn enhancers() -> Enhancers {
        Enhancers::new()
    }
}

/// Extracts the arguments of a handler of the gateway `G` and calls it.
pub type Call<G> = fn(&Arc<G>, &MessageContext<'_>) -> Handled;

/// One handler of the gateway `G`.
pub struct Subscription<G> {
    pub(crate) event: &'static str,
    pub(crate) handler: &'static str,
    pub(crate) concurrent: Option<usize>,
    pub(crate) patience: Patience,
    pub(crate) call: Call<G>,
    pub(crate) enhancers: Enhancers,
}

impl<G> Subscription<G> {
    /// `handler` is the method's name, for logs and faults.
    pub fn new(event: &'static str, handler: &'static str, call: Call<G>) -> Self {
        Self {
            event,
            handler,
            concurrent: None,
            patience: Patience::default(),
            call,
            enhancers: Enhancers::new(),
        }
    }

    /// Does not keep the next event of the client waiting, as long as no more than `limit` calls run for it.
    #[must_use]
    pub fn concurrent(mut self, limit: usize) -> Self {
        self.concurrent = Some(limit.max(1));
        self
    }

    /// How long a call may go on, from when it first has to wait for something.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.patience.timeout = Some(timeout);
        self
    }

    /// What becomes of a call that runs when its client leaves.
    #[must_use]
    pub fn on_disconnect(mut self, what: OnDisconnect) -> Self {
        self.patience.on_disconnect = what;
        self
    }

    /// Binds guards, interceptors, filters and metadata to it.
    #[must_use]
    pub fn enhance(mut self, enhancers: Enhancers) -> Self {
        self.enhancers = self.enhancers.and(enhancers);
        self
    }
}
