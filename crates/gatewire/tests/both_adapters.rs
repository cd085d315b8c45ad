//! What a client hears of each kind of result, with an answer asked for and without: the same handlers with Socket.IO and
//! with plain WebSockets.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::{Stream, stream};
use gatewire::prelude::*;
use gatewire::testing::{TestApp, TestClient, TestWsClient};
use serde::Serialize;
use serde_json::json;

type Failure = Box<dyn std::error::Error>;

/// Looks like a response, but is a value.
#[derive(Serialize)]
struct Looks {
    event: &'static str,
}

#[injectable]
struct Nobody;

impl Guard for Nobody {
    async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
        Ok(context.is_connection())
    }
}

#[websocket_gateway]
struct Gateway;

#[subscriptions]
impl Gateway {
    #[subscribe_message("value")]
    async fn value(&self) -> u8 {
        1
    }

    #[subscribe_message("falsy")]
    fn falsy(&self) -> &'static str {
        ""
    }

    #[subscribe_message("unit")]
    async fn unit(&self) {}

    #[subscribe_message("none")]
    fn none(&self) -> Option<u8> {
        None
    }

    #[subscribe_message("some")]
    fn some(&self) -> Option<u8> {
        Some(1)
    }

    #[subscribe_message("response")]
    fn response(&self) -> WsResponse<u8> {
        WsResponse::new("evt", 1)
    }

    #[subscribe_message("looks")]
    fn looks(&self) -> Looks {
        Looks { event: "evt" }
    }

    #[subscribe_message("ok")]
    fn ok(&self) -> Result<u8, WsException> {
        Ok(1)
    }

    #[subscribe_message("error")]
    async fn error(&self) -> Result<u8, WsException> {
        Err("bad creds".into())
    }

    #[subscribe_message("object")]
    fn object(&self) -> Result<(), WsException> {
        Err(WsException::object(json!([{ "property": "name" }])))
    }

    #[subscribe_message("guarded")]
    #[use_guards(Nobody)]
    fn guarded(&self) {}

    #[subscribe_message("panic")]
    async fn panic(&self) -> u8 {
        panic!("secret")
    }

    #[subscribe_message("unencodable")]
    fn unencodable(&self) -> HashMap<(u8, u8), u8> {
        HashMap::from([((1, 2), 3)])
    }

    #[subscribe_message("misfit")]
    fn misfit(&self, MessageBody(_): MessageBody<String>) {}

    #[subscribe_message("stream")]
    fn stream(&self) -> impl Stream<Item = u8> {
        stream::iter([1, 2])
    }

    #[subscribe_message("responses")]
    async fn responses(&self) -> impl Stream<Item = WsResponse<u8>> {
        stream::iter([WsResponse::new("one", 1), WsResponse::new("two", 2)])
    }

    #[subscribe_message("options")]
    fn options(&self) -> impl Stream<Item = Option<u8>> {
        stream::iter([Some(1), None, Some(2)])
    }

    #[subscribe_message("results")]
    fn results(&self) -> impl Stream<Item = Result<u8, WsException>> {
        stream::iter([Ok(1), Err(WsException::new("broken")), Ok(2)])
    }

    #[subscribe_message("bytes")]
    fn bytes(&self) -> Bytes {
        Bytes::from_static(&[1, 2, 3])
    }

    #[subscribe_message("bytes-response")]
    async fn bytes_response(&self) -> WsResponse<Bytes> {
        WsResponse::new("evt", Bytes::from_static(&[1, 2, 3]))
    }

    #[subscribe_message("bytes-stream")]
    fn bytes_stream(&self) -> impl Stream<Item = Bytes> {
        stream::iter([const { Bytes::from_static(&[1, 2, 3]) }; 2])
    }

    #[subscribe_message("length")]
    fn length(&self, MessageBody(bytes): MessageBody<Bytes>) -> usize {
        bytes.len()
    }

    #[subscribe_message("ack-only")]
    fn ack_only(&self) -> AckOnly<u8> {
        AckOnly(1)
    }

    #[subscribe_message("ack")]
    async fn ack(&self, ack: Ack) -> &'static str {
        tokio::task::yield_now().await;
        ack.send("by hand");
        "dropped"
    }

    #[subscribe_message("ack-dropped")]
    fn ack_dropped(&self, _ack: Ack) {}

    #[subscribe_message("ack-response")]
    fn ack_response(&self, ack: Ack) -> WsResponse<u8> {
        ack.send(&2);
        WsResponse::new("evt", 1)
    }

    #[subscribe_message("payload")]
    fn payload(&self, all: Payload) -> Payload {
        all
    }

    #[subscribe_message("mark")]
    fn mark(&self) {}
}

#[module(providers = [Gateway])]
struct AppModule;

async fn app() -> Result<TestApp, Failure> {
    let mut app = App::create::<AppModule>().without_logger().await?;
    app.use_websocket_adapters((SocketIoAdapter::new(), WsAdapter::at("/ws")));
    Ok(TestApp::in_memory(app)?)
}

/// The packets that one brings.
async fn packets(client: &mut TestClient, packet: &str) -> Result<Vec<String>, Failure> {
    client.send_packet(packet).await?;
    client.send_packet(r#"2999["mark"]"#).await?;
    let mut packets = Vec::new();
    loop {
        match client.next_packet().await? {
            end if end == "3999[]" => return Ok(packets),
            packet => packets.push(packet),
        }
    }
}

/// The messages that one brings.
async fn messages(client: &mut TestWsClient, message: &str) -> Result<Vec<String>, Failure> {
    client.send_text(message).await?;
    client.send_text(r#"{"event":"mark","id":999}"#).await?;
    let mut messages = Vec::new();
    loop {
        match client.next_message().await? {
            end if end == r#"{"event":"mark","id":999}"# => return Ok(messages),
            message => messages.push(message),
        }
    }
}

/// Events with their data, as JSON.
type Emitted<'a> = Vec<(&'a str, &'a str)>;

/// The bytes 1, 2, 3.
const BYTES: &str = "bytes";
/// No value.
const EMPTY: &str = "";

/// What is heard of one message.
struct Heard<'a> {
    /// Without an answer asked for.
    alone: Emitted<'a>,
    /// With one, beside it.
    beside: Emitted<'a>,
    /// The answer.
    answer: &'a str,
}

impl<'a> Heard<'a> {
    /// The same events, and no value as the answer.
    fn emitted(events: &[(&'a str, &'a str)]) -> Self {
        Self {
            alone: events.to_vec(),
            beside: events.to_vec(),
            answer: EMPTY,
        }
    }

    /// A value: the answer, or an event of the message's name.
    fn value(event: &'a str, value: &'a str) -> Self {
        Self {
            alone: vec![(event, value)],
            beside: vec![],
            answer: value,
        }
    }

    /// Nothing but the answer.
    fn answered(answer: &'a str) -> Self {
        Self {
            alone: vec![],
            beside: vec![],
            answer,
        }
    }

    /// An exception, and the same as the answer.
    fn error(before: &[(&'a str, &'a str)], object: &'a str) -> Self {
        let mut events = before.to_vec();
        events.push(("exception", object));
        Self {
            alone: events.clone(),
            beside: events,
            answer: object,
        }
    }

    fn packets(&self, is_asked: bool) -> Vec<String> {
        let packet = |head: &str, id: &str, name: Option<&str>, data: &str| {
            let name = name.map(|name| format!("{name:?}"));
            let (head, data) = match data {
                EMPTY => (head.to_owned(), None),
                BYTES => {
                    let binary = if head == "2" { "51-" } else { "61-" };
                    (
                        binary.to_owned(),
                        Some(r#"{"_placeholder":true,"num":0}"#.to_owned()),
                    )
                }
                data => (head.to_owned(), Some(data.to_owned())),
            };
            let args: Vec<String> = name.into_iter().chain(data).collect();
            format!("{head}{id}[{}]", args.join(","))
        };
        let events = if is_asked { &self.beside } else { &self.alone };
        let events = events
            .iter()
            .map(|(name, data)| packet("2", "", Some(name), data));
        events
            .chain(is_asked.then(|| packet("3", "7", None, self.answer)))
            .collect()
    }

    fn messages(&self, event: &str, is_asked: bool) -> Vec<String> {
        let message = |event: &str, data: &str, id: &str| {
            let data = match data {
                EMPTY => String::new(),
                BYTES => r#","data":"AQID""#.to_owned(),
                data => format!(r#","data":{data}"#),
            };
            format!(r#"{{"event":"{event}"{data}{id}}}"#)
        };
        let events = if is_asked { &self.beside } else { &self.alone };
        let events = events.iter().map(|(name, data)| message(name, data, ""));
        events
            .chain(is_asked.then(|| message(event, self.answer, r#","id":7"#)))
            .collect()
    }
}

#[tokio::test]
async fn every_kind_of_result() -> Result<(), Failure> {
    let app = app().await?;
    let (mut io, mut plain) = (app.connect("/").await?, app.connect_ws("/ws").await?);
    let error = |event: &str, message: &str| {
        format!(
            r#"{{"status":"error","message":"{message}","cause":{{"pattern":"{event}","data":{{"k":1}}}}}}"#
        )
    };
    let internal = |event| error(event, "Internal server error");
    let (bad_creds, forbidden) = (
        error("error", "bad creds"),
        error("guarded", "Forbidden resource"),
    );
    let (panic, unencodable) = (internal("panic"), internal("unencodable"));
    let misfit = error(
        "misfit",
        "Invalid message body: invalid type: map, expected a string",
    );
    let broken = error("results", "broken");
    let one_two = |event| Heard::emitted(&[(event, "1"), (event, "2")]);
    let rows = [
        ("value", Heard::value("value", "1")),
        ("falsy", Heard::value("falsy", r#""""#)),
        ("unit", Heard::answered(EMPTY)),
        ("none", Heard::answered(EMPTY)),
        ("some", Heard::value("some", "1")),
        ("response", Heard::emitted(&[("evt", "1")])),
        ("looks", Heard::value("looks", r#"{"event":"evt"}"#)),
        ("ok", Heard::value("ok", "1")),
        ("error", Heard::error(&[], &bad_creds)),
        ("object", Heard::error(&[], r#"[{"property":"name"}]"#)),
        ("guarded", Heard::error(&[], &forbidden)),
        ("panic", Heard::error(&[], &panic)),
        ("unencodable", Heard::error(&[], &unencodable)),
        ("misfit", Heard::error(&[], &misfit)),
        ("stream", one_two("stream")),
        ("responses", Heard::emitted(&[("one", "1"), ("two", "2")])),
        ("options", one_two("options")),
        ("results", Heard::error(&[("results", "1")], &broken)),
        ("bytes", Heard::value("bytes", BYTES)),
        ("bytes-response", Heard::emitted(&[("evt", BYTES)])),
        (
            "bytes-stream",
            Heard::emitted(&[("bytes-stream", BYTES), ("bytes-stream", BYTES)]),
        ),
        ("ack-only", Heard::answered("1")),
        ("ack", Heard::answered(r#""by hand""#)),
        ("ack-dropped", Heard::answered(EMPTY)),
        ("payload", Heard::value("payload", r#"{"k":1}"#)),
    ];
    for (event, heard) in rows {
        let packet = |id: &str| format!(r#"2{id}["{event}",{{"k":1}}]"#);
        assert_eq!(
            packets(&mut io, &packet("")).await?,
            heard.packets(false),
            "{event}"
        );
        assert_eq!(
            packets(&mut io, &packet("7")).await?,
            heard.packets(true),
            "{event}, ack"
        );
        let message = |id: &str| format!(r#"{{"event":"{event}","data":{{"k":1}}{id}}}"#);
        let (alone, asked) = (heard.messages(event, false), heard.messages(event, true));
        assert_eq!(
            messages(&mut plain, &message("")).await?,
            alone,
            "{event} with ws"
        );
        assert_eq!(
            messages(&mut plain, &message(r#","id":7"#)).await?,
            asked,
            "{event} with ws, id"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_differs() -> Result<(), Failure> {
    let app = app().await?;
    let (mut io, mut plain) = (app.connect("/").await?, app.connect_ws("/ws").await?);
    let unknown = r#"{"status":"error","message":"Unknown event","cause":{"pattern":"what"}}"#;
    // Who asks for no answer hears nothing with Socket.IO, as in Node; a plain client always.
    assert!(packets(&mut io, r#"2["what"]"#).await?.is_empty());
    assert_eq!(
        packets(&mut io, r#"27["what"]"#).await?,
        [format!("37[{unknown}]")]
    );
    assert_eq!(
        messages(&mut plain, r#"{"event":"what"}"#).await?,
        [format!(r#"{{"event":"exception","data":{unknown}}}"#)]
    );
    assert_eq!(
        messages(&mut plain, r#"{"event":"what","id":"a"}"#).await?,
        [format!(r#"{{"event":"what","data":{unknown},"id":"a"}}"#)]
    );
    // What is acknowledged by hand comes when it is sent.
    assert_eq!(
        packets(&mut io, r#"27["ack-response"]"#).await?,
        ["37[2]", r#"2["evt",1]"#]
    );
    assert_eq!(
        messages(&mut plain, r#"{"event":"ack-response","id":7}"#).await?,
        [
            r#"{"event":"ack-response","data":2,"id":7}"#,
            r#"{"event":"evt","data":1}"#
        ]
    );
    // Several arguments are a list for who has one place for data.
    assert_eq!(packets(&mut io, r#"27["payload",1,[2]]"#).await?, ["37[1,[2]]"]);
    assert_eq!(
        messages(&mut plain, r#"{"event":"payload","data":[1,[2]],"id":7}"#).await?,
        [r#"{"event":"payload","data":[1,[2]],"id":7}"#]
    );
    // Bytes come in as attachments.
    io.send_packet(r#"51-7["length",{"_placeholder":true,"num":0}]"#)
        .await?;
    io.send_binary([1, 2, 3]).await?;
    assert_eq!(io.next_packet().await?, "37[3]");
    io.emit("bytes", &()).await?;
    assert_eq!(io.next_event_of("bytes").await?.attachments, [[1, 2, 3]]);
    // A plain client's text is bytes as it stands, whether it looks like base64 or not.
    assert_eq!(
        messages(&mut plain, r#"{"event":"length","data":"AQID","id":7}"#).await?,
        [r#"{"event":"length","data":4,"id":7}"#]
    );
    Ok(())
}
