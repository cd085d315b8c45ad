//! Clients of Socket.IO 2: in `/` without a CONNECT, a query for auth, answers without data, ids that the client knows.

mod support;

use gatewire_hub::{ConnectError, DisconnectReason, Id, Io};
use serde_json::json;
use support::{Log, Peer, Script, serve};

fn sid() -> Id {
    Id::parse("abcdefghijklmnopAAAA").unwrap()
}

#[test]
fn the_root_is_joined_without_asking() {
    let log = Log::default();
    let seen = log.clone();
    let (io, root) = serve(Script::default().connected(move |socket| {
        seen.note(format!("{} {}", socket.id(), socket.auth_json()));
        socket.emit("hi", &1);
    }));
    let mut peer = Peer::v2(&io, sid());
    assert!(!peer.client.is_joined());
    peer.run();
    assert_eq!(peer.sent(), ["0", r#"2["hi",1]"#]);
    assert!(peer.client.is_joined());
    assert_eq!(log.take(), [format!("{} {{}}", sid())]);
    assert!(root.socket(sid().as_str()).is_some());
    root.to(sid().as_str()).emit("e", &());
    assert_eq!(peer.sent(), [r#"2["e"]"#]);
    peer.run();
    assert_eq!(root.len(), 1);
    peer.recv("0").unwrap_err();
}

#[test]
fn the_root_is_joined_before_the_first_packet() {
    let log = Log::default();
    let seen = log.clone();
    let (io, _root) = serve(Script::default().event(move |_, event| {
        seen.note(event.name());
        None
    }));
    let mut peer = Peer::v2(&io, sid());
    peer.recv(r#"2["early"]"#).unwrap();
    assert_eq!(peer.sent(), ["0"]);
    assert_eq!(log.take(), ["early"]);
}

#[test]
fn a_query_is_the_auth() {
    let io = Io::default();
    let _ = (io.of("/"), io.of("/chat"));
    let mut peer = Peer::v2(&io, sid());
    peer.recv("0/chat?token=a%26b&n=1,").unwrap();
    assert_eq!(peer.sent(), ["0", "0/chat,"]);
    let socket = io.of("/chat").socket(sid().as_str()).unwrap();
    assert_eq!(
        socket.auth::<serde_json::Value>().unwrap(),
        json!({"token": "a&b", "n": "1"})
    );
    // The client leaves and comes again: the same id, and no trouble.
    peer.recv("1/chat,").unwrap();
    peer.recv("0/chat,").unwrap();
    assert_eq!(peer.sent(), ["0/chat,"]);
    assert_eq!(io.of("/chat").len(), 1);
    let again = io.of("/chat").socket(sid().as_str()).unwrap();
    assert_eq!(again.auth_json(), "{}");
    peer.recv("0/chat?x=1,").unwrap_err();
}

#[test]
fn refusals_are_bare_values() {
    let (io, _) = serve(Script::default().connect(|_| {
        let error = ConnectError::new("no").with_data(json!({"code": 7}));
        Box::pin(std::future::ready(Err(error)))
    }));
    io.of("/chat")
        .use_middleware(async |_| Err(ConnectError::new("not you")));
    let mut peer = Peer::v2(&io, sid());
    peer.recv("0/chat,").unwrap();
    peer.recv("0/nope?a=1,").unwrap();
    assert_eq!(
        peer.sent(),
        [
            r#"4{"code":7}"#,
            r#"4/chat,"not you""#,
            r#"4/nope,"Invalid namespace""#
        ]
    );
    assert!(!peer.client.is_joined());
}

#[test]
fn without_a_root_only_what_is_asked_for_is_joined() {
    let io = Io::default();
    let _ = io.of("/chat");
    let mut peer = Peer::v2(&io, sid());
    peer.run();
    assert!(peer.sent().is_empty());
    peer.recv("0/chat,").unwrap();
    assert_eq!(peer.sent(), ["0/chat,"]);
}

#[test]
fn events_acks_and_bytes_are_the_same() {
    let (io, _root) = serve(Script::default().event(|socket, event| {
        let payload = event.to_payload();
        socket.emit_payload(event.name(), &payload);
        None
    }));
    let mut peer = Peer::v2(&io, sid());
    peer.recv(r#"51-["b",{"_placeholder":true,"num":0}]"#).unwrap();
    peer.recv_binary(&[1, 2]).unwrap();
    assert_eq!(
        peer.sent(),
        ["0", r#"51-["b",{"_placeholder":true,"num":0}]"#, "<0102>"]
    );
    peer.close(DisconnectReason::TransportClose);
    assert!(peer.poll_closed().is_ready());
    assert_eq!(io.of("/").len(), 0);
}
