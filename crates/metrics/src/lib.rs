//! The figures of a Gatewire application for those who keep them: an endpoint for Prometheus, or any recorder of the
//! [`metrics`] facade. What is counted, and when, is the matter of the crates below; here it gets its names, its units and its
//! text. The table of all names is in the guide's chapter on observability.
//!
//! ```no_run
//! use gatewire::prelude::*;
//! use gatewire_metrics::Metrics;
//!
//! # #[module] struct AppModule;
//! # async fn run() -> gatewire::Result<()> {
//! let mut app = App::create::<AppModule>().await?;
//! app.use_metrics(Metrics::prometheus("/metrics"));
//! app.listen("0.0.0.0:3000").await
//! # }
//! ```
//!
//! The endpoint has what the application itself counts by the facade, too: `metrics::counter!("orders_total").increment(1)`.

mod facade;
mod families;
mod prometheus;
mod text;

use std::net::SocketAddr;
use std::time::Duration;

use gatewire::watch::{Exporter, Figures, OperatorRoute};
pub use metrics_exporter_prometheus::PrometheusBuilder;

use crate::prometheus::Prometheus;

/// Where the figures go, for [`App::use_metrics`](gatewire::App::use_metrics).
#[must_use = "it is given to `App::use_metrics`"]
#[derive(Debug)]
pub struct Metrics(Way);

#[derive(Debug)]
enum Way {
    Prometheus(Box<Prometheus>),
    Facade(Duration),
}

impl Metrics {
    /// An endpoint at `path` that Prometheus scrapes. It answers those who come directly from this machine or a private
    /// network, and tells others that there is nothing; see [`on`](Self::on) and [`public`](Self::public).
    ///
    /// If no recorder of the facade is set up yet, one is: what the application counts by `metrics::counter!` and its like is
    /// at the endpoint, too.
    pub fn prometheus(path: &str) -> Self {
        Self::prometheus_with(path, PrometheusBuilder::new())
    }

    /// As [`prometheus`](Self::prometheus), with the options of the recorder for what the application counts by itself: the
    /// buckets of its histograms, labels, and when what does not change is forgotten. The names and labels of what Gatewire
    /// counts are not changed by it.
    pub fn prometheus_with(path: &str, recorder: PrometheusBuilder) -> Self {
        Self(Way::Prometheus(Box::new(Prometheus {
            path: path.to_owned(),
            address: None,
            is_public: false,
            recorder,
        })))
    }

    /// No endpoint: the figures go to the recorder of the facade that the application sets up, every `interval`. Counts are
    /// told by their absolute value; a duration by the middle of its range, since only how many there were in each is kept.
    pub fn facade(interval: Duration) -> Self {
        Self(Way::Facade(interval))
    }

    /// Serves the endpoint at an address of its own, over plain HTTP, to whoever comes there: one that only operators can
    /// reach, such as `127.0.0.1:9464`. It may be the one that [`Health`](gatewire::watch::Health) has.
    pub fn on(mut self, address: SocketAddr) -> Self {
        if let Way::Prometheus(prometheus) = &mut self.0 {
            prometheus.address = Some(address);
        }
        self
    }

    /// Answers everybody: for an application that nobody reaches but through what keeps strangers away from the path.
    pub fn public(mut self) -> Self {
        if let Way::Prometheus(prometheus) = &mut self.0 {
            prometheus.is_public = true;
        }
        self
    }
}

impl Exporter for Metrics {
    fn begin(self, figures: Figures) -> Vec<OperatorRoute> {
        match self.0 {
            Way::Prometheus(prometheus) => vec![prometheus.begin(figures)],
            Way::Facade(interval) => {
                tokio::spawn(facade::publish(figures, interval.max(Duration::from_millis(1))));
                Vec::new()
            }
        }
    }
}

/// The guide's programs.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/observability.md")]
struct Observability;
