//! Whether an application is well, at HTTP routes: alive (its loop answers) and ready (it takes clients, its cluster is within
//! reach, and what the application looks at by itself is well).

mod indicator;
mod report;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tokio::sync::Mutex;
use tokio::time::Instant;

use indicator::{Closure, DynIndicator};
pub use indicator::{HealthData, HealthError, HealthIndicator};
use report::Report;

use super::operator::OperatorRoute;
use crate::running::Running;

/// Routes that tell whether the application is well: see [`App::use_health`](crate::App::use_health).
///
/// `GET /health/live` is answered with 200 as long as the application's loop turns, and `GET /health/ready`, or `/health`
/// alone, with 200 if it takes clients, and with 503 if not: while it shuts down, while its cluster is out of reach, or while
/// one of the checks fails. The body is that of NestJS's Terminus:
///
/// ```json
/// {"status":"error","info":{"gateway":{"status":"up"}},"error":{"db":{"status":"down","message":"…"}},"details":{…}}
/// ```
///
/// Who does not come from near by (see [`OperatorRoute`]) is told the `status` alone.
///
/// ```
/// # use gatewire::prelude::*;
/// # #[module] struct AppModule;
/// # async fn ping() -> Result<(), std::io::Error> { Ok(()) }
/// # async fn run() -> gatewire::Result<()> {
/// let mut app = App::create::<AppModule>().await?;
/// app.use_health(Health::at("/health").check("db", ping));
/// # Ok(())
/// # }
/// ```
#[must_use = "it is given to `App::use_health`"]
pub struct Health {
    path: String,
    live_path: Option<String>,
    ready_path: Option<String>,
    address: Option<SocketAddr>,
    is_open: bool,
    timeout: Duration,
    fresh: Duration,
    notice: Duration,
    ready: Vec<Check>,
    live: Vec<Check>,
}

/// Something that is looked at.
#[derive(Clone)]
pub(super) struct Check {
    name: Arc<str>,
    indicator: Arc<dyn DynIndicator>,
}

impl Health {
    /// At `path`, and below it at `live` and `ready`; a leading `/` is added.
    pub fn at(path: &str) -> Self {
        Self {
            path: format!("/{}", path.trim_matches('/')),
            live_path: None,
            ready_path: None,
            address: None,
            is_open: false,
            timeout: Duration::from_secs(3),
            fresh: Duration::from_secs(1),
            notice: Duration::ZERO,
            ready: Vec::new(),
            live: Vec::new(),
        }
    }

    /// Whether it is alive is told at this path, instead of `live` below the first one; e.g. `/healthz`.
    pub fn live_at(mut self, path: &str) -> Self {
        self.live_path = Some(path.to_owned());
        self
    }

    /// Whether it is ready is told at this path, instead of `ready` below the first one; e.g. `/readyz`.
    pub fn ready_at(mut self, path: &str) -> Self {
        self.ready_path = Some(path.to_owned());
        self
    }

    /// The application is ready only while this is well. An error is told in words, to those from near by.
    pub fn check<F, R, E>(self, name: &str, check: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + 'static,
    {
        self.indicator(name, Closure(check))
    }

    /// As [`check`](Self::check), by an indicator, which may be a provider: `.indicator("db", app.get::<DbHealth>())`.
    pub fn indicator(mut self, name: &str, indicator: impl HealthIndicator) -> Self {
        self.ready.push(Check::new(name, indicator));
        self
    }

    /// The application is alive only while this is well. Who restarts what is not alive does so then: an indicator for what a
    /// restart mends, and for nothing else.
    pub fn live_indicator(mut self, name: &str, indicator: impl HealthIndicator) -> Self {
        self.live.push(Check::new(name, indicator));
        self
    }

    /// How long one check may take; it has failed then. Default 3 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long an outcome is told to others who ask, without another look: whoever asks often does not make the checks run
    /// as often. Default 1 s.
    pub fn fresh_for(mut self, fresh: Duration) -> Self {
        self.fresh = fresh;
        self
    }

    /// How long the application goes on as before when it is told to end, but is not ready any more: time for a balancer to
    /// see that, and to send no more clients. Default none.
    pub fn notice(mut self, notice: Duration) -> Self {
        self.notice = notice;
        self
    }

    /// Serves it at an address of its own, over plain HTTP. Whoever comes there is told everything.
    pub fn on(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Tells everybody everything, not only those from near by.
    pub fn open(mut self) -> Self {
        self.is_open = true;
        self
    }

    pub(crate) fn begin(self, running: &Arc<Running>) -> Vec<OperatorRoute> {
        running.set_notice(self.notice);
        let live = self.live_path.unwrap_or_else(|| join(&self.path, "live"));
        let ready = self.ready_path.unwrap_or_else(|| join(&self.path, "ready"));
        let way = Way {
            timeout: self.timeout,
            fresh: self.fresh,
            is_open: self.is_open,
        };
        let alive = Arc::new(Look::new(way, self.live, None));
        let is_ready = Arc::new(Look::new(way, self.ready, Some(Arc::downgrade(running))));
        [(self.path, &is_ready), (live, &alive), (ready, &is_ready)]
            .map(|(path, look)| {
                let look = Arc::clone(look);
                OperatorRoute::new(&path, move |request| {
                    let look = Arc::clone(&look);
                    async move { look.answer(request.is_near).await }
                })
                .on(self.address)
                .public(true)
            })
            .into()
    }
}

fn join(path: &str, name: &str) -> String {
    format!("{}/{name}", path.trim_end_matches('/'))
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("path", &self.path)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Check {
    fn new(name: &str, indicator: impl HealthIndicator) -> Self {
        Self {
            name: name.into(),
            indicator: Arc::new(indicator),
        }
    }
}

#[derive(Clone, Copy)]
struct Way {
    timeout: Duration,
    fresh: Duration,
    is_open: bool,
}

/// One of the two questions.
struct Look {
    way: Way,
    checks: Vec<Check>,
    /// Whose readiness is asked for; `None` asks for its life alone.
    running: Option<Weak<Running>>,
    /// The last outcome. Whoever comes while others look waits for what they see.
    last: Mutex<Option<(Instant, Report)>>,
}

impl Look {
    fn new(way: Way, checks: Vec<Check>, running: Option<Weak<Running>>) -> Self {
        Self {
            way,
            checks,
            running,
            last: Mutex::new(None),
        }
    }

    async fn answer(&self, is_near: bool) -> Response {
        let mut report = self.look().await;
        if let Some(running) = &self.running {
            // Not kept: what is told at the end is true at once.
            report.add_application(running.upgrade().as_deref());
        }
        let status = if report.is_well() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let body = report.body(is_near || self.way.is_open);
        (status, axum::Json(body)).into_response()
    }

    async fn look(&self) -> Report {
        if self.checks.is_empty() {
            return Report::default();
        }
        let mut last = self.last.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < self.way.fresh
        {
            return report.clone();
        }
        let report = Report::of(&self.checks, self.way.timeout).await;
        *last = Some((Instant::now(), report.clone()));
        report
    }
}
