//! The classic mode.

mod support;

use std::sync::Arc;

use gatewire_hub::cluster::{Cluster, ClusterAdapter};
use gatewire_redis::RedisAdapter;
use support::{Redis, server};

async fn nodes(count: usize) -> (Vec<Arc<dyn ClusterAdapter>>, Option<Redis>) {
    if !server::is_there() {
        return (Vec::new(), None);
    }
    let redis = Redis::start();
    let mut nodes = Vec::new();
    for _ in 0..count {
        nodes.push(RedisAdapter::connect(&redis.url()).await.unwrap().join());
    }
    (nodes, Some(redis))
}

mod conforms {
    gatewire_hub::cluster_suite!(super::nodes);
}
