//! Whole connections to a server of Server-Sent Events, over pipes in memory: requests of any bytes, one behind the other,
//! streams that are taken out of the HTTP server, and what a client sends where nobody reads. Never a panic; afterwards a
//! good client is served, and nothing is left of the others.

use gatewire_proto::engineio::CloseReason;
use gatewire_proto::sse::SseEvent;
use gatewire_server::{Connection, Session, SseConfig, SseServer};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use std::task::Context;

use crate::client::play;
use crate::server::{Body, SECOND, Server, boxed};

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    play(input, server, (b"G/events?good", "data: good"));
}

#[derive(Clone)]
struct Events {
    server: SseServer,
    /// A header that leaves the response to the HTTP server.
    is_coded: bool,
}

/// Says what the query of its request was.
struct Echo {
    connection: Connection,
    query: Option<String>,
}

impl Session for Echo {
    fn poll(&mut self, _: &mut Context<'_>) {
        if let Some(query) = self.query.take() {
            self.connection
                .send_event(&SseEvent::data(&*query).event(query.clone()).id(&*query));
            if query.contains("end") {
                self.connection.close();
            }
        }
    }

    fn close(&mut self, _: CloseReason) {}
}

impl Server for Events {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let query = request.uri().query().unwrap_or_default();
        let query = percent_encoding::percent_decode_str(query)
            .decode_utf8_lossy()
            .into_owned();
        if request.uri().path() == "/read" {
            let _ = http_body_util::BodyExt::collect(request.into_body()).await;
        }
        let opened = self.server.open(|connection| {
            Box::new(Echo {
                connection,
                query: Some(query),
            })
        });
        match opened {
            Ok(mut response) => {
                if self.is_coded {
                    let headers = response.headers_mut();
                    headers.insert("content-encoding", "identity".parse().expect("a value"));
                }
                boxed(response)
            }
            Err(_) => {
                let mut response = Response::new(http_body_util::Empty::new());
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                boxed(response)
            }
        }
    }

    fn clients(&self) -> usize {
        self.server.clients_count()
    }
}

fn server(choice: u8) -> Events {
    let config = SseConfig {
        heartbeat: SECOND,
        max_pending: 20_000,
        max_streams: 16,
        close_timeout: SECOND,
        ..SseConfig::default()
    };
    Events {
        server: SseServer::new(config).expect("options that make sense"),
        is_coded: choice & 1 != 0,
    }
}
