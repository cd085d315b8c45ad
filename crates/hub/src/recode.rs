//! Packet formats other than the text form: an outbox that turns each packet into the form of a parser before it goes
//! out. The rest of the hub knows the text form alone, and a server without a parser pays nothing.

use std::sync::Arc;

use gatewire_proto::engineio::{CloseReason, TransportKind};
use gatewire_proto::socketio::Parser;

use crate::{FramedText, Outbox, Prepared};

/// Stands before the outbox of a connection whose client reads another form.
pub(crate) struct Recoding {
    parser: Arc<dyn Parser>,
    outbox: Arc<dyn Outbox>,
}

impl Recoding {
    pub(crate) fn new(parser: Arc<dyn Parser>, outbox: Arc<dyn Outbox>) -> Self {
        Self { parser, outbox }
    }
}

impl Outbox for Recoding {
    fn send(&self, message: &Prepared) {
        if let Some(form) = message.form(&self.parser) {
            self.outbox.send(form);
        }
    }

    fn send_all(&self, messages: &[Prepared]) {
        let forms = messages.iter().filter_map(|message| message.form(&self.parser));
        self.outbox.send_all(&forms.cloned().collect::<Vec<_>>());
    }

    fn send_text(&self, text: &FramedText<'_>) {
        self.send(&Prepared::from(text));
    }

    fn close(&self, reason: CloseReason) {
        self.outbox.close(reason);
    }

    fn wake(&self) {
        self.outbox.wake();
    }

    fn is_writable(&self) -> bool {
        self.outbox.is_writable()
    }

    fn transport(&self) -> TransportKind {
        self.outbox.transport()
    }
}
