//! The classic mode.

mod support;

use std::sync::Arc;

use gatewire_hub::cluster::ClusterAdapter;
use gatewire_redis::RedisConfig;
use support::Redis;

async fn nodes(count: usize) -> (Vec<Arc<dyn ClusterAdapter>>, Option<Redis>) {
    support::conforming(count, &RedisConfig::default()).await
}

mod conforms {
    gatewire_hub::cluster_suite!(super::nodes);
}
