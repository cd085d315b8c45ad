//! Requests to controllers, and streams of events read as a browser reads them: each on a connection of its own.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use gatewire_proto::sse::{Decoder, Item, Message};
use http::header::{CONTENT_TYPE, HOST, HeaderMap};
use http::{Method, Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::AbortHandle;

use super::app::TestApp;
use super::error::TestError;
use super::inbox::{Closed, PATIENCE};

/// A request that is to be sent.
#[must_use = "nothing is sent before `send` or `events` is awaited"]
pub struct TestRequest<'a> {
    app: &'a TestApp,
    builder: http::request::Builder,
    body: Vec<u8>,
}

/// What a request was answered with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TestResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A stream of events. Dropped, it leaves.
pub struct TestEvents {
    /// The headers of the response.
    pub headers: HeaderMap,
    body: axum::body::BodyDataStream,
    decoder: Decoder,
    patience: Duration,
    _connection: Connection,
}

/// The task that reads and writes a connection.
struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<'a> TestRequest<'a> {
    pub(super) fn new(app: &'a TestApp, method: Method, target: &str) -> Self {
        Self {
            app,
            builder: Request::builder().method(method).uri(target).header(HOST, "test"),
            body: Vec::new(),
        }
    }

    /// One more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    /// The body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The body, as JSON.
    ///
    /// # Panics
    /// If it is no JSON.
    #[track_caller]
    pub fn json<T: Serialize + ?Sized>(self, body: &T) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => self.header(CONTENT_TYPE.as_str(), "application/json").body(body),
            Err(error) => panic!("the body is no JSON: {error}"),
        }
    }

    /// Sends it, and waits for the whole answer.
    ///
    /// # Errors
    /// If there is none within 5 s.
    pub async fn send(self) -> Result<TestResponse, TestError> {
        let answered = async {
            let (response, _connection) = self.open().await?;
            let (parts, body) = response.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.map_err(failed)?;
            Ok(TestResponse {
                status: parts.status,
                headers: parts.headers,
                body,
            })
        };
        within(PATIENCE, "the answer", answered).await
    }

    /// Sends it, and reads the answer as a stream of events.
    ///
    /// # Errors
    /// [`TestError::Refused`] if it is none.
    pub async fn events(self) -> Result<TestEvents, TestError> {
        let (response, connection) = within(PATIENCE, "the stream", self.open()).await?;
        let (parts, body) = response.into_parts();
        let is_stream = parts
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind == "text/event-stream");
        if parts.status != StatusCode::OK || !is_stream {
            let read = async { axum::body::to_bytes(body, usize::MAX).await.map_err(failed) };
            let body = within(PATIENCE, "the refusal", read).await?;
            return Err(TestError::Refused {
                status: parts.status.as_u16(),
                body: String::from_utf8_lossy(&body).into_owned(),
            });
        }
        Ok(TestEvents {
            headers: parts.headers,
            body: body.into_data_stream(),
            decoder: Decoder::default(),
            patience: PATIENCE,
            _connection: connection,
        })
    }

    async fn open(self) -> Result<(http::Response<Body>, Connection), TestError> {
        let request = self.builder.body(Body::from(self.body)).map_err(failed)?;
        let pipe = self.app.pipe(None).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(pipe)).await.map_err(failed)?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a test's connection ended with an error");
            }
        });
        let connection = Connection(task.abort_handle());
        let response = sender.send_request(request).await.map_err(failed)?;
        Ok((response.map(Body::new), connection))
    }
}

impl TestResponse {
    /// The body as text.
    ///
    /// # Panics
    /// If it is no UTF-8.
    #[track_caller]
    pub fn text(&self) -> &str {
        match std::str::from_utf8(&self.body) {
            Ok(text) => text,
            Err(error) => panic!("the body is no text: {error}"),
        }
    }

    /// The body, read as JSON.
    ///
    /// # Panics
    /// If it is no `T`.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!(
                "the body cannot be read: {error}; it is {}",
                String::from_utf8_lossy(&self.body)
            ),
        }
    }

    /// A header, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl TestEvents {
    /// How long is waited for something to come. Default 5 s.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The last id that was told: what a browser sends as `Last-Event-ID` when it comes back.
    pub fn last_event_id(&self) -> &str {
        self.decoder.last_event_id()
    }

    /// The next event, comment or hint; `None` at the end of the stream.
    ///
    /// # Errors
    /// If nothing comes in time.
    pub async fn item(&mut self) -> Result<Option<Item>, TestError> {
        let patience = self.patience;
        within(patience, "an event", self.read()).await
    }

    /// The next event; what is none is passed over.
    ///
    /// # Errors
    /// If none comes in time, or the stream has ended.
    pub async fn message(&mut self) -> Result<Message, TestError> {
        loop {
            match self.item().await? {
                Some(Item::Message(message)) => return Ok(message),
                Some(Item::Comment(_) | Item::Retry(_)) => {}
                None => {
                    return Err(TestError::Closed {
                        closed: Closed::Cut,
                        waiting_for: "an event".to_owned(),
                    });
                }
            }
        }
    }

    async fn read(&mut self) -> Result<Option<Item>, TestError> {
        loop {
            if let Some(item) = self.decoder.poll_item() {
                return Ok(Some(item));
            }
            match self.body.next().await {
                Some(chunk) => self.decoder.receive(&chunk.map_err(failed)?).map_err(failed)?,
                None => return Ok(None),
            }
        }
    }
}

async fn within<T>(
    patience: Duration,
    what: &str,
    future: impl Future<Output = Result<T, TestError>>,
) -> Result<T, TestError> {
    tokio::time::timeout(patience, future).await.unwrap_or_else(|_| {
        Err(TestError::Timeout {
            waiting_for: what.to_owned(),
            patience,
            instead: Vec::new(),
        })
    })
}

#[allow(clippy::needless_pass_by_value, reason = "it is mapped over")]
fn failed(error: impl std::fmt::Display) -> TestError {
    TestError::Failed(error.to_string())
}
