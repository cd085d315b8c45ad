//! The streams mode, and connection state recovery over it.

mod support;

use std::sync::Arc;
use std::time::Duration;

use gatewire_hub::cluster::ClusterAdapter;
use gatewire_hub::{DisconnectReason, HubConfig, Namespace, Recovery};
use gatewire_redis::{Mode, RedisConfig, StreamsConfig};
use serde_json::{Value, json};
use support::{Node, PATIENCE, Peer, Redis, RedisCluster, eventually, operations, receive, server};

fn config() -> RedisConfig {
    config_with(StreamsConfig::default())
}

fn config_with(streams: StreamsConfig) -> RedisConfig {
    RedisConfig {
        mode: Mode::Streams(streams),
        requests_timeout: Duration::from_secs(3),
        ..RedisConfig::default()
    }
}

fn recoverable() -> HubConfig {
    HubConfig {
        connection_state_recovery: Some(Recovery::default()),
        ..HubConfig::default()
    }
}

async fn nodes<const N: usize>(redis: &Redis) -> [Node; N] {
    Node::start_all(&redis.url(), &config(), &recoverable()).await
}

/// The name, the argument and the offset of an event.
fn parts(line: &str) -> (String, Value, Option<String>) {
    let mut data: Vec<Value> = serde_json::from_str(line.strip_prefix('2').unwrap()).unwrap();
    let last = data.last().and_then(Value::as_str);
    let offset = last.filter(|last| is_offset(last)).map(str::to_owned);
    if offset.is_some() {
        data.pop();
    }
    let name = data.remove(0).as_str().unwrap().to_owned();
    (name, data.into_iter().next().unwrap_or_default(), offset)
}

fn is_offset(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('-')
        .is_some_and(|(time, number)| is_number(time) && is_number(number))
}

/// The place of an offset.
fn place(offset: &str) -> (u64, u64) {
    let (time, number) = offset.split_once('-').unwrap();
    (time.parse().unwrap(), number.parse().unwrap())
}

/// What the client gets before the answer to its CONNECT, and the answer.
async fn connect(peer: &mut Peer, auth: &Value) -> (Vec<String>, Value) {
    let auth = if auth.is_null() {
        String::new()
    } else {
        auth.to_string()
    };
    peer.recv(&format!("0{auth}")).unwrap();
    let mut lines = Vec::new();
    loop {
        lines.extend(receive(peer, 1).await);
        if let Some(at) = lines.iter().position(|line| line.starts_with("0{")) {
            let reply = serde_json::from_str(&lines.remove(at)[1..]).unwrap();
            assert_eq!(at, lines.len(), "behind the answer: {lines:?}");
            return (lines, reply);
        }
    }
}

/// A client with the offset of its first event.
async fn joined(node: &Node, room: &str) -> (Peer, Value, String) {
    let mut peer = Peer::new(&node.io);
    let (_, reply) = connect(&mut peer, &Value::Null).await;
    socket(&node.main(), &reply).join(room);
    node.main().to(room).emit("hello", &());
    let line = receive(&mut peer, 1).await.remove(0);
    let offset = parts(&line).2.unwrap_or_else(|| panic!("no offset in {line}"));
    (peer, reply, offset)
}

fn id(reply: &Value) -> String {
    reply["sid"].as_str().unwrap().to_owned()
}

fn socket(namespace: &Namespace, reply: &Value) -> gatewire_hub::Socket {
    namespace.socket(&id(reply)).unwrap()
}

fn claim(reply: &Value, offset: &str) -> Value {
    json!({ "pid": reply["pid"], "offset": offset })
}

/// A message may still be given to the connection that breaks: when it has waited in vain, that is known to be broken.
async fn outage_is_known(node: &Node, witness: &mut Peer, id: &str) {
    node.main().to(id).emit("probe", &());
    assert_eq!(receive(witness, 1).await, [r#"2["probe"]"#]);
}

/// Until the session is kept.
async fn lose(redis: &Redis, mut peer: Peer, reply: &Value) {
    peer.close(DisconnectReason::TransportClose);
    let key = format!("sio:session:{}", reply["pid"].as_str().unwrap());
    eventually("the session to be kept", async || {
        redis.cli(&["EXISTS", &key]).trim() == "1"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    for use_sharded_pub_sub in [false, true] {
        let name = format!("sharded {use_sharded_pub_sub}");
        let config = config_with(StreamsConfig {
            use_sharded_pub_sub,
            stream_name: name.clone(),
            channel_prefix: name,
            ..StreamsConfig::default()
        });
        let [first, second] = Node::start_all(&redis.url(), &config, &HubConfig::default()).await;
        operations::all(&first, &second).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_over_a_cluster_of_three() {
    if !server::is_there() {
        return;
    }
    let redis = RedisCluster::start();
    let config = config_with(StreamsConfig {
        stream_count: 3,
        ..StreamsConfig::default()
    });
    let [first, second] = Node::start_all(&redis.url(), &config, &HubConfig::default()).await;
    operations::all(&first, &second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_comes_back_to_another_node() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let [first, second] = nodes(&redis).await;
    let (peer, reply, offset) = joined(&first, "red").await;
    let own = socket(&first.main(), &reply);
    own.set_data(&json!({"name": "Ada"})).unwrap();
    lose(&redis, peer, &reply).await;

    second.main().emit("missed", &1);
    second.main().to("red").emit("missed", &2);
    second.main().to(own.id()).emit("missed", &3);
    second.main().to("blue").emit("not for it", &());
    second.main().except("red").emit("not for it", &());
    second.main().volatile().emit("lost", &());
    // What two nodes send has no order before it is in the stream.
    eventually("the entries", async || {
        redis.cli(&["XLEN", "socket.io"]).trim() == "7"
    })
    .await;
    first
        .main()
        .emit_args("missed", &(bytes::Bytes::from_static(b"\x07"),));
    first.main().emit("missed", &5);
    let mut peer = Peer::new(&second.io);
    let (missed, again) = connect(&mut peer, &claim(&reply, &offset)).await;
    assert_eq!(again, reply);
    let attachment = missed.iter().position(|line| line == "<07>").unwrap();
    assert_eq!(attachment, 4, "{missed:?}");
    let mut last = place(&offset);
    for (at, line) in missed.iter().enumerate() {
        if at == 3 || at == 4 {
            continue;
        }
        let (name, value, offset) = parts(line);
        let expected = if at < 3 { at + 1 } else { at };
        assert_eq!((&*name, value), ("missed", json!(expected)));
        let place = place(&offset.unwrap());
        assert!(place > last);
        last = place;
    }
    assert_eq!(missed.len(), 6);
    let socket = socket(&second.main(), &reply);
    assert!(socket.recovered());
    assert_eq!(socket.data_json(), json!({"name": "Ada"}));
    first.main().to("red").emit("now", &());
    assert_eq!(parts(&receive(&mut peer, 1).await[0]).0, "now");

    // A session is given once, and of another namespace never.
    let mut thief = Peer::new(&first.io);
    let (_, other) = connect(&mut thief, &claim(&reply, &offset)).await;
    assert_ne!(other["sid"], reply["sid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_stays_in_its_namespace() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let [node] = nodes(&redis).await;
    let admin = node.io.of("/admin");
    let (peer, reply, offset) = joined(&node, "red").await;
    let mut witness = Peer::joined(&node.io, "/admin");
    admin.emit("secret", &());
    let line = receive(&mut witness, 1).await.remove(0);
    let (_, of_admin) = line.rsplit_once(',').unwrap();
    let of_admin = of_admin.trim_matches(['"', ']']).to_owned();
    lose(&redis, peer, &reply).await;
    for offset in [&offset, &of_admin] {
        let mut peer = Peer::new(&node.io);
        peer.recv(&format!("0/admin,{}", claim(&reply, offset))).unwrap();
        let line = receive(&mut peer, 1).await.remove(0);
        assert!(line.starts_with("0/admin,{"), "{line}");
        assert!(!line.contains(reply["sid"].as_str().unwrap()), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_comes_back_after_redis_does() {
    if !server::is_there() {
        return;
    }
    let mut redis = Redis::start_durable();
    let [first, second] = nodes(&redis).await;
    let (peer, reply, offset) = joined(&first, "red").await;
    lose(&redis, peer, &reply).await;
    let mut witness = Peer::new(&second.io);
    let own = id(&connect(&mut witness, &Value::Null).await.1);
    second.main().emit("before", &());
    receive(&mut witness, 1).await;
    redis.kill();
    outage_is_known(&second, &mut witness, &own).await;
    second.main().emit("meanwhile", &());
    receive(&mut witness, 1).await;
    redis.start_again();
    // In the order of the log, so what is before has its place, too.
    eventually("offsets again", async || {
        second.main().to(&*own).emit("probe", &());
        tokio::time::sleep(Duration::from_millis(20)).await;
        witness.outbox.take().iter().any(|line| parts(line).2.is_some())
    })
    .await;
    second.main().emit("after", &());
    while !receive(&mut witness, 1)
        .await
        .iter()
        .any(|line| line.contains("after"))
    {}
    let mut peer = Peer::new(&second.io);
    let (missed, again) = connect(&mut peer, &claim(&reply, &offset)).await;
    assert_eq!(again, reply);
    let names: Vec<String> = missed.iter().map(|line| parts(line).0).collect();
    assert_eq!(names, ["before", "meanwhile", "after"]);
}

/// Both nodes send at a time: all clients get everything once, in one order, which is that of the offsets.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_messages_have_one_order() {
    const COUNT: usize = 10_000;
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    // On a busy machine Redis may take a while; what it is not waited for has no place in the order.
    let patient = config_with(StreamsConfig {
        offset_wait: PATIENCE,
        ..StreamsConfig::default()
    });
    let [first, second] = Node::start_all(&redis.url(), &patient, &recoverable()).await;
    let mut peers = [Peer::new(&first.io), Peer::new(&second.io)];
    for peer in &mut peers {
        connect(peer, &Value::Null).await;
    }
    let sending = [first.main(), second.main()].map(|namespace| {
        tokio::spawn(async move {
            for n in 0..COUNT / 2 {
                namespace.emit("e", &n);
                if n % 100 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        })
    });
    for task in sending {
        task.await.unwrap();
    }
    let [near, far] = &mut peers;
    let lines = receive(near, COUNT).await;
    let others = receive(far, COUNT).await;
    let different = lines.iter().zip(&others).find(|(one, other)| one != other);
    assert_eq!((different, lines.len()), (None, others.len()));
    let mut numbers = vec![0; COUNT / 2];
    let mut last = (0, 0);
    for line in &lines {
        let (_, number, offset) = parts(line);
        numbers[number.as_u64().unwrap() as usize] += 1;
        let place = place(&offset.unwrap_or_else(|| panic!("no offset in {line}")));
        assert!(place > last, "{line} behind {last:?}");
        last = place;
    }
    assert!(numbers.iter().all(|&count| count == 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_stands_still_does_not_stop_this_node() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let [first, second] = nodes(&redis).await;
    let mut peers = [Peer::new(&first.io), Peer::new(&second.io)];
    for peer in &mut peers {
        connect(peer, &Value::Null).await;
    }
    let [near, far] = &mut peers;
    redis.pause();
    for n in 0..100 {
        first.main().emit("e", &n);
    }
    let expected: Vec<String> = (0..100).map(|n| format!(r#"2["e",{n}]"#)).collect();
    assert_eq!(receive(near, 100).await, expected);
    // From now on nobody waits, and the order stays.
    first.main().emit("at once", &());
    assert_eq!(receive(near, 1).await, [r#"2["at once"]"#]);
    redis.resume();
    let lines = receive(far, 101).await;
    for (n, line) in lines.iter().take(100).enumerate() {
        assert_eq!(parts(line).1, json!(n));
    }
    // They came back here, too, and were not delivered again.
    eventually("offsets again", async || {
        first.main().emit("probe", &());
        tokio::time::sleep(Duration::from_millis(20)).await;
        let lines = near.outbox.take();
        assert!(lines.iter().all(|line| line.contains("probe")), "{lines:?}");
        lines.iter().any(|line| parts(line).2.is_some())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_full_does_not_stop_this_node() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let [node] = nodes(&redis).await;
    let mut peer = Peer::new(&node.io);
    connect(&mut peer, &Value::Null).await;
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    for n in 0..10 {
        node.main().emit("e", &n);
    }
    let expected: Vec<String> = (0..10).map(|n| format!(r#"2["e",{n}]"#)).collect();
    assert_eq!(receive(&mut peer, 10).await, expected);
    assert_eq!(node.adapter.stats().lost, 10);
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    eventually("offsets again", async || {
        node.main().emit("probe", &());
        tokio::time::sleep(Duration::from_millis(20)).await;
        peer.outbox.take().iter().any(|line| parts(line).2.is_some())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_wait_for_a_redis_that_comes_back() {
    if !server::is_there() {
        return;
    }
    let mut redis = Redis::start_durable();
    let [first, second] = nodes(&redis).await;
    let [mut near, mut far] = [Peer::new(&first.io), Peer::new(&second.io)];
    let id = id(&connect(&mut near, &Value::Null).await.1);
    connect(&mut far, &Value::Null).await;
    redis.kill();
    outage_is_known(&first, &mut near, &id).await;
    for n in 0..50 {
        first.main().emit("e", &n);
    }
    assert_eq!(receive(&mut near, 50).await.len(), 50);
    redis.start_again();
    let lines = receive(&mut far, 50).await;
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(parts(line).1, json!(n));
    }
    // The probe may be.
    assert!(first.adapter.stats().lost <= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_are_spread_over_streams() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let config = config_with(StreamsConfig {
        stream_count: 3,
        ..StreamsConfig::default()
    });
    let [first, second] = Node::start_all(&redis.url(), &config, &recoverable()).await;
    // The hash of the last one is negative.
    for name in ["/", "/chat", "/support"] {
        let (here, _) = (first.io.of(name), second.io.of(name));
        let mut peer = Peer::joined(&second.io, name);
        here.emit("hello", &1);
        let line = receive(&mut peer, 1).await.remove(0);
        assert!(line.contains(r#"["hello",1,""#), "{line}");
        // As a Node server puts it there, which writes of the last one where its own nodes do not read.
        let stream = match name {
            "/" => "socket.io-2",
            "/chat" => "socket.io-1",
            _ => "socket.io--1",
        };
        let data = r#"{"packet":{"type":2,"data":["from node"]},"opts":{"rooms":[],"except":[],"flags":{}}}"#;
        redis.cli(&[
            "XADD", stream, "*", "uid", "node", "nsp", name, "type", "3", "data", data,
        ]);
        let line = receive(&mut peer, 1).await.remove(0);
        assert_eq!(line.contains(r#"["from node","#), name != "/support", "{line}");
    }
    let mut names: Vec<String> = redis
        .cli(&["KEYS", "socket.io*"])
        .lines()
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["socket.io--1", "socket.io-1", "socket.io-2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_gone_is_a_fresh_start() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let [node] = nodes(&redis).await;
    let (peer, reply, offset) = joined(&node, "red").await;
    lose(&redis, peer, &reply).await;
    let pid = reply["pid"].as_str().unwrap();
    for (offset, is_kept) in [("1-0", true), ("x", true), ("", true), (&*offset, false)] {
        if !is_kept {
            redis.cli(&["XTRIM", "socket.io", "MAXLEN", "0"]);
        }
        let mut peer = Peer::new(&node.io);
        let (missed, again) = connect(&mut peer, &claim(&reply, offset)).await;
        assert!(missed.is_empty());
        assert_ne!(again["pid"], reply["pid"]);
    }
    // What cannot be given back is left where it is, until its time is over.
    let left: u64 = redis
        .cli(&["PTTL", &format!("sio:session:{pid}")])
        .trim()
        .parse()
        .unwrap();
    assert!(left <= 120_000, "{left}");
}

async fn conforming(count: usize) -> (Vec<Arc<dyn ClusterAdapter>>, Option<Redis>) {
    support::conforming(count, &config()).await
}

mod conforms {
    gatewire_hub::cluster_suite!(super::conforming);
}
