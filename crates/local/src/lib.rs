//! A cluster of the processes of one machine, without a broker: each node has a Unix domain socket in a directory, and is
//! connected to all others there. The path of the directory is all that must be said.
//!
//! A [`LocalCluster`] is given to the application (`app.use_cluster(..)`), or joined by a server
//! ([`Io::use_cluster`](gatewire_hub::Io::use_cluster)):
//!
//! ```no_run
//! use gatewire_hub::Io;
//! use gatewire_hub::cluster::Cluster;
//! use gatewire_local::LocalCluster;
//!
//! # async fn run() -> Result<(), gatewire_hub::cluster::ClusterError> {
//! let io = Io::default();
//! io.use_cluster(LocalCluster::at("/run/chat").await?.join());
//! # Ok(())
//! # }
//! ```
//!
//! Servers of other makes cannot take part: that is what Redis is for. Nor is there connection state recovery across nodes.

#![cfg(unix)]

mod cluster;
mod config;
mod directory;
mod endpoint;
mod frame;
mod node;
mod peer;
mod sessions;
mod stats;

pub use cluster::LocalCluster;
pub use config::LocalConfig;
#[cfg(feature = "fuzzing")]
pub use frame::fuzz_frames;
pub use stats::Stats;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks whatever happened before: what the mutexes here guard is consistent at each point where a call could panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
