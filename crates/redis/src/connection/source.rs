//! Where Redis is: one server, a cluster, or what sentinels say. A URL says which.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use gatewire_hub::cluster::ClusterError;
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, ProtocolVersion, PushInfo,
    RedisError, RedisResult, TlsMode,
};
use tokio::sync::Mutex;

use super::Link;
use crate::RedisConfig;

/// Called by the connection for what comes without being asked for. It must not block.
pub(crate) type OnPush = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// Where Redis is.
pub(crate) struct Source {
    place: Place,
    /// For people: without user and password.
    address: String,
    connect_timeout: Duration,
    response_timeout: Duration,
}

enum Place {
    Single(Client),
    Cluster(ClusterClient),
    /// Asked for each connection: the master may have become another one.
    Sentinel(Mutex<SentinelClient>),
}

impl Source {
    /// Reads a URL; connects to nothing.
    pub(crate) fn new(url: &str, config: &RedisConfig) -> Result<Self, ClusterError> {
        let address = without_secrets(url);
        let fault = |reason: &str| ClusterError::Config {
            message: format!(
                "{address:?} is no address of Redis ({reason}): use redis://[user:password@]host[:port][/db], \
                 redis-cluster://host[:port],.. or redis-sentinel://host[:port],../[db]#service"
            ),
        };
        if !cfg!(feature = "tls") && url.starts_with("rediss") {
            return Err(ClusterError::Config {
                message: format!("{address:?} wants TLS: give gatewire-redis its feature `tls`"),
            });
        }
        let place = Place::read(url).map_err(|error| fault(&error.to_string()))?;
        Ok(Self {
            place,
            address,
            connect_timeout: config.connect_timeout,
            response_timeout: config.response_timeout,
        })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    /// A new connection, whose answers are awaited as long as the options say.
    pub(crate) async fn connect(&self, on_push: Option<OnPush>) -> RedisResult<Link> {
        self.connect_for(on_push, self.response_timeout).await
    }

    /// A new connection for commands that block so long.
    pub(crate) async fn connect_blocking(&self, block: Duration) -> RedisResult<Link> {
        self.connect_for(None, self.response_timeout + block).await
    }

    async fn connect_for(&self, on_push: Option<OnPush>, response_timeout: Duration) -> RedisResult<Link> {
        let push = on_push.map(|on_push| {
            move |info: PushInfo| {
                on_push(info);
                Ok::<(), ()>(())
            }
        });
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(response_timeout));
        match &self.place {
            Place::Single(client) => {
                let config = with_push(config, push, AsyncConnectionConfig::set_push_sender);
                let connection = client.get_multiplexed_async_connection_with_config(&config);
                Ok(Link::Single(connection.await?))
            }
            Place::Sentinel(client) => {
                let config = with_push(config, push, AsyncConnectionConfig::set_push_sender);
                let mut client = client.lock().await;
                let connection = client.get_async_connection_with_config(&config);
                Ok(Link::Single(self.in_time(connection).await?))
            }
            Place::Cluster(client) => {
                let config = ClusterConfig::new()
                    .set_connection_timeout(self.connect_timeout)
                    .set_response_timeout(response_timeout);
                let config = with_push(config, push, ClusterConfig::set_push_sender);
                let connection = client.get_async_connection_with_config(config);
                Ok(Link::Cluster(self.in_time(connection).await?))
            }
        }
    }

    /// Several servers are asked, one after the other: their timeouts add up.
    async fn in_time<T>(&self, connecting: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        match tokio::time::timeout(2 * self.connect_timeout, connecting).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        }
    }
}

fn with_push<C, P>(config: C, push: Option<P>, set: impl FnOnce(C, P) -> C) -> C {
    match push {
        Some(push) => set(config, push),
        None => config,
    }
}

impl Place {
    fn read(url: &str) -> RedisResult<Self> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        match scheme {
            "redis-cluster" | "rediss-cluster" => {
                let scheme = if scheme == "rediss-cluster" {
                    "rediss"
                } else {
                    "redis"
                };
                let (user, hosts) = split_user(rest);
                let nodes = hosts.trim_end_matches('/').split(',');
                let nodes = nodes.map(|host| format!("{scheme}://{user}{host}"));
                let client = ClusterClient::builder(nodes).use_protocol(ProtocolVersion::RESP3);
                Ok(Self::Cluster(client.build()?))
            }
            "redis-sentinel" | "rediss-sentinel" => {
                let is_tls = scheme == "rediss-sentinel";
                Ok(Self::Sentinel(Mutex::new(sentinel(rest, is_tls)?)))
            }
            _ => {
                let info = url.into_connection_info()?;
                let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
                Ok(Self::Single(Client::open(info.set_redis_settings(settings))?))
            }
        }
    }
}

/// `[user:password@]host[:port],..[/db]#service`; user and password are those of Redis.
fn sentinel(rest: &str, is_tls: bool) -> RedisResult<SentinelClient> {
    let wrong = |what| RedisError::from((ErrorKind::InvalidClientConfig, what));
    let (rest, service) = rest
        .split_once('#')
        .filter(|(_, service)| !service.is_empty())
        .ok_or_else(|| wrong("the name of the service is missing, `#mymaster` at the end"))?;
    let (user, rest) = split_user(rest);
    let (hosts, db) = rest.split_once('/').unwrap_or((rest, ""));
    let sentinels = hosts.split(',').map(|host| {
        let (host, port) = host.rsplit_once(':').unwrap_or((host, "26379"));
        let port = port
            .parse()
            .map_err(|_| wrong("the port of a sentinel is no number"))?;
        Ok(ConnectionAddr::Tcp(host.to_owned(), port))
    });
    let sentinels = sentinels.collect::<RedisResult<Vec<_>>>()?;
    let mut builder = SentinelClientBuilder::new(sentinels, service, SentinelServerType::Master)?
        .set_client_to_redis_protocol(ProtocolVersion::RESP3);
    // Read by the rules of other URLs: what is written with % is what it stands for.
    let info = format!("redis://{user}host/{db}").into_connection_info()?;
    let redis = info.redis_settings();
    builder = builder.set_client_to_redis_db(redis.db());
    if let Some(username) = redis.username() {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = redis.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    if is_tls {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_tls_mode(TlsMode::Secure);
    }
    builder.build()
}

/// User and password, with the `@` behind them, and the rest.
fn split_user(rest: &str) -> (&str, &str) {
    let end = rest.rfind('@').map_or(0, |at| at + 1);
    rest.split_at(end)
}

/// The address as people may see it.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url
        .split_once("://")
        .map_or(("", url), |(scheme, rest)| (scheme, rest));
    let (_, rest) = split_user(rest);
    // A query may hold a password, too.
    let rest = rest.split('?').next().unwrap_or_default();
    if scheme.is_empty() {
        rest.to_owned()
    } else {
        format!("{scheme}://{rest}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where() {
        let config = RedisConfig::default();
        for (url, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("redis://:p%40ss@host/3", "redis://host/3"),
            (
                "redis+unix:///run/redis.sock?pass=secret",
                "redis+unix:///run/redis.sock",
            ),
            (
                "redis-cluster://u:secret@a:7000,b:7001",
                "redis-cluster://a:7000,b:7001",
            ),
            (
                "redis-sentinel://:secret@a,b:26380/1#mymaster",
                "redis-sentinel://a,b:26380/1#mymaster",
            ),
        ] {
            match Source::new(url, &config) {
                Ok(source) => assert_eq!(source.address(), shown),
                Err(error) => panic!("{url}: {error}"),
            }
        }
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn what_wants_tls_is_told_of_the_feature() {
        for url in [
            "rediss://:secret@h",
            "rediss-cluster://h",
            "rediss-sentinel://h#m",
        ] {
            let Err(ClusterError::Config { message }) = Source::new(url, &RedisConfig::default()) else {
                panic!("{url:?} was taken");
            };
            assert!(
                message.ends_with("wants TLS: give gatewire-redis its feature `tls`"),
                "{message}"
            );
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn what_is_no_address_is_said_without_secrets() {
        for url in [
            "localhost:6379",
            "http://u:secret@h",
            "redis-sentinel://u:secret@h",
            "redis-sentinel://secret@h:x#m",
            "",
        ] {
            let Err(ClusterError::Config { message }) = Source::new(url, &RedisConfig::default()) else {
                panic!("{url:?} was taken");
            };
            assert!(!message.contains("secret"), "{message}");
            assert!(message.contains("redis://[user"), "{message}");
        }
    }
}
