//! What observers of connections are told, what listeners of a socket's changes are, and who hears of namespaces.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use gatewire_hub::{ConnectionObserver, DisconnectReason, HubConfig, Io, MsgpackParser, ObservedConnection};
use serde_json::json;
use support::{Log, Peer};

struct Observer(Log);

impl ConnectionObserver for Observer {
    fn opened(&self, connection: &ObservedConnection) {
        self.0.note(format!("opened {}", connection.transport().as_str()));
    }

    fn upgraded(&self, connection: &ObservedConnection) {
        self.0
            .note(format!("upgraded {}", connection.transport().as_str()));
    }

    fn received(&self, _: &ObservedConnection, bytes: usize) {
        self.0.note(format!("received {bytes}"));
    }

    fn sent(&self, _: &ObservedConnection, bytes: usize) {
        self.0.note(format!("sent {bytes}"));
    }

    fn closed(&self, _: &ObservedConnection, reason: DisconnectReason) {
        self.0.note(format!("closed: {reason}"));
    }
}

fn observed(config: HubConfig) -> (Io, Log) {
    let (io, log) = (Io::new(config), Log::default());
    io.observe_connections(Arc::new(Observer(log.clone())));
    let _ = io.of("/");
    (io, log)
}

#[test]
fn a_connection_is_observed_from_its_opening_to_its_end() {
    let (io, log) = observed(HubConfig::default());
    let mut peer = Peer::new(&io);
    let mut polling = Peer::polling(&io);
    assert_eq!(log.take(), ["opened websocket", "opened polling"]);

    peer.join("/");
    assert_eq!(log.take(), ["received 1", "sent 31"]);
    io.emit("x", &"é");
    assert_eq!(log.take(), [format!("sent {}", r#"2["x","é"]"#.len())]);
    io.emit("x", &bytes::Bytes::from_static(b"abc"));
    let text = r#"51-["x",{"_placeholder":true,"num":0}]"#;
    assert_eq!(log.take(), [format!("sent {}", text.len()), "sent 3".to_owned()]);
    peer.recv(text).unwrap();
    peer.recv_binary(b"abcd").unwrap();
    assert_eq!(
        log.take(),
        [format!("received {}", text.len()), "received 4".to_owned()]
    );

    peer.close(DisconnectReason::PingTimeout);
    peer.close(DisconnectReason::TransportClose);
    drop(peer);
    assert_eq!(log.take(), ["closed: ping timeout"]);
    polling.client.upgraded();
    assert!(log.take().is_empty(), "nothing has changed");
    drop(polling);
    assert_eq!(log.take(), ["closed: forced server close"]);
}

#[test]
fn what_a_parser_makes_is_counted() {
    let (io, log) = observed(HubConfig {
        parser: Some(Arc::new(MsgpackParser)),
        ..HubConfig::default()
    });
    let mut peer = Peer::new(&io);
    // {"type":0,"nsp":"/"}
    let connect = b"\x82\xa4type\x00\xa3nsp\xa1/";
    peer.recv_binary(connect).unwrap();
    let seen = log.take();
    assert_eq!(seen[1], format!("received {}", connect.len()));
    let sent: usize = seen[2].strip_prefix("sent ").unwrap().parse().unwrap();
    assert_eq!(peer.sent()[0].len(), 2 * sent + 2, "written in hexadecimal");
}

#[test]
fn an_upgrade_is_told_to_observers_and_sockets() {
    let (io, log) = observed(HubConfig::default());
    let mut peer = Peer::polling(&io);
    let id = peer.join("/");
    let socket = io.sockets().socket(&id).unwrap();
    let heard = log.clone();
    socket.on_upgrade(move |_, transport| heard.note(format!("socket: {}", transport.as_str())));
    assert_eq!(log.take()[0], "opened polling");
    peer.outbox.polling.store(false, Ordering::SeqCst);
    peer.client.upgraded();
    peer.client.upgraded();
    assert_eq!(
        log.take(),
        ["upgraded websocket", "socket: websocket", "socket: websocket"]
    );
}

#[test]
fn changes_of_the_data_are_told() {
    let (io, log) = observed(HubConfig::default());
    let mut peer = Peer::new(&io);
    let id = peer.join("/");
    let socket = io.sockets().socket(&id).unwrap();
    log.take();
    let heard = log.clone();
    let listener = socket.on_data_change(move |socket, data| {
        assert_eq!(*data, socket.data_json());
        heard.note(data.to_string());
    });
    socket.set_data(&json!({ "name": "Ada" })).unwrap();
    socket.set(7_u32);
    socket.remove::<serde_json::Value>();
    assert_eq!(log.take(), [r#"{"name":"Ada"}"#, "null"]);
    assert!(socket.off_listener(listener));
    socket.set_data(&1).unwrap();
    assert!(log.take().is_empty());
}

#[test]
fn an_observer_that_panics_harms_nobody() {
    struct Panics;
    impl ConnectionObserver for Panics {
        fn received(&self, _: &ObservedConnection, _: usize) {
            panic!("on purpose");
        }
    }
    let (io, log) = observed(HubConfig::default());
    io.observe_connections(Arc::new(Panics));
    let mut peer = Peer::new(&io);
    peer.join("/");
    assert_eq!(log.take(), ["opened websocket", "received 1", "sent 31"]);
}

#[test]
fn every_namespace_is_told_once() {
    let io = Io::default();
    let log = Log::default();
    let _ = io.of("/first");
    let heard = log.clone();
    io.for_each_namespace(move |namespace| heard.note(namespace.name()));
    assert_eq!(log.take(), ["/first"]);
    let _ = (io.of("/"), io.of("second"), io.of("/first"), io.of("/second"));
    assert_eq!(log.take(), ["/", "/second"]);
    io.of_pattern("/room-:id");
    Peer::new(&io).recv("0/room-1,").unwrap();
    assert_eq!(log.take(), ["/room-1"]);
}

#[test]
fn a_weak_handle_does_not_keep_the_server() {
    let io = Io::default();
    let weak = io.downgrade();
    assert!(weak.upgrade().is_some());
    drop(io);
    assert!(weak.upgrade().is_none());
}
