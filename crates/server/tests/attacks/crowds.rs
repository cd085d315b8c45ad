//! Much of what a client may have: namespaces, rooms, answers that it owes, sessions.

use gatewire_hub::HubConfig;
use gatewire_server::{EngineConfig, Limits, ListenerConfig};

use crate::support::{Frame, TestSocket};
use crate::world::{World, answers, hurried, resident};

/// The next text that is no ping and not as this.
async fn next(socket: &mut TestSocket, other: &str) -> Option<String> {
    loop {
        match socket.receive().await {
            Frame::Text(text) if text == "2" => socket.text("3").await,
            Frame::Text(text) if !other.is_empty() && text.starts_with(other) => {}
            Frame::Text(text) => return Some(text),
            Frame::Close(_) | Frame::End => return None,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_joins_no_more_than_so_many_namespaces() {
    let world = World::start().await;
    world.io.of_pattern("/room-:id").on_connection(|_| ());
    let mut greedy = world.joined().await;
    let mut joined = 1;
    for number in 0..5_000 {
        greedy.text(&format!("40/room-{number},")).await;
        match next(&mut greedy, "").await {
            Some(text) => assert!(text.starts_with(&format!("40/room-{number},")), "{text}"),
            None => break,
        }
        joined += 1;
    }
    assert_eq!(joined, 64);
    world.has_clients(0).await;
    world.serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_invent_no_more_than_so_many_namespaces() {
    let hub = HubConfig {
        max_dynamic_namespaces: 50,
        ..HubConfig::default()
    };
    let world = World::with(EngineConfig::default(), hub, ListenerConfig::default()).await;
    world.io.of_pattern("/room-:id").on_connection(|_| ());
    for client in 0..20 {
        let mut socket = world.joined().await;
        for number in 0..20 {
            socket.text(&format!("40/room-{client}-{number},")).await;
            let answer = next(&mut socket, "").await.unwrap();
            let is_let_in = client * 20 + number < 50;
            assert_eq!(
                answer.starts_with("40/"),
                is_let_in,
                "{client} {number}: {answer}"
            );
        }
    }
    assert_eq!(world.io.namespaces().len(), 51);
    // What nobody may join is asked for in vain, and not remembered.
    let mut socket = world.joined().await;
    for number in 0..5_000 {
        socket.text(&format!("40/nothing-{number},")).await;
        assert!(next(&mut socket, "").await.unwrap().starts_with("44/nothing"));
    }
    assert_eq!(world.io.namespaces().len(), 51);
    world.serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_in_no_more_than_so_many_rooms() {
    let hub = HubConfig {
        max_rooms_per_socket: 500,
        ..HubConfig::default()
    };
    let world = World::with(EngineConfig::default(), hub, ListenerConfig::default()).await;
    let mut greedy = world.joined().await;
    for number in 0..2_000 {
        greedy.text(&format!(r#"425["join","room {number}"]"#)).await;
        let entered = next(&mut greedy, "").await.unwrap();
        assert_eq!(entered, format!("435[{}]", number < 500));
    }
    assert_eq!(world.root().rooms().len(), 500);
    answers(&mut greedy).await;
    drop(greedy);
    world.has_clients(0).await;
    assert!(world.root().rooms().is_empty(), "they go with their last member");
    world.serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_acknowledges_owes_no_more_than_so_many_answers() {
    let hub = HubConfig {
        max_pending_acks: 100,
        ..HubConfig::default()
    };
    let world = World::with(EngineConfig::default(), hub, ListenerConfig::default()).await;
    let mut silent = world.joined().await;
    for _ in 0..1_000 {
        silent.text(r#"426["ask"]"#).await;
    }
    // What is beyond it fails at once, and the handler goes on.
    for _ in 0..900 {
        assert_eq!(next(&mut silent, "42").await.unwrap(), "436[false]");
    }
    answers(&mut silent).await;
    drop(silent);
    world.has_clients(0).await;
    world.serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_opened_and_left_go_by_themselves() {
    let world = World::with(hurried(), HubConfig::default(), ListenerConfig::default()).await;
    let mut left = Vec::new();
    for _ in 0..200 {
        let _ = world.polling().await;
        left.push(world.websocket().await);
    }
    // They are there, but in no namespace, and answer no ping.
    world.has_clients(0).await;
    drop(left);
    let mut good = world.joined().await;
    answers(&mut good).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_there_are_no_more_than_so_many() {
    let before = resident();
    let config = EngineConfig {
        limits: Limits {
            max_sessions: 100,
            ..hurried().limits
        },
        ..hurried()
    };
    let world = World::with(config, HubConfig::default(), ListenerConfig::default()).await;
    let target = "/socket.io/?EIO=4&transport=polling";
    let mut refused = 0;
    for _ in 0..300 {
        match world.request(target, "").await.0 {
            200 => {}
            503 => refused += 1,
            other => panic!("{other}"),
        }
        assert!(world.engine.clients_count() <= 100);
    }
    assert!(refused > 0);
    assert!(resident() < before + 256);
    world.has_clients(0).await;
    let mut good = world.joined().await;
    answers(&mut good).await;
}
