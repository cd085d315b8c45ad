//! The endpoint for Prometheus: what Gatewire counts, and behind it what the application has told the facade.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use gatewire::watch::{Figures, OperatorRoute};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::time::{MissedTickBehavior, interval};

use crate::families::families;
use crate::text;

pub(crate) struct Prometheus {
    pub(crate) path: String,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) is_public: bool,
    pub(crate) recorder: PrometheusBuilder,
}

impl std::fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prometheus")
            .field("path", &self.path)
            .field("address", &self.address)
            .field("is_public", &self.is_public)
            .finish_non_exhaustive()
    }
}

/// What the application counts by itself. There is one facade in a process, however many applications there are.
static FACADE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// How often what was told to the facade is worked off; what nobody scrapes would grow otherwise.
const UPKEEP: Duration = Duration::from_secs(5);

impl Prometheus {
    pub(crate) fn begin(self, figures: Figures) -> OperatorRoute {
        let facade = FACADE.get_or_init(|| set_up(self.recorder));
        if let Some(facade) = facade {
            tokio::spawn(keep_up(figures.clone(), facade));
        }
        OperatorRoute::new(&self.path, move |_| answer(figures.clone(), facade.as_ref()))
            .on(self.address)
            .public(self.is_public)
    }
}

/// `None` if the application has set up a recorder of its own.
fn set_up(builder: PrometheusBuilder) -> Option<PrometheusHandle> {
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    match metrics::set_global_recorder(recorder) {
        Ok(()) => Some(handle),
        Err(_) => {
            tracing::info!(
                target: "gatewire", context = "Metrics",
                "there is a recorder already: the endpoint has what Gatewire counts, and nothing else"
            );
            None
        }
    }
}

/// Until the application is gone.
async fn keep_up(figures: Figures, facade: &'static PrometheusHandle) {
    let mut ticks = interval(UPKEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !figures.is_over() {
        ticks.tick().await;
        facade.run_upkeep();
    }
}

async fn answer(figures: Figures, facade: Option<&'static PrometheusHandle>) -> Response {
    // Connections are locked one by one, and there may be many of them.
    let written = tokio::task::spawn_blocking(move || {
        let mut out = String::new();
        text::write(&families(&figures.collect()?), &mut out);
        if let Some(facade) = facade {
            out.push_str(&facade.render());
        }
        Some(out)
    });
    match written.await {
        Ok(Some(text)) => ([(CONTENT_TYPE, text::CONTENT_TYPE)], text).into_response(),
        Ok(None) | Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
