//! The life of one Engine.IO session: who has to be heard from by when, which transport is the session's, and why it
//! ends. A state machine over given time: it sends nothing, holds no packets and reads no clock.

use std::fmt;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::{Packet, Protocol, TransportKind};

/// Heartbeat, upgrade and close of one session.
///
/// The caller hands every packet of the session's transport to [`receive`](Self::receive) and every packet of a
/// WebSocket that wants to take over to [`receive_probe`](Self::receive_probe). After each call that takes a time,
/// [`poll_timeout`](Self::poll_timeout) may have changed; when that time has come, call
/// [`handle_timeout`](Self::handle_timeout) until it returns `None`. A closed session has no timeouts and hands out no packets.
///
/// ```
/// use std::time::{Duration, Instant};
/// use gatewire_proto::engineio::{CloseReason, Packet, Session, Timeout, Timing, TransportKind};
///
/// let start = Instant::now();
/// let timing = Timing::default();
/// let mut session = Session::open(&timing, TransportKind::WebSocket, start);
/// let due = session.poll_timeout().unwrap();
/// assert_eq!(due, start + Duration::from_secs(25));
/// assert_eq!(session.handle_timeout(due), Some(Timeout::SendPing));
/// assert_eq!(session.receive(Packet::Pong(""), due), Ok(None));
/// assert_eq!(session.receive(Packet::Close, due), Err(CloseReason::TransportClose));
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    ping_interval: Millis,
    ping_timeout: Millis,
    upgrade_timeout: Millis,
    transport: TransportKind,
    heartbeat: Heartbeat,
    closed: bool,
    /// The client has not answered since time was given again for one in which the server did not run.
    resumed: bool,
    /// When the ping is due, or when the pong (of a client of version 3: its next ping) is overdue.
    heartbeat_due: Instant,
    /// Until when the upgrade under way must be done.
    upgrade_due: Option<Instant>,
}

impl Session {
    /// A session whose open packet is sent at `now` on `transport`; the first ping is due one interval later.
    pub fn open(timing: &Timing, transport: TransportKind, now: Instant) -> Self {
        let ping_interval = Millis::from(timing.ping_interval);
        Self {
            ping_interval,
            ping_timeout: timing.ping_timeout.into(),
            upgrade_timeout: timing.upgrade_timeout.into(),
            transport,
            heartbeat: Heartbeat::Resting,
            closed: false,
            resumed: false,
            heartbeat_due: ping_interval.after(now),
            upgrade_due: None,
        }
    }

    /// A session of protocol version 3, where the client pings: it has ping interval and ping timeout together from
    /// `now` or its last ping to the next one. There is no [`Timeout::SendPing`], and [`receive`](Self::receive) hands
    /// out each ping to be answered.
    pub fn open_v3(timing: &Timing, transport: TransportKind, now: Instant) -> Self {
        let mut session = Self::open(timing, transport, now);
        session.heartbeat = Heartbeat::Client;
        session.heartbeat_due = session.client_ping_due(now);
        session
    }

    /// The version of the protocol, as the session was opened.
    pub fn protocol(&self) -> Protocol {
        match self.heartbeat {
            Heartbeat::Client => Protocol::V3,
            Heartbeat::Resting | Heartbeat::Awaiting | Heartbeat::Renewed => Protocol::V4,
        }
    }

    /// The transport that carries the session now.
    pub fn transport(&self) -> TransportKind {
        self.transport
    }

    /// Takes a packet that came on the session's transport and returns it if it is for the protocol above.
    ///
    /// A pong restarts the ping interval (so the period is interval + round trip). While a pong is awaited, the first
    /// other packet renews the ping timeout, once for each ping: a client that is busy sending something big lives on.
    /// Open, upgrade and noop packets mean nothing here and are ignored, as the official server does.
    ///
    /// In version 3 nothing but a ping renews the client's time. The ping is returned: answer it with a pong (`3`,
    /// without data) on the session's transport.
    ///
    /// # Errors
    /// The session is closed by it: [`TransportClose`](CloseReason::TransportClose) after a close packet (on every
    /// transport, though the official server overlooks it on a WebSocket); [`TransportError`](CloseReason::TransportError)
    /// after a ping, for the heartbeat of version 4 goes from server to client (in version 3: after a pong).
    pub fn receive<'a>(
        &mut self,
        packet: Packet<'a>,
        now: Instant,
    ) -> Result<Option<Packet<'a>>, CloseReason> {
        if self.closed {
            return Ok(None);
        }
        if self.heartbeat == Heartbeat::Client {
            return self.receive_v3(packet, now);
        }
        if matches!(packet, Packet::Pong(_)) {
            self.heartbeat = Heartbeat::Resting;
            self.resumed = false;
            self.heartbeat_due = self.ping_interval.after(now);
            return Ok(None);
        }
        if self.heartbeat == Heartbeat::Awaiting {
            self.heartbeat = Heartbeat::Renewed;
            self.heartbeat_due = self.ping_timeout.after(now);
        }
        match packet {
            Packet::Message(_) | Packet::Binary(_) => Ok(Some(packet)),
            Packet::Close => Err(self.close_for(CloseReason::TransportClose)),
            Packet::Ping(_) => Err(self.close_for(CloseReason::TransportError)),
            Packet::Open(_) | Packet::Upgrade | Packet::Noop | Packet::Pong(_) => Ok(None),
        }
    }

    fn receive_v3<'a>(
        &mut self,
        packet: Packet<'a>,
        now: Instant,
    ) -> Result<Option<Packet<'a>>, CloseReason> {
        match packet {
            Packet::Message(_) | Packet::Binary(_) => Ok(Some(packet)),
            Packet::Ping(_) => {
                self.resumed = false;
                self.heartbeat_due = self.client_ping_due(now);
                Ok(Some(packet))
            }
            Packet::Close => Err(self.close_for(CloseReason::TransportClose)),
            Packet::Pong(_) => Err(self.close_for(CloseReason::TransportError)),
            Packet::Open(_) | Packet::Upgrade | Packet::Noop => Ok(None),
        }
    }

    /// The time at which to call [`handle_timeout`](Self::handle_timeout) next; `None` once closed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        Some(match self.upgrade_due {
            Some(due) => due.min(self.heartbeat_due),
            None => self.heartbeat_due,
        })
    }

    /// What has come due by `now`, one thing at each call; call until it returns `None`. A late call delays what
    /// follows, it never skips it: after a stopped process, a client still has its whole ping timeout.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Timeout> {
        if self.closed {
            return None;
        }
        if self.upgrade_due.is_some_and(|due| due <= now) {
            self.upgrade_due = None;
            return Some(Timeout::UpgradeTimeout);
        }
        if self.heartbeat_due > now {
            return None;
        }
        if self.heartbeat == Heartbeat::Resting {
            self.heartbeat = Heartbeat::Awaiting;
            self.heartbeat_due = self.ping_timeout.after(now);
            Some(Timeout::SendPing)
        } else {
            self.close();
            Some(Timeout::PingTimeout)
        }
    }

    /// The server did not run for a while, up to `now`: it was stopped, or had no turn. What the client has sent meanwhile
    /// is not read yet, so call this before [`handle_timeout`](Self::handle_timeout).
    ///
    /// A ping is due at once, whether one is out or not: the client may be about to miss it. It has the whole ping timeout to
    /// answer, and so has a client of version 3 to send its next one; an upgrade under way has its timeout again. All this
    /// until the client has answered only once, so that one which is gone is found out, however often the server stops.
    pub fn resume(&mut self, now: Instant) {
        if self.closed || std::mem::replace(&mut self.resumed, true) {
            return;
        }
        if self.heartbeat == Heartbeat::Client {
            self.heartbeat_due = self.heartbeat_due.max(self.ping_timeout.after(now));
        } else {
            self.heartbeat = Heartbeat::Resting;
            self.heartbeat_due = now;
        }
        if let Some(due) = &mut self.upgrade_due {
            *due = self.upgrade_timeout.after(now).max(*due);
        }
    }

    /// A WebSocket with this session's id has been opened: it may now probe, until the upgrade timeout.
    ///
    /// # Errors
    /// If the session is closed, has a WebSocket already, or another one is probing. Close the new one; the session lives on.
    pub fn start_upgrade(&mut self, now: Instant) -> Result<(), UpgradeRefused> {
        if self.closed {
            return Err(UpgradeRefused::Closed);
        }
        if self.transport == TransportKind::WebSocket {
            return Err(UpgradeRefused::AlreadyUpgraded);
        }
        if self.upgrade_due.is_some() {
            return Err(UpgradeRefused::InProgress);
        }
        self.upgrade_due = Some(self.upgrade_timeout.after(now));
        Ok(())
    }

    /// Whether a ping is unanswered; never so in version 3. Only then does [`receive`](Self::receive) have to see messages, too: while it is
    /// false a caller may pass them on without.
    pub fn is_awaiting_pong(&self) -> bool {
        matches!(self.heartbeat, Heartbeat::Awaiting | Heartbeat::Renewed) && !self.closed
    }

    /// Whether a WebSocket is probing.
    #[cfg(test)]
    fn is_upgrading(&self) -> bool {
        self.upgrade_due.is_some() && !self.closed
    }

    /// Takes a packet that came on the new WebSocket between [`start_upgrade`](Self::start_upgrade) and
    /// [`Probe::Done`]. An upgrade packet is accepted without a probe before it, as by the official server.
    ///
    /// With the upgrade the awaited pong, if any, gets a whole ping timeout on the new transport, and a ping that is
    /// not yet due keeps its time: the client counts from the last ping that it saw. A client of version 3 keeps its
    /// time, too, for it pings by its own clock.
    ///
    /// # Errors
    /// If no upgrade is under way, or the packet is none of `2probe` and `5`: close the new WebSocket. The upgrade is
    /// given up, the session stays where it is.
    pub fn receive_probe(&mut self, packet: &Packet<'_>, now: Instant) -> Result<Probe, UpgradeRefused> {
        if self.closed {
            return Err(UpgradeRefused::Closed);
        }
        if self.upgrade_due.is_none() {
            return Err(UpgradeRefused::NotStarted);
        }
        match packet {
            Packet::Ping("probe") => Ok(Probe::Pong),
            Packet::Upgrade => {
                self.upgrade_due = None;
                self.transport = TransportKind::WebSocket;
                if self.is_awaiting_pong() {
                    self.heartbeat = Heartbeat::Awaiting;
                    self.heartbeat_due = self.ping_timeout.after(now);
                }
                Ok(Probe::Done)
            }
            _ => {
                self.upgrade_due = None;
                Err(UpgradeRefused::UnexpectedPacket)
            }
        }
    }

    /// The probing WebSocket is gone; another one may try.
    pub fn upgrade_failed(&mut self) {
        self.upgrade_due = None;
    }

    /// Closes the session. Doing it again changes nothing.
    pub fn close(&mut self) {
        self.closed = true;
        self.upgrade_due = None;
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn client_ping_due(&self, now: Instant) -> Instant {
        self.ping_timeout.after(self.ping_interval.after(now))
    }

    fn close_for(&mut self, reason: CloseReason) -> CloseReason {
        self.close();
        reason
    }
}

/// The clocks of a session. Each is kept in whole milliseconds, up to 49 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From the open packet or a pong to the next ping; default 25 s. In version 3, between two pings of the client.
    pub ping_interval: Duration,
    /// From a ping to its pong; default 20 s. In version 3, how much later than the interval the client's ping may come.
    pub ping_timeout: Duration,
    /// From the opening of a WebSocket with the session's id to its `5`; default 10 s.
    pub upgrade_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
        }
    }
}

/// What has come due; see [`Session::handle_timeout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// Send a ping (`2`) on the session's transport.
    SendPing,
    /// The pong (in version 3: the client's next ping) did not come: the session is closed now, with [`CloseReason::PingTimeout`].
    PingTimeout,
    /// The upgrade did not end in time: close the probing WebSocket, the session lives on.
    UpgradeTimeout,
}

/// What a packet on a probing WebSocket means; see [`Session::receive_probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Answer `3probe` there, and from now on end every pending poll with a noop (`6`), every 100 ms until
    /// [`Done`](Self::Done): the client waits for its poll to end before it moves.
    Pong,
    /// The session's transport is the WebSocket now: send there what is buffered.
    Done,
}

/// Why a WebSocket may not take a session over. None of these ends the session.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpgradeRefused {
    /// The session is over.
    #[error("the session is closed")]
    Closed,
    /// Its transport is a WebSocket already.
    #[error("the session's transport is a websocket already")]
    AlreadyUpgraded,
    /// Another WebSocket is probing.
    #[error("another websocket is upgrading the session")]
    InProgress,
    /// A packet without [`Session::start_upgrade`], or after the upgrade timeout.
    #[error("no upgrade of the session is under way")]
    NotStarted,
    /// Neither `2probe` nor `5`.
    #[error("a websocket that upgrades may send nothing but 2probe and 5")]
    UnexpectedPacket,
}

/// Why a session ended. The text is what Socket.IO applications see as the reason of `disconnect`.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
#[error("{}", self.as_str())]
#[non_exhaustive]
pub enum CloseReason {
    /// The client did not answer a ping in time.
    PingTimeout,
    /// The client closed the session or its connection.
    TransportClose,
    /// The connection broke, or the client broke the rules of the transport.
    TransportError,
    /// The client sent what is no Engine.IO packet.
    ParseError,
    /// The server closed this session.
    ForcedClose,
    /// The server is closing all.
    ServerShuttingDown,
}

impl CloseReason {
    /// The official server's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PingTimeout => "ping timeout",
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
            Self::ServerShuttingDown => "server shutting down",
        }
    }
}

/// Where the heartbeat stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heartbeat {
    /// Until the next ping is due.
    Resting,
    /// A ping is out.
    Awaiting,
    /// A ping is out, and its timeout has been renewed once.
    Renewed,
    /// Version 3: the client pings.
    Client,
}

/// A duration in the unit of the protocol: a session is kept for every connection, so it is kept small.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Millis(u32);

impl Millis {
    fn after(self, now: Instant) -> Instant {
        now + Duration::from_millis(self.0.into())
    }
}

impl From<Duration> for Millis {
    fn from(duration: Duration) -> Self {
        Self(u32::try_from(duration.as_millis()).unwrap_or(u32::MAX))
    }
}

impl fmt::Debug for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

#[cfg(test)]
mod tests;
