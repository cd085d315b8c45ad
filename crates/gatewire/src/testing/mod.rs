//! Tools for tests: an application in memory or on a free port, clients that speak Socket.IO or plain WebSocket, and below
//! that a peer whose packets are written by hand. Everything is real but the network: the same routes, sessions and frames.
//!
//! ```
//! use gatewire::module::Provider;
//! use gatewire::prelude::*;
//! use gatewire::testing::TestApp;
//!
//! trait Greeting: Send + Sync {
//!     fn text(&self) -> String;
//! }
//!
//! #[injectable]
//! struct FromDatabase;
//!
//! impl Greeting for FromDatabase {
//!     fn text(&self) -> String {
//!         unreachable!("no database in this test")
//!     }
//! }
//!
//! #[websocket_gateway(namespace = "/chat")]
//! struct ChatGateway {
//!     #[websocket_server]
//!     server: Server,
//!     greeting: Arc<dyn Greeting>,
//! }
//!
//! #[subscriptions]
//! impl ChatGateway {
//!     #[subscribe_message("hello")]
//!     async fn hello(&self, MessageBody(name): MessageBody<String>) -> String {
//!         self.server.emit("joined", &name);
//!         format!("{}, {name}", self.greeting.text())
//!     }
//! }
//!
//! #[module(providers = [ChatGateway, FromDatabase as dyn Greeting])]
//! struct AppModule;
//!
//! struct Fake;
//!
//! impl Greeting for Fake {
//!     fn text(&self) -> String {
//!         "hi".to_owned()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = App::create::<AppModule>()
//!     .override_provider(Provider::shared::<dyn Greeting>(|| Arc::new(Fake)))
//!     .await?;
//! let app = TestApp::in_memory(app)?;
//!
//! let mut ada = app.connect("/chat").await?;
//! let mut bob = app.connect("/chat").await?;
//! let answer: String = ada.emit_with_ack("hello", "ada").await?;
//! assert_eq!(answer, "hi, ada");
//! let joined: String = bob.next_event("joined").await?;
//! assert_eq!(joined, "ada");
//! app.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! With `#[tokio::test(start_paused = true)]` heartbeats and timeouts run in no time (tokio's feature `test-util`): the
//! clock moves on whenever everybody waits.

mod app;
mod client;
mod error;
mod http;
mod inbox;
mod plain;
mod scripted;
mod wire;

pub use app::{Connect, TestApp};
pub use client::{Received, TestClient};
pub use error::TestError;
pub use http::{TestEvents, TestRequest, TestResponse};
pub use inbox::Closed;
pub use plain::TestWsClient;
pub use scripted::ScriptedClient;
