//! Tricks with the path of a request: whatever is written there, it is the engine's own path, letter by letter, or
//! somebody else's, and nothing of it leads into a folder.

use gatewire_hub::HubConfig;
use gatewire_server::{EngineConfig, ListenerConfig};

use crate::world::{World, status_of};

const QUERY: &str = "?EIO=4&transport=polling";

/// The status of a GET of this target.
async fn get(world: &World, target: &str) -> u16 {
    let answer = world
        .answer_to(format!(
            "GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
        ))
        .await;
    status_of(&answer)
}

#[tokio::test]
async fn path_tricks_are_another_path() {
    let world = World::start().await;
    for path in [
        "//socket.io/",
        "/./socket.io/",
        "/x/../socket.io/",
        "/%2e/socket.io/",
        "/%73ocket.io/",
        "/socket%2eio/",
        "/socket.io%2f",
        "/socket.io",
        "/Socket.io/",
        "/socket.io\\",
        "/socket.io;a=b/",
        "/",
        "*",
    ] {
        let status = get(&world, &format!("{path}{QUERY}")).await;
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
    world.serves().await;
}

#[tokio::test]
async fn what_follows_the_path_changes_nothing() {
    let world = World::start().await;
    // As in the Node server: what begins with the path is the engine's.
    for path in [
        "/socket.io/",
        "/socket.io//",
        "/socket.io/../",
        "/socket.io/%2e%2e/",
        "/socket.io/x/y/",
        "http://elsewhere.example/socket.io/",
    ] {
        assert_eq!(get(&world, &format!("{path}{QUERY}")).await, 200, "{path}");
    }
    assert_eq!(world.engine.clients_count(), 6);
    world.serves().await;
}

#[tokio::test]
async fn client_files_are_a_list_and_no_folder() {
    let folder = std::env::temp_dir().join(format!("gatewire-attack-{}", std::process::id()));
    let inner = folder.join("dist");
    std::fs::create_dir_all(&inner).unwrap();
    std::fs::write(folder.join("secret.js"), "secret").unwrap();
    for name in ["socket.io.js", "socket.io.js.map", "private.js"] {
        std::fs::write(inner.join(name), "served").unwrap();
    }
    let config = EngineConfig {
        client_files: Some(inner),
        ..EngineConfig::default()
    };
    let world = World::with(config, HubConfig::default(), ListenerConfig::default()).await;
    let mut answers = Vec::new();
    for path in [
        "/socket.io/../secret.js",
        "/socket.io/%2e%2e/secret.js",
        "/socket.io/..%2fsecret.js",
        "/socket.io/....//secret.js",
        "/socket.io/private.js",
        "/socket.io//etc/passwd",
        "/socket.io/socket.io.js/../../secret.js",
        "/socket.io/socket.io.js%00.map",
    ] {
        answers.push((path, world.request(path, "").await));
    }
    let bundle = world.request("/socket.io/socket.io.js", "").await;
    std::fs::remove_dir_all(folder).unwrap();
    for (path, (status, body)) in answers {
        assert!(status == 400 || status == 404, "{path}: {status}");
        assert!(
            !body.contains("secret") && !body.contains("served"),
            "{path}: {body}"
        );
    }
    assert_eq!(bundle, (200, "served".to_owned()));
    world.serves().await;
}

#[tokio::test]
async fn a_huge_url_is_refused() {
    let world = World::start().await;
    for length in [16 << 10, 64 << 10, 1 << 20] {
        let status = get(&world, &format!("/socket.io/{QUERY}&x={}", "a".repeat(length))).await;
        assert!(matches!(status, 414 | 431), "{length}: {status}");
    }
    assert_eq!(world.engine.clients_count(), 0);
    world.serves().await;
}
