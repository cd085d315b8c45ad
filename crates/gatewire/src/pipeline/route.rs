//! The way of one message, or connection, through what is bound to its handler: guards, interceptors, the handler,
//! filters. Made at start, and only where something is bound: a handler without has no route, and costs nothing here.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;

use super::enhancers::{Bound, Metadata};
use super::filter::DynFilter;
use super::guard::DynGuard;
use super::interceptor::DynInterceptor;
use super::{Answer, Exception, ExecutionContext, INTERNAL, WsException};
use crate::gateway::{BoundGateway, Handled, MessageContext, Reply, panic_text};

/// What is bound to one handler, at all three scopes, in the order in which it is asked.
pub(crate) struct Route {
    pub(crate) gateway: &'static str,
    pub(crate) handler: &'static str,
    pub(crate) pattern: &'static str,
    pub(crate) include_cause: bool,
    pub(crate) metadata: Box<[Metadata]>,
    guards: Box<[Arc<dyn DynGuard>]>,
    interceptors: Box<[Arc<dyn DynInterceptor>]>,
    filters: Box<[Arc<dyn DynFilter>]>,
}

/// The names of a [`Route`].
#[derive(Clone, Copy)]
pub(crate) struct RouteName {
    pub(crate) gateway: &'static str,
    pub(crate) handler: &'static str,
    pub(crate) pattern: &'static str,
}

/// How much of a handler's answer others wait for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Capture {
    /// Nothing: it goes to the client.
    Nothing,
    /// Its errors, for filters.
    Errors,
    /// All of it, for interceptors.
    All,
}

/// What applies to every gateway.
#[derive(Default)]
pub(crate) struct Globals(Mutex<GlobalEnhancers>);

#[derive(Clone)]
pub(crate) struct GlobalEnhancers {
    pub(crate) bound: Bound,
    pub(crate) include_cause: bool,
}

impl Default for GlobalEnhancers {
    fn default() -> Self {
        Self {
            bound: Bound::default(),
            include_cause: true,
        }
    }
}

impl Globals {
    pub(crate) fn change(&self, change: impl FnOnce(&mut GlobalEnhancers)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// As they are now.
    pub(crate) fn get(&self) -> GlobalEnhancers {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Route {
    /// `scopes` from the outermost to the innermost; `None` if nothing is bound that would do anything.
    pub(crate) fn new(name: RouteName, include_cause: bool, scopes: &[&Bound]) -> Option<Arc<Self>> {
        let guards: Box<[_]> = scopes.iter().flat_map(|bound| bound.guards.clone()).collect();
        let interceptors: Box<[_]> = scopes
            .iter()
            .flat_map(|bound| bound.interceptors.clone())
            .collect();
        let filters: Box<[_]> = scopes
            .iter()
            .rev()
            .flat_map(|bound| bound.filters.iter().rev().cloned())
            .collect();
        if guards.is_empty() && interceptors.is_empty() && filters.is_empty() {
            return None;
        }
        let metadata = scopes.iter().rev().flat_map(|bound| bound.metadata.clone());
        Some(Arc::new(Self {
            gateway: name.gateway,
            handler: name.handler,
            pattern: name.pattern,
            include_cause,
            metadata: metadata.collect(),
            guards,
            interceptors,
            filters,
        }))
    }

    pub(crate) fn capture(&self) -> Capture {
        if !self.interceptors.is_empty() {
            Capture::All
        } else if !self.filters.is_empty() {
            Capture::Errors
        } else {
            Capture::Nothing
        }
    }

    /// Asks the guards; an error if one says no.
    pub(crate) async fn guard(&self, context: &ExecutionContext) -> Result<(), Exception> {
        for guard in &self.guards {
            let asked = AssertUnwindSafe(guard.check(context)).catch_unwind().await;
            let allowed = asked.unwrap_or_else(|panic| Err(self.panicked(guard.name(), &*panic)))?;
            if !allowed {
                return Err(WsException::new(FORBIDDEN).into());
            }
        }
        Ok(())
    }

    /// Gives an error to the filter that takes it.
    pub(crate) async fn filter(
        &self,
        mut exception: Exception,
        context: &ExecutionContext,
    ) -> Result<Answer, WsException> {
        for filter in &self.filters {
            exception = match filter.try_catch(exception, context) {
                Err(other) => other,
                Ok(caught) => {
                    let caught = AssertUnwindSafe(caught).catch_unwind().await;
                    return caught
                        .unwrap_or_else(|panic| Err(self.panicked(filter.name(), &*panic).into_ws()));
                }
            };
        }
        Err(exception.into_ws())
    }

    fn panicked(&self, who: &'static str, panic: &(dyn Any + Send)) -> Exception {
        let Self { gateway, handler, .. } = self;
        let text = panic_text(panic);
        tracing::error!(target: "gatewire", context = gateway, "{who} panicked for {handler}: {text}");
        WsException::new(INTERNAL).into()
    }
}

/// Runs one message through the route of its handler and answers it.
pub(crate) async fn run(context: ExecutionContext, gateway: Arc<dyn BoundGateway>, subscription: usize) {
    let route = context.route();
    let target = Target {
        gateway: &*gateway,
        subscription,
    };
    let outcome = match route.guard(&context).await {
        Err(exception) => Some(Err(exception)),
        Ok(()) if route.interceptors.is_empty() => {
            if let Some(future) = target.call(&context) {
                future.await;
            }
            // Without interceptors only errors come here, the rest is answered.
            context.take_outcome()
        }
        Ok(()) => {
            let next = Next {
                context: &context,
                rest: &route.interceptors,
                target: &target,
            };
            Some(next.handle().await)
        }
    };
    let answer = match outcome {
        None => return,
        Some(Ok(answer)) => Ok(answer),
        Some(Err(exception)) => route.filter(exception, &context).await,
    };
    let reply = Reply::in_route(&context);
    match answer {
        Ok(answer) => reply.answer(answer),
        Err(exception) => reply.raise(&exception),
    }
}

/// A handler of a gateway.
struct Target<'a> {
    gateway: &'a dyn BoundGateway,
    subscription: usize,
}

impl Target<'_> {
    fn call(&self, context: &ExecutionContext) -> Handled {
        let event = context.event()?.as_event();
        let message = MessageContext::in_route(context, &event);
        self.gateway.invoke(self.subscription, &message)
    }
}

/// What an interceptor goes around: the next one, or the extractors and the handler.
pub struct Next<'a> {
    context: &'a ExecutionContext,
    rest: &'a [Arc<dyn DynInterceptor>],
    target: &'a Target<'a>,
}

impl Next<'_> {
    /// Goes on, and gives what the handler has answered.
    ///
    /// # Errors
    /// What the handler, one of its extractors or an interceptor on the way failed with.
    pub async fn handle(self) -> Result<Answer, Exception> {
        let Some((interceptor, rest)) = self.rest.split_first() else {
            if let Some(future) = self.target.call(self.context) {
                future.await;
            }
            return self
                .context
                .take_outcome()
                .unwrap_or_else(|| Ok(Answer::nothing()));
        };
        let next = Next { rest, ..self };
        let answer = AssertUnwindSafe(interceptor.around(self.context, next))
            .catch_unwind()
            .await;
        answer.unwrap_or_else(|panic| Err(self.context.route().panicked(interceptor.name(), &*panic)))
    }
}

/// What a guard's no is answered with, as in NestJS.
const FORBIDDEN: &str = "Forbidden resource";
