//! The support server of the test suite of `engine.io-client`: greets, echoes, and gives binary, UTF-8 and the headers of
//! a request on demand. Reads `PORT` (3000) and `HOST` (127.0.0.1); the path is `/engine.io/`.

mod serve;

use std::error::Error;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use gatewire_hub::Handshake;
use gatewire_proto::engineio::CloseReason;
use gatewire_server::{
    Application, Connection, Cors, Engine, EngineConfig, Hooks, Origin, Rejected, Session,
};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};

struct Support;

struct Echo(Connection);

impl Application for Support {
    fn open(&self, connection: Connection, _handshake: Arc<Handshake>) -> Box<dyn Session> {
        connection.send_text("hi");
        Box::new(Echo(connection))
    }
}

impl Session for Echo {
    fn receive_text(&mut self, text: &str, _cx: &mut Context<'_>) -> Result<(), Rejected> {
        match text {
            "give binary" => self.0.send_binary(&[0, 1, 2, 3, 4]),
            "give utf8" => self.0.send_text("пойду спать всем спокойной ночи"),
            "sendHeaders" => {
                let headers = self.0.post_headers().unwrap_or_default();
                self.0.send_text(&json_of(&headers).to_string());
            }
            text => self.0.send_text(text),
        }
        Ok(())
    }

    fn receive_binary(&mut self, data: &[u8], _cx: &mut Context<'_>) -> Result<(), Rejected> {
        self.0.send_binary(data);
        Ok(())
    }

    fn close(&mut self, _reason: CloseReason) {}
}

fn json_of(headers: &HeaderMap) -> Value {
    let pairs = headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()));
    Value::Object(pairs.collect::<Map<_, _>>())
}

fn hooks() -> Hooks {
    Hooks::new()
        .allow_request(|request| {
            let query = request.uri.query().unwrap_or_default();
            let is_denied = query
                .split('&')
                .any(|pair| pair.split('=').next() == Some("deny"));
            async move { if is_denied { Err(String::new()) } else { Ok(()) } }
        })
        .initial_headers(|headers, _| {
            for cookie in [
                "1=1; Max-Age=86400",
                "2=2; Path=/; HttpOnly; Secure; SameSite=Strict",
                "3=3; Max-Age=0",
                // The client must take it for one that is over: this date is.
                "4=4; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            ] {
                headers.append(SET_COOKIE, HeaderValue::from_static(cookie));
            }
        })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = EngineConfig {
        path: "/engine.io".to_owned(),
        ping_interval: Duration::from_millis(500),
        max_payload: 100,
        cors: Some(Cors {
            origin: Origin::Reflect,
            credentials: true,
            ..Cors::default()
        }),
        ..EngineConfig::default()
    };
    let engine = Engine::with_hooks(config, hooks(), Support)?;
    serve::serve(engine, 3000).await
}
