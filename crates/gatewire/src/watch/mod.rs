//! For those who run an application and look at it from outside: its figures ([`AppStats`]) and who takes them elsewhere
//! ([`Exporter`]), whether it is well ([`Health`]), and the HTTP routes at which both are read ([`OperatorRoute`]), which are
//! not for everybody. The names and forms in which figures leave are not decided here: `gatewire-metrics` has those of
//! Prometheus and of the `metrics` facade.

mod handlers;
mod health;
mod operator;
mod stats;

pub use handlers::HandlerStats;
pub(crate) use handlers::{HandlerId, HandlerMeter, Handlers};
pub use health::{Health, HealthData, HealthError, HealthIndicator};
pub(crate) use operator::OperatorSite;
pub use operator::{OperatorRequest, OperatorRoute};
pub use stats::{AppStats, Exporter, Figures, ServerKind};

/// What handlers' times are noted in.
pub use gatewire_hub::meter::{BOUNDS, TimesStats};
pub use gatewire_hub::{HubStats, NamespaceStats, cluster::ClusterStatus};
pub use gatewire_server::{Fault, Refusal, ServerStats, TransportStats};
