//! Socket.IO packets that ask for more than they are worth: attachments, placeholders, names that mean something in
//! JavaScript, and JSON without a floor.

use gatewire_proto::websocket::Opcode;

use crate::support::{Frame, TestSocket};
use crate::world::{World, answers, resident};

/// Sends these, and is put out.
async fn is_put_out(world: &World, packets: &[&str]) {
    let mut socket = world.joined().await;
    for packet in packets {
        socket.text(packet).await;
    }
    loop {
        match socket.receive().await {
            Frame::Text(_) => {}
            Frame::Close(_) | Frame::End => return,
            other => panic!("{other:?} behind {packets:?}"),
        }
    }
}

async fn ask(socket: &mut TestSocket, packet: &str) -> String {
    socket.text(packet).await;
    match socket.receive().await {
        Frame::Text(text) => text,
        other => panic!("{other:?} instead of an answer to {packet}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attachment_flood_is_bounded_in_number_and_bytes() {
    let world = World::start().await;
    let before = resident();
    for announced in ["11", "999999999", "18446744073709551616", "-1", "1e9", "0x10", ""] {
        is_put_out(&world, &[&format!(r#"45{announced}-["echo"]"#)]).await;
    }
    // Ten of a megabyte each, from fifty clients, none of which sends the last one.
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let mut socket = world.joined().await;
        socket
            .text(r#"4510-["echo",{"_placeholder":true,"num":0}]"#)
            .await;
        for _ in 0..9 {
            socket.send(Opcode::Binary, &[7; 900_000]).await;
        }
        waiting.push(socket);
    }
    let mut good = world.joined().await;
    answers(&mut good).await;
    drop(waiting);
    world.has_clients(1).await;
    assert!(resident() < before + 256, "{} MB after {before}", resident());
    // Bytes that nobody announced, and text where bytes are due.
    let mut socket = world.joined().await;
    socket.send(Opcode::Binary, b"x").await;
    assert!(matches!(socket.receive().await, Frame::Close(_)));
    is_put_out(
        &world,
        &[r#"451-["echo",{"_placeholder":true,"num":0}]"#, r#"42["echo"]"#],
    )
    .await;
    world.serves().await;
}

#[tokio::test]
async fn placeholders_name_nothing_but_attachments() {
    let world = World::start().await;
    for num in [
        "1",
        "-1",
        "0.5",
        "1e1",
        "\"0\"",
        "\"constructor\"",
        "\"__proto__\"",
        "null",
        "[0]",
        "99999999999999999999",
    ] {
        let mut socket = world.joined().await;
        socket
            .text(&format!(r#"451-7["echo",{{"_placeholder":true,"num":{num}}}]"#))
            .await;
        let end = socket.receive().await;
        assert!(matches!(end, Frame::Close(_)), "{num}: {end:?}");
    }
    // One attachment that is named many times would be as many copies of it.
    let named = vec![r#"{"_placeholder":true,"num":0}"#; 25_000].join(",");
    is_put_out(&world, &[&format!(r#"451-["echo",{named}]"#)]).await;
    // What only looks like one is data.
    let mut socket = world.joined().await;
    let data = r#"{"_placeholder":true,"num":0}"#;
    assert_eq!(
        ask(&mut socket, &format!(r#"427["echo",{data}]"#)).await,
        format!("437[{data}]")
    );
    world.serves().await;
}

#[tokio::test]
async fn names_of_javascript_are_names() {
    let world = World::start().await;
    let mut socket = world.joined().await;
    for name in [
        "__proto__",
        "constructor",
        "toString",
        "hasOwnProperty",
        "prototype",
        "then",
        "",
        "\\u0000",
    ] {
        // No listener has it, so nobody answers; nothing else happens.
        socket.text(&format!(r#"429["{name}",1]"#)).await;
        answers(&mut socket).await;
        let value = format!(r#"{{"{name}":{{"{name}":1}}}}"#);
        assert_eq!(
            ask(&mut socket, &format!(r#"427["echo",{value}]"#)).await,
            format!("437[{value}]")
        );
        assert_eq!(
            ask(&mut socket, &format!(r#"428["join","{name}"]"#)).await,
            "438[true]"
        );
    }
    for reserved in [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    ] {
        is_put_out(&world, &[&format!(r#"42["{reserved}"]"#)]).await;
    }
    for namespace in ["/__proto__", "/constructor", "/toString"] {
        let mut socket = world.joined().await;
        let refusal = ask(&mut socket, &format!("40{namespace},")).await;
        assert!(refusal.starts_with(&format!("44{namespace},")), "{refusal}");
        answers(&mut socket).await;
    }
    world.serves().await;
}

#[tokio::test]
async fn deep_json_is_told_to_its_sender_and_overflows_no_stack() {
    let world = World::start().await;
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        for depth in [101, 10_000, 150_000] {
            let mut socket = world.joined().await;
            let middle = if close == "}" { "1" } else { "" };
            let deep = format!("{}{middle}{}", open.repeat(depth), close.repeat(depth));
            socket.text(&format!(r#"427["echo",{deep}]"#)).await;
            answers(&mut socket).await;
            // Not even closed: nobody has looked so far.
            let mut socket = world.joined().await;
            let answer = ask(&mut socket, &format!(r#"427["echo",{}"#, open.repeat(depth))).await;
            assert!(answer.starts_with("437[") && answer.len() < 500, "{answer}");
            // In a CONNECT it is as harmless.
            let mut socket = world.websocket().await;
            socket.text(&format!("40{{\"token\":{deep}}}")).await;
            let end = socket.receive().await;
            assert!(matches!(end, Frame::Close(_) | Frame::Text(_)), "{end:?}");
        }
    }
    world.serves().await;
}
