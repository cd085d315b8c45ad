//! The request of a connection that is being answered. Its answer is made here and not in hyper, which may be gone when
//! it is ready.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use http::header::CONNECTION;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::upgrade::OnUpgrade;

use super::lent::{BodyUnderWay, Traffic};
use crate::takeover::{Departure, Handoff};

/// The requests of one connection, one at a time; `F` makes an answer, whose body is an `R`.
pub(super) struct Exchange<F, R> {
    state: Mutex<State<F, R>>,
    traffic: Arc<Traffic>,
}

struct State<F, R> {
    under_way: Option<UnderWay<F>>,
    kept: Kept<R>,
    /// Requests that have come.
    begun: u32,
}

/// What has come of a request while hyper is not there, or is not to know.
enum Kept<R> {
    Nothing,
    /// The answer to one that hyper has forgotten.
    Answer(Response<R>),
    /// How the connection goes on without HTTP, and the body of the response with which it does.
    Departure(Departure, R),
}

struct UnderWay<F> {
    answering: Pin<Box<F>>,
    traits: Traits,
    /// Of a request for an upgrade: where a WebSocket is left that wants the stream.
    handoff: Option<Handoff>,
}

/// What must be known of a request when its answer is there.
#[derive(Clone, Copy)]
struct Traits {
    /// Nothing of the request is still to come, and the answer may be written by others than hyper.
    is_plain: bool,
    /// Its answer can be written by a hyper that has not read it.
    can_rest: bool,
    /// The client wants the connection closed after the answer.
    closes: bool,
}

impl Traits {
    fn of<B: Body>(request: &Request<B>, is_upgrade: bool) -> Self {
        let is_plain = request.version() == Version::HTTP_11
            && request.method() != Method::HEAD
            && request.body().is_end_stream();
        let can_rest = is_plain && request.method() == Method::GET && !is_upgrade;
        Self {
            is_plain,
            can_rest,
            closes: can_rest && closes(request.headers()),
        }
    }
}

/// Whether the client wants the connection closed (RFC 9112 §9.6).
fn closes(headers: &HeaderMap) -> bool {
    headers.get_all(CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
    })
}

/// What a connection may do without hyper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resting {
    /// Wait for a request.
    Idle,
    /// Wait for the answer to one.
    Asked {
        /// The client wants the connection closed after it.
        closes: bool,
    },
}

impl<F, R> Exchange<F, R> {
    pub(super) fn new(traffic: Arc<Traffic>) -> Self {
        Self {
            state: Mutex::new(State {
                under_way: None,
                kept: Kept::Nothing,
                begun: 0,
            }),
            traffic,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<F, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests that have come.
    pub(super) fn begun(&self) -> u32 {
        self.lock().begun
    }

    /// Whether the connection leaves HTTP.
    pub(super) fn departs(&self) -> bool {
        matches!(self.lock().kept, Kept::Departure(..))
    }

    /// How the connection goes on without HTTP, if it does, and the body of the response with which it does.
    pub(super) fn depart(&self) -> Option<(Departure, R)> {
        let mut state = self.lock();
        match std::mem::replace(&mut state.kept, Kept::Nothing) {
            Kept::Departure(departure, body) => Some((departure, body)),
            kept => {
                state.kept = kept;
                None
            }
        }
    }

    /// What the connection may do without hyper, if there is nothing that hyper has to write or to read.
    pub(super) fn resting(&self) -> Option<Resting> {
        if !self.traffic.is_none() {
            return None;
        }
        match &self.lock().under_way {
            None => Some(Resting::Idle),
            Some(UnderWay { traits, .. }) if traits.can_rest => Some(Resting::Asked {
                closes: traits.closes,
            }),
            Some(_) => None,
        }
    }
}

impl<F, R> Exchange<F, R>
where
    F: Future<Output = Response<R>>,
    R: Body,
{
    /// What hyper has read: begins with its answer, unless the request only stands for one that is answered.
    pub(super) fn begin<B: Body>(
        &self,
        mut request: Request<B>,
        respond: impl FnOnce(Request<B>) -> F,
    ) -> Answering<'_, F, R> {
        if !matches!(self.lock().kept, Kept::Answer(_)) {
            let is_upgrade = request.extensions().get::<OnUpgrade>().is_some();
            let traits = Traits::of(&request, is_upgrade);
            let handoff =
                (is_upgrade && traits.is_plain).then(|| Handoff::put_into(request.extensions_mut()));
            let answering = Box::pin(respond(request));
            let mut state = self.lock();
            state.begun = state.begun.wrapping_add(1);
            state.under_way = Some(UnderWay {
                answering,
                traits,
                handoff,
            });
        }
        Answering(self)
    }

    /// Goes on with the answer while hyper is not there. Ready when it is kept for the next hyper, or the connection is to
    /// leave HTTP.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if let Some(response) = ready!(self.poll_response(&mut state, cx)) {
            state.kept = Kept::Answer(response);
        }
        Poll::Ready(())
    }

    /// Ready with the answer, or with nothing if the connection leaves HTTP with it.
    fn poll_response(&self, state: &mut State<F, R>, cx: &mut Context<'_>) -> Poll<Option<Response<R>>> {
        let Some(under_way) = &mut state.under_way else {
            return Poll::Pending;
        };
        let mut response = ready!(under_way.answering.as_mut().poll(cx));
        let may_leave = under_way.traits.is_plain && self.traffic.is_none();
        let departure = Departure::of(&mut response, under_way.handoff.as_ref(), may_leave);
        state.under_way = None;
        let Some(departure) = departure else {
            return Poll::Ready(Some(response));
        };
        state.kept = Kept::Departure(departure, response.into_body());
        Poll::Ready(None)
    }
}

/// The answer to one request, for hyper. It is never ready if the connection leaves hyper with it.
pub(super) struct Answering<'a, F, R>(&'a Exchange<F, R>);

impl<F, R> Future for Answering<'_, F, R>
where
    F: Future<Output = Response<R>>,
    R: Body,
{
    type Output = Result<Response<Tracked<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let exchange = self.0;
        let mut state = exchange.lock();
        let response = match std::mem::replace(&mut state.kept, Kept::Nothing) {
            Kept::Answer(response) => response,
            kept => {
                state.kept = kept;
                match ready!(exchange.poll_response(&mut state, cx)) {
                    Some(response) => response,
                    None => return Poll::Pending,
                }
            }
        };
        Poll::Ready(Ok(response.map(|body| Tracked {
            body,
            _under_way: exchange.traffic.body(),
        })))
    }
}

pin_project_lite::pin_project! {
    /// A body that is known to be under way until it is dropped.
    pub(super) struct Tracked<R> {
        #[pin]
        body: R,
        _under_way: BodyUnderWay,
    }
}

impl<R: Body> Body for Tracked<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
