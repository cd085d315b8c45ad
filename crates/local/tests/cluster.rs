//! Nodes over sockets of a directory: what every adapter must do, and what becomes of nodes that die.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use gatewire_hub::cluster::{Cluster, ClusterAdapter, ClusterError};
use gatewire_hub::{BroadcastAckError, FetchError};
use gatewire_local::{LocalCluster, LocalConfig};
use support::{Folder, Node, PATIENCE, Peer, eventually, receive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

async fn adapters(count: usize) -> (Vec<Arc<dyn ClusterAdapter>>, Folder) {
    let folder = Folder::new();
    let mut nodes = Vec::new();
    for _ in 0..count {
        nodes.push(LocalCluster::at(folder.path()).await.unwrap().join());
    }
    (nodes, folder)
}

mod conforms {
    gatewire_hub::cluster_suite!(super::adapters);
}

/// Answers take as long as they may: whoever ends before has not waited for a dead node.
fn patient() -> LocalConfig {
    LocalConfig {
        requests_timeout: 10 * PATIENCE,
        ..LocalConfig::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_is_missed_at_once() {
    let folder = Folder::new();
    let first = Node::start(&folder, patient()).await;
    let second = Node::start(&folder, patient()).await;
    let third = Node::start_apart(&folder, patient()).await;
    for node in [&first, &second, &third] {
        node.meet(3).await;
    }
    let mut silent = Peer::new(&third.io);
    silent.join("/");
    let mut near = Peer::new(&second.io);
    near.join("/");
    let here = first.main();
    third.main().on_server_side("who", |_, _| {});
    second.main().on_server_side("who", |_, event| {
        event.ack().expect("an answer is wanted").send(&"second");
    });
    // Who was heard is told of, until it goes.
    third.main().emit("hello", &());
    receive(&mut near, 1).await;
    receive(&mut silent, 1).await;
    let heard = second.adapter.status().heard;
    assert!(matches!(&*heard, [(_, age)] if *age < PATIENCE), "{heard:?}");
    // Both questions reach the third node, which never answers them.
    let servers = tokio::spawn({
        let here = here.clone();
        async move {
            here.server_side_emit_with_ack("who", &())
                .timeout(10 * PATIENCE)
                .await
        }
    });
    let clients = here.timeout(10 * PATIENCE).emit_with_ack("question", &1);
    let clients = tokio::spawn(clients.into_future());
    let asked = receive(&mut near, 1).await;
    receive(&mut silent, 1).await;
    let id: String = asked[0].chars().filter(char::is_ascii_digit).skip(1).collect();
    let id = id.trim_end_matches('1');
    near.recv(&format!(r#"3{id}["yes"]"#)).unwrap();

    third.kill();
    let error = timeout(PATIENCE, servers)
        .await
        .expect("an end")
        .unwrap()
        .unwrap_err();
    let BroadcastAckError::Timeout {
        responses,
        silent_nodes,
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(responses.len(), 1);
    assert_eq!((silent_nodes.count, silent_nodes.names.len()), (1, 1));
    let error = timeout(PATIENCE, clients)
        .await
        .expect("an end")
        .unwrap()
        .unwrap_err();
    let BroadcastAckError::Timeout {
        responses, missing, ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!((responses.len(), missing), (1, 1));

    first.meet(2).await;
    // Each node learns of it by itself.
    second.meet(2).await;
    eventually("only the living to be heard", async || {
        second.adapter.status().heard.len() == 1
    })
    .await;
    assert_eq!(here.fetch_sockets().await.len(), 1);
    eventually("its socket to be removed", async || folder.sockets().len() == 2).await;
    here.emit("after", &());
    assert_eq!(receive(&mut near, 1).await, [r#"2["after"]"#]);
    assert_eq!(first.cluster.stats().lost, 0, "what was for the dead is not lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_of_the_dead_are_removed_by_who_comes() {
    let folder = Folder::new();
    let dead = Node::start_apart(&folder, LocalConfig::default()).await;
    eventually("the socket to be there", async || !folder.sockets().is_empty()).await;
    let stale = folder.sockets();
    dead.kill();
    let [first, second] = [
        Node::start(&folder, LocalConfig::default()).await,
        Node::start(&folder, LocalConfig::default()).await,
    ];
    first.meet(2).await;
    second.meet(2).await;
    eventually("only the living to have sockets", async || {
        let sockets = folder.sockets();
        sockets.len() == 2 && !sockets.contains(&stale[0])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_leaves_takes_its_socket_and_is_not_waited_for() {
    let folder = Folder::new();
    let [first, second] = [
        Node::start(&folder, patient()).await,
        Node::start(&folder, patient()).await,
    ];
    first.meet(2).await;
    let mut peer = Peer::new(&first.io);
    peer.join("/");
    second.meet(2).await;
    second.main().emit("last", &());
    second.io.close();
    assert_eq!(receive(&mut peer, 1).await, [r#"2["last"]"#]);
    first.meet(1).await;
    assert_eq!(folder.sockets().len(), 1);
    assert_eq!(first.main().fetch_sockets().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_somebody_removed_comes_again() {
    let folder = Folder::new();
    let config = LocalConfig {
        rescan: Duration::from_millis(50),
        ..LocalConfig::default()
    };
    let first = Node::start(&folder, config.clone()).await;
    eventually("the socket to be there", async || !folder.sockets().is_empty()).await;
    for socket in folder.sockets() {
        std::fs::remove_file(folder.path().join("nodes").join(socket)).unwrap();
    }
    let second = Node::start(&folder, config).await;
    first.meet(2).await;
    second.meet(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_messages_none_lost_and_none_twice() {
    const COUNT: usize = 10_000;
    let folder = Folder::new();
    let config = LocalConfig {
        max_queue: 2 * COUNT,
        ..LocalConfig::default()
    };
    let nodes = [
        Node::start(&folder, config.clone()).await,
        Node::start_apart(&folder, config.clone()).await,
        Node::start_apart(&folder, config).await,
    ];
    for node in &nodes {
        node.meet(3).await;
    }
    let mut peers: Vec<Peer> = nodes.iter().map(|node| Peer::new(&node.io)).collect();
    for peer in &mut peers {
        peer.join("/");
    }
    let here = nodes[0].main();
    for n in 0..COUNT {
        here.emit("n", &n);
    }
    let expected: Vec<String> = (0..COUNT).map(|n| format!(r#"2["n",{n}]"#)).collect();
    for peer in &mut peers[1..] {
        let got = receive(peer, COUNT).await;
        let different = got.iter().zip(&expected).position(|(one, other)| one != other);
        assert_eq!((different, got.len()), (None, COUNT));
    }
    // The last one for each, and nothing more.
    here.emit("end", &());
    for peer in &mut peers[1..] {
        assert_eq!(receive(peer, 1).await, [r#"2["end"]"#]);
    }
    let stats = nodes[0].cluster.stats();
    assert_eq!((stats.lost, stats.malformed), (0, 0), "{stats:?}");
}

/// The end of the connection to a node may be noticed before the last that came from it is read.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_says_before_it_leaves_is_heard() {
    for _ in 0..50 {
        let folder = Folder::new();
        let first = Node::start(&folder, patient()).await;
        let second = Node::start(&folder, patient()).await;
        first.meet(2).await;
        second.meet(2).await;
        let leaving = second.io.clone();
        second.main().on_server_side("last", move |_, event| {
            event.ack().expect("an answer is wanted").send(&"word");
            leaving.close();
        });
        let answers = first
            .main()
            .server_side_emit_with_ack("last", &())
            .timeout(PATIENCE)
            .await;
        assert_eq!(answers.unwrap().len(), 1);
    }
}

/// A node that connects by hand: its name is there, and a socket that takes connections and is never read.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_node_does_not_take_is_bounded_and_counted() {
    let folder = Folder::new();
    let config = LocalConfig {
        max_queue: 10,
        ..LocalConfig::default()
    };
    let node = Node::start(&folder, config).await;
    let listener = tokio::net::UnixListener::bind(folder.path().join("nodes/stopped.sock")).unwrap();
    let (mut stream, _) = timeout(PATIENCE, listener.accept())
        .await
        .expect("a connection")
        .unwrap();
    let big = "x".repeat(100_000);
    for _ in 0..100 {
        node.main().emit("big", &big);
    }
    let lost = node.cluster.stats().lost;
    assert!((1..=90).contains(&lost), "{lost}");
    // When it goes on it has what waited, whole.
    let mut start = [0; 4];
    timeout(PATIENCE, stream.read_exact(&mut start))
        .await
        .expect("a frame")
        .unwrap();
    let mut hello = vec![0; u32::from_be_bytes(start) as usize];
    stream.read_exact(&mut hello).await.unwrap();
    assert!(hello.starts_with(b"\0gatewire-local/1 "), "{hello:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_nonsense_is_hung_up_on() {
    let folder = Folder::new();
    let config = LocalConfig {
        max_message: 1_000,
        ..LocalConfig::default()
    };
    let node = Node::start(&folder, config).await;
    eventually("the socket to be there", async || !folder.sockets().is_empty()).await;
    let socket = folder.path().join("nodes").join(&folder.sockets()[0]);
    let hello = b"\0\0\0\x13\0gatewire-local/1 a";
    for (nonsense, is_greeted) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], false),
        (b"\0\0\0\x05\x01hey!", false),
        (b"\0\0\x10\0\x01", true),
        (b"\0\0\0\x01\x09", true),
        (b"\0\0\0\0", true),
        (hello, true),
    ] {
        let before = node.cluster.stats().malformed;
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        if is_greeted {
            stream.write_all(hello).await.unwrap();
        }
        stream.write_all(nonsense).await.unwrap();
        let mut rest = Vec::new();
        let end = timeout(PATIENCE, stream.read_to_end(&mut rest))
            .await
            .expect("an end");
        assert!(end.is_err() || rest.is_empty());
        eventually("it to be counted", async || {
            node.cluster.stats().malformed == before + 1
        })
        .await;
    }
    // A message that is none is skipped, and the connection stays.
    let mut stream = UnixStream::connect(&socket).await.unwrap();
    stream.write_all(hello).await.unwrap();
    stream.write_all(b"\0\0\0\x03\x01{}\0\0\0\x01\x01").await.unwrap();
    eventually("both to be counted", async || node.cluster.stats().malformed == 8).await;
    assert_eq!(node.adapter.server_count("/").await, 1);
}

#[tokio::test]
async fn a_directory_that_is_no_place_is_an_error() {
    let folder = Folder::new();
    let nodes = folder.path().join("nodes");
    std::fs::create_dir_all(&nodes).unwrap();
    std::fs::set_permissions(&nodes, std::fs::Permissions::from_mode(0o755)).unwrap();
    let told = async |path: std::path::PathBuf| match LocalCluster::at(path).await {
        Err(ClusterError::Config { message }) => message,
        other => panic!("{other:?}"),
    };
    assert!(told(folder.path().to_owned()).await.contains("chmod 700"));
    std::fs::set_permissions(&nodes, std::fs::Permissions::from_mode(0o700)).unwrap();
    LocalCluster::at(folder.path()).await.unwrap();
    let long = folder.path().join("x".repeat(100));
    assert!(told(long).await.contains("a shorter path"));
    std::fs::write(folder.path().join("file"), "").unwrap();
    assert!(told(folder.path().join("file")).await.contains("cannot be made"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_never_answers_is_named() {
    let folder = Folder::new();
    let config = LocalConfig {
        requests_timeout: Duration::from_millis(200),
        ..LocalConfig::default()
    };
    let node = Node::start(&folder, config).await;
    let listener = tokio::net::UnixListener::bind(folder.path().join("nodes/stopped.sock")).unwrap();
    let _to = timeout(PATIENCE, listener.accept())
        .await
        .expect("a connection")
        .unwrap();
    let socket = folder
        .sockets()
        .into_iter()
        .find(|name| name != "stopped.sock")
        .unwrap();
    let mut from = UnixStream::connect(folder.path().join("nodes").join(socket))
        .await
        .unwrap();
    from.write_all(b"\0\0\0\x19\0gatewire-local/1 stopped\0\0\0\x02\x02/")
        .await
        .unwrap();
    node.meet(2).await;
    let start = Instant::now();
    let FetchError {
        sockets,
        silent_nodes,
        ..
    } = node
        .main()
        .except("nobody")
        .try_fetch_sockets()
        .await
        .unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert!(sockets.is_empty());
    assert_eq!(silent_nodes.names, ["stopped".into()]);
}
