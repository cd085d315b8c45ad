//! The packets of a POST.

use std::fmt::Display;
use std::task::Context;

use gatewire_proto::engineio::v3::{self, Form};
use gatewire_proto::engineio::{CloseReason, Packet, payload};

use super::EVENTS_PER_POLL;
use super::deliver::on_packet;
use crate::application::Session;
use crate::dialect::Dialect;
use crate::faults::Fault;
use crate::outbox::Outbox;
use crate::quota::Quota;
use crate::transport::polling::Inbox;

/// Works off a POST body; false if the upper layer took no more before the end, or this poll took enough.
pub(super) fn read_body(
    outbox: &Outbox,
    session: &mut dyn Session,
    inbox: &mut Inbox,
    quota: &mut Quota<'_>,
    cx: &mut Context<'_>,
) -> Result<bool, CloseReason> {
    let malformed = |what: &dyn Display| {
        tracing::debug!(sid = %outbox.sid, %what, "a POST is no Engine.IO payload");
        outbox.fault(Fault::Packet);
        CloseReason::ParseError
    };
    let limits = payload::Limits {
        max_packets: outbox
            .rules
            .limits
            .max_packets_per_payload
            .saturating_sub(inbox.packets),
    };
    let rest = &inbox.body[inbox.offset..];
    if outbox.dialect != Dialect::V4 {
        let mut packets = match inbox.form {
            Form::Text => {
                let text = std::str::from_utf8(rest).map_err(|error| malformed(&error))?;
                v3::payload::decode(text, &limits)
            }
            Form::Binary => v3::payload::decode_bytes(rest, &limits),
        };
        let Some(count) = hand_on(&mut packets, malformed, outbox, session, quota, cx)? else {
            return Ok(true);
        };
        inbox.offset += packets.position();
        inbox.packets += count;
        return Ok(inbox.offset == inbox.body.len());
    }
    let body = std::str::from_utf8(rest).map_err(|error| malformed(&error))?;
    let mut packets = payload::decode(body, &limits);
    let Some(count) = hand_on(&mut packets, malformed, outbox, session, quota, cx)? else {
        return Ok(true);
    };
    let Some(rest) = packets.remainder() else {
        return Ok(true);
    };
    inbox.packets += count;
    inbox.offset = inbox.body.len() - rest.len();
    Ok(false)
}

/// Hands packets on until they end, or the upper layer takes no more, or this poll took enough: how many then.
fn hand_on<'a, E: Display>(
    packets: &mut impl Iterator<Item = Result<Packet<'a>, E>>,
    malformed: impl Fn(&dyn Display) -> CloseReason,
    outbox: &Outbox,
    session: &mut dyn Session,
    quota: &mut Quota<'_>,
    cx: &mut Context<'_>,
) -> Result<Option<usize>, CloseReason> {
    let mut count = 0;
    while count < EVENTS_PER_POLL && !quota.is_used_up() && session.wants_input() {
        match packets.next() {
            None => return Ok(None),
            Some(Err(error)) => return Err(malformed(&error)),
            Some(Ok(packet)) => {
                let refusal = quota.admit(packet_size(&packet), outbox, session)?;
                on_packet(outbox, session, packet, refusal, cx)?;
            }
        }
        count += 1;
    }
    Ok(Some(count))
}

/// Bytes that the client has sent for it.
fn packet_size(packet: &Packet<'_>) -> usize {
    match packet {
        Packet::Message(text) => text.len(),
        Packet::Binary(data) => data.len(),
        _ => 0,
    }
}
