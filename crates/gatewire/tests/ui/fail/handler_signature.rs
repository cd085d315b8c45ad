use gatewire::prelude::*;

#[websocket_gateway]
struct Events;

#[subscriptions]
impl Events {
    #[subscribe_message("a")]
    fn by_value(self) {}

    #[subscribe_message("b")]
    fn exclusive(&mut self) {}

    #[subscribe_message("c")]
    fn nobody() {}

    #[subscribe_message("d")]
    fn generic<T>(&self, _body: MessageBody<T>) {}

    #[subscribe_message("disconnect")]
    fn reserved(&self) {}

    #[subscribe_message]
    fn unnamed(&self) {}

    #[subscribe_message("e", parallel)]
    fn option(&self) {}
}

struct NoBlock;

impl NoBlock {
    #[subscribe_message("ping")]
    fn ping(&self) {}
}

fn main() {}
