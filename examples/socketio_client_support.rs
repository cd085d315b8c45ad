//! The support server of the test suite of `socket.io-client`: acknowledgements, dates, UTF-8, binary data, refusals and
//! handshakes on demand. Reads `PORT` (3210) and `HOST` (127.0.0.1). Its twin on the npm package is
//! `interop/reference/socketio_client_support.js`.
//!
//! The suite's own server compares what comes in and ends when it differs; here such an event just has no answer.

mod serve;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gatewire_hub::{ConnectError, Event, HubConfig, Io, Recovery, Socket};
use gatewire_server::{Engine, EngineConfig, Hooks, SocketIo};
use serde::{Deserialize, Serialize};
use serde_json::json;

static BYTES: Bytes = Bytes::from_static(b"asdfasdf");

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let io = Io::new(HubConfig {
        connection_state_recovery: Some(Recovery::default()),
        ..HubConfig::default()
    });
    root(&io);
    others(&io);

    let config = EngineConfig {
        ping_interval: Duration::from_secs(2),
        ..EngineConfig::default()
    };
    // The suite wants to see a client whose patience ends before the connection stands.
    let hooks = Hooks::new().allow_request(|_| async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(())
    });
    serve::serve(Engine::with_hooks(config, hooks, SocketIo::new(io))?, 3210).await
}

/// The namespaces beside `/`.
fn others(io: &Io) {
    io.of("/foo").on_connection(|socket| {
        socket.on("getId", id);
    });
    io.of("/abc")
        .on_connection(|socket| socket.emit("handshake", &socket.handshake_json()));
    io.of("/no")
        .use_middleware(async |_| Err(ConnectError::new("Auth failed (custom namespace)")));
    for name in ["/timeout_socket", "/valid", "/asd"] {
        let _ = io.of(name);
    }
}

fn root(io: &Io) {
    let root = io.of("/");
    root.use_middleware(async |socket| match socket.handshake().query("fail") {
        Some(fail) if !fail.is_empty() => Err(ConnectError::new("Auth failed (main namespace)")),
        _ => Ok(()),
    });
    root.on_connection(|socket| {
        socket.on("hi", |socket, _| socket.emit("hi", &()));
        socket.on("false", |socket, _| socket.emit("false", &false));
        socket.on("getId", id);
        socket.on("getHandshake", |socket, event| {
            answer(socket, event, &socket.handshake_json());
        });
        acknowledgements(socket);
        text(socket);
        binary(socket);
    });
}

fn acknowledgements(socket: &Socket) {
    socket.on("echo", |socket, event| {
        if let Some(ack) = event.ack(socket) {
            ack.send_payload(&event.to_payload());
        }
    });
    socket.on("ack", |socket, _| {
        #[derive(Deserialize)]
        struct Second {
            test: bool,
        }
        let answer = socket.emit_with_ack("ack", &());
        let socket = socket.clone();
        // A task of its own: the client's next event does not wait for the answer.
        tokio::spawn(async move {
            if let Ok(answer) = answer.await
                && let Ok((5, Second { test: true })) = answer.body::<(i64, Second)>()
            {
                socket.emit("got it", &());
            }
        });
    });
}

fn text(socket: &Socket) {
    socket.on("getAckDate", |socket, event| answer(socket, event, &now()));
    socket.on("getDate", |socket, _| socket.emit("takeDate", &now()));
    socket.on("getDateObj", |socket, _| {
        socket.emit("takeDateObj", &json!({ "date": now() }));
    });
    socket.on("getUtf8", |socket, _| {
        for text in [
            "てすと",
            "Я Б Г Д Ж Й",
            "Ä ä Ü ü ß",
            "utf8 — string",
            "utf8 — string",
        ] {
            socket.emit("takeUtf8", text);
        }
    });
}

fn binary(socket: &Socket) {
    socket.on("doge", |socket, _| socket.emit("doge", &BYTES));
    socket.on("getbin", |socket, _| socket.emit("takebin", &BYTES));

    for (event, reply) in [("buffa", "buffack"), ("blob", "back")] {
        socket.on(event, |socket, event| {
            if is_binary(event) {
                socket.emit(reply, &());
            }
        });
    }
    for (event, reply) in [("jsonbuff", "jsonbuff-ack"), ("jsonblob", "jsonblob-ack")] {
        socket.on(event, |socket, event| {
            #[derive(Deserialize)]
            struct Mixed {
                hello: String,
                goodbye: String,
            }
            if let Ok(Mixed { hello, goodbye }) = event.body()
                && hello == "lol"
                && goodbye == "gotcha"
                && is_binary(event)
            {
                socket.emit(reply, &());
            }
        });
    }

    sequence(
        socket,
        [("abuff1", is_binary), ("abuff2", |_| true)],
        "abuff2-ack",
    );
    let is_second = |event: &Event<'_>| event.body::<String>().is_ok_and(|text| text == "second");
    let blobs: [(_, Check); 3] = [("blob1", is_binary), ("blob2", is_second), ("blob3", is_binary)];
    sequence(socket, blobs, "blob3-ack");
}

/// What an event is to bring.
type Check = fn(&Event<'_>) -> bool;

/// Events that must come in this order; the last one is answered with the event `reply`.
fn sequence<const N: usize>(socket: &Socket, steps: [(&str, Check); N], reply: &'static str) {
    let come = Arc::new(AtomicUsize::new(0));
    for (at, (name, is_right)) in steps.into_iter().enumerate() {
        let come = come.clone();
        socket.on(name, move |socket, event| {
            if come.load(Ordering::Relaxed) < at || !is_right(event) {
                return;
            }
            come.fetch_max(at + 1, Ordering::Relaxed);
            if at + 1 == N {
                socket.emit(reply, &());
            }
        });
    }
}

fn id(socket: &Socket, event: &Event<'_>) {
    answer(socket, event, &socket.id());
}

fn answer<T: Serialize>(socket: &Socket, event: &Event<'_>, value: &T) {
    if let Some(ack) = event.ack(socket) {
        ack.send(value);
    }
}

fn is_binary(event: &Event<'_>) -> bool {
    event.attachments().len() == 1
}

/// The time as JavaScript writes a date into JSON, such as `2026-11-24T08:30:00.125Z`.
fn now() -> String {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, milliseconds) = (since_1970.as_secs(), since_1970.subsec_millis());
    // A year that begins in March ends with the leap day, so that the months before it have lengths of their own: 153
    // days make five of them. 719,468 days lie between the first of March of the year 0 and 1970.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months + 2) / 5 + 1;
    let month = if months < 10 { months + 3 } else { months - 9 };
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}
