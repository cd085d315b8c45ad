//! HTTP/2: requests, long-polling, and WebSockets by extended CONNECT (RFC 8441).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use gatewire_hub::cluster::MemoryBus;
use gatewire_proto::engineio::CloseReason;
use gatewire_proto::websocket::{Opcode, put_masked_frame};
use gatewire_server::rustls::ALL_VERSIONS;
use gatewire_server::{Http2Config, Limits, ListenerConfig, SharingConfig, Tls};
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::{Authority, PATIENCE, Server, Socket};

/// A client with one connection.
struct Client {
    requests: SendRequest<Bytes>,
    /// The connection's own end.
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// One stream, as bytes in both directions.
struct Stream {
    sending: SendStream<Bytes>,
    receiving: RecvStream,
    unread: Bytes,
}

async fn start(config: ListenerConfig, limits: Limits) -> (Server, Authority) {
    let authority = Authority::new();
    let (certificate, key) = authority.issue();
    let tls = Tls::from_pem(certificate, key).unwrap();
    (Server::with(tls, config, limits).await, authority)
}

impl Client {
    async fn connect(server: &Server, authority: &Authority) -> Self {
        let mut config = authority.client(ALL_VERSIONS);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = server.connect(&Arc::new(config)).await.unwrap();
        let (requests, connection) = h2::client::Builder::new()
            // Much is to be sent without being asked for, but in one test.
            .initial_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .handshake(stream)
            .await
            .unwrap();
        let mut client = Self {
            requests,
            connection: tokio::spawn(connection),
        };
        // The settings of the server are there with the first answer.
        let (response, _) = client.fetch(Method::GET, "/nothing", "").await;
        assert_eq!(response.status(), 404);
        assert!(client.requests.is_extended_connect_protocol_enabled());
        client
    }

    async fn fetch(&mut self, method: Method, path: &str, body: &'static str) -> (Response<()>, String) {
        let request = Request::builder()
            .method(method)
            .uri(format!("https://localhost{path}"))
            .body(())
            .unwrap();
        let (response, mut sending) = self.requests.send_request(request, body.is_empty()).unwrap();
        if !body.is_empty() {
            sending
                .send_data(Bytes::from_static(body.as_bytes()), true)
                .unwrap();
        }
        let response = timeout(PATIENCE, response).await.expect("an answer").unwrap();
        let (parts, mut body) = response.into_parts();
        let mut text = Vec::new();
        while let Some(data) = timeout(PATIENCE, body.data()).await.expect("a body") {
            let data = data.unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            text.extend_from_slice(&data);
        }
        (Response::from_parts(parts, ()), String::from_utf8(text).unwrap())
    }

    /// Asks for a WebSocket, with these headers too.
    async fn open(
        &mut self,
        path: &str,
        protocol: &'static str,
        headers: &[(&str, &str)],
    ) -> (Response<()>, Stream) {
        let mut request = Request::builder()
            .method(Method::CONNECT)
            .uri(format!("https://localhost{path}"))
            .extension(Protocol::from_static(protocol));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        let (response, sending) = self.requests.send_request(request, false).unwrap();
        let response = timeout(PATIENCE, response).await.expect("an answer").unwrap();
        let (parts, receiving) = response.into_parts();
        let stream = Stream {
            sending,
            receiving,
            unread: Bytes::new(),
        };
        (Response::from_parts(parts, ()), stream)
    }

    async fn websocket(&mut self, path: &str) -> Socket<Stream> {
        let (response, stream) = self
            .open(path, "websocket", &[("sec-websocket-version", "13")])
            .await;
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("sec-websocket-accept"));
        Socket(stream)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.receiving.poll_data(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(std::io::Error::other(error))),
                Some(Ok(data)) => {
                    self.receiving
                        .flow_control()
                        .release_capacity(data.len())
                        .unwrap();
                    self.unread = data;
                }
            }
        }
        let taken = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..taken]);
        self.unread.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.sending.reserve_capacity(data.len());
        while self.sending.capacity() == 0 {
            match ready!(self.sending.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(std::io::Error::other(error))),
                None => return Poll::Ready(Err(std::io::ErrorKind::BrokenPipe.into())),
            }
        }
        let taken = data.len().min(self.sending.capacity());
        let sent = self
            .sending
            .send_data(Bytes::copy_from_slice(&data[..taken]), false);
        Poll::Ready(sent.map(|()| taken).map_err(std::io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let sent = self.sending.send_data(Bytes::new(), true);
        Poll::Ready(sent.map_err(std::io::Error::other))
    }
}

const ENGINE: &str = "/socket.io/?EIO=4&transport=websocket";

#[tokio::test]
async fn a_polling_session_lives_in_one_connection() {
    let (mut server, authority) = start(ListenerConfig::default(), Limits::default()).await;
    let mut client = Client::connect(&server, &authority).await;
    let polling = "/socket.io/?EIO=4&transport=polling";
    let (response, body) = client.fetch(Method::GET, polling, "").await;
    assert_eq!(response.status(), 200);
    let handshake = server.opened().await.handshake;
    assert!(handshake.is_secure());
    assert_eq!(handshake.url(), polling);
    assert_eq!(handshake.headers().get("host"), Some("localhost"));
    let target = format!("{polling}&sid={}", body.split('"').nth(3).unwrap());
    let (_, answer) = client.fetch(Method::POST, &target, "4one\u{1e}4two").await;
    assert_eq!(answer, "ok");
    let (_, answer) = client.fetch(Method::GET, &target, "").await;
    assert_eq!(answer, "4one\u{1e}4two");
}

#[tokio::test]
async fn a_session_goes_over_to_a_websocket_of_the_same_connection() {
    let (mut server, authority) = start(ListenerConfig::default(), Limits::default()).await;
    let mut client = Client::connect(&server, &authority).await;
    let polling = "/socket.io/?EIO=4&transport=polling";
    let (_, body) = client.fetch(Method::GET, polling, "").await;
    let _opened = server.opened().await;
    let mut socket = client
        .websocket(&format!("{ENGINE}&sid={}", body.split('"').nth(3).unwrap()))
        .await;
    socket.text("2probe").await;
    assert_eq!(socket.receive_text().await, "3probe");
    socket.text("5").await;
    socket.text("4over").await;
    assert_eq!(socket.receive_text().await, "4over");
}

/// Between the servers everything is HTTP/1.1.
#[tokio::test]
async fn a_session_of_another_server_is_served() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue();
    let tls = Tls::from_pem(certificate, key).unwrap();
    let bus = Arc::new(MemoryBus::new());
    let mut servers = Vec::new();
    for _ in 0..2 {
        let server = Server::with(tls.clone(), ListenerConfig::default(), Limits::default()).await;
        let sharing = SharingConfig::default();
        assert_eq!(server.engine.share_sessions(bus.clone(), sharing), Ok(true));
        servers.push(server);
    }
    let mut owner = Client::connect(&servers[0], &authority).await;
    let mut other = Client::connect(&servers[1], &authority).await;
    let polling = "/socket.io/?EIO=4&transport=polling";
    let (_, body) = owner.fetch(Method::GET, polling, "").await;
    let sid = body.split('"').nth(3).unwrap();
    let target = format!("{polling}&sid={sid}");
    let (_, answer) = other.fetch(Method::POST, &target, "4one\u{1e}4two").await;
    assert_eq!(answer, "ok");
    let (_, answer) = other.fetch(Method::GET, &target, "").await;
    assert_eq!(answer, "4one\u{1e}4two");
    let mut socket = other.websocket(&format!("{ENGINE}&sid={sid}")).await;
    socket.text("2probe").await;
    assert_eq!(socket.receive_text().await, "3probe");
    socket.text("5").await;
    socket.text("4over").await;
    assert_eq!(socket.receive_text().await, "4over");
    assert_eq!(servers[0].engine.clients_count(), 1);
}

#[tokio::test]
async fn both_servers_take_websockets() {
    let (mut server, authority) = start(ListenerConfig::default(), Limits::default()).await;
    let mut client = Client::connect(&server, &authority).await;
    let mut engine = client.websocket(ENGINE).await;
    assert!(engine.receive_text().await.starts_with("0{"));
    let mut plain = client.websocket("/ws").await;
    for _ in 0..2 {
        assert!(server.opened().await.handshake.is_secure());
    }
    for round in 0..3 {
        let text = format!("4round {round}");
        engine.text(&text).await;
        plain.text(&text).await;
        assert_eq!(engine.receive_text().await, text);
        assert_eq!(plain.receive_text().await, text);
    }
    engine.send(Opcode::Close, &[]).await;
    assert_eq!(server.closed().await, CloseReason::TransportClose);
    plain.text("alone").await;
    assert_eq!(plain.receive_text().await, "alone");
}

#[tokio::test]
async fn what_is_agreed_on_is_told() {
    let (server, authority) = start(ListenerConfig::default(), Limits::default()).await;
    let mut client = Client::connect(&server, &authority).await;
    let headers = [
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "other, chat"),
        ("origin", "https://good.example"),
    ];
    let (response, _stream) = client.open("/ws", "websocket", &headers).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
}

#[tokio::test]
async fn refusals_have_their_status() {
    let (server, authority) = start(ListenerConfig::default(), Limits::default()).await;
    let mut client = Client::connect(&server, &authority).await;
    let version = ("sec-websocket-version", "13");
    let evil = ("origin", "https://evil.example");
    for (path, protocol, headers, status) in [
        ("/elsewhere", "websocket", &[version][..], 404),
        ("/ws", "websocket", &[], 400),
        ("/ws", "websocket", &[("sec-websocket-version", "8")], 400),
        ("/ws", "websocket", &[version, evil], 403),
        ("/ws", "connect-udp", &[version], 501),
        (ENGINE, "websocket", &[], 400),
        (
            "/socket.io/?EIO=4&transport=polling",
            "websocket",
            &[version],
            400,
        ),
        (
            "/socket.io/?EIO=4&transport=websocket&sid=none",
            "websocket",
            &[version],
            400,
        ),
        (ENGINE, "connect-udp", &[version], 400),
    ] {
        let (response, mut stream) = client.open(path, protocol, headers).await;
        assert_eq!(response.status(), status, "{path} {protocol} {headers:?}");
        if status == 400 && path == "/ws" {
            assert_eq!(response.headers()["sec-websocket-version"], "13");
        }
        let mut body = String::new();
        stream.read_to_string(&mut body).await.unwrap();
        assert!(!body.is_empty(), "{path} {protocol} {headers:?}");
    }
    let (response, body) = client.fetch(Method::GET, "/ws", "").await;
    assert_eq!(response.status(), 400);
    assert!(body.contains("an extended CONNECT"), "{body}");
}

#[tokio::test]
async fn big_messages_and_many_small_ones_come_whole() {
    let (server, authority) = start(ListenerConfig::default(), Limits::default()).await;
    let mut client = Client::connect(&server, &authority).await;
    let socket = client.websocket("/ws").await;
    let big: Vec<u8> = (0..999_999u32).map(|number| (number % 251) as u8).collect();
    let (mut reader, mut writer) = tokio::io::split(socket.0);
    let sent = big.clone();
    let sending = tokio::spawn(async move {
        let mut frames = Vec::new();
        for number in 0..1000 {
            let text = format!("message {number}");
            put_masked_frame(&mut frames, true, Opcode::Text, [4, 3, 2, 1], text.as_bytes());
        }
        for _ in 0..4 {
            put_masked_frame(&mut frames, true, Opcode::Binary, [4, 3, 2, 1], &sent);
        }
        tokio::io::AsyncWriteExt::write_all(&mut writer, &frames)
            .await
            .unwrap();
        writer
    });
    let reading = async {
        for number in 0..1000 {
            let text = format!("message {number}");
            let mut frame = vec![0; text.len() + 2];
            reader.read_exact(&mut frame).await.unwrap();
            assert_eq!(&frame[2..], text.as_bytes());
        }
        for _ in 0..4 {
            let mut frame = vec![0; big.len() + 10];
            reader.read_exact(&mut frame).await.unwrap();
            assert!(frame[10..] == big);
        }
    };
    timeout(PATIENCE, reading).await.expect("all of it");
    let _writer = sending.await.unwrap();
}

#[tokio::test]
async fn a_slow_stream_meets_the_bound_and_holds_up_no_other() {
    let limits = Limits {
        max_outbox: 1 << 20,
        ..Limits::default()
    };
    let (mut server, authority) = start(ListenerConfig::default(), limits).await;
    let mut client = Client::connect(&server, &authority).await;
    let _slow = client.websocket("/ws").await;
    let connection = server.opened().await.connection;
    let mut other = client.websocket("/ws").await;
    let message = "x".repeat(100_000);
    // The window of the stream, and the bound, and what is between.
    for _ in 0..40 {
        connection.send_text(&message);
    }
    assert_eq!(server.closed().await, CloseReason::TransportError);
    other.text("undisturbed").await;
    assert_eq!(other.receive_text().await, "undisturbed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_threads_send_arrives_whole_and_in_order() {
    let (mut server, authority) = start(ListenerConfig::default(), Limits::default()).await;
    let mut client = Client::connect(&server, &authority).await;
    let mut socket = client.websocket("/ws").await;
    let connection = server.opened().await.connection;
    let senders: Vec<_> = (0..4)
        .map(|thread| {
            let connection = connection.clone();
            std::thread::spawn(move || {
                for number in 0..500 {
                    connection.send_text(&format!("{thread} {number}"));
                }
            })
        })
        .collect();
    let mut seen = [0; 4];
    for _ in 0..4 * 500 {
        let text = socket.receive_text().await;
        let (thread, number) = text.split_once(' ').unwrap();
        let seen = &mut seen[thread.parse::<usize>().unwrap()];
        assert_eq!(number, seen.to_string());
        *seen += 1;
    }
    for sender in senders {
        sender.join().unwrap();
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_has_left() {
    let (mut server, authority) = start(ListenerConfig::default(), Limits::default()).await;
    let mut client = Client::connect(&server, &authority).await;
    let mut other = client.websocket("/ws").await;
    let _opened = server.opened().await;
    for (reason, told) in [
        (Reason::CANCEL, CloseReason::TransportClose),
        (Reason::INTERNAL_ERROR, CloseReason::TransportError),
    ] {
        let mut socket = client.websocket("/ws").await;
        let _opened = server.opened().await;
        socket.0.sending.send_reset(reason);
        assert_eq!(server.closed().await, told);
    }
    // The end of the client's half is an end, too.
    let mut socket = client.websocket("/ws").await;
    let _opened = server.opened().await;
    tokio::io::AsyncWriteExt::shutdown(&mut socket.0).await.unwrap();
    assert_eq!(server.closed().await, CloseReason::TransportClose);
    other.text("still here").await;
    assert_eq!(other.receive_text().await, "still here");
}

/// CVE-2023-44487: requests that are taken back as soon as they are made are no more under way than the bound says.
#[tokio::test]
async fn rapid_resets_harm_nobody_else() {
    let (server, authority) = start(ListenerConfig::default(), Limits::default()).await;
    let mut attacker = Client::connect(&server, &authority).await;
    let mut other = Client::connect(&server, &authority).await;
    let mut rounds = 0;
    while rounds < 10_000 {
        let request = Request::get("https://localhost/nothing").body(()).unwrap();
        // The server may have had enough of it.
        let Ok((_, mut sending)) = attacker.requests.send_request(request, false) else {
            break;
        };
        // Both go out, one behind the other.
        tokio::task::yield_now().await;
        sending.send_reset(Reason::CANCEL);
        tokio::task::yield_now().await;
        rounds += 1;
        if rounds % 1_000 == 0 {
            assert_eq!(other.fetch(Method::GET, "/nothing", "").await.0.status(), 404);
        }
    }
    assert!(rounds > 100, "the attack is over after {rounds} rounds");
    assert_eq!(other.fetch(Method::GET, "/nothing", "").await.0.status(), 404);
    let mut late = Client::connect(&server, &authority).await;
    assert_eq!(late.fetch(Method::GET, "/nothing", "").await.0.status(), 404);
}

#[tokio::test]
async fn the_servers_end_is_a_close_frame_and_the_end_of_the_stream() {
    let (mut server, authority) = start(ListenerConfig::default(), Limits::default()).await;
    let mut client = Client::connect(&server, &authority).await;
    let mut socket = client.websocket("/ws").await;
    server.opened().await.connection.close();
    assert_eq!(socket.receive().await, (0x88, vec![0x03, 0xe8]));
    socket.send(Opcode::Close, &[0x03, 0xe8]).await;
    let mut rest = Vec::new();
    timeout(PATIENCE, socket.0.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert!(rest.is_empty());
    assert_eq!(server.closed().await, CloseReason::ForcedClose);
}

#[tokio::test]
async fn a_connection_that_is_lost_ends_what_it_carries() {
    let (mut server, authority) = start(ListenerConfig::default(), Limits::default()).await;
    let mut client = Client::connect(&server, &authority).await;
    for _ in 0..3 {
        let socket = client.websocket("/ws").await;
        let _opened = server.opened().await;
        // Its stream lives as long as the connection.
        std::mem::forget(socket);
    }
    client.connection.abort();
    for _ in 0..3 {
        let reason = server.closed().await;
        assert!(
            matches!(reason, CloseReason::TransportClose | CloseReason::TransportError),
            "{reason:?}"
        );
    }
}

#[tokio::test]
async fn a_connection_without_requests_takes_no_more_of_them() {
    let config = ListenerConfig {
        http2: Http2Config {
            idle_timeout: Duration::from_millis(50),
            ..Http2Config::default()
        },
        ..ListenerConfig::default()
    };
    let (mut server, authority) = start(config, Limits::default()).await;
    let idle = Client::connect(&server, &authority).await;
    timeout(PATIENCE, idle.connection)
        .await
        .expect("an end")
        .unwrap()
        .unwrap();

    // A WebSocket goes on.
    let mut client = Client::connect(&server, &authority).await;
    let mut socket = client.websocket("/ws").await;
    let _opened = server.opened().await;
    let refused = async {
        while client.requests.clone().ready().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, refused).await.expect("an end of requests");
    socket.text("still here").await;
    assert_eq!(socket.receive_text().await, "still here");
}

#[tokio::test]
async fn a_client_that_is_gone_without_a_word_is_found_out() {
    let config = ListenerConfig {
        http2: Http2Config {
            ping_interval: Duration::from_millis(30),
            ping_timeout: Duration::from_millis(30),
            ..Http2Config::default()
        },
        ..ListenerConfig::default()
    };
    let (server, authority) = start(config, Limits::default()).await;
    let mut config = authority.client(ALL_VERSIONS);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut stream = server.connect(&Arc::new(config)).await.unwrap();
    // The preface and empty settings, and then nothing, not even an answer to a ping.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    tokio::io::AsyncWriteExt::write_all(&mut stream, preface)
        .await
        .unwrap();
    let mut rest = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    let _ = read.expect("an end");
}
