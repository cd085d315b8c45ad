//! The gateway of the board: it takes messages, asks the service, and tells everybody.

use gatewire::prelude::*;

use super::dto::{BoardView, Draw, Join, Point, Pointer};
use super::service::BoardService;

/// Speaks `join`, `draw`, `wipe` and `pointer`; tells `people`, `change` and `pointer`.
#[websocket_gateway(namespace = "/board")]
pub(crate) struct BoardGateway {
    #[websocket_server]
    server: Server,
    board: Arc<BoardService>,
}

#[subscriptions]
impl BoardGateway {
    #[subscribe_message("join")]
    fn join(&self, client: Socket, MessageBody(join): MessageBody<Join>) -> BoardView {
        let view = self.board.join(client.id().as_str(), join.name);
        self.server.emit("people", &view.people);
        view
    }

    #[subscribe_message("draw")]
    fn draw(&self, client: Socket, MessageBody(draw): MessageBody<Draw>) -> Result<(), WsException> {
        let change = self.board.draw(client.id().as_str(), draw)?;
        self.server.emit("change", &change);
        Ok(())
    }

    #[subscribe_message("wipe")]
    fn wipe(&self, client: Socket) -> Result<(), WsException> {
        let change = self.board.wipe(client.id().as_str())?;
        self.server.emit("change", &change);
        Ok(())
    }

    /// Volatile: for who does not keep up, the next one will do.
    #[subscribe_message("pointer")]
    fn pointer(&self, client: Socket, MessageBody(at): MessageBody<Point>) {
        let id = client.id().as_str().to_owned();
        client.broadcast().volatile().emit("pointer", &Pointer { id, at });
    }
}

impl OnGatewayDisconnect for BoardGateway {
    async fn handle_disconnect(&self, client: &Socket, _: DisconnectReason) {
        if let Some(people) = self.board.leave(client.id().as_str()) {
            self.server.emit("people", &people);
        }
    }
}
