//! The cluster of one node: there is nobody to tell, and nothing to remember.

use std::future::ready;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{BroadcastOptions, ClusterAdapter, FoundSockets, RemoteAcks};
use crate::selection::{Room, Selection};
use crate::{Namespace, Payload, Prepared};

/// An adapter without other nodes: as good as none, for where one must be named.
#[derive(Debug, Clone, Copy, Default)]
pub struct Local;

impl ClusterAdapter for Local {
    fn open(&self, _: &Namespace) {}

    fn broadcast(&self, _: &str, _: &Prepared, _: &Selection, _: BroadcastOptions) {}

    fn broadcast_with_ack(
        &self,
        _: &str,
        _: &Prepared,
        _: &Selection,
        _: BroadcastOptions,
        _: Duration,
    ) -> BoxFuture<'static, RemoteAcks> {
        Box::pin(ready(RemoteAcks::default()))
    }

    fn sockets_join(&self, _: &str, _: &Selection, _: &[Room]) {}

    fn sockets_leave(&self, _: &str, _: &Selection, _: &[Room]) {}

    fn disconnect_sockets(&self, _: &str, _: &Selection, _: bool) {}

    fn fetch_sockets(&self, _: &str, _: &Selection, _: Duration) -> BoxFuture<'static, FoundSockets> {
        Box::pin(ready(FoundSockets::default()))
    }

    fn server_side_emit(&self, _: &str, _: &str, _: &Payload) {}

    fn server_side_emit_with_ack(
        &self,
        _: &str,
        _: &str,
        _: &Payload,
        _: Duration,
    ) -> BoxFuture<'static, RemoteAcks> {
        Box::pin(ready(RemoteAcks::default()))
    }

    fn server_count(&self, _: &str) -> BoxFuture<'static, usize> {
        Box::pin(ready(1))
    }
}
