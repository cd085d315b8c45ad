//! What is written otherwise than in NestJS, and would be silent or told in the words of a parser.

use gatewire::prelude::*;

#[websocket_gateway(3001, namespace = "/own")]
struct OwnPort;

#[websocket_gateway("/chat")]
struct Chat;

#[subscriptions]
impl Chat {
    fn after_init(&self, _server: &Server) {}

    async fn handle_connection(&self, client: &Socket) {
        client.join("everybody");
    }

    #[subscribe_message()]
    fn nothing(&self) {}

    #[subscribe_message(event = "named")]
    fn named(&self) {}

    #[subscribe_message("socket")]
    fn socket(&self, _client: &Socket) {}

    #[subscribe_message("text")]
    fn text(&self, MessageBody(_text): MessageBody<&str>) {}
}

#[module(providers = [Chat::new()])]
struct ChatModule;

fn main() {}
