//! The outcome of checks, in the form of NestJS's Terminus.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::Check;
use super::indicator::{HealthData, HealthError};
use crate::running::Running;

/// What was seen, by name.
#[derive(Clone, Default)]
pub(super) struct Report {
    seen: Vec<(Arc<str>, Result<HealthData, HealthError>)>,
    is_ending: bool,
}

impl Report {
    /// Looks at everything at once.
    pub(super) async fn of(checks: &[Check], patience: Duration) -> Self {
        let seen = join_all(checks.iter().map(|check| async move {
            let look = AssertUnwindSafe(async { check.indicator.look().await }).catch_unwind();
            let outcome = match timeout(patience, look).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err(HealthError::new("the check panicked")),
                Err(_) => Err(HealthError::new(format!("no answer within {patience:?}"))),
            };
            if let Err(error) = &outcome {
                tracing::warn!(target: "gatewire", context = "Health", "{} is down: {error}", check.name);
            }
            (Arc::clone(&check.name), outcome)
        }));
        Self {
            seen: seen.await,
            is_ending: false,
        }
    }

    /// Adds how the application itself is.
    pub(super) fn add_application(&mut self, running: Option<&Running>) {
        let is_accepting = running.is_some_and(Running::is_accepting);
        self.is_ending = !is_accepting;
        let gateway = if is_accepting {
            Ok(HealthData::new())
        } else {
            Err(HealthError::new("the application shuts down"))
        };
        self.seen.push(("gateway".into(), gateway));
        let Some(status) = running.and_then(Running::cluster_status) else {
            return;
        };
        let data = HealthData::new().with("outages", &status.outages);
        let data = match status.nodes {
            Some(nodes) => data.with("nodes", &nodes),
            None => data,
        };
        let silent = |(name, age): &(Box<str>, Duration)| (name.to_string(), age.as_secs_f64().into());
        let data = match &*status.heard {
            [] => data,
            heard => data.with(
                "heard_seconds_ago",
                &heard.iter().map(silent).collect::<Map<String, Value>>(),
            ),
        };
        let cluster = if status.is_connected {
            Ok(data)
        } else {
            Err(HealthError::new("the cluster is out of reach").with(data))
        };
        self.seen.push(("cluster".into(), cluster));
    }

    pub(super) fn is_well(&self) -> bool {
        self.seen.iter().all(|(_, outcome)| outcome.is_ok())
    }

    /// The body of the answer: all of it, or the status alone.
    pub(super) fn body(&self, is_detailed: bool) -> Value {
        let status = if self.is_ending {
            "shutting_down"
        } else if self.is_well() {
            "ok"
        } else {
            "error"
        };
        if !is_detailed {
            return json!({ "status": status });
        }
        let (mut info, mut error) = (Map::new(), Map::new());
        for (name, outcome) in &self.seen {
            let (to, status, message, data) = match outcome {
                Ok(data) => (&mut info, "up", None, data),
                Err(failed) => (&mut error, "down", Some(&failed.message), &failed.data),
            };
            let mut entry = Map::new();
            entry.insert("status".to_owned(), status.into());
            if let Some(message) = message {
                entry.insert("message".to_owned(), message.as_str().into());
            }
            entry.extend(data.0.clone());
            to.insert(name.to_string(), entry.into());
        }
        let mut details = info.clone();
        details.extend(error.clone());
        json!({ "status": status, "info": info, "error": error, "details": details })
    }
}
