//! What operators look at: metrics for Prometheus, health with a check of its own, and spans in the log.
//!
//! ```console
//! RUST_LOG=info,gatewire::connection=debug,gatewire::message=trace cargo run --example observability
//! curl http://127.0.0.1:9464/metrics
//! curl http://127.0.0.1:9464/health
//! ```
//!
//! Both are at an address that only this machine can reach (`OPERATORS`, 127.0.0.1:9464). Clients come to `PORT` (3000) of `HOST`
//! (127.0.0.1).

use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gatewire::prelude::*;
use gatewire::watch::{HealthData, HealthError};
use gatewire_metrics::Metrics;

/// Orders that wait to be worked off.
#[injectable]
struct Orders {
    #[inject(default)]
    waiting: Mutex<VecDeque<String>>,
}

impl Orders {
    const MOST: usize = 100;

    fn add(&self, order: String) -> usize {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back(order);
        // The application's own metrics are at the same endpoint.
        metrics::counter!("orders_total").increment(1);
        waiting.len()
    }

    fn len(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Whether they are worked off fast enough: while they are not, balancers send no more clients.
#[injectable]
struct OrdersHealth {
    orders: Arc<Orders>,
}

impl HealthIndicator for OrdersHealth {
    async fn check(&self) -> Result<HealthData, HealthError> {
        let data = HealthData::new().with("waiting", &self.orders.len());
        if self.orders.len() < Orders::MOST {
            Ok(data)
        } else {
            Err(HealthError::new("too many orders wait").with(data))
        }
    }
}

#[websocket_gateway]
struct OrdersGateway {
    orders: Arc<Orders>,
}

#[subscriptions]
impl OrdersGateway {
    #[subscribe_message("order")]
    async fn order(&self, MessageBody(what): MessageBody<String>) -> usize {
        // Handlers' own events and spans are inside the span of the message.
        tracing::debug!("an order");
        self.orders.add(what)
    }
}

#[module(providers = [Orders, OrdersHealth, OrdersGateway])]
struct AppModule;

async fn app(operators: &str) -> Result<App, Box<dyn Error + Send + Sync>> {
    let operators = operators.parse()?;
    let mut app = App::create::<AppModule>().await?;
    app.use_metrics(Metrics::prometheus("/metrics").on(operators));
    let health = Health::at("/health")
        .indicator("orders", app.get::<OrdersHealth>())
        // Not ready any more, but still there: time for a balancer to see it.
        .notice(Duration::from_secs(2))
        .on(operators);
    app.use_health(health);
    Ok(app)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let env = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let app = app(&env("OPERATORS", "127.0.0.1:9464")).await?;
    let address = format!("{}:{}", env("HOST", "127.0.0.1"), env("PORT", "3000"));
    let app = app.bind(address).await?;
    println!("listening on http://{}", app.local_addr());
    app.serve().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn what_an_operator_sees() {
        let app = app("127.0.0.1:0").await.unwrap();
        let orders = app.get::<Orders>();
        let bound = app.bind("127.0.0.1:0").await.unwrap();
        let operators = bound.local_addrs()[1];
        let served = tokio::spawn(bound.serve());
        orders.add("tea".to_owned());
        let metrics = get(operators, "/metrics").await;
        assert!(metrics.contains("gatewire_accepting 1") && metrics.contains("orders_total 1"));
        assert!(get(operators, "/health").await.starts_with("HTTP/1.1 200"));
        for _ in 0..Orders::MOST {
            orders.add("coffee".to_owned());
        }
        // The last outcome is told for a second.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        assert!(get(operators, "/health").await.starts_with("HTTP/1.1 503"));
        served.abort();
    }
}
