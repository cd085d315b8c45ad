//! Packet formats other than the text form: an outbox that turns each packet into the form of a parser before it goes
//! out. The rest of the hub knows the text form alone, and a server without a parser pays nothing.

use std::sync::Arc;

use gatewire_proto::engineio::TransportKind;
use gatewire_proto::socketio::{Message, Parser};
use gatewire_proto::websocket::Opcode;

use crate::outbox::left_to_next;
use crate::{FramedText, Outbox, Prepared};

/// Makes another form of packets. Each one is asked once, whoever receives it.
pub(crate) trait Recode: Send + Sync + 'static {
    /// `None` if there is nothing to send in this form.
    fn recode(&self, message: &Prepared) -> Option<Prepared>;
}

/// The form of a parser.
pub(crate) struct ByParser(pub(crate) Arc<dyn Parser>);

impl Recode for ByParser {
    fn recode(&self, message: &Prepared) -> Option<Prepared> {
        let packet = message.packet()?;
        let messages = match self.0.encode(&packet, &message.attachments()) {
            Ok(messages) => messages,
            Err(error) => {
                tracing::error!(namespace = packet.namespace, %error, "a packet was not sent: its parser cannot encode it");
                return None;
            }
        };
        // In Engine.IO, texts begin with their type.
        let texts: Vec<String> = messages
            .iter()
            .map(|message| match message {
                Message::Text(text) => format!("4{text}"),
                Message::Binary(_) => String::new(),
            })
            .collect();
        let messages: Vec<(Opcode, &[u8])> = messages
            .iter()
            .zip(&texts)
            .map(|(message, text)| match message {
                Message::Text(_) => (Opcode::Text, text.as_bytes()),
                Message::Binary(data) => (Opcode::Binary, &**data),
            })
            .collect();
        Some(Prepared::from_messages(&messages))
    }
}

/// Stands before the outbox of a connection whose client reads another form.
pub(crate) struct Recoding {
    form: Arc<dyn Recode>,
    outbox: Arc<dyn Outbox>,
}

impl Recoding {
    pub(crate) fn new(form: Arc<dyn Recode>, outbox: Arc<dyn Outbox>) -> Self {
        Self { form, outbox }
    }
}

impl Outbox for Recoding {
    fn send(&self, message: &Prepared) {
        if let Some(form) = message.form(&self.form) {
            self.outbox.send(form);
        }
    }

    fn send_all(&self, messages: &[Prepared]) {
        let forms = messages.iter().filter_map(|message| message.form(&self.form));
        self.outbox.send_all(&forms.cloned().collect::<Vec<_>>());
    }

    fn send_text(&self, text: &FramedText<'_>) {
        self.send(&Prepared::from(text));
    }

    fn transport(&self) -> TransportKind {
        self.outbox.transport()
    }

    left_to_next!();
}
