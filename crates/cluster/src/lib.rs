//! What cluster adapters have in common, whatever carries their messages: [`wire`], the messages of the official adapters of
//! Socket.IO, and [`node`], a node that speaks those of `ClusterAdapter`. Who writes an adapter gives a
//! [`node::Node`] a [`node::Carrier`], and has what a `ClusterAdapter` must do.
//!
//! This crate knows the hub and the forms of packets; no broker, no socket, and no clock but that of the deadlines.

pub mod heard;
pub mod node;
pub mod requests;
pub mod wire;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks whatever happened before: what the mutexes here guard is consistent at each point where a call could panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
