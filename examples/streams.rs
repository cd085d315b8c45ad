//! Handlers that return streams: each item is an event of its own, the acknowledgement comes at the end, and a client that
//! leaves ends its streams. `PORT` (3000) and `HOST` (127.0.0.1) choose the address.

use std::env;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use gatewire::prelude::*;
use tokio::time::sleep;

/// Counts and works.
#[websocket_gateway(cors(origin = "*"))]
pub struct StreamsGateway;

#[subscriptions]
impl StreamsGateway {
    /// `n` events `countdown`, and then the acknowledgement.
    #[subscribe_message("countdown")]
    fn countdown(&self, MessageBody(n): MessageBody<u32>) -> impl Stream<Item = u32> {
        stream::iter((1..=n).rev()).then(|n| async move {
            sleep(Duration::from_millis(5)).await;
            n
        })
    }

    /// Events `progress`, until the work is done or has failed.
    #[subscribe_message("work", concurrent, timeout = "10s")]
    fn work(
        &self,
        MessageBody(fails_at): MessageBody<Option<u32>>,
    ) -> impl Stream<Item = Result<WsResponse<u32>, WsException>> {
        stream::iter((0..=100).step_by(25)).map(move |percent| match fails_at {
            Some(at) if percent >= at => Err(WsException::new("the work has failed")),
            _ => Ok(WsResponse::new("progress", percent)),
        })
    }

    /// Events `tick` for as long as the client is there; other events do not wait for it.
    #[subscribe_message("tick", concurrent = 1)]
    fn tick(&self) -> impl Stream<Item = u64> {
        stream::iter(0..).then(|n| async move {
            sleep(Duration::from_millis(20)).await;
            n
        })
    }
}

/// The application.
#[module(providers = [StreamsGateway])]
pub struct StreamsModule;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port: u16 = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let app = App::create::<StreamsModule>().await?.bind((host, port)).await?;
    println!("listening on http://{}", app.local_addr());
    app.serve().await;
    Ok(())
}
