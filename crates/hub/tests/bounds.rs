//! What a client that means no good can make the hub keep, and for how long.

mod support;

use gatewire_hub::{ConnectError, HubConfig};
use support::{Gate, Peer, Script, serve, serve_with};

#[test]
fn a_client_that_is_not_let_in_has_joined_nothing() {
    let gate = Gate::default();
    let waiting = gate.clone();
    let (io, _) = serve(Script::default().connect(move |_| {
        let gate = waiting.clone();
        Box::pin(async move {
            gate.wait().await;
            Err(ConnectError::new("no"))
        })
    }));
    let mut peer = Peer::new(&io);
    peer.recv("0").unwrap();
    // The connect timeout goes on: else a refusal that takes a moment would end it for good.
    assert!(!peer.client.is_joined());
    gate.open();
    peer.run();
    assert_eq!(peer.sent(), [r#"4{"message":"no"}"#]);
    assert!(!peer.client.is_joined());
}

#[test]
fn one_that_is_let_in_has_joined() {
    let (io, _) = serve(Script::default());
    assert!(Peer::joined(&io, "/").client.is_joined());
}

#[test]
fn connecting_and_leaving_in_a_row_piles_nothing_up() {
    let gate = Gate::default();
    let waiting = gate.clone();
    let config = HubConfig {
        max_namespaces_per_connection: 3,
        ..HubConfig::default()
    };
    let (io, namespace) = serve_with(
        config,
        Script::default().connect(move |_| {
            let gate = waiting.clone();
            Box::pin(async move {
                gate.wait().await;
                Ok(())
            })
        }),
    );
    let mut peer = Peer::new(&io);
    let mut taken = 0;
    while taken < 100 && peer.client.wants_input() {
        peer.recv("0").unwrap();
        peer.recv("1").unwrap();
        taken += 1;
    }
    assert_eq!(
        taken, 3,
        "the connection is read on while three sockets are leaving"
    );
    for _ in 0..3 {
        gate.open();
        peer.run();
    }
    assert!(peer.client.wants_input());
    assert!(namespace.is_empty());
}
