//! Every operation from one node to another, as seen by a client there.

use std::future::IntoFuture;
use std::time::Duration;

use bytes::Bytes;
use gatewire_hub::{Broadcast, Payload};
use serde_json::json;

use super::{Node, PATIENCE, Peer, eventually, receive};

/// Waits until what is sent so comes to the peer; before that, nobody may have subscribed.
pub async fn until_heard(broadcast: &Broadcast, peer: &mut Peer) {
    eventually("the peer to hear", async || {
        broadcast.emit("probe", &());
        tokio::time::sleep(Duration::from_millis(20)).await;
        peer.outbox.take().iter().any(|line| line.contains("probe"))
    })
    .await;
    // Later ones of them.
    broadcast.emit("last", &());
    while !receive(peer, 1).await.iter().any(|line| line.contains("last")) {}
}

/// `first` asks, and a client of `second` gets it.
pub async fn all(first: &Node, second: &Node) {
    let (mut near, mut far) = (Peer::new(&first.io), Peer::new(&second.io));
    near.join("/");
    let id = far.join("/");
    let (here, there) = (first.main(), second.main());

    here.emit("hello", &1);
    assert_eq!(receive(&mut far, 1).await, [r#"2["hello",1]"#]);
    here.emit_args("bytes", &(Payload::default().len(), Bytes::from_static(&[1, 2])));
    assert_eq!(
        receive(&mut far, 2).await,
        [r#"51-["bytes",0,{"_placeholder":true,"num":0}]"#, "<0102>"]
    );

    here.to(id.as_str()).sockets_join(["red", "blue"]);
    eventually("the socket to join", async || {
        there.socket(&id).unwrap().rooms().len() == 3
    })
    .await;
    until_heard(&here.to("red"), &mut far).await;
    until_heard(&here.to(id.as_str()), &mut far).await;
    here.to("red").emit("red", &());
    here.to(["red", "blue"]).emit("both", &());
    here.to("red").except("blue").emit("none", &());
    here.except("green").volatile().emit("flags", &());
    here.to(id.as_str()).emit("own", &());
    let mut lines = receive(&mut far, 4).await;
    // Channels of other shards have an order of their own.
    lines.sort();
    assert_eq!(
        lines,
        [r#"2["both"]"#, r#"2["flags"]"#, r#"2["own"]"#, r#"2["red"]"#]
    );

    let asking = tokio::spawn(
        here.to("red")
            .timeout(Duration::from_secs(10))
            .emit_with_ack("ask", &7)
            .into_future(),
    );
    let question = receive(&mut far, 1).await.remove(0);
    let number: String = question
        .chars()
        .skip(1)
        .take_while(char::is_ascii_digit)
        .collect();
    assert_eq!(question, format!(r#"2{number}["ask",7]"#));
    far.recv(&format!(r#"3{number}["yes",1]"#)).unwrap();
    let answers = asking.await.unwrap().unwrap();
    assert_eq!(answers, [Payload::from_args(&("yes", 1)).unwrap()]);

    there
        .socket(&id)
        .unwrap()
        .set_data(&json!({"name": "Ada"}))
        .unwrap();
    let found = here.to("red").try_fetch_sockets().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].id().as_str(), found[0].data()),
        (&*id, &json!({"name": "Ada"}))
    );

    here.sockets_leave("blue");
    eventually("the socket to leave", async || {
        there.socket(&id).unwrap().rooms().len() == 2
    })
    .await;

    there.on_server_side("how many", |namespace, event| {
        if let Some(ack) = event.ack() {
            ack.send(&(namespace.len(), event.body::<u8>().unwrap()));
        }
    });
    let answers = here.server_side_emit_with_ack("how many", &9).await.unwrap();
    assert_eq!(answers[0].body::<(usize, u8)>().unwrap(), (1, 9));

    here.to("red").disconnect_sockets(true);
    let lines = receive(&mut far, 2).await;
    assert_eq!(lines, ["1", "close: forced close"]);

    let heard = second.cluster.status().heard;
    assert!(matches!(&*heard, [(_, age)] if *age < PATIENCE), "{heard:?}");
}
