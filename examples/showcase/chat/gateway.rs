//! The gateway of the chat: it takes messages, asks the service, and tells the rooms. Nothing is decided here.

use gatewire::prelude::*;

use super::dto::{Join, Members, RoomName, RoomView, Said, Say, Typing, TypingNotice};
use super::service::ChatService;

/// Speaks `join`, `message`, `typing` and `rtt`; tells `members`, `rooms`, `message` and `typing`.
#[websocket_gateway]
pub(crate) struct ChatGateway {
    #[websocket_server]
    server: Server,
    chat: Arc<ChatService>,
    logger: Logger,
}

#[subscriptions]
impl ChatGateway {
    #[subscribe_message("join")]
    async fn join(
        &self,
        client: Socket,
        MessageBody(join): MessageBody<Join>,
    ) -> Result<RoomView, WsException> {
        let id = client.id();
        self.logger
            .debug(format_args!("{} ({id}) joins {}", join.name, join.room.as_str()));
        if let Some(left) = self.chat.join(id.as_str(), &join.room, join.name)? {
            client.leave(left.as_str());
            self.tell_members(&left);
        }
        client.join(join.room.as_str());
        self.tell_members(&join.room);
        self.tell_rooms();
        Ok(self.chat.view(id.as_str())?)
    }

    #[subscribe_message("message")]
    async fn message(&self, client: Socket, MessageBody(say): MessageBody<Say>) -> Result<Said, WsException> {
        let message = self.chat.say(client.id().as_str(), say.text)?;
        self.server.to(message.room.as_str()).emit("message", &message);
        Ok(Said { id: message.id })
    }

    #[subscribe_message("typing")]
    async fn typing(&self, client: Socket, MessageBody(Typing { typing }): MessageBody<Typing>) {
        if let Some((room, member)) = self.chat.whereabouts(client.id().as_str()) {
            client
                .to(room.as_str())
                .emit("typing", &TypingNotice { member, typing });
        }
    }

    /// The page measures how long its own number takes to come back.
    #[subscribe_message("rtt")]
    fn rtt(&self, MessageBody(sent): MessageBody<f64>) -> f64 {
        sent
    }
}

impl ChatGateway {
    fn tell_members(&self, room: &RoomName) {
        let members = Members {
            room: room.clone(),
            members: self.chat.members(room),
        };
        self.server.to(room.as_str()).emit("members", &members);
    }

    fn tell_rooms(&self) {
        self.server.emit("rooms", &self.chat.rooms());
    }
}

impl OnGatewayDisconnect for ChatGateway {
    async fn handle_disconnect(&self, client: &Socket, reason: DisconnectReason) {
        self.logger.debug(format_args!("{} left: {reason}", client.id()));
        if let Some(room) = self.chat.leave(client.id().as_str()) {
            self.tell_members(&room);
            self.tell_rooms();
        }
    }
}
