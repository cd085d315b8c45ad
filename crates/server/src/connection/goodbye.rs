//! The last that a client is told, and its answer.

use std::net::Shutdown;
use std::task::{Context, Poll};

use gatewire_proto::websocket::{Decoder, Event, Received};

use super::Input;
use super::socket::READS_PER_POLL;
use crate::outbox::{Lane, Outbox};
use crate::scratch;

/// Ready when the client has what was to be told to it, or is gone.
pub(super) fn poll_goodbye(outbox: &Outbox, input: &mut Input, cx: &mut Context<'_>) -> Poll<()> {
    let is_opening = matches!(input, Input::Opening);
    let Input::Socket(input) = input else {
        let told = match &outbox.lock().lane {
            Lane::Polling(lane) => lane.len() == 0,
            Lane::Body(lane) => lane.len() == 0,
            Lane::WebSocket(_) => !is_opening,
            Lane::Closed => true,
        };
        return if told {
            outbox.poll_flush(cx)
        } else {
            Poll::Pending
        };
    };
    if outbox.poll_flush(cx).is_pending() {
        return Poll::Pending;
    }
    let Some(stream) = outbox.stream() else {
        return Poll::Ready(());
    };
    if input.failed {
        // What the client still sends is read all the same: closing over unread bytes would reset the connection, and
        // the client might lose the Close frame.
        stream.shutdown(Shutdown::Write);
    }
    // What was read before the end, and not decoded any more.
    let mut unread = std::mem::take(&mut input.unread);
    input.ended |= !input.failed && holds_close(&mut input.decoder, &mut unread);
    scratch::with(|buffer| {
        for _ in 0..READS_PER_POLL {
            if input.ended {
                return Poll::Ready(());
            }
            match stream.poll_read(cx, buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(read)) if read > 0 => {
                    input.ended = !input.failed && holds_close(&mut input.decoder, &mut buffer[..read]);
                }
                Poll::Ready(_) => input.ended = true,
            }
        }
        // A client that floods must not read away the deadline's turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Whether the client's Close frame, or something that is no frame at all, is among these bytes.
fn holds_close(decoder: &mut Decoder, input: &mut [u8]) -> bool {
    let mut at = 0;
    while at < input.len() {
        match decoder.receive(&mut input[at..]) {
            Ok(Received {
                consumed,
                event: Some(event),
            }) => {
                if matches!(event, Event::Close(_)) {
                    return true;
                }
                at += consumed;
            }
            Ok(Received { event: None, .. }) => return false,
            Err(_) => return true,
        }
    }
    false
}
