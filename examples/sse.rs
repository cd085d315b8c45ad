//! A ticker over Server-Sent Events: prices that move, with ids that survive a reconnection. Try
//! `curl -N http://localhost:3000/prices/ticker`, stop it, and come back with `-H 'Last-Event-ID: <the last id>'`. `RETRY`
//! tells clients how many milliseconds to wait before they come back, `EVERY` how often a price moves (1000).

use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use gatewire::controller::ReplayLog;
use gatewire::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Price {
    symbol: &'static str,
    cents: u32,
}

/// Whatever has the prices: here they are made up.
#[injectable]
struct Market {
    #[inject(default)]
    log: ReplayLog,
    #[inject(value = millis("EVERY", 1000))]
    every: Duration,
}

impl OnApplicationBootstrap for Market {
    async fn on_application_bootstrap(&self) -> HookResult {
        let (log, every) = (self.log.clone(), self.every);
        tokio::spawn(async move {
            let mut moves = tokio::time::interval(every);
            for step in 0_u32.. {
                moves.tick().await;
                let cents = 10_000 + step * 7919 % 500;
                let event = SseEvent::json(&Price { symbol: "GW", cents });
                log.push(event.unwrap_or_default().event("price"));
            }
        });
        Ok(())
    }
}

#[controller("/prices")]
struct PricesController {
    market: Arc<Market>,
    #[inject(value = millis("RETRY", 1000))]
    retry: Duration,
}

#[derive(Deserialize)]
struct Order {
    count: u32,
}

#[routes]
impl PricesController {
    /// Every move from now on, or from the last one that the client got. `None` would be a 204: do not come back.
    #[sse("/ticker")]
    fn ticker(&self, LastEventId(last): LastEventId) -> Option<impl Stream<Item = SseEvent>> {
        let hint = stream::iter([SseEvent::new().retry(self.retry)]);
        Some(hint.chain(self.market.log.resume(last)?))
    }

    /// A stream that answers one question, and ends.
    #[sse("/orders", method = POST)]
    fn order(&self, Json(order): Json<Order>) -> Result<impl Stream<Item = String> + use<>, HttpError> {
        if order.count == 0 {
            return Err(HttpError::bad_request("order something"));
        }
        Ok(stream::iter(
            (1..=order.count).map(move |number| format!("{number} of {}", order.count)),
        ))
    }
}

fn millis(name: &str, default: u64) -> Duration {
    let given = std::env::var(name).ok().and_then(|millis| millis.parse().ok());
    Duration::from_millis(given.unwrap_or(default))
}

#[module(controllers = [PricesController], providers = [Market])]
struct AppModule;

#[tokio::main]
async fn main() -> gatewire::Result<()> {
    let host = std::env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let app = App::create::<AppModule>()
        .await?
        .bind(format!("{host}:{port}"))
        .await?;
    println!("listening on http://{}", app.local_addr());
    app.serve().await;
    Ok(())
}
