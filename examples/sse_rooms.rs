//! Rooms for two kinds of clients: those of Socket.IO talk, those of Server-Sent Events listen. Try
//! `curl -N http://localhost:3000/chat/rooms/lobby`, and `curl -d hello http://localhost:3000/chat/rooms/lobby`, or
//! `socket.emit("say", "lobby", "hello")` with the official client in the namespace `/chat`.

use gatewire::prelude::*;
use serde::Serialize;

#[derive(Serialize)]
struct Said<'a> {
    text: &'a str,
    listeners: usize,
}

#[websocket_gateway(namespace = "/chat", cors(origin = "*"))]
struct ChatGateway {
    #[websocket_server]
    server: Server,
}

impl ChatGateway {
    fn say_in(&self, room: &str, text: &str) {
        let listeners = self.server.sockets().len();
        self.server.to(room).emit("said", &Said { text, listeners });
    }
}

#[subscriptions]
impl ChatGateway {
    #[subscribe_message("join")]
    fn join(&self, client: Socket, MessageBody(room): MessageBody<String>) {
        client.join(room);
    }

    #[subscribe_message("say")]
    fn say(&self, MessageBody((room, text)): MessageBody<(String, String)>) {
        self.say_in(&room, &text);
    }
}

#[controller("/chat", namespace = "/chat")]
struct ChatController {
    #[websocket_server]
    server: Server,
    chat: Arc<ChatGateway>,
}

#[routes]
impl ChatController {
    #[sse("/rooms/{room}")]
    fn feed(&self, Path(room): Path<String>) -> Feed {
        Feed::of(&self.server).room(room)
    }

    #[post("/rooms/{room}")]
    fn say(&self, Path(room): Path<String>, text: String) {
        self.chat.say_in(&room, &text);
    }
}

#[module(controllers = [ChatController], providers = [ChatGateway])]
struct AppModule;

#[tokio::main]
async fn main() -> gatewire::Result<()> {
    let host = std::env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let app = App::create::<AppModule>()
        .await?
        .bind(format!("{host}:{port}"))
        .await?;
    println!("listening on http://{}", app.local_addr());
    app.serve().await;
    Ok(())
}
