//! One message or packet of the client on its way to the upper layer.

use std::task::Context;
use std::time::Duration;

use gatewire_proto::engineio::v3;
use gatewire_proto::engineio::{CloseReason, Packet, PacketError};

use crate::application::Session;
use crate::dialect::Dialect;
use crate::faults::Fault;
use crate::outbox::Outbox;

/// One Engine.IO text packet, or a plain message. A message, which nearly all are, goes straight on.
pub(super) fn on_text(
    outbox: &Outbox,
    session: &mut dyn Session,
    text: &str,
    refusal: Option<Duration>,
    cx: &mut Context<'_>,
) -> Result<(), CloseReason> {
    if outbox.dialect.is_plain() {
        outbox.hear()?;
        return deliver_text(outbox, session, text, refusal, cx);
    }
    if let Some(message) = text.strip_prefix('4')
        && !outbox.is_awaiting_pong()
    {
        return deliver_text(outbox, session, message, refusal, cx);
    }
    let packet = outbox
        .dialect
        .decode_text(text)
        .map_err(|error| no_packet(outbox, &error))?;
    on_packet(outbox, session, packet, refusal, cx)
}

/// One binary frame: a message, which old clients begin with its type.
pub(super) fn on_binary(
    outbox: &Outbox,
    session: &mut dyn Session,
    data: &[u8],
    refusal: Option<Duration>,
    cx: &mut Context<'_>,
) -> Result<(), CloseReason> {
    let packet = match outbox.dialect {
        Dialect::V4 if outbox.is_awaiting_pong() => Packet::Binary(data.into()),
        Dialect::V4 | Dialect::Sse => return deliver_binary(outbox, session, data, refusal, cx),
        Dialect::V3 { .. } => v3::decode_binary(data).map_err(|error| no_packet(outbox, &error))?,
        Dialect::Plain { .. } => {
            outbox.hear()?;
            return deliver_binary(outbox, session, data, refusal, cx);
        }
    };
    on_packet(outbox, session, packet, refusal, cx)
}

/// A pong of the WebSocket layer: Engine.IO has its own.
pub(super) fn on_pong(outbox: &Outbox) -> Result<(), CloseReason> {
    if outbox.dialect.is_plain() {
        outbox.receive(Packet::Pong(""))?;
    }
    Ok(())
}

fn no_packet(outbox: &Outbox, error: &PacketError) -> CloseReason {
    tracing::debug!(sid = %outbox.sid, %error, "the client sent no Engine.IO packet");
    outbox.fault(Fault::Packet);
    CloseReason::ParseError
}

pub(super) fn on_packet(
    outbox: &Outbox,
    session: &mut dyn Session,
    packet: Packet<'_>,
    refusal: Option<Duration>,
    cx: &mut Context<'_>,
) -> Result<(), CloseReason> {
    let received = outbox.receive(packet);
    if received == Err(CloseReason::TransportError) {
        tracing::debug!(sid = %outbox.sid, "the client sent a packet that is the server's to send");
        outbox.fault(Fault::Packet);
    }
    match received? {
        Some(Packet::Message(text)) => deliver_text(outbox, session, text, refusal, cx),
        Some(Packet::Binary(data)) => deliver_binary(outbox, session, &data, refusal, cx),
        Some(Packet::Ping(_)) => {
            outbox.send_packet(b"3");
            Ok(())
        }
        Some(_) | None => Ok(()),
    }
}

fn deliver_text(
    outbox: &Outbox,
    session: &mut dyn Session,
    text: &str,
    refusal: Option<Duration>,
    cx: &mut Context<'_>,
) -> Result<(), CloseReason> {
    outbox.count_received(text.len());
    match refusal {
        None => session.receive_text(text, cx),
        Some(retry_after) => session.refuse_text(text, retry_after, cx),
    }
    .map_err(|rejected| forced(outbox, &rejected))
}

fn deliver_binary(
    outbox: &Outbox,
    session: &mut dyn Session,
    data: &[u8],
    refusal: Option<Duration>,
    cx: &mut Context<'_>,
) -> Result<(), CloseReason> {
    outbox.count_received(data.len());
    match refusal {
        None => session.receive_binary(data, cx),
        Some(retry_after) => session.refuse_binary(data, retry_after, cx),
    }
    .map_err(|rejected| forced(outbox, &rejected))
}

fn forced(outbox: &Outbox, rejected: &crate::application::Rejected) -> CloseReason {
    tracing::debug!(sid = %outbox.sid, %rejected, "a message of the client is not accepted: the session is closed");
    outbox.fault(Fault::Message);
    CloseReason::ForcedClose
}
