//! What admins ask for: events to sockets, rooms entered and left, disconnects.

use gatewire_hub::{Broadcast, Event, Io, Namespace, Payload};
use serde::Deserialize;
use serde_json::Error;

/// One room, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Rooms {
    One(String),
    Several(Vec<String>),
}

impl Rooms {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(room) => vec![room],
            Self::Several(rooms) => rooms,
        }
    }
}

/// Does what an admin asks for; whatever is no command does nothing.
pub(crate) fn run(io: &Io, event: &Event<'_>) {
    let outcome = match event.name() {
        "emit" => emit(io, event),
        "join" => join(io, event),
        "leave" => leave(io, event),
        "_disconnect" => disconnect(io, event),
        _ => return,
    };
    if let Err(error) = outcome {
        tracing::debug!(command = event.name(), %error, "an admin's command was not understood");
    }
}

/// `emit(nsp, filter, event, ...args)`
fn emit(io: &Io, event: &Event<'_>) -> Result<(), Error> {
    let Some(receivers) = receivers(io, event, 1)? else {
        return Ok(());
    };
    let name: String = event.arg(2)?;
    let args: Vec<&str> = event.args().iter().skip(3).collect();
    // The strings before have no placeholders, so those that are left fit to the attachments.
    match Payload::from_json(&args.join(","), event.attachments().to_vec()) {
        Ok(payload) => receivers.emit_payload(&name, &payload),
        Err(error) => tracing::debug!(%error, "an admin's event was not sent"),
    }
    Ok(())
}

/// `join(nsp, room, filter)`
fn join(io: &Io, event: &Event<'_>) -> Result<(), Error> {
    if let Some(sockets) = receivers(io, event, 2)? {
        sockets.sockets_join(event.arg::<Rooms>(1)?.into_vec());
    }
    Ok(())
}

/// `leave(nsp, room, filter)`
fn leave(io: &Io, event: &Event<'_>) -> Result<(), Error> {
    if let Some(sockets) = receivers(io, event, 2)? {
        sockets.sockets_leave(event.arg::<Rooms>(1)?.into_vec());
    }
    Ok(())
}

/// `_disconnect(nsp, close, filter)`
fn disconnect(io: &Io, event: &Event<'_>) -> Result<(), Error> {
    if let Some(sockets) = receivers(io, event, 2)? {
        sockets.disconnect_sockets(event.arg::<Option<bool>>(1)?.unwrap_or(false));
    }
    Ok(())
}

/// Whom the command is for: the namespace that its first argument names, or the rooms of it that the argument at `filter`
/// does. The admin does not bring a namespace into being: without it there is nobody to reach.
fn receivers(io: &Io, event: &Event<'_>, filter: usize) -> Result<Option<Broadcast>, Error> {
    let name: String = event.arg(0)?;
    let Some(namespace) = io.get(&name) else {
        tracing::debug!(
            namespace = name,
            "an admin's command is for a namespace that there is not"
        );
        return Ok(None);
    };
    Ok(Some(filtered(&namespace, event.arg(filter)?)))
}

fn filtered(namespace: &Namespace, filter: Option<Rooms>) -> Broadcast {
    match filter {
        Some(Rooms::Several(rooms)) => namespace.in_room(rooms),
        Some(Rooms::One(room)) if !room.is_empty() => namespace.in_room(room),
        _ => namespace.everyone(),
    }
}
