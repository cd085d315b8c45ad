use gatewire::prelude::*;

#[websocket_gateway]
struct Events;

#[subscriptions]
impl Events {
    #[subscribe_message("ping")]
    fn ping(&self, data: String) -> String {
        data
    }
}

fn main() {}
