//! The side of a relay where the client is: sends its request to the node that has the session, as HTTP through a tunnel,
//! and gives the answer back. After a 101 the two streams are joined.

use std::future::poll_fn;
use std::pin::pin;

use bytes::{Buf, Bytes};
use gatewire_hub::Id;
use http::header::{
    CONNECTION, EXPECT, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Either, Empty, Limited};
use hyper::client::conn::http1::{self, Connection};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::{Node, Tunnel, splice};
use crate::http::{self as answer, Body};
use crate::request;
use crate::stream::Stream;
use gatewire_hub::task;

/// The headers that are for the next hop alone (RFC 9110 §7.6.1).
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
];

/// The key of a WebSocket handshake whose client has sent none; nobody asks for the answer to it.
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAA==";

/// Pieces of a body that wait between the client and the tunnel.
const PIECES: usize = 4;

type Forwarded = Either<Empty<Bytes>, Channel<Bytes>>;

/// Why a request is not relayed, or its answer does not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No node has the session, or the one that had it is gone.
    Unknown,
    /// There is too much to do.
    Busy,
}

impl Node {
    /// Has a request for the session `sid`, which is not of this node, answered by the node that has it.
    pub(crate) async fn relay<B>(
        &self,
        sid: Id,
        parts: &Parts,
        body: B,
        max_answer: usize,
    ) -> Result<Response<Body>, Refused>
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let upgrade = parts.extensions.get::<OnUpgrade>().cloned();
        if request::is_upgrade(parts) && upgrade.is_none() {
            return Ok(answer::empty(StatusCode::NOT_IMPLEMENTED));
        }
        let owner = self.owner(sid).await?;
        let answered = forward(self.open(owner)?, parts, body, max_answer).await;
        if !matches!(&answered, Some(Answer { response, .. }) if response.status().as_u16() < 400) {
            self.forget(sid);
        }
        let Answer { response, stream } = answered.ok_or(Refused::Unknown)?;
        if let (Some((tunnel, early)), Some(upgrade)) = (stream, upgrade) {
            task::spawn("gatewire relay", async move {
                match upgrade.await {
                    Ok(upgraded) => {
                        let (client, unread) = Stream::from_upgraded(upgraded);
                        splice::join(client, &unread, tunnel, early).await;
                    }
                    Err(error) => {
                        tracing::debug!(%error, "the connection ended before it became a WebSocket");
                    }
                }
            });
        }
        Ok(response)
    }
}

/// What the session's node says.
struct Answer {
    response: Response<Body>,
    /// After a 101: the stream, and what came on it already.
    stream: Option<(Tunnel, Bytes)>,
}

/// Sends the request through the tunnel and takes the answer; `None` if none comes, or the client's body does not come
/// whole. Dropped, it takes the tunnel with it, by which the other node hears that the client is gone.
async fn forward<B>(tunnel: Tunnel, parts: &Parts, body: B, max_answer: usize) -> Option<Answer>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut sender, mut connection) = http1::handshake(TokioIo::new(tunnel)).await.ok()?;
    let (forwarded, feeding) = feed(parts, body);
    let mut exchange = pin!(async move {
        let request = outgoing(parts, forwarded)?;
        let response = sender.send_request(request).await.ok()?;
        let (head, body) = response.into_parts();
        let body = match head.status {
            StatusCode::SWITCHING_PROTOCOLS => Bytes::new(),
            _ => Limited::new(body, max_answer).collect().await.ok()?.to_bytes(),
        };
        Some((head, body))
    });
    let mut feeding = pin!(feeding);
    let (mut is_connected, mut is_feeding) = (true, true);
    let (head, body) = loop {
        tokio::select! {
            biased;
            answered = &mut exchange => break answered?,
            // An error is one of the exchange, too.
            _ = poll_fn(|cx| connection.poll_without_shutdown(cx)), if is_connected => is_connected = false,
            fed = &mut feeding, if is_feeding => {
                fed?;
                is_feeding = false;
            }
        }
    };
    let is_switched = head.status == StatusCode::SWITCHING_PROTOCOLS;
    let stream = if is_switched {
        if is_connected {
            poll_fn(|cx| connection.poll_without_shutdown(cx)).await.ok()?;
        }
        Some(take_out(connection))
    } else {
        None
    };
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    if request::is_websocket_connect(&parts.method, &parts.extensions) {
        remove_hop_by_hop(response.headers_mut());
        response.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
        if is_switched {
            *response.status_mut() = StatusCode::OK;
        }
    } else if !request::is_upgrade(parts) {
        remove_hop_by_hop(response.headers_mut());
    }
    Some(Answer { response, stream })
}

fn take_out(connection: Connection<TokioIo<Tunnel>, Forwarded>) -> (Tunnel, Bytes) {
    let parts = connection.into_parts();
    (parts.io.into_inner(), parts.read_buf)
}

/// The request as the other node gets it.
fn outgoing(parts: &Parts, body: Forwarded) -> Option<Request<Forwarded>> {
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.version_mut() = Version::HTTP_11;
    *request.uri_mut() = Uri::from(parts.uri.path_and_query()?.clone());
    let headers = request.headers_mut();
    headers.clone_from(&parts.headers);
    if request::is_websocket_connect(&parts.method, &parts.extensions) {
        // Over HTTP/2 there are no upgrades, and no key.
        *request.method_mut() = Method::GET;
        let headers = request.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static(KEY));
    } else if !request::is_upgrade(parts) {
        remove_hop_by_hop(headers);
    }
    if let Some(host) = parts.uri.authority() {
        let host = HeaderValue::from_str(host.as_str()).ok()?;
        request.headers_mut().insert(HOST, host);
    }
    Some(request)
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// The body as it can be sent, and the future that copies it there; that is `None` if the client's body does not come
/// whole.
fn feed<B>(parts: &Parts, body: B) -> (Forwarded, impl Future<Output = Option<()>> + use<B>)
where
    B: http_body::Body,
{
    let (forwarded, sender) = if body.is_end_stream() || request::is_upgrade(parts) {
        (Either::Left(Empty::new()), None)
    } else {
        let (sender, channel) = Channel::new(PIECES);
        (Either::Right(channel), Some(sender))
    };
    let feeding = async move {
        let Some(mut sender) = sender else { return Some(()) };
        let mut body = pin!(body);
        while let Some(frame) = body.as_mut().frame().await {
            if let Ok(mut data) = frame.ok()?.into_data() {
                let bytes = data.copy_to_bytes(data.remaining());
                if sender.send_data(bytes).await.is_err() {
                    // The answer is there already, or there will be none.
                    break;
                }
            }
        }
        Some(())
    };
    (forwarded, feeding)
}
