use gatewire::prelude::*;

#[websocket_gateway]
struct Events;

impl OnGatewayConnection for Events {
    async fn handle_connection(&self, client: Socket) -> Result<(), WsException> {
        drop(client);
        Ok(())
    }
}

impl OnGatewayDisconnect for Events {
    async fn handle_disconnect(&self, _client: &Socket) {}
}

fn main() {}
