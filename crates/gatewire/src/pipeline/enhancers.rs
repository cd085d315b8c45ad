//! What is bound to a handler, a gateway or the application: written down by the macros as types and values, and
//! resolved to instances once, at start.

use std::any::Any;
use std::sync::Arc;

use super::body_pipe::DynPipe;
use super::filter::DynFilter;
use super::guard::DynGuard;
use super::interceptor::DynInterceptor;
use super::{BodyPipe, ExceptionFilter, Guard, Interceptor};
use crate::module::{InjectError, Injectable, Provider, Resolver};

/// A value that `#[set_metadata(..)]` has put somewhere.
pub(crate) type Metadata = Arc<dyn Any + Send + Sync>;

/// The guards, interceptors, pipes, filters and metadata of one handler or gateway, in the order written: what the attributes
/// say, not resolved yet.
///
/// A class is an instance of the container: the provider that the gateway's module sees, or else one that is built in that
/// module without being listed.
#[derive(Default)]
pub struct Enhancers {
    guards: Vec<Binding<dyn DynGuard>>,
    interceptors: Vec<Binding<dyn DynInterceptor>>,
    pipes: Vec<Binding<dyn DynPipe>>,
    filters: Vec<Binding<dyn DynFilter>>,
    metadata: Vec<Metadata>,
}

struct Binding<T: ?Sized> {
    /// How the container makes it, unless it is a value.
    class: Option<fn() -> Provider>,
    resolve: Resolve<T>,
}

/// Finds or makes the instance.
type Resolve<T> = Box<dyn FnOnce(&Resolver<'_>) -> Result<Arc<T>, InjectError>>;

impl<T: ?Sized + 'static> Binding<T> {
    fn class<C: Injectable>(coerce: fn(Arc<C>) -> Arc<T>) -> Self {
        Self {
            class: Some(Provider::injectable::<C>),
            resolve: Box::new(move |resolver| Ok(coerce(resolver.get()?))),
        }
    }

    fn value(make: impl FnOnce() -> Arc<T> + 'static) -> Self {
        Self {
            class: None,
            resolve: Box::new(|_| Ok(make())),
        }
    }
}

/// The same as instances.
#[derive(Clone, Default)]
pub(crate) struct Bound {
    pub(crate) guards: Vec<Arc<dyn DynGuard>>,
    pub(crate) interceptors: Vec<Arc<dyn DynInterceptor>>,
    pub(crate) pipes: Vec<Arc<dyn DynPipe>>,
    pub(crate) filters: Vec<Arc<dyn DynFilter>>,
    pub(crate) metadata: Vec<Metadata>,
}

impl Enhancers {
    /// Nothing bound.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a guard that the container builds.
    #[must_use]
    pub fn guard<G: Guard + Injectable>(mut self) -> Self {
        self.guards.push(Binding::class::<G>(|guard| guard));
        self
    }

    /// Adds a guard that `make` makes, once, at start.
    #[must_use]
    pub fn guard_value<G: Guard>(mut self, make: impl FnOnce() -> G + 'static) -> Self {
        self.guards
            .push(Binding::<dyn DynGuard>::value(|| Arc::new(make())));
        self
    }

    /// Adds an interceptor that the container builds.
    #[must_use]
    pub fn interceptor<I: Interceptor + Injectable>(mut self) -> Self {
        self.interceptors
            .push(Binding::class::<I>(|interceptor| interceptor));
        self
    }

    /// Adds an interceptor that `make` makes, once, at start.
    #[must_use]
    pub fn interceptor_value<I: Interceptor>(mut self, make: impl FnOnce() -> I + 'static) -> Self {
        self.interceptors
            .push(Binding::<dyn DynInterceptor>::value(|| Arc::new(make())));
        self
    }

    /// Adds a pipe of bodies that the container builds.
    #[must_use]
    pub fn pipe<P: BodyPipe + Injectable>(mut self) -> Self {
        self.pipes.push(Binding::class::<P>(|pipe| pipe));
        self
    }

    /// Adds a pipe of bodies that `make` makes, once, at start.
    #[must_use]
    pub fn pipe_value<P: BodyPipe>(mut self, make: impl FnOnce() -> P + 'static) -> Self {
        self.pipes
            .push(Binding::<dyn DynPipe>::value(|| Arc::new(make())));
        self
    }

    /// Adds an exception filter that the container builds.
    #[must_use]
    pub fn filter<F: ExceptionFilter + Injectable>(mut self) -> Self {
        self.filters.push(Binding::class::<F>(|filter| filter));
        self
    }

    /// Adds an exception filter that `make` makes, once, at start.
    #[must_use]
    pub fn filter_value<F: ExceptionFilter>(mut self, make: impl FnOnce() -> F + 'static) -> Self {
        self.filters
            .push(Binding::<dyn DynFilter>::value(|| Arc::new(make())));
        self
    }

    /// Adds a value that [`ExecutionContext::metadata`](super::ExecutionContext::metadata) finds by its type.
    #[must_use]
    pub fn metadata<T: Any + Send + Sync>(mut self, value: T) -> Self {
        self.metadata.push(Arc::new(value));
        self
    }

    /// These, then `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.guards.extend(other.guards);
        self.interceptors.extend(other.interceptors);
        self.pipes.extend(other.pipes);
        self.filters.extend(other.filters);
        self.metadata.extend(other.metadata);
        self
    }

    /// The classes, which the gateway's module must be able to build.
    pub(crate) fn classes(&self) -> impl Iterator<Item = fn() -> Provider> {
        let guards = self.guards.iter().filter_map(|guard| guard.class);
        let interceptors = self.interceptors.iter();
        let pipes = self.pipes.iter();
        let filters = self.filters.iter();
        guards
            .chain(interceptors.filter_map(|interceptor| interceptor.class))
            .chain(pipes.filter_map(|pipe| pipe.class))
            .chain(filters.filter_map(|filter| filter.class))
    }

    pub(crate) fn resolve(self, resolver: &Resolver<'_>) -> Result<Bound, InjectError> {
        fn all<T: ?Sized>(
            bindings: Vec<Binding<T>>,
            resolver: &Resolver<'_>,
        ) -> Result<Vec<Arc<T>>, InjectError> {
            let bindings = bindings.into_iter();
            bindings.map(|binding| (binding.resolve)(resolver)).collect()
        }
        Ok(Bound {
            guards: all(self.guards, resolver)?,
            interceptors: all(self.interceptors, resolver)?,
            pipes: all(self.pipes, resolver)?,
            filters: all(self.filters, resolver)?,
            metadata: self.metadata,
        })
    }
}
