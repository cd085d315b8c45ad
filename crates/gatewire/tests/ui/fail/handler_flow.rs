//! Options and parameters of handlers that cannot be.

use gatewire::prelude::*;

#[websocket_gateway]
struct Gateway;

#[subscriptions(timeout = "soon")]
impl Gateway {
    #[subscribe_message("sync", timeout = "2s")]
    fn sync(&self) {}

    #[subscribe_message("late", timeout = "0s")]
    async fn late(&self) {}

    #[subscribe_message("leave", on_disconnect = "stay")]
    async fn leave(&self) {}

    #[subscribe_message("none", concurrent = 0)]
    async fn none(&self) {}

    #[subscribe_message("key")]
    async fn key(&self, #[message_body(gatewire::pipeline::Trim, "key")] text: String) {
        drop(text);
    }
}

fn main() {}
