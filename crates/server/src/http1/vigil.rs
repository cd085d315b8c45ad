//! The times of one connection: when to look whether hyper is needed, by when a request must have come, and the end of the
//! listener. One timer serves for all, and is not touched by what is asked and answered in between.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::exchange::{Exchange, Resting};
use super::lent::Lent;

/// How long nothing must have been asked for before hyper is put away, at least: a client that has just come is soon silent.
pub(super) const QUIET: Duration = Duration::from_millis(3);

/// The same, at most: the longer the more there was to do.
const LONG_QUIET: Duration = Duration::from_millis(160);

/// After a shorter rest hyper was put away in vain.
const REST: Duration = Duration::from_millis(250);

/// Until the next look where hyper could not be put away.
const BUSY: Duration = Duration::from_secs(1);

/// Time for a first request that a connection has when its listener ends.
pub(crate) const FIRST_REQUEST: Duration = Duration::from_millis(500);

pub(super) struct Vigil<'a, T> {
    /// Ready when the listener ends.
    told: Pin<&'a mut T>,
    is_told: bool,
    timer: Pin<&'a mut Sleep>,
    /// The timer is for a look.
    is_soon: bool,
    /// Time between two looks.
    quiet: Duration,
    /// Since when hyper is not there.
    rests_since: Option<Instant>,
    header_timeout: Duration,
    /// By when the head of the next request must have come.
    deadline: Instant,
    /// Requests that had come at the last look.
    begun: u32,
}

/// Why hyper is needed again.
pub(super) enum Woken {
    /// There is something to be read.
    Asked,
    /// There is something to be written, or the connection leaves HTTP.
    Answered,
    /// It is not: the client has gone, or has asked for nothing for too long.
    Over,
}

/// What is to be done about a hyper that has done nothing for a while.
pub(super) enum Look {
    /// It is not needed for now.
    Rest(Resting),
    /// The head of a request did not come in time.
    Late,
}

impl<'a, T: Future<Output = ()>> Vigil<'a, T> {
    /// `timer` is over after [`QUIET`].
    pub(super) fn new(told: Pin<&'a mut T>, timer: Pin<&'a mut Sleep>, header_timeout: Duration) -> Self {
        Self {
            told,
            is_told: false,
            header_timeout,
            deadline: timer.deadline() - QUIET + header_timeout,
            timer,
            is_soon: true,
            quiet: QUIET,
            rests_since: None,
            begun: 0,
        }
    }

    /// Whether no further request is to be taken.
    pub(super) fn is_told(&self) -> bool {
        self.is_told
    }

    /// Waits without hyper.
    pub(super) fn poll_rest<F, R>(
        &mut self,
        exchange: &Exchange<F, R>,
        resting: Resting,
        lent: &mut Lent,
        cx: &mut Context<'_>,
    ) -> Poll<Woken>
    where
        F: Future<Output = http::Response<R>>,
        R: http_body::Body,
    {
        let is_idle = resting == Resting::Idle;
        if !is_idle && exchange.poll(cx).is_ready() {
            return Poll::Ready(Woken::Answered);
        }
        // A request behind the one that is answered waits, and with it all that follows.
        while is_idle || !lent.has_ahead() {
            match lent.poll_fill(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(read)) if read > 0 => {
                    if is_idle {
                        return Poll::Ready(Woken::Asked);
                    }
                }
                Poll::Ready(_) => return Poll::Ready(Woken::Over),
            }
        }
        let has_asked = exchange.begun() > 0;
        let is_told = self.poll_told(has_asked, cx);
        if !is_idle {
            return Poll::Pending;
        }
        if is_told && has_asked {
            return Poll::Ready(Woken::Over);
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if Instant::now() >= self.deadline {
                tracing::debug!("no request came within the header timeout");
                return Poll::Ready(Woken::Over);
            }
            self.is_soon = false;
            self.timer.as_mut().reset(self.deadline);
        }
    }

    /// Whether no further request is to be taken. Who has asked for nothing yet has a moment more.
    pub(super) fn poll_told(&mut self, has_asked: bool, cx: &mut Context<'_>) -> bool {
        if !self.is_told && self.told.as_mut().poll(cx).is_ready() {
            self.is_told = true;
            if !has_asked {
                self.deadline = self.deadline.min(Instant::now() + FIRST_REQUEST);
                self.is_soon = false;
                self.timer.as_mut().reset(self.deadline);
            }
        }
        self.is_told
    }

    /// A request has been answered: the time for the next one begins.
    pub(super) fn begin_anew(&mut self) {
        self.deadline = Instant::now() + self.header_timeout;
    }

    /// From now on hyper is there.
    pub(super) fn look_soon(&mut self) {
        if let Some(since) = self.rests_since.take() {
            self.quiet = if since.elapsed() < REST {
                self.longer_quiet()
            } else {
                QUIET
            };
        }
        if !self.is_soon {
            self.look_in(self.quiet);
        }
    }

    fn longer_quiet(&self) -> Duration {
        LONG_QUIET.min(self.quiet * 2)
    }

    fn look_in(&mut self, time: Duration) {
        self.is_soon = true;
        self.timer.as_mut().reset(Instant::now() + time);
    }

    /// Ready when hyper has done nothing for a while.
    pub(super) fn poll_look<F, R>(&mut self, exchange: &Exchange<F, R>, cx: &mut Context<'_>) -> Poll<Look> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            let begun = exchange.begun();
            if begun != self.begun {
                self.begun = begun;
                self.deadline = now + self.header_timeout;
                self.quiet = self.longer_quiet();
                self.look_in(self.quiet);
                continue;
            }
            match exchange.resting() {
                None => {
                    self.deadline = now + self.header_timeout;
                    self.look_in(BUSY);
                }
                Some(Resting::Idle) if now >= self.deadline => {
                    tracing::debug!("the head of a request did not come within the header timeout");
                    return Poll::Ready(Look::Late);
                }
                // The head of a first request comes bit by bit: it would be read again and again.
                Some(_) if begun == 0 => self.timer.as_mut().reset(self.deadline.min(now + BUSY)),
                Some(resting) => {
                    // The next look, should it not come to rest after all.
                    self.timer.as_mut().reset(self.deadline.min(now + BUSY));
                    self.is_soon = false;
                    self.rests_since = Some(now);
                    return Poll::Ready(Look::Rest(resting));
                }
            }
        }
    }
}
