//! The way of one message, or connection, through what is bound to its handler: guards, interceptors, pipes, the handler,
//! filters. Made at start, and only where something is bound: a handler without has no route, and costs nothing here.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::StatusCode;

use super::body_pipe::DynPipe;
use super::enhancers::{Bound, Metadata};
use super::filter::DynFilter;
use super::guard::DynGuard;
use super::interceptor::DynInterceptor;
use super::{Answer, AnswerKind, Argument, Exception, ExecutionContext, INTERNAL, Outcome, WsException};
use crate::Payload;
use crate::controller::{HttpCall, HttpError};
use crate::gateway::{BodyRejection, BoundGateway, MessageContext, Reply, panic_text};
use crate::watch::Handlers;

/// What is bound to one handler, at all three scopes, in the order in which it is asked.
pub(crate) struct Route {
    target: Target,
    pub(crate) handler: &'static str,
    pub(crate) pattern: &'static str,
    pub(crate) include_cause: bool,
    pub(crate) metadata: Box<[Metadata]>,
    guards: Box<[Arc<dyn DynGuard>]>,
    interceptors: Box<[Arc<dyn DynInterceptor>]>,
    pipes: Box<[Arc<dyn DynPipe>]>,
    filters: Box<[Arc<dyn DynFilter>]>,
    /// How often a guard has said no.
    refusals: AtomicU64,
}

/// To whom it is.
pub(crate) enum Target {
    /// The gateway, and which of its handlers; for a connection none.
    Gateway(Arc<dyn BoundGateway>, Option<usize>),
    /// The controller of that name; the request knows its handler.
    Controller(&'static str),
}

/// What a [`Route`] leads to.
pub(crate) struct Destination {
    pub(crate) target: Target,
    pub(crate) handler: &'static str,
    pub(crate) pattern: &'static str,
}

/// What applies to every gateway.
#[derive(Default)]
pub(crate) struct Globals {
    enhancers: Mutex<GlobalEnhancers>,
    /// The times of the handlers, if anybody wants figures.
    pub(crate) handlers: Arc<Handlers>,
}

#[derive(Clone)]
pub(crate) struct GlobalEnhancers {
    pub(crate) bound: Bound,
    pub(crate) include_cause: bool,
    pub(crate) connect_limit: Duration,
}

impl Default for GlobalEnhancers {
    fn default() -> Self {
        Self {
            bound: Bound::default(),
            include_cause: true,
            // Less than the server gives a connection to join a namespace, so that the client hears why.
            connect_limit: Duration::from_secs(30),
        }
    }
}

impl Globals {
    pub(crate) fn change(&self, change: impl FnOnce(&mut GlobalEnhancers)) {
        change(&mut self.enhancers.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// As they are now.
    pub(crate) fn get(&self) -> GlobalEnhancers {
        self.enhancers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Route {
    /// `scopes` from the outermost to the innermost; `None` if nothing is bound that would do anything.
    pub(crate) fn new(to: Destination, include_cause: bool, scopes: &[&Bound]) -> Option<Arc<Self>> {
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
        // A connection has no body.
        let has_body = matches!(to.target, Target::Gateway(_, Some(_)));
        let scopes_with_body = if has_body { scopes } else { &[] };
        let pipes: Box<[_]> = scopes_with_body
            .iter()
            .flat_map(|bound| bound.pipes.clone())
            .collect();
        if guards.is_empty() && interceptors.is_empty() && pipes.is_empty() && filters.is_empty() {
            return None;
        }
        let metadata = scopes.iter().rev().flat_map(|bound| bound.metadata.clone());
        Some(Arc::new(Self {
            target: to.target,
            handler: to.handler,
            pattern: to.pattern,
            include_cause,
            metadata: metadata.collect(),
            guards,
            interceptors,
            pipes,
            filters,
            refusals: AtomicU64::new(0),
        }))
    }

    pub(crate) fn gateway(&self) -> &'static str {
        match &self.target {
            Target::Gateway(gateway, _) => gateway.name(),
            Target::Controller(name) => name,
        }
    }

    /// Whether a handler's answer is waited for; its errors always are.
    pub(crate) fn has_interceptors(&self) -> bool {
        !self.interceptors.is_empty()
    }

    /// How often a guard has said no.
    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// Asks the guards; an error if one says no.
    pub(crate) async fn guard(&self, context: &ExecutionContext) -> Result<(), Exception> {
        for guard in &self.guards {
            let asked = caught(pin!(guard.check(context))).await;
            let exception = match asked {
                Ok(Ok(true)) => continue,
                Ok(Ok(false)) => WsException::new(FORBIDDEN).into(),
                Ok(Err(exception)) => exception,
                Err(panic) => self.panicked(guard.name(), &*panic),
            };
            self.refusals.fetch_add(1, Ordering::Relaxed);
            return Err(exception);
        }
        Ok(())
    }

    /// What the pipes make of a body.
    async fn pipe(&self, mut body: Payload, context: &ExecutionContext) -> Result<Payload, Exception> {
        let argument = Argument {
            key: None,
            pattern: self.pattern,
            client: context.client().clone(),
        };
        for pipe in &self.pipes {
            let made = caught(pipe.run(body, &argument).as_mut()).await;
            body = made.unwrap_or_else(|panic| Err(self.panicked(pipe.name(), &*panic)))?;
        }
        Ok(body)
    }

    /// Gives an error to the filter that takes it; an error is what that one makes of it, or what none takes.
    pub(crate) async fn filter(
        &self,
        mut exception: Exception,
        context: &ExecutionContext,
    ) -> Result<Answer, Exception> {
        for filter in &self.filters {
            exception = match filter.try_catch(exception, context) {
                Err(other) => other,
                Ok(mut answer) => {
                    return match caught(answer.as_mut()).await {
                        Ok(answer) => answer.map_err(Exception::from),
                        Err(panic) => Err(self.panicked(filter.name(), &*panic)),
                    };
                }
            };
        }
        Err(exception)
    }

    fn panicked(&self, who: &'static str, panic: &(dyn Any + Send)) -> Exception {
        let (gateway, handler) = (self.gateway(), self.handler);
        let text = panic_text(panic);
        tracing::error!(target: "gatewire", context = gateway, "{who} panicked for {handler}: {text}");
        Panicked.into()
    }
}

/// Runs a future where it lies, to its end or to its panic.
fn caught<F: Future + ?Sized>(mut future: Pin<&mut F>) -> impl Future<Output = thread::Result<F::Output>> {
    poll_fn(move |cx| {
        // What a panic leaves half done is the application's own.
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
}

/// Something of the application's panicked, which is logged.
pub(crate) struct Panicked;

impl From<Panicked> for WsException {
    fn from(_: Panicked) -> Self {
        Self::new(INTERNAL)
    }
}

/// Runs one message through the route of its handler and answers it. The future is allocated for each message: what is
/// rare in it has a box of its own, so that it stays small.
#[expect(
    clippy::manual_async_fn,
    reason = "a block has what it captures in its place, an async function moves its argument first"
)]
pub(crate) fn run(context: ExecutionContext) -> impl Future<Output = ()> + Send {
    async move {
        let (context, route) = (&context, context.route());
        let outcome = match route.guard(context).await {
            Err(exception) => Some(Err(exception)),
            Ok(()) if route.has_interceptors() => Some(intercepted(context).await),
            // Only errors are left then, the rest is answered.
            Ok(()) => call(context).await,
        };
        match outcome {
            None => {}
            Some(Ok(answer)) => tell(context, Ok(answer)),
            Some(Err(exception)) => {
                let is_fault = exception.is::<BodyRejection>();
                let answer = Box::pin(route.filter(exception, context)).await;
                tell(context, answer.map_err(Exception::into_ws));
                if is_fault {
                    context.client().note_fault();
                }
            }
        }
    }
}

/// Answers a message that has come to the end of its route.
fn tell(context: &ExecutionContext, answer: Result<Answer, WsException>) {
    // What nobody has touched needs no owner.
    if let Ok(Answer(AnswerKind::Value(value))) = &answer
        && let Some(question) = context.take_question()
    {
        return question.answer(context.client(), value);
    }
    let reply = Reply::at_end(context);
    match answer {
        Ok(answer) => reply.answer(answer),
        Err(exception) => reply.raise(&exception),
    }
}

/// Takes a request to a controller through the guards and interceptors of its handler, and answers it.
pub(crate) async fn answer(context: &ExecutionContext) -> Result<Answer, HttpError> {
    let route = context.route();
    let (outcome, status) = match route.guard(context).await {
        Err(exception) => (Err(exception), StatusCode::FORBIDDEN),
        Ok(()) => (intercepted(context).await, StatusCode::BAD_REQUEST),
    };
    let exception = match outcome {
        Ok(answer) => return Ok(answer),
        Err(exception) => exception,
    };
    if route.filters.is_empty() {
        return Err(HttpError::of_exception(exception, status));
    }
    let status = HttpError::status_of(&exception, status);
    match Box::pin(route.filter(exception, context)).await {
        Ok(answer) => Ok(answer),
        Err(exception) => Err(HttpError::of_exception(exception, status)),
    }
}

/// Runs the interceptors, and what they are around.
async fn intercepted(context: &ExecutionContext) -> Outcome {
    let interceptors = &context.route().interceptors;
    let Some((outermost, rest)) = interceptors.split_first() else {
        return answered(context).await;
    };
    let next = Next { context, rest };
    let answer = caught(pin!(outermost.around(context, next))).await;
    answer.unwrap_or_else(|panic| Err(context.route().panicked(outermost.name(), &*panic)))
}

/// Runs the pipes and the handler, for somebody who waits for its answer.
async fn answered(context: &ExecutionContext) -> Outcome {
    call(context).await.unwrap_or_else(|| Ok(Answer::nothing()))
}

/// Runs the pipes and the handler; what it has answered, as far as somebody waits for it.
async fn call(context: &ExecutionContext) -> Option<Outcome> {
    if context.request().is_some() {
        return Some(Box::pin(HttpCall::run(context)).await);
    }
    let (route, args) = (context.route(), context.args()?);
    let started = if route.pipes.is_empty() {
        start(context, args)
    } else {
        match Box::pin(route.pipe(args.clone(), context)).await {
            Ok(body) => start(context, &body),
            Err(exception) => return Some(Err(exception)),
        }
    };
    match started {
        Started::Waits(future) => {
            future.await;
            context.take_outcome()
        }
        Started::Ended(outcome) => outcome,
    }
}

/// A handler that has been called.
enum Started {
    /// It goes on, and its outcome will be the context's.
    Waits(BoxFuture<'static, ()>),
    /// It has ended with this.
    Ended(Option<Outcome>),
}

fn start(context: &ExecutionContext, args: &Payload) -> Started {
    let (route, event) = (context.route(), context.event_of(args));
    let Target::Gateway(gateway, Some(subscription)) = &route.target else {
        return Started::Ended(None);
    };
    let message = MessageContext::in_route(context, &event);
    match gateway.invoke(*subscription, &message) {
        Some(future) => Started::Waits(future),
        None => Started::Ended(message.take_outcome()),
    }
}

/// What an interceptor goes around: the next one, or the extractors and the handler.
pub struct Next<'a> {
    context: &'a ExecutionContext,
    rest: &'a [Arc<dyn DynInterceptor>],
}

impl Next<'_> {
    /// Goes on, and gives what the handler has answered.
    ///
    /// # Errors
    /// What the handler, one of its extractors or an interceptor on the way failed with.
    pub async fn handle(self) -> Result<Answer, Exception> {
        let Some((interceptor, rest)) = self.rest.split_first() else {
            return answered(self.context).await;
        };
        let next = Next { rest, ..self };
        let answer = caught(interceptor.within(self.context, next).as_mut()).await;
        answer.unwrap_or_else(|panic| Err(self.context.route().panicked(interceptor.name(), &*panic)))
    }
}

/// What a guard's no is answered with, as in NestJS.
const FORBIDDEN: &str = "Forbidden resource";

#[cfg(test)]
mod tests {
    use super::super::Interceptor;
    use super::super::interceptor::Around;
    use super::*;

    struct Through;

    impl Interceptor for Through {
        async fn intercept(&self, _: &ExecutionContext, next: Next<'_>) -> Result<Answer, Exception> {
            next.handle().await
        }
    }

    /// Of what a function returns.
    fn size<A, B>(_: impl FnOnce(A) -> B) -> usize {
        size_of::<B>()
    }

    /// What is moved, or copied into an allocation, for each message.
    #[test]
    fn the_futures_of_a_message_are_small() {
        let around = size(|(context, next): (&'static ExecutionContext, Next<'static>)| {
            Through.intercept(context, next)
        });
        assert!(around <= 256, "{around} bytes");
        assert!(Around::has_space_for::<[u8; 256]>());
        let run = size(run);
        // With the context, which lies in it.
        assert!(run <= 576, "{run} bytes");
        let outcome = size_of::<Outcome>();
        assert!(outcome <= 96, "{outcome} bytes");
    }
}
