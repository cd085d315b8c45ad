//! How a gateway is tested: with a provider replaced, clients in memory, and a clock that does not wait. The tests are at
//! the end: `cargo test --example testing`. `PORT` (3000) and `HOST` (127.0.0.1) choose the address.

use std::time::Duration;

use gatewire::prelude::*;

/// Rolls dice.
trait Dice: Send + Sync {
    fn roll(&self) -> u32;
}

/// Good enough for an example.
#[injectable]
struct ClockDice;

impl Dice for ClockDice {
    fn roll(&self) -> u32 {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        now.subsec_micros() % 6 + 1
    }
}

#[websocket_gateway(namespace = "/game")]
struct GameGateway {
    #[websocket_server]
    server: Server,
    dice: Arc<dyn Dice>,
}

#[subscriptions]
impl GameGateway {
    #[subscribe_message("roll")]
    fn roll(&self, client: Socket) -> u32 {
        let rolled = self.dice.roll();
        client.broadcast().emit("rolled", &rolled);
        rolled
    }

    /// Tells everybody when the time is over.
    #[subscribe_message("start")]
    async fn start(&self, MessageBody(seconds): MessageBody<u64>) -> Result<(), WsException> {
        if seconds > 3600 {
            return Err("a game takes an hour at most".into());
        }
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.server.emit("over", &seconds);
        Ok(())
    }
}

#[module(providers = [GameGateway, ClockDice as dyn Dice])]
struct AppModule;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let env = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let address = format!("{}:{}", env("HOST", "127.0.0.1"), env("PORT", "3000"));
    let app = App::create::<AppModule>().await?.bind(address).await?;
    println!("listening on http://{}", app.local_addr());
    app.serve().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use gatewire::module::Provider;
    use gatewire::testing::{ScriptedClient, TestApp};
    use serde_json::Value;

    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    struct Loaded;

    impl Dice for Loaded {
        fn roll(&self) -> u32 {
            6
        }
    }

    async fn app() -> gatewire::Result<App> {
        App::create::<AppModule>()
            .without_logger()
            .override_provider(Provider::shared::<dyn Dice>(|| Arc::new(Loaded)))
            .await
    }

    #[tokio::test]
    async fn everybody_hears_what_was_rolled() -> TestResult {
        let app = TestApp::in_memory(app().await?)?;
        let mut ada = app.connect("/game").await?;
        let mut bob = app.connect("/game").await?;
        assert_eq!(ada.emit_with_ack::<_, u32>("roll", &()).await?, 6);
        assert_eq!(bob.next_event::<u32>("rolled").await?, 6);
        assert!(ada.pending_events().is_empty(), "not told twice");
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn an_hour_is_over_at_once() -> TestResult {
        let app = TestApp::in_memory(app().await?)?;
        let mut ada = app.connect("/game").await?.patience(Duration::from_secs(4000));
        ada.emit("start", &3600).await?;
        assert_eq!(ada.next_event::<u64>("over").await?, 3600);

        ada.emit("start", &3601).await?;
        let exception: Value = ada.next_event("exception").await?;
        assert_eq!(exception["message"], "a game takes an hour at most");
        Ok(())
    }

    #[tokio::test]
    async fn as_a_transcript() -> TestResult {
        let app = app().await?;
        let mut client = ScriptedClient::joined(&app.get::<GameGateway>().server);
        assert_eq!(client.ask(r#"2/game,1["roll"]"#), ["3/game,1[6]"]);
        Ok(())
    }
}
