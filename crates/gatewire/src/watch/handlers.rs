//! How long handlers take, each by itself, and whom the guards and hooks refuse. Nothing here runs for an application whose
//! figures nobody takes.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gatewire_hub::meter::{Lanes, Stamp, Times, TimesStats};

use crate::gateway::Handled;
use crate::pipeline::Route;

/// A handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HandlerId {
    /// The gateway or controller.
    pub(crate) owner: &'static str,
    pub(crate) handler: &'static str,
    /// The event, or the path.
    pub(crate) pattern: String,
    /// Of a controller's.
    pub(crate) method: Option<String>,
}

/// The figures of one handler.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerStats {
    /// The gateway or controller that it belongs to.
    pub owner: &'static str,
    /// Its name.
    pub handler: &'static str,
    /// The event that it handles; of a controller's the path.
    pub pattern: String,
    /// The HTTP method; `None` for a gateway's.
    pub method: Option<String>,
    /// How long it took, from its turn to the end of its answer: with what is bound to it (guards, interceptors, pipes), and
    /// with all the time that it waited for something. Of a stream, to its first event.
    pub times: TimesStats,
    /// How often a guard said no.
    pub guarded: u64,
}

/// The meters of all handlers of an application.
#[derive(Default)]
pub(crate) struct Handlers {
    is_on: AtomicBool,
    meters: Mutex<Vec<Arc<HandlerMeter>>>,
    refused: Arc<Refused>,
}

/// Clients and events that nothing became of.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    /// Clients that a gateway did not let in: its guards, its hook, or nobody in time.
    pub(crate) connections: AtomicU64,
    /// Those on whom nobody decided in time.
    pub(crate) late: AtomicU64,
    /// Events without a handler.
    pub(crate) events: AtomicU64,
}

impl Handlers {
    pub(crate) fn turn_on(&self) {
        self.is_on.store(true, Ordering::Release);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    pub(crate) fn refused(&self) -> &Arc<Refused> {
        &self.refused
    }

    /// A meter for these handlers and what is bound to each; `connections` are the routes by which clients come in. `None`
    /// if nobody wants figures.
    pub(crate) fn meter(
        &self,
        handlers: Vec<(HandlerId, Option<Arc<Route>>)>,
        connections: &[Option<Arc<Route>>],
    ) -> Option<Arc<HandlerMeter>> {
        if !self.is_on() {
            return None;
        }
        let count = handlers.len();
        let meter = Arc::new(HandlerMeter {
            handlers,
            connections: connections.iter().flatten().cloned().collect(),
            lanes: Lanes::new(move || (0..count).map(|_| Times::default()).collect()),
        });
        self.meters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&meter));
        Some(meter)
    }

    pub(crate) fn stats(&self) -> Vec<HandlerStats> {
        let meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner).clone();
        meters.iter().flat_map(|meter| meter.stats()).collect()
    }

    /// How often a guard refused a connection.
    pub(crate) fn guarded_connections(&self) -> u64 {
        let meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let routes = meters.iter().flat_map(|meter| &meter.connections);
        routes.map(|route| route.refusals()).sum()
    }
}

/// The times of the handlers of one namespace, or of one route.
pub(crate) struct HandlerMeter {
    handlers: Vec<(HandlerId, Option<Arc<Route>>)>,
    connections: Vec<Arc<Route>>,
    lanes: Lanes<Box<[Times]>>,
}

impl HandlerMeter {
    fn note(&self, at: usize, since: Stamp) {
        let nanos = since.elapsed();
        self.lanes.lane().part(|times| &times[at]).note(nanos);
    }

    /// Notes how long the handler at this place has run since it was called, now or when what is left of it has ended.
    pub(crate) fn watch(self: &Arc<Self>, at: usize, since: Stamp, handled: Handled) -> Handled {
        let Some(future) = handled else {
            self.note(at, since);
            return None;
        };
        let run = self.run(at, since);
        Some(Box::pin(async move {
            let _run = run;
            future.await;
        }))
    }

    /// A run of the handler at this place, which ends when it is dropped.
    pub(crate) fn run(self: &Arc<Self>, at: usize, since: Stamp) -> HandlerRun {
        HandlerRun {
            meter: Arc::clone(self),
            at,
            since,
        }
    }

    fn stats(&self) -> Vec<HandlerStats> {
        let handlers = self.handlers.iter().enumerate();
        let stats = handlers.map(|(at, (id, route))| HandlerStats {
            owner: id.owner,
            handler: id.handler,
            pattern: id.pattern.clone(),
            method: id.method.clone(),
            times: self.lanes.iter().map(|times| &times[at]).collect(),
            guarded: route.as_ref().map_or(0, |route| route.refusals()),
        });
        stats.collect()
    }
}

impl fmt::Debug for HandlerMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerMeter").finish_non_exhaustive()
    }
}

/// See [`HandlerMeter::run`].
pub(crate) struct HandlerRun {
    meter: Arc<HandlerMeter>,
    at: usize,
    since: Stamp,
}

impl Drop for HandlerRun {
    fn drop(&mut self) {
        self.meter.note(self.at, self.since);
    }
}
