//! Cluster adapters over Redis: servers on several machines become one, and Gatewire nodes and Node servers share a
//! cluster, because what goes over Redis is what the official adapters of Socket.IO write.
//!
//! A [`RedisAdapter`] is given to the application (`app.use_cluster(..)`), or joined by a server
//! ([`Io::use_cluster`](gatewire_hub::Io::use_cluster)):
//!
//! ```no_run
//! use gatewire_hub::Io;
//! use gatewire_hub::cluster::Cluster;
//! use gatewire_redis::RedisAdapter;
//!
//! # async fn run() -> Result<(), gatewire_hub::cluster::ClusterError> {
//! let io = Io::default();
//! io.use_cluster(RedisAdapter::connect("redis://127.0.0.1:6379").await?.join());
//! # Ok(())
//! # }
//! ```
//!
//! This crate knows the hub, what cluster adapters have in common, and Redis; neither HTTP nor gateways.

mod adapter;
mod classic;
mod config;
mod connection;
mod emitter;
mod sessions;
mod sharded;
mod stats;
mod streams;
mod uid;

pub use adapter::RedisAdapter;
pub use config::{ClassicConfig, Mode, RedisConfig, ShardedConfig, StreamsConfig, SubscriptionMode};
pub use emitter::{Emitter, FlushError};
pub use stats::Stats;

use std::sync::{Mutex, MutexGuard, PoisonError};

use gatewire_cluster::{heard, node, requests, wire};

/// Locks whatever happened before: what the mutexes here guard is consistent at each point where a call could panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
