use gatewire::prelude::*;

#[websocket_gateway]
struct Events;

#[subscriptions]
impl Events {
    #[subscribe_message("ping")]
    fn first(&self) {}

    #[subscribe_message("ping")]
    fn second(&self) {}
}

fn main() {}
