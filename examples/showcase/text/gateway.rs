//! The gateway of the text: it takes messages, asks the document, and tells everybody.

use gatewire::prelude::*;

use super::document::Document;
use super::dto::{Caret, CaretNotice, Join, Submit, TextView};

/// Speaks `join`, `edit` and `caret`; tells `people`, `change` and `caret`.
#[websocket_gateway(namespace = "/text")]
pub(crate) struct TextGateway {
    #[websocket_server]
    server: Server,
    document: Arc<Document>,
}

#[subscriptions]
impl TextGateway {
    #[subscribe_message("join")]
    fn join(&self, client: Socket, MessageBody(join): MessageBody<Join>) -> TextView {
        let view = self.document.join(client.id().as_str(), join);
        self.server.emit("people", &view.people);
        view
    }

    /// The answer is the revision that the edit has made.
    #[subscribe_message("edit")]
    fn edit(&self, client: Socket, MessageBody(submit): MessageBody<Submit>) -> Result<u64, WsException> {
        let change = self.document.edit(client.id().as_str(), submit)?;
        self.server.emit("change", &change);
        Ok(change.revision)
    }

    /// Volatile: for who does not keep up, the next one will do.
    #[subscribe_message("caret")]
    fn caret(&self, client: Socket, MessageBody(caret): MessageBody<Caret>) {
        let id = client.id().as_str().to_owned();
        client
            .broadcast()
            .volatile()
            .emit("caret", &CaretNotice { id, caret });
    }
}

impl OnGatewayDisconnect for TextGateway {
    async fn handle_disconnect(&self, client: &Socket, _: DisconnectReason) {
        if let Some(people) = self.document.leave(client.id().as_str()) {
            self.server.emit("people", &people);
        }
    }
}
