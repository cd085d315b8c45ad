//! A pipe must make what the parameter is.

use gatewire::pipeline::Trim;
use gatewire::prelude::*;

#[websocket_gateway]
struct Gateway;

#[subscriptions]
impl Gateway {
    #[subscribe_message("age")]
    async fn age(&self, #[message_body("age", Trim)] age: u8) -> u8 {
        age
    }
}

fn main() {}
