use gatewire::prelude::*;

struct Message {
    text: String,
}

#[websocket_gateway]
struct Events;

#[subscriptions]
impl Events {
    #[subscribe_message("say")]
    async fn say(&self, MessageBody(message): MessageBody<Message>) -> String {
        message.text
    }
}

fn main() {}
