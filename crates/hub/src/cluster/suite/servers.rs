//! What servers have to do with each other, without clients.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{NODES, Nodes, SOON, eventually};
use crate::{BroadcastAckError, lock};

/// All but the one that speaks, in its namespace, in order.
pub async fn servers_hear_of_each_other(nodes: Nodes) {
    let heard: Vec<Arc<Mutex<Vec<Value>>>> = (0..NODES).map(|_| Arc::default()).collect();
    for (node, heard) in heard.iter().enumerate() {
        for name in ["/", "/chat"] {
            let heard = heard.clone();
            nodes
                .namespace(node, name)
                .on_server_side("news", move |namespace, event| {
                    let bytes = event.arg::<Bytes>(1).map(|bytes| bytes.len()).ok();
                    let first: Value = event.arg(0).unwrap_or_default();
                    lock(&heard).push(json!([namespace.name(), first, bytes]));
                });
        }
    }
    let sent = [
        nodes.main(0).server_side_emit("news", &json!({"a": [1]})),
        nodes
            .main(0)
            .server_side_emit_args("news", &(2, Bytes::from_static(b"abc"))),
        nodes.main(0).server_side_emit("other", &()),
        nodes.main(0).server_side_emit("news", &()),
        nodes.namespace(2, "/chat").server_side_emit("news", &"c"),
    ];
    assert_eq!(sent, [Ok(()), Ok(()), Ok(()), Ok(()), Ok(())]);
    let of_main = [
        json!(["/", {"a": [1]}, null]),
        json!(["/", 2, 3]),
        json!(["/", null, null]),
    ];
    let of_chat = json!(["/chat", "c", null]);
    for (node, expected) in [(0, 1), (1, 4), (2, 3)] {
        let what = format!("server {node} hears {expected} events");
        eventually(&what, async || lock(&heard[node]).len() >= expected).await;
    }
    let in_main = |node: usize| {
        let heard = lock(&heard[node]);
        heard
            .iter()
            .filter(|event| event[0] == "/")
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(*lock(&heard[0]), std::slice::from_ref(&of_chat));
    assert_eq!(in_main(1), of_main);
    assert_eq!(*lock(&heard[2]), of_main);
    assert!(lock(&heard[1]).contains(&of_chat));
}

/// Now or later, with or without bytes.
pub async fn servers_answer_each_other(nodes: Nodes) {
    for node in 0..NODES {
        nodes.main(node).on_server_side("ask", move |_, event| {
            let Some(ack) = event.ack() else { return };
            if event.arg::<bool>(0).unwrap_or(false) {
                tokio::spawn(async move { ack.send(&Bytes::from_static(b"later")) });
            } else {
                ack.send(&json!({"node": node}));
            }
        });
    }
    let ask = |node: usize, later: bool| {
        nodes
            .main(node)
            .server_side_emit_with_ack("ask", &later)
            .timeout(SOON)
    };
    let answers = ask(0, false).await.unwrap_or_else(|error| panic!("{error}"));
    let mut answers: Vec<Value> = answers.iter().filter_map(|answer| answer.body().ok()).collect();
    answers.sort_by_key(|answer| answer["node"].as_u64());
    assert_eq!(answers, [json!({"node": 1}), json!({"node": 2})]);
    let answers = ask(1, true).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(answers.len(), 2);
    for answer in answers {
        assert_eq!(answer.body::<Bytes>().ok().as_deref(), Some(&b"later"[..]));
    }
}

/// What came until then is told.
pub async fn servers_that_do_not_answer_are_missing(nodes: Nodes) {
    nodes.main(1).on_server_side("ask", |_, event| {
        if let Some(ack) = event.ack() {
            ack.send(&1);
        }
    });
    let request = nodes.main(0).server_side_emit_with_ack("ask", &());
    match request.timeout(Duration::from_millis(500)).await {
        Err(BroadcastAckError::Timeout {
            responses,
            missing,
            silent_nodes,
            ..
        }) => assert_eq!((responses.len(), missing, silent_nodes.count), (1, 1, 1)),
        other => panic!("server 2 has not answered: {other:?}"),
    }
}

/// Until they leave.
pub async fn nodes_are_counted(nodes: Nodes) {
    nodes.io(2).close();
    for node in 0..2 {
        let what = format!("node {node} counts two");
        eventually(&what, async || nodes.count(nodes.io(node), "/").await == 2).await;
    }
    let mut guests: Vec<_> = (0..2)
        .map(|node| super::Guest::join(nodes.io(node), "/"))
        .collect();
    nodes.main(0).emit("still", &());
    for guest in &mut guests {
        assert_eq!(guest.event().await, json!(["still"]));
    }
    let sockets = nodes.main(0).everyone().timeout(SOON).try_fetch_sockets().await;
    assert_eq!(
        sockets.map(|sockets| sockets.len()).ok(),
        Some(2),
        "nobody waits for who has left"
    );
}

/// One that a client brought into being ends with it, and is the same again with the next.
pub async fn a_namespace_comes_again(nodes: Nodes) {
    for node in 0..NODES {
        nodes.io(node).of_pattern("/room-:id");
    }
    for round in 0..3 {
        let mut guests = nodes.guests("/room-1");
        nodes.know_each_other("/room-1").await;
        nodes.namespace(0, "/room-1").emit("round", &round);
        for guest in &mut guests {
            assert_eq!(guest.event().await, json!(["round", round]));
        }
        nodes.namespace(1, "/room-1").disconnect_sockets(false);
        for guest in &mut guests {
            assert!(guest.is_put_out().await);
        }
        let is_gone = |node: usize| nodes.io(node).get("/room-1").is_none();
        eventually("the namespace ends", async || (0..NODES).all(is_gone)).await;
    }
}
