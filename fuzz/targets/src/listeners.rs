//! What the sockets of several targets listen for.

use std::time::Duration;

use gatewire_hub::Socket;

/// Asks the client when it is asked, and answers with its answer.
pub(crate) fn ask(socket: &Socket) {
    socket.on_async("ask", async |socket, event| {
        let answer = socket
            .emit_with_ack("asked", &())
            .timeout(Duration::from_secs(3))
            .await;
        if let (Ok(answer), Some(ack)) = (answer, event.ack(&socket)) {
            ack.send_payload(&answer);
        }
    });
}

/// Joins the room that the client names, and says there what it said.
pub(crate) fn say(socket: &Socket) {
    socket.on("say", |socket, event| {
        if let Ok(room) = event.arg::<String>(0) {
            socket.join(room.as_str());
            socket
                .namespace()
                .to(room)
                .emit_payload("said", &event.to_payload());
        }
    });
}
