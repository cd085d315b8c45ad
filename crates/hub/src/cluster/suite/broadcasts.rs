//! Events for clients.

use bytes::Bytes;
use serde_json::{Value, json};

use super::guest::Guest;
use super::{NODES, Nodes};

/// From each node to the clients of all, the sending one included.
pub async fn a_broadcast_reaches_every_client_of_every_node(nodes: Nodes) {
    let mut guests = nodes.guests("/");
    for node in 0..NODES {
        nodes.main(node).emit("hello", &node);
        for guest in &mut guests {
            assert_eq!(guest.event().await, json!(["hello", node]));
        }
    }
}

/// Also to several rooms, and once to who is in several of them.
pub async fn a_broadcast_reaches_rooms_wherever_they_are(nodes: Nodes) {
    let mut guests = nodes.guests("/");
    nodes.enter(&mut guests, 1, &["a", "b"]).await;
    nodes.enter(&mut guests, 2, &["b"]).await;
    for node in 0..NODES {
        let namespace = nodes.main(node);
        namespace.to("a").emit("to a", &node);
        namespace.to(["a", "b"]).emit("to both", &node);
        namespace.to(Vec::<String>::new()).emit("to nobody", &());
        namespace.to("nowhere").emit("to nobody", &());
        fence(&nodes, node);
        assert_eq!(guests[0].event().await, the_fence());
        for expected in [json!(["to a", node]), json!(["to both", node]), the_fence()] {
            assert_eq!(guests[1].event().await, expected);
        }
        for expected in [json!(["to both", node]), the_fence()] {
            assert_eq!(guests[2].event().await, expected);
        }
    }
}

/// Rooms that are left out, and the socket that broadcasts.
pub async fn who_is_excepted_gets_nothing(nodes: Nodes) {
    let mut guests = nodes.guests("/");
    nodes.enter(&mut guests, 2, &["a"]).await;
    nodes.main(0).except("a").emit("without a", &());
    guests[1].socket().broadcast().emit("from one", &());
    guests[1].socket().to("a").emit("from one to a", &());
    fence(&nodes, 0);
    fence(&nodes, 1);
    // Two nodes have sent: their messages have no order.
    let expected = [
        vec!["without a", "from one", "fence", "fence"],
        vec!["without a", "fence", "fence"],
        vec!["from one", "from one to a", "fence", "fence"],
    ];
    for (guest, expected) in guests.iter_mut().zip(expected) {
        assert_eq!(names(guest, expected.len()).await, sorted(expected));
    }
}

/// The room of a socket alone, from another node.
pub async fn a_message_to_an_id_reaches_its_socket(nodes: Nodes) {
    let mut guests = nodes.guests("/");
    let id = guests[2].id();
    nodes.main(0).to(id).emit("for you", &1);
    guests[1].socket().to(id).emit("for you", &2);
    for _ in 0..2 {
        assert_eq!(guests[2].event().await[0], json!("for you"));
    }
    fence(&nodes, 0);
    for guest in &mut guests {
        assert_eq!(guest.event().await, the_fence());
    }
}

/// With `local`, and to a socket by its own handle.
pub async fn what_is_local_stays(nodes: Nodes) {
    let mut guests = nodes.guests("/");
    nodes.main(0).local().emit("here", &());
    guests[1].socket().emit("alone", &());
    assert_eq!(guests[0].event().await, json!(["here"]));
    assert_eq!(guests[1].event().await, json!(["alone"]));
    for node in 0..2 {
        fence(&nodes, node);
    }
    for guest in &mut guests {
        assert_eq!(guest.event().await, the_fence());
        assert_eq!(guest.event().await, the_fence());
    }
}

/// Volatile messages arrive where they can be written; what must not be compressed is not.
pub async fn flags_are_heeded_on_other_nodes(nodes: Nodes) {
    let mut guests = nodes.guests("/");
    nodes.main(0).volatile().emit("volatile", &1);
    nodes.main(0).compress(false).emit("plain", &2);
    for guest in &mut guests {
        let got = guest.next().await;
        assert!(got.is_compressible);
        assert_eq!(got.event(), json!(["volatile", 1]));
        let got = guest.next().await;
        assert!(!got.is_compressible);
        assert_eq!(got.event(), json!(["plain", 2]));
    }
}

/// Several pieces of bytes, also none and many.
pub async fn binary_arrives_as_it_was(nodes: Nodes) {
    let mut guests = nodes.guests("/");
    let pieces = [
        Bytes::from_static(b"\x01\x02\x03"),
        Bytes::new(),
        Bytes::from(vec![7; 100_000]),
    ];
    nodes
        .main(1)
        .emit_args("bytes", &(&pieces[0], json!({"n": 1}), [&pieces[1], &pieces[2]]));
    let placeholder = |num: usize| json!({"_placeholder": true, "num": num});
    for guest in &mut guests {
        let got = guest.next().await;
        assert_eq!(got.attachments, pieces);
        assert_eq!(
            got.event(),
            json!(["bytes", placeholder(0), {"n": 1}, [placeholder(1), placeholder(2)]])
        );
    }
}

/// Numbers of all sizes, all of Unicode, and what looks like something else.
pub async fn whatever_json_can_say_arrives(nodes: Nodes) {
    let mut guests = nodes.guests("/");
    let values = [
        json!([0, -1, 1.5, 1e300, i64::MIN, u64::MAX, 9_007_199_254_740_993_u64]),
        json!(["", "\u{0}\u{1f}\"\\/", "é漢😀\u{2028}", {"": null, "_id": true}]),
        json!({"type": 2, "data": ["x"], "nsp": "/other", "requestId": "r", "rooms": []}),
        json!([[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]),
        json!(null),
    ];
    for value in &values {
        nodes.main(0).emit("value", value);
    }
    nodes.main(0).emit_args("many", &(1, "two", [3]));
    nodes.main(0).emit("none", &());
    for guest in &mut guests {
        for value in &values {
            assert_eq!(guest.event().await, json!(["value", value]));
        }
        assert_eq!(guest.event().await, json!(["many", 1, "two", [3]]));
        assert_eq!(guest.event().await, json!(["none"]));
    }
}

/// What means something to a broker means nothing in the name of a room or namespace.
pub async fn odd_names_are_names(nodes: Nodes) {
    let rooms = [
        "*",
        "a*",
        "[ab]",
        "a?",
        "a#b",
        "#",
        "\\",
        "1",
        "a b",
        "é😀",
        "socket.io#/#",
        "{x}",
        "a,b",
        "",
    ];
    for name in ["/", "/a*", "/a#b", "/é"] {
        for node in 0..NODES {
            let _ = nodes.namespace(node, name);
        }
        nodes.know_each_other(name).await;
        let mut guests = nodes.guests(name);
        for (index, room) in rooms.iter().enumerate() {
            nodes.enter(&mut guests, index % NODES, &[*room]).await;
        }
        for (index, room) in rooms.iter().enumerate() {
            nodes
                .namespace((index + 1) % NODES, name)
                .to(*room)
                .emit("to", room);
            assert_eq!(
                guests[index % NODES].event().await,
                json!(["to", room]),
                "in {name}"
            );
        }
        for node in 0..NODES {
            fence_in(&nodes, node, name);
        }
        for guest in &mut guests {
            for _ in 0..NODES {
                assert_eq!(guest.event().await, the_fence(), "in {name}");
            }
        }
    }
}

/// Whatever their rooms are called.
pub async fn namespaces_do_not_hear_each_other(nodes: Nodes) {
    let (mut main, mut chat) = (nodes.guests("/"), nodes.guests("/chat"));
    for node in 0..NODES {
        nodes.enter(&mut main, node, &["room"]).await;
        nodes.enter(&mut chat, node, &["room"]).await;
    }
    nodes.main(0).to("room").emit("main", &());
    nodes.namespace(0, "/chat").to("room").emit("chat", &());
    nodes.namespace(1, "/chat").emit("chat", &());
    for guest in &mut main {
        assert_eq!(guest.event().await, json!(["main"]));
    }
    for guest in &mut chat {
        assert_eq!(guest.event().await, json!(["chat"]));
        assert_eq!(guest.event().await, json!(["chat"]));
    }
    fence(&nodes, 0);
    for guest in &mut main {
        assert_eq!(guest.event().await, the_fence());
    }
}

/// Thousands of them from one node; none is lost, and none comes twice.
pub async fn messages_arrive_once_and_in_order(nodes: Nodes) {
    const COUNT: usize = 2_000;
    let mut guests = nodes.guests("/");
    for index in 0..COUNT {
        nodes.main(0).emit("count", &index);
        if index % 100 == 0 {
            // As a program would: other tasks have their turn.
            tokio::task::yield_now().await;
        }
    }
    for guest in &mut guests {
        for index in 0..COUNT {
            assert_eq!(guest.event().await, json!(["count", index]));
        }
    }
}

fn the_fence() -> Value {
    json!(["fence"])
}

/// What comes before this has come, from that node.
fn fence(nodes: &Nodes, node: usize) {
    fence_in(nodes, node, "/");
}

fn fence_in(nodes: &Nodes, node: usize, name: &str) {
    nodes.namespace(node, name).emit("fence", &());
}

async fn names(guest: &mut Guest, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..count {
        names.push(guest.event().await[0].as_str().unwrap_or_default().to_owned());
    }
    names.sort();
    names
}

fn sorted(mut names: Vec<&str>) -> Vec<String> {
    names.sort_unstable();
    names.into_iter().map(str::to_owned).collect()
}
