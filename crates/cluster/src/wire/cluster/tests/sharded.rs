//! What the sharded adapter of Node was seen to send.

use std::time::Duration;

use bytes::Bytes;

use super::*;

const A: &str = "4ba7fd3530498b3c";
const B: &str = "f43b0ee63d461ab8";

#[test]
fn the_text_messages_of_the_sharded_adapter() {
    let cases: [(&str, &str, Body<'_>); 11] = [
        (
            r#"{"type":3,"data":{"packet":{"type":2,"data":["hello",1]},"opts":{"rooms":[],"except":[],"flags":{}}},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::Broadcast {
                event: event(r#"["hello",1]"#),
                target: everyone(),
                request: None,
            },
        ),
        (
            r#"{"type":3,"data":{"packet":{"type":2,"data":["r",{"a":[1,"x"]}]},"opts":{"rooms":["room1"],"except":[],"flags":{}}},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::Broadcast {
                event: event(r#"["r",{"a":[1,"x"]}]"#),
                target: to(&["room1"]),
                request: None,
            },
        ),
        (
            r#"{"type":3,"data":{"packet":{"type":2,"data":["m"]},"opts":{"rooms":["room1","room2"],"except":["zz"],"flags":{"volatile":true,"compress":false}}},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::Broadcast {
                event: event(r#"["m"]"#),
                target: Target {
                    except: rooms(&["zz"]),
                    volatile: true,
                    compress: false,
                    ..to(&["room1", "room2"])
                },
                request: None,
            },
        ),
        (
            r#"{"type":3,"data":{"packet":{"type":2,"data":["q",7]},"requestId":"14e27d59e4ff5a57","opts":{"rooms":[],"except":[],"flags":{"timeout":500}}},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::Broadcast {
                event: event(r#"["q",7]"#),
                target: Target {
                    timeout: Some(Duration::from_millis(500)),
                    ..everyone()
                },
                request: Some("14e27d59e4ff5a57".into()),
            },
        ),
        (
            r#"{"type":11,"data":{"requestId":"14e27d59e4ff5a57","clientCount":1},"uid":"f43b0ee63d461ab8","nsp":"/"}"#,
            B,
            Body::BroadcastClientCount {
                request: "14e27d59e4ff5a57".into(),
                count: 1,
            },
        ),
        (
            r#"{"type":12,"data":{"requestId":"14e27d59e4ff5a57","packet":"ans"},"uid":"f43b0ee63d461ab8","nsp":"/"}"#,
            B,
            Body::BroadcastAck {
                request: "14e27d59e4ff5a57".into(),
                answer: payload(&json!("ans")),
            },
        ),
        (
            r#"{"type":7,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"requestId":"869d3e29c03388b7"},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::FetchSockets {
                target: everyone(),
                request: "869d3e29c03388b7".into(),
            },
        ),
        (
            r#"{"type":4,"data":{"opts":{"rooms":["room1"],"except":[],"flags":{}},"rooms":["x","y"]},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::SocketsJoin {
                target: to(&["room1"]),
                rooms: rooms(&["x", "y"]),
            },
        ),
        (
            r#"{"type":5,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"rooms":["x"]},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::SocketsLeave {
                target: everyone(),
                rooms: rooms(&["x"]),
            },
        ),
        (
            r#"{"type":6,"data":{"opts":{"rooms":["room1"],"except":[],"flags":{}},"close":true},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::DisconnectSockets {
                target: to(&["room1"]),
                close: true,
            },
        ),
        (
            r#"{"type":9,"data":{"packet":["sse",1]},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
            A,
            Body::ServerSideEmit {
                name: "sse".into(),
                args: payload(&json!(1)),
                request: None,
            },
        ),
    ];
    for (text, uid, body) in cases {
        is_both_ways(text.as_bytes(), Form::Text, &message(uid, body));
    }
    is_both_ways(
        br#"{"type":9,"data":{"requestId":"d10cc8d94661835e","packet":["sse",1]},"uid":"4ba7fd3530498b3c","nsp":"/"}"#,
        Form::Text,
        &message(
            A,
            Body::ServerSideEmit {
                name: "sse".into(),
                args: payload(&json!(1)),
                request: Some("d10cc8d94661835e".into()),
            },
        ),
    );
    is_both_ways(
        br#"{"type":10,"data":{"requestId":"d10cc8d94661835e","packet":"pong"},"uid":"f43b0ee63d461ab8","nsp":"/"}"#,
        Form::Text,
        &message(
            B,
            Body::ServerSideEmitResponse {
                request: "d10cc8d94661835e".into(),
                answer: payload(&json!("pong")),
            },
        ),
    );
}

#[test]
fn the_members_that_come_and_go() {
    for (kind, body) in [
        (1, Body::InitialHeartbeat),
        (2, Body::Heartbeat),
        (13, Body::AdapterClose),
    ] {
        let text = format!(r#"{{"type":{kind},"uid":"{A}","nsp":"/"}}"#);
        is_both_ways(text.as_bytes(), Form::Text, &message(A, body));
    }
}

#[test]
fn the_sockets_of_a_node() {
    let text = r#"{"type":8,"data":{"requestId":"869d3e29c03388b7","sockets":[{"id":"sS8I4MuwqbAWq7taAAAA","handshake":{"headers":{"sec-websocket-version":"13","sec-websocket-key":"siHYHeKO71Z1EhiXYhKHNA==","connection":"Upgrade","upgrade":"websocket","sec-websocket-extensions":"permessage-deflate; client_max_window_bits","host":"localhost:23027"},"time":"Mon Nov 23 2026 06:29:27 GMT+0000 (Coordinated Universal Time)","address":"::ffff:127.0.0.1","xdomain":false,"secure":false,"issued":1795415367966,"url":"/socket.io/?EIO=4&transport=websocket","query":{"EIO":"4","transport":"websocket"},"auth":{}},"rooms":["sS8I4MuwqbAWq7taAAAA","room1"],"data":{"name":"bob"}}]},"uid":"f43b0ee63d461ab8","nsp":"/"}"#;
    let frame = Frame::read(text.as_bytes(), &LIMITS).unwrap();
    let message = frame.message().unwrap();
    let Body::FetchSocketsResponse { request, sockets } = &message.body else {
        panic!("{message:?}")
    };
    assert_eq!(request, "869d3e29c03388b7");
    let [socket] = sockets.as_slice() else {
        panic!("{sockets:?}")
    };
    assert_eq!(socket.id.as_str(), "sS8I4MuwqbAWq7taAAAA");
    assert_eq!(socket.rooms, rooms(&["sS8I4MuwqbAWq7taAAAA", "room1"]));
    assert_eq!(socket.data, json!({"name": "bob"}));
    assert_eq!(socket.handshake["issued"], json!(1_795_415_367_966_u64));
    for form in [Form::Text, Form::Msgpack] {
        let bytes = message.encode(form).unwrap();
        let again = Frame::read(&bytes, &LIMITS).unwrap();
        assert_eq!(again.message().unwrap(), message);
    }
}

#[test]
fn bytes_in_the_data_of_a_socket_are_spelled_as_javascript_does() {
    // notepack 3 of {type:8,data:{requestId:"r",sockets:[{id,rooms:[7],data:{avatar:<Buffer 01 02>}}]},uid:"u",nsp:"/"}
    let bytes = hex(
        "84a47479706508a46461746182a9726571756573744964a172a7736f636b6574739183a26964b473533849344d7577716241577137746141414141a5726f6f6d739107a46461746181a6617661746172c4020102a3756964a175a36e7370a12f",
    );
    let frame = Frame::read(&bytes, &LIMITS).unwrap();
    let message = frame.message().unwrap();
    let Body::FetchSocketsResponse { sockets, .. } = &message.body else {
        panic!("{message:?}")
    };
    assert_eq!(sockets[0].rooms, rooms(&["7"]));
    assert_eq!(sockets[0].handshake, Value::Null);
    assert_eq!(
        sockets[0].data,
        json!({"avatar": {"type": "Buffer", "data": [1, 2]}})
    );
}

#[test]
fn the_messagepack_of_the_sharded_adapter() {
    let attachments = [Bytes::from_static(&[1, 2, 3]), Bytes::from_static(&[4])];
    is_both_ways(
        &hex(
            "84a47479706503a46461746182a67061636b657482a47479706502a46461746193a362696ec40301020381a162c40104a46f70747383a5726f6f6d7391b473533849344d7577716241577137746141414141a665786365707490a5666c61677380a3756964b034626137666433353330343938623363a36e7370a12f",
        ),
        Form::Text,
        &message(
            A,
            Body::Broadcast {
                event: EventData {
                    data: r#"["bin",{"_placeholder":true,"num":0},{"b":{"_placeholder":true,"num":1}}]"#,
                    attachments: &attachments,
                },
                target: to(&["sS8I4MuwqbAWq7taAAAA"]),
                request: None,
            },
        ),
    );
}
