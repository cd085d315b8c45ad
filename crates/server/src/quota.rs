//! What a client may send in one round of its driver. Without limits of client addresses that is one look for each message.

use std::pin::Pin;
use std::time::{Duration, Instant};

use gatewire_proto::engineio::CloseReason;
use tokio::time::Sleep;

use crate::application::Session;
use crate::clock;
use crate::faults::Fault;
use crate::limiter::{Seat, Verdict};
use crate::outbox::Outbox;

/// What of a client's limits one round of its driver uses.
pub(crate) struct Quota<'a> {
    seat: Option<&'a Seat>,
    /// One look at the clock is enough for a round.
    now: Option<Instant>,
    wait: Option<Duration>,
}

impl<'a> Quota<'a> {
    pub(crate) fn of(seat: Option<&'a Seat>) -> Self {
        Self {
            seat,
            now: None,
            wait: None,
        }
    }

    /// Whether nothing more is to be read for now.
    #[inline]
    pub(crate) fn is_used_up(&self) -> bool {
        self.wait.is_some()
    }

    /// What is to be waited for before more is read.
    pub(crate) fn into_wait(self) -> Option<Pin<Box<Sleep>>> {
        self.wait.map(|time| Box::pin(tokio::time::sleep(time)))
    }

    /// Whether a message of so many bytes may be handled. One that may not is to be refused, and the time after which there
    /// is room again is told to its client.
    ///
    /// # Errors
    /// If the connection is to be closed.
    #[inline]
    pub(crate) fn admit(
        &mut self,
        bytes: usize,
        outbox: &Outbox,
        session: &mut dyn Session,
    ) -> Result<Option<Duration>, CloseReason> {
        match self.seat {
            None => Ok(None),
            Some(seat) => self.charge(seat, bytes, outbox, session),
        }
    }

    #[cold]
    fn charge(
        &mut self,
        seat: &Seat,
        bytes: usize,
        outbox: &Outbox,
        session: &mut dyn Session,
    ) -> Result<Option<Duration>, CloseReason> {
        let now = *self.now.get_or_insert_with(clock::now);
        match seat.admit(bytes, now) {
            Verdict::Handle => Ok(None),
            Verdict::HandleAndWait(time) => {
                self.wait = self.wait.max(Some(time));
                Ok(None)
            }
            Verdict::Drop(retry_after) => Ok(Some(retry_after)),
            Verdict::Close => {
                tracing::debug!(sid = %outbox.sid, "messages come too fast from this address: the session is closed");
                outbox.fault(Fault::Flood);
                session.expel();
                Err(CloseReason::ForcedClose)
            }
        }
    }
}
