//! A pipe must make what the parameter is; one for a gateway has whole bodies.

use gatewire::prelude::*;

#[websocket_gateway]
#[use_pipes(DefaultValue(1))]
struct Gateway;

#[subscriptions]
impl Gateway {
    #[subscribe_message("age")]
    async fn age(&self, #[message_body("age", Trim)] age: u8) -> u8 {
        age
    }
}

fn main() {}
