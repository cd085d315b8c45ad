//! HTTP/1.1 on one stream, to its end. hyper is there while something is asked and answered. While the client is silent,
//! or waits for an answer that is long in coming, it is not: its buffers are the most of what such a client costs.

mod exchange;
mod lent;
#[cfg(test)]
mod tests;
mod vigil;

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1::UpgradeableConnection;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use tokio::time::sleep;

use self::exchange::{Exchange, Resting, Tracked};
pub(crate) use self::lent::Lent;
use self::lent::Traffic;
pub(crate) use self::vigil::FIRST_REQUEST;
use self::vigil::{Look, QUIET, Vigil, Woken};
use crate::listener::ListenerConfig;
use crate::stream::Stream;

/// What a new hyper is given to read when the answer to a request is there that it knows nothing of: it stands for that
/// request, a GET without a body, so that hyper writes this answer as every other.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const LAST_STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";

/// Serves `stream` until it has ended, or has become something else than HTTP. When `told` is ready, no further request is
/// taken.
///
/// # Errors
/// What the client did wrong, or what the stream says.
pub(crate) async fn serve<H, F, R>(
    stream: Stream,
    config: &ListenerConfig,
    handler: H,
    told: Pin<&mut impl Future<Output = ()>>,
) -> hyper::Result<()>
where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<R>>,
    R: http_body::Body<Data = Bytes> + 'static,
    R::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let traffic = Arc::new(Traffic::default());
    let exchange = Exchange::new(traffic.clone());
    let service = service_fn(|request| exchange.begin(request, &handler));
    let mut lent = Lent::new(stream, traffic.clone(), config.write_timeout);
    let timer = pin!(sleep(QUIET));
    let mut vigil = Vigil::new(told, timer, config.header_timeout);
    let mut resting = Resting::Idle;
    loop {
        match poll_fn(|cx| vigil.poll_rest(&exchange, resting, &mut lent, cx)).await {
            Woken::Asked => {}
            Woken::Answered if exchange.departs() => {}
            Woken::Answered => {
                let is_last = vigil.is_told() || resting == Resting::Asked { closes: true };
                lent.put_ahead(if is_last { LAST_STAND_IN } else { STAND_IN });
                vigil.begin_anew();
            }
            Woken::Over => {
                lent.close();
                return Ok(());
            }
        }
        if !exchange.departs() {
            vigil.look_soon();
            let hyper = config.http1().serve_connection(TokioIo::new(lent), &service);
            // In a box, so that nothing of it stays while it is not needed.
            let mut attended = Attended {
                hyper: Box::new(hyper.with_upgrades()),
                exchange: &exchange,
                traffic: &traffic,
                is_ending: false,
            };
            match poll_fn(|cx| attended.poll(&mut vigil, cx)).await {
                Parted::Ended(outcome) => return outcome,
                Parted::Departs => {}
                Parted::Rests(how) => resting = how,
            }
            let Some(parts) = attended.hyper.into_parts() else {
                return Ok(());
            };
            lent = parts.io.into_inner();
            lent.put_ahead(&parts.read_buf);
        }
        if let Some((departure, body)) = exchange.depart() {
            let (stream, unread) = lent.into_parts();
            departure.go(stream, unread);
            // Not before: it would end what it belongs to.
            drop(body);
            return Ok(());
        }
    }
}

/// hyper at work.
struct Attended<'a, S, F, R>
where
    S: Service<Request<Incoming>, Response = Response<Tracked<R>>, Error = Infallible>,
    R: http_body::Body,
{
    hyper: Box<UpgradeableConnection<TokioIo<Lent>, S>>,
    exchange: &'a Exchange<F, R>,
    traffic: &'a Traffic,
    /// It takes no further request.
    is_ending: bool,
}

/// How one goes on without hyper.
enum Parted {
    /// Not at all.
    Ended(hyper::Result<()>),
    /// The connection leaves HTTP.
    Departs,
    /// It is not needed for now.
    Rests(Resting),
}

impl<S, F, R> Attended<'_, S, F, R>
where
    S: Service<Request<Incoming>, Response = Response<Tracked<R>>, Error = Infallible>,
    R: http_body::Body<Data = Bytes> + 'static,
    R::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn poll<T>(&mut self, vigil: &mut Vigil<'_, T>, cx: &mut Context<'_>) -> Poll<Parted>
    where
        T: Future<Output = ()>,
    {
        loop {
            if let Poll::Ready(outcome) = self.hyper().poll(cx) {
                return Poll::Ready(Parted::Ended(outcome));
            }
            if self.exchange.departs() {
                return Poll::Ready(Parted::Departs);
            }
            let has_asked = self.exchange.begun() > 0;
            if vigil.poll_told(has_asked, cx) && has_asked && !self.is_ending {
                self.is_ending = true;
                self.hyper().graceful_shutdown();
                continue;
            }
            match ready!(vigil.poll_look(self.exchange, cx)) {
                Look::Rest(Resting::Idle) => {
                    if let Poll::Ready(parted) = self.poll_recall(cx) {
                        return Poll::Ready(parted);
                    }
                }
                Look::Rest(how) => return Poll::Ready(Parted::Rests(how)),
                Look::Late => return Poll::Ready(Parted::Ended(Ok(()))),
            }
        }
    }

    /// Has hyper stop, and leave the stream open, if it waits for a request. Only hyper knows whether it does: else it takes
    /// no further one when it is done.
    fn poll_recall(&mut self, cx: &mut Context<'_>) -> Poll<Parted> {
        self.is_ending = true;
        self.hyper().graceful_shutdown();
        self.traffic.set_recalled(true);
        let ended = self.hyper().poll(cx);
        self.traffic.set_recalled(false);
        ended.map(|outcome| match outcome {
            Ok(()) => Parted::Rests(Resting::Idle),
            Err(error) => Parted::Ended(Err(error)),
        })
    }

    fn hyper(&mut self) -> Pin<&mut UpgradeableConnection<TokioIo<Lent>, S>> {
        Pin::new(&mut *self.hyper)
    }
}
