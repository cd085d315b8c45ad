//! A handler as the macros see it: a method, a path, and a function that answers one request.

use std::sync::Arc;

use axum::extract::Request;
use http::Method;

use super::call::Called;
use super::stream::Emitter;
use crate::pipeline::{ContextKind, Enhancers};

/// Extracts the arguments of a handler of the controller `C` and calls it.
pub type Call<C> = fn(&Arc<C>, Request, Emitter) -> Called;

/// One handler of the controller `C`.
pub struct ControllerRoute<C> {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) handler: &'static str,
    pub(crate) kind: ContextKind,
    pub(crate) call: Call<C>,
    pub(crate) enhancers: Enhancers,
}

impl<C> ControllerRoute<C> {
    /// A handler that answers once. `handler` is the method's name, for logs and faults.
    pub fn new(method: Method, path: &'static str, handler: &'static str, call: Call<C>) -> Self {
        Self {
            method,
            path,
            handler,
            kind: ContextKind::Http,
            call,
            enhancers: Enhancers::new(),
        }
    }

    /// It opens a stream of events.
    #[must_use]
    pub fn events(mut self) -> Self {
        self.kind = ContextKind::Sse;
        self
    }

    /// Binds guards, interceptors, filters and metadata to it.
    #[must_use]
    pub fn enhance(mut self, enhancers: Enhancers) -> Self {
        self.enhancers = self.enhancers.and(enhancers);
        self
    }
}
