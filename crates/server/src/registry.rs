//! The sessions of one server: the table of those that are open, the wheel that keeps their deadlines, and the count of
//! the drivers that have not ended. It opens nothing by itself and knows no protocol.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};
use std::time::Duration;

use gatewire_proto::engineio::CloseReason;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::application::Session;
use crate::clock;
use crate::connection::{Driver, Input};
use crate::limiter::Seat;
use crate::outbox::Outbox;
use crate::refusals::Refusal;
use crate::sessions::Sessions;
use crate::timer::Wheel;
use gatewire_hub::task;
use tracing::Instrument;

/// The sessions of one server.
pub(crate) struct Registry {
    pub(crate) sessions: Sessions,
    wheel: Arc<Wheel<Outbox>>,
    /// The task that turns the wheel, started with the first session.
    wheel_task: OnceLock<AbortHandle>,
    /// New sessions are refused.
    stopped: AtomicBool,
    draining: AtomicBool,
    closed: AtomicBool,
    /// Drivers that have not ended, and arrivals.
    drivers: watch::Sender<usize>,
}

impl Registry {
    /// A registry for sessions none of whose deadlines is shorter than `shortest`.
    pub(crate) fn new(shortest: Duration) -> Arc<Self> {
        Arc::new(Self {
            sessions: Sessions::new(),
            wheel: Arc::new(Wheel::new(shortest, clock::now())),
            wheel_task: OnceLock::new(),
            stopped: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            drivers: watch::Sender::new(0),
        })
    }

    /// Whether one more session may be opened.
    pub(crate) fn has_room(&self, max_sessions: usize) -> bool {
        if self.stopped.load(Ordering::Acquire) {
            return false;
        }
        let room = self.sessions.len() < max_sessions;
        if !room {
            tracing::warn!(max_sessions, "a handshake is refused: the server is full");
        }
        room
    }

    /// Why there is no room.
    pub(crate) fn refusal(&self) -> Refusal {
        if self.stopped.load(Ordering::Acquire) {
            Refusal::Ending
        } else {
            Refusal::Full
        }
    }

    /// Lets no new session in.
    pub(crate) fn stop_accepting(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Ends every session as soon as its handlers have ended, and lets no new one in.
    pub(crate) fn drain(&self) {
        self.stop_accepting();
        self.draining.store(true, Ordering::Release);
        for outbox in self.sessions.all() {
            outbox.begin_drain();
        }
    }

    /// As [`drain`](Self::drain), but the sessions that there are now are told one after the other, evenly over `window`, and
    /// those that come meanwhile at its end. Whether any may come is not changed before.
    pub(crate) async fn drain_over(&self, window: Duration) {
        let start = Instant::now();
        let sessions = self.sessions.all();
        let sessions: Vec<_> = sessions.iter().map(Arc::downgrade).collect();
        for (turn, outbox) in sessions.iter().enumerate() {
            let due = start + window.mul_f64(turn as f64 / sessions.len() as f64);
            if due > Instant::now() {
                tokio::time::sleep_until(due).await;
            }
            if let Some(outbox) = outbox.upgrade() {
                outbox.begin_drain();
            }
        }
        tokio::time::sleep_until(start + window).await;
        self.drain();
    }

    /// Ends every session and lets no new one in.
    pub(crate) fn close(&self) {
        self.stop_accepting();
        self.closed.store(true, Ordering::Release);
        for outbox in self.sessions.all() {
            outbox.begin_close(CloseReason::ServerShuttingDown);
        }
    }

    /// A WebSocket whose handshake is being answered: it is waited for until it is a session, or is none. Its client may have
    /// the answer already, and is to be told of the server's end as every other.
    pub(crate) fn arrival(self: &Arc<Self>) -> Arrival {
        self.count_in();
        Arrival(self.clone())
    }

    /// One more is waited for. Nobody waits for more of them: nobody is told.
    fn count_in(&self) {
        self.drivers.send_if_modified(|drivers| {
            *drivers += 1;
            false
        });
    }

    fn count_out(&self) {
        self.drivers.send_if_modified(|drivers| {
            *drivers -= 1;
            *drivers == 0
        });
    }

    /// Whether the sessions are being ended.
    pub(crate) fn is_ending(&self) -> bool {
        self.draining.load(Ordering::Acquire) || self.closed.load(Ordering::Acquire)
    }

    /// Waits until every driver has ended, and nobody arrives.
    pub(crate) async fn drained(&self) {
        let mut drivers = self.drivers.subscribe();
        // An error means that the sender, which `self` holds, is gone.
        let _ = drivers.wait_for(|drivers| *drivers == 0).await;
    }

    /// Gives a session its place; `None` if another one has the id. `seat` is its place among those of its address, if that
    /// is limited.
    pub(crate) fn register(
        self: &Arc<Self>,
        outbox: &Arc<Outbox>,
        seat: Option<Seat>,
    ) -> Option<Registration> {
        if !self.sessions.insert(outbox.clone()) {
            return None;
        }
        self.count_in();
        Some(Registration {
            registry: self.clone(),
            outbox: outbox.clone(),
            seat,
        })
    }

    /// Sessions whose deadlines are looked after. What has ended is among them until it is asked the next time: at most
    /// for as long as the shortest deadline is.
    pub(crate) fn timers_count(&self) -> usize {
        self.wheel.len()
    }

    fn turn_wheel(&self) {
        self.wheel_task.get_or_init(|| {
            let wheel = self.wheel.clone();
            task::spawn("gatewire timers", async move { wheel.run().await }).abort_handle()
        });
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Some(task) = self.wheel_task.get() {
            task.abort();
        }
    }
}

/// See [`Registry::arrival`]; over when it is dropped.
pub(crate) struct Arrival(Arc<Registry>);

impl Drop for Arrival {
    fn drop(&mut self) {
        self.0.count_out();
    }
}

/// A session's place in the registry, held by its driver: dropped, by whatever end, it leaves nothing behind.
pub(crate) struct Registration {
    registry: Arc<Registry>,
    outbox: Arc<Outbox>,
    seat: Option<Seat>,
}

impl Registration {
    /// Starts the driver. From now on the session's time runs.
    pub(crate) fn begin(self, session: Box<dyn Session>, input: Input) {
        let (registry, now) = (&self.registry, clock::now());
        registry.turn_wheel();
        if let Some(meter) = self.outbox.rules.meter.get() {
            meter.opened(self.outbox.transport());
        }
        registry.wheel.insert(Arc::downgrade(&self.outbox), now, now);
        if registry.closed.load(Ordering::Acquire) {
            self.outbox.begin_close(CloseReason::ServerShuttingDown);
        } else if registry.draining.load(Ordering::Acquire) {
            self.outbox.begin_drain();
        }
        // A task carries a span only if somebody wants to see it.
        let span = tracing::debug_span!(
            target: "gatewire::connection",
            "connection",
            sid = %self.outbox.sid,
            transport = self.outbox.transport().as_str(),
        );
        let is_opening = matches!(input, Input::Opening);
        let mut driver = Driver::new(self, session, input);
        if is_opening {
            // Its client is told of nothing but the answer to its handshake, and is to have joined by then. Whatever has to be
            // waited for is asked again by the task.
            let mut cx = Context::from_waker(Waker::noop());
            let _ = span.in_scope(|| Pin::new(&mut driver).poll(&mut cx));
        }
        if span.is_disabled() {
            task::spawn("gatewire connection", driver);
        } else {
            task::spawn("gatewire connection", driver.instrument(span));
        }
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The session's place among those of its address, if that is limited.
    pub(crate) fn seat(&self) -> Option<&Seat> {
        self.seat.as_ref()
    }

    /// Takes the session out of the table and closes its transport; later calls do nothing.
    pub(crate) fn remove(&self) {
        self.outbox.shut();
        self.registry.sessions.remove(self.outbox.sid);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.sessions.remove(self.outbox.sid);
        if Arc::strong_count(&self.outbox) == 1 {
            self.outbox.shut_at_end();
        } else {
            self.outbox.shut();
        }
        self.registry.count_out();
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn whoever_arrives_is_waited_for() {
        let registry = Registry::new(Duration::from_secs(1));
        let arrival = registry.arrival();
        registry.close();
        let mut drained = std::pin::pin!(registry.drained());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(drained.as_mut().poll(&mut cx).is_pending());
        drop(arrival);
        assert!(drained.poll(&mut cx).is_ready());
    }
}
