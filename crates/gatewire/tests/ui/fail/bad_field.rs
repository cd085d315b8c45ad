use gatewire::prelude::*;

#[injectable]
struct ChatService {
    rooms: Vec<String>,
}

#[injectable]
struct Fields {
    #[inject(defualt)]
    typo: usize,
    #[websocket_server]
    server: Server,
}

#[injectable]
struct Generic<T> {
    value: Arc<T>,
}

#[injectable]
enum Choice {
    A,
}

#[websocket_gateway]
struct Events {
    #[websocket_server]
    server: String,
}

fn main() {}
