//! What one node does with the sockets of others.

use serde_json::{Value, json};

use super::{NODES, Nodes, SOON, eventually};
use crate::{Id, RemoteSocket};

/// Sockets of a selection, of the node that says so and of others.
pub async fn sockets_of_other_nodes_enter_and_leave_rooms(nodes: Nodes) {
    let guests = nodes.guests("/");
    guests[2].socket().join("out");
    let is_in = |guest: usize, room: &str| guests[guest].socket().rooms().iter().any(|name| **name == *room);
    nodes.main(0).except("out").sockets_join(["a", "b"]);
    assert!(is_in(0, "a"), "on this node at once");
    eventually("guest 1 enters both rooms", async || {
        is_in(1, "a") && is_in(1, "b")
    })
    .await;
    nodes.main(1).to("a").sockets_leave("a");
    eventually("guests 0 and 1 leave a", async || {
        !is_in(0, "a") && !is_in(1, "a")
    })
    .await;
    assert!(is_in(0, "b") && is_in(1, "b"));
    nodes.main(1).to(guests[2].id()).sockets_join("c");
    eventually("guest 2 enters c", async || is_in(2, "c")).await;
    assert!(!is_in(2, "a") && !is_in(2, "b"));
}

/// Out of the namespace, and with their connections.
pub async fn sockets_of_other_nodes_are_put_out(nodes: Nodes) {
    let mut guests = nodes.guests("/");
    guests[1].socket().join("a");
    nodes.main(0).to("a").disconnect_sockets(false);
    assert!(guests[1].is_put_out().await);
    eventually("guest 1 has left", async || nodes.main(1).is_empty()).await;
    nodes.main(0).disconnect_sockets(true);
    guests[0].connection_ends().await;
    guests[2].connection_ends().await;
}

/// With their rooms, handshakes and data.
pub async fn sockets_of_all_nodes_are_fetched(nodes: Nodes) {
    let guests = nodes.guests("/");
    guests[1].socket().join("a");
    for (index, guest) in guests.iter().enumerate().skip(1) {
        let set = guest.socket().set_data(&json!({"index": index, "é": [null]}));
        assert!(set.is_ok());
    }
    let ids = |sockets: &[RemoteSocket]| {
        let mut ids: Vec<Id> = sockets.iter().map(RemoteSocket::id).collect();
        ids.sort();
        ids
    };
    let mut all: Vec<Id> = guests.iter().map(super::Guest::id).collect();
    all.sort();
    for node in 0..NODES {
        let sockets = nodes
            .main(node)
            .everyone()
            .timeout(SOON)
            .try_fetch_sockets()
            .await;
        let sockets = sockets.unwrap_or_else(|error| panic!("from node {node}: {error}"));
        assert_eq!(ids(&sockets), all);
        for socket in &sockets {
            let index = guests
                .iter()
                .position(|guest| guest.id() == socket.id())
                .unwrap_or_default();
            let own = guests[index].socket();
            let mut rooms = [socket.rooms().to_vec(), own.rooms()];
            rooms.iter_mut().for_each(|rooms| rooms.sort());
            assert_eq!(rooms[0], rooms[1]);
            assert_eq!(socket.handshake(), &own.handshake_json());
            match index {
                0 => assert_eq!(socket.data(), &Value::Null),
                _ => assert_eq!(socket.data(), &json!({"index": index, "é": [null]})),
            }
        }
        let some = nodes.main(node).to("a").timeout(SOON).fetch_sockets().await;
        assert_eq!(ids(&some), [guests[1].id()]);
        let others = nodes.main(node).except("a").timeout(SOON).fetch_sockets().await;
        assert_eq!(others.len(), 2);
    }
}

/// What is done with a socket of another node reaches it.
pub async fn fetched_sockets_are_reached(nodes: Nodes) {
    let mut guests = nodes.guests("/");
    let fetched = nodes
        .main(0)
        .to(guests[2].id())
        .timeout(SOON)
        .fetch_sockets()
        .await;
    let [socket] = &*fetched else {
        panic!("one was asked for: {fetched:?}")
    };
    socket.emit("hello", &1);
    assert_eq!(guests[2].event().await, json!(["hello", 1]));
    let request = socket.timeout(SOON).emit_with_ack("ask", &());
    guests[2].answer("7", None).await;
    let answer = request.await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(answer.body::<u8>().ok(), Some(7));
    socket.join("a");
    let is_in = async || guests[2].socket().rooms().iter().any(|room| **room == *"a");
    eventually("it enters a", is_in).await;
    socket.leave("a");
    eventually("it leaves a", async || !is_in().await).await;
    socket.disconnect(false);
    assert!(guests[2].is_put_out().await);
}
