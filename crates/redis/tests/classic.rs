//! The classic mode.

mod support;

use std::sync::Arc;

use gatewire_hub::HubConfig;
use gatewire_hub::cluster::ClusterAdapter;
use gatewire_redis::RedisConfig;
use support::{Node, Redis, server};

async fn nodes(count: usize) -> (Vec<Arc<dyn ClusterAdapter>>, Option<Redis>) {
    support::conforming(count, &RedisConfig::default()).await
}

mod conforms {
    gatewire_hub::cluster_suite!(super::nodes);
}

#[tokio::test]
async fn a_server_that_is_dropped_is_no_node() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let config = RedisConfig::default();
    let [first, second] = Node::start_all(&redis.url(), &config, &HubConfig::default()).await;
    drop(second);
    first.meet(1).await;
}
