//! The cluster of one process does what every cluster must do.

use std::sync::Arc;
use std::time::Duration;

use gatewire_hub::Io;
use gatewire_hub::cluster::{Cluster, ClusterAdapter, InProcess};

async fn nodes(count: usize) -> Vec<Arc<dyn ClusterAdapter>> {
    let cluster = InProcess::new();
    (0..count).map(|_| cluster.join()).collect()
}

mod conforms {
    gatewire_hub::cluster_suite!(super::nodes);
}

#[tokio::test]
async fn a_server_that_is_gone_is_no_node() {
    let cluster = InProcess::new();
    let (here, there) = (Io::default(), Io::default());
    let (own, other) = (cluster.join(), cluster.join());
    here.use_cluster(own.clone());
    there.use_cluster(other);
    let _ = (here.of("/"), there.of("/"));
    assert_eq!(own.server_count("/").await, 2);
    drop(there);
    assert_eq!(own.server_count("/").await, 1);
    let sockets = here.sockets().everyone().timeout(Duration::from_secs(5));
    assert!(
        sockets
            .try_fetch_sockets()
            .await
            .is_ok_and(|sockets| sockets.is_empty())
    );
}
