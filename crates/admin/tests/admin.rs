//! The admin namespace as its clients see it, without a network: what is asked of `instrument`, who is let in, what is
//! told, and that nothing keeps the server.

use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use gatewire_admin::{AdminOptions, InstrumentError, Mode, SessionStore, instrument};
use gatewire_hub::{
    BoxFuture, Client, CloseReason, DisconnectReason, FramedText, Handshake, HandshakeParts, Id, Io, Message,
    Outbox, Prepared, TransportKind,
};
use serde_json::{Value, json};

/// "changeit", by bcrypt with the least cost.
fn hash() -> String {
    bcrypt::hash("changeit", 4).unwrap()
}

/// Keeps what leaves.
struct Recorder {
    sid: Id,
    packets: Mutex<Vec<String>>,
}

impl Outbox for Recorder {
    fn send(&self, message: &Prepared) {
        for message in message.messages() {
            let line = match message {
                Message::Text(text) => String::from_utf8(text[1..].to_vec()).unwrap(),
                Message::Binary(data) => format!("{data:?}"),
            };
            self.packets.lock().unwrap().push(line);
        }
    }

    fn send_text(&self, text: &FramedText<'_>) {
        let line = String::from_utf8(text.text()[1..].to_vec()).unwrap();
        self.packets.lock().unwrap().push(line);
    }

    fn close(&self, _: CloseReason) {}

    fn wake(&self) {}

    fn is_writable(&self) -> bool {
        true
    }

    fn transport(&self) -> TransportKind {
        TransportKind::WebSocket
    }

    fn sid(&self) -> Option<Id> {
        Some(self.sid)
    }
}

struct Peer {
    client: Client,
    outbox: Arc<Recorder>,
}

impl Peer {
    fn new(io: &Io) -> Self {
        let mut headers = http::HeaderMap::new();
        headers.insert("cf-connecting-ip", "192.0.2.1".parse().unwrap());
        headers.insert("x-forwarded-for", "192.0.2.2".parse().unwrap());
        let uri = http::Uri::from_static("/socket.io/?EIO=4");
        let handshake = Handshake::new(HandshakeParts {
            headers: &headers,
            uri: &uri,
            peer: None,
            secure: false,
        });
        let outbox = Arc::new(Recorder {
            sid: Id::generate(),
            packets: Mutex::default(),
        });
        Self {
            client: Client::new(io, outbox.clone(), Arc::new(handshake)),
            outbox,
        }
    }

    fn recv(&mut self, packet: &str) {
        let mut cx = Context::from_waker(Waker::noop());
        self.client.receive_text(packet, &mut cx).unwrap();
        self.client.poll(&mut cx);
    }

    /// What has left, once there is an event or refusal of that kind among it.
    async fn until(&mut self, kind: &str) -> Vec<String> {
        let mut seen = Vec::new();
        let waited = tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                self.client.poll(&mut Context::from_waker(Waker::noop()));
                seen.append(&mut self.outbox.packets.lock().unwrap());
                if seen.iter().any(|packet| packet.contains(kind)) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let is_there = waited.await.is_ok();
        assert!(is_there, "no {kind} in {seen:?}");
        seen
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.outbox.packets.lock().unwrap())
    }

    /// An admin, with what it got.
    async fn admin(io: &Io, auth: &Value) -> (Self, Vec<String>) {
        let mut peer = Self::new(io);
        peer.recv(&format!("0/admin,{auth}"));
        let seen = peer.until("all_sockets").await;
        (peer, seen)
    }
}

/// The arguments of the first event of that name.
fn args(packets: &[String], event: &str) -> Value {
    let head = format!(r#"["{event}""#);
    let found = packets
        .iter()
        .find_map(|packet| Some(&packet[packet.find(&head)?..]));
    let found = found.unwrap_or_else(|| panic!("no {event} in {packets:?}"));
    let Value::Array(mut args) = serde_json::from_str(found).unwrap() else {
        panic!("no array: {found}");
    };
    args.remove(0);
    Value::Array(args)
}

#[tokio::test]
async fn what_makes_no_sense_is_an_error() {
    let io = Io::default();
    for hash in [
        "",
        "changeit",
        "$2b$10$short",
        "$2b$99$heqvAkYMez.Va6Et2uXInOnkCT6/uQj1brkrbyG3LpopDklcq7ZOé",
    ] {
        let outcome = instrument(&io, AdminOptions::basic("admin", hash));
        assert!(
            matches!(outcome, Err(InstrumentError::InvalidHash { .. })),
            "{hash}"
        );
    }
    assert!(io.get("/admin").is_none(), "nothing has been changed");
    instrument(&io, AdminOptions::without_auth()).unwrap();
    let taken = instrument(&io, AdminOptions::without_auth()).unwrap_err();
    assert_eq!(
        taken.to_string(),
        "the namespace `/admin` has a handler already: choose another one with `namespace_name`"
    );
    instrument(&io, AdminOptions::without_auth().namespace_name("second")).unwrap();
    assert!(io.get("/second").is_some());
}

#[test]
fn without_a_runtime_it_is_an_error() {
    let outcome = instrument(&Io::default(), AdminOptions::without_auth());
    assert_eq!(outcome, Err(InstrumentError::NoRuntime));
}

#[test]
fn the_hash_is_not_printed() {
    let printed = format!("{:?}", AdminOptions::basic("ada", hash()));
    assert!(printed.contains("ada") && !printed.contains("$2"), "{printed}");
}

#[tokio::test]
async fn the_password_or_a_session_lets_in() {
    let io = Io::default();
    instrument(&io, AdminOptions::basic("admin", hash())).unwrap();
    let right = json!({ "username": "admin", "password": "changeit" });
    let (_admin, seen) = Peer::admin(&io, &right).await;
    assert!(seen[0].starts_with("0/admin,"), "the reply comes first: {seen:?}");
    let session = args(&seen, "session")[0].clone();
    assert_eq!(session.as_str().unwrap().len(), 16);
    let (_again, seen) = Peer::admin(&io, &json!({ "sessionId": session })).await;
    assert!(
        !seen.iter().any(|packet| packet.contains("session\"")),
        "{seen:?}"
    );

    for wrong in [
        json!({}),
        json!({ "username": "admin", "password": "wrong" }),
        json!({ "username": "Admin", "password": "changeit" }),
        json!({ "username": "admin", "password": ["changeit"] }),
        json!({ "username": "admin", "password": "x".repeat(100_000) }),
        json!({ "sessionId": "" }),
        json!({ "sessionId": 7 }),
    ] {
        let mut peer = Peer::new(&io);
        peer.recv(&format!("0/admin,{wrong}"));
        let seen = peer.until("invalid").await;
        assert_eq!(seen, [r#"4/admin,{"message":"invalid credentials"}"#]);
    }
}

#[tokio::test]
async fn sessions_may_be_kept_elsewhere() {
    struct Everybody(Arc<Mutex<Vec<String>>>);
    impl SessionStore for Everybody {
        fn does_session_exist(&self, id: &str) -> BoxFuture<'static, bool> {
            let exists = id == "known";
            Box::pin(async move {
                tokio::task::yield_now().await;
                exists
            })
        }

        fn save_session(&self, id: &str) -> BoxFuture<'static, ()> {
            self.0.lock().unwrap().push(id.to_owned());
            Box::pin(async {})
        }
    }
    let io = Io::default();
    let saved = Arc::default();
    let options = AdminOptions::basic("admin", hash()).store(Everybody(Arc::clone(&saved)));
    instrument(&io, options).unwrap();
    Peer::admin(&io, &json!({ "sessionId": "known" })).await;
    let right = json!({ "username": "admin", "password": "changeit" });
    let (_admin, seen) = Peer::admin(&io, &right).await;
    assert_eq!(args(&seen, "session"), json!(*saved.lock().unwrap()));
}

#[tokio::test]
async fn a_socket_is_shown_without_its_secrets() {
    let io = Io::default();
    io.sockets().on_connection(|socket| {
        socket.set_data(&json!({ "name": "Ada" })).unwrap();
        socket.join("red");
    });
    let mut user = Peer::new(&io);
    user.recv(r#"0{"token":"secret"}"#);
    instrument(&io, AdminOptions::without_auth()).unwrap();
    let (admin, seen) = Peer::admin(&io, &json!({})).await;
    let all = args(&seen, "all_sockets");
    let shown = all[0]
        .as_array()
        .unwrap()
        .iter()
        .find(|socket| socket["nsp"] == "/");
    let shown = shown.unwrap();
    assert_eq!(shown["data"], json!({ "name": "Ada" }));
    assert_eq!(shown["rooms"], json!([shown["id"], "red"]));
    assert_eq!(shown["transport"], "websocket");
    assert_eq!(shown["handshake"]["address"], "192.0.2.1");
    let text = shown.to_string();
    assert!(!text.contains("secret"), "{text}");
    assert!(!text.contains(&user.outbox.sid.as_str()[..12]), "{text}");

    // A namespace that comes later is watched, too.
    let _ = io.of("/later");
    user.recv("0/later,");
    let seen = admin.take();
    let connected = args(&seen, "socket_connected");
    assert_eq!(connected[0]["nsp"], "/later");
    assert_eq!(connected[0]["clientId"], shown["clientId"], "the same connection");
    user.client.close(DisconnectReason::PingTimeout);
    let gone = args(&admin.take(), "socket_disconnected");
    assert_eq!(gone[2], "ping timeout");
}

#[tokio::test]
async fn events_are_shown_with_their_attachments() {
    let io = Io::default();
    let _ = io.of("/chat");
    instrument(&io, AdminOptions::without_auth()).unwrap();
    let (admin, _) = Peer::admin(&io, &json!({})).await;
    let mut user = Peer::new(&io);
    user.recv("0/chat,");
    admin.take();
    user.recv("2/chat,5[\"a\"]");
    let seen = admin.take();
    assert_eq!(args(&seen, "event_received")[2], json!(["a"]));
    user.recv(r#"51-/chat,["b",{"_placeholder":true,"num":0},"]"]"#);
    let mut cx = Context::from_waker(Waker::noop());
    user.client.receive_binary(&[1, 2], &mut cx).unwrap();
    let seen = admin.take();
    assert!(seen[0].starts_with("51-/admin,"), "{seen:?}");
    let shown = json!(["b", { "_placeholder": true, "num": 0 }, "]"]);
    assert_eq!(args(&seen, "event_received")[2], shown);
    io.of("/chat").emit_args("c", &(1, "two"));
    assert_eq!(args(&admin.take(), "event_sent")[2], json!(["c", 1, "two"]));
}

#[tokio::test]
async fn production_listens_to_no_socket() {
    let io = Io::default();
    let _ = io.of("/");
    let options = AdminOptions::without_auth().mode(Mode::Production).readonly(true);
    instrument(&io, options).unwrap();
    let mut admin = Peer::new(&io);
    admin.recv("0/admin,");
    let seen = admin.until("config").await;
    assert_eq!(
        args(&seen, "config"),
        json!([{ "supportedFeatures": ["AGGREGATED_EVENTS"] }])
    );
    let mut user = Peer::new(&io);
    user.recv("0");
    user.recv(r#"2["a"]"#);
    admin.recv(r#"2/admin,["_disconnect","/",true]"#);
    assert!(admin.take().is_empty());
    assert_eq!(io.sockets().len(), 1);
    let socket = &io.sockets().sockets()[0];
    assert!(socket.listeners_any().is_empty() && socket.listeners_any_outgoing().is_empty());
}

#[tokio::test]
async fn statistics_count_what_goes_over_the_wire() {
    let io = Io::default();
    let _ = io.of("/");
    instrument(&io, AdminOptions::without_auth().mode(Mode::Production)).unwrap();
    let mut user = Peer::new(&io);
    user.recv("0");
    user.recv(r#"2["hello"]"#);
    user.client.close(DisconnectReason::TransportError);
    let mut admin = Peer::new(&io);
    admin.recv("0/admin,");
    let seen = admin.until("server_stats").await;
    let stats = &args(&seen, "server_stats")[0];
    assert_eq!(stats["clientsCount"], 1);
    assert_eq!(stats["pollingClientsCount"], 0);
    assert_eq!(stats["pid"], std::process::id());
    assert_eq!(stats["serverId"], stats["hostname"]);
    assert_eq!(
        stats["namespaces"],
        json!([{ "name": "/", "socketsCount": 0 }, { "name": "/admin", "socketsCount": 1 }])
    );
    let total = |kind: &str, sub: Option<&str>| -> u64 {
        let events = stats["aggregatedEvents"].as_array().unwrap().iter();
        let of_kind = events.filter(|event| event["type"] == kind && event["subType"].as_str() == sub);
        of_kind.map(|event| event["count"].as_u64().unwrap()).sum()
    };
    assert_eq!(total("rawConnection", None), 2);
    assert_eq!(total("rawDisconnection", Some("transport error")), 1);
    assert_eq!(total("packetsIn", None), 3);
    assert_eq!(total("bytesIn", None), (1 + 10 + "0/admin,".len()) as u64);
    // The replies to both CONNECTs, and `config`.
    assert_eq!(total("packetsOut", None), 3);
}

#[tokio::test]
async fn the_server_is_not_kept() {
    let io = Io::default();
    instrument(&io, AdminOptions::without_auth()).unwrap();
    let weak = io.downgrade();
    let (admin, _) = Peer::admin(&io, &json!({})).await;
    drop((admin, io));
    assert!(weak.upgrade().is_none());
}
