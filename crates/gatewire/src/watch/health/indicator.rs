//! What is looked at to see whether an application is well.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::{Map, Value};

/// Looks at something that the application needs, as the health indicators of NestJS's Terminus do.
///
/// ```
/// # use gatewire::prelude::*;
/// use gatewire::watch::{HealthData, HealthError, HealthIndicator};
///
/// #[injectable]
/// struct QueueHealth;
/// # impl QueueHealth { fn len(&self) -> usize { 3 } }
///
/// impl HealthIndicator for QueueHealth {
///     async fn check(&self) -> Result<HealthData, HealthError> {
///         let data = HealthData::new().with("length", &self.len());
///         if self.len() < 1_000 {
///             Ok(data)
///         } else {
///             Err(HealthError::new("the queue is too long").with(data))
///         }
///     }
/// }
/// ```
pub trait HealthIndicator: Send + Sync + 'static {
    /// What there is to tell if it is well.
    ///
    /// # Errors
    /// Why it is not.
    fn check(&self) -> impl Future<Output = Result<HealthData, HealthError>> + Send;
}

impl<T: HealthIndicator> HealthIndicator for Arc<T> {
    fn check(&self) -> impl Future<Output = Result<HealthData, HealthError>> + Send {
        T::check(self)
    }
}

/// What an indicator tells beside up or down; nothing, mostly.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HealthData(pub(super) Map<String, Value>);

impl HealthData {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One value more; one that cannot be JSON is left out.
    #[must_use]
    pub fn with<T: Serialize + ?Sized>(mut self, name: &str, value: &T) -> Self {
        if let Ok(value) = serde_json::to_value(value) {
            self.0.insert(name.to_owned(), value);
        }
        self
    }
}

/// Something is not well.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct HealthError {
    pub(super) message: String,
    pub(super) data: HealthData,
}

impl HealthError {
    /// In words.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: HealthData::new(),
        }
    }

    /// Tells this, too.
    #[must_use]
    pub fn with(mut self, data: HealthData) -> Self {
        self.data = data;
        self
    }
}

/// An indicator, its type erased.
pub(super) trait DynIndicator: Send + Sync + 'static {
    fn look(&self) -> BoxFuture<'_, Result<HealthData, HealthError>>;
}

impl<T: HealthIndicator> DynIndicator for T {
    fn look(&self) -> BoxFuture<'_, Result<HealthData, HealthError>> {
        Box::pin(self.check())
    }
}

/// A check that is a function.
pub(super) struct Closure<F>(pub(super) F);

impl<F, R, E> HealthIndicator for Closure<F>
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), E>> + Send + 'static,
    E: fmt::Display + 'static,
{
    fn check(&self) -> impl Future<Output = Result<HealthData, HealthError>> + Send {
        let check = (self.0)();
        async move {
            // The error is gone before anything is waited for: it need not be one that other threads may have.
            check
                .await
                .map(|()| HealthData::new())
                .map_err(|error| HealthError::new(error.to_string()))
        }
    }
}
