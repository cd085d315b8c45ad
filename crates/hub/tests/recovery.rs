//! Clients that lose their connection and come back: who gets the session, the rooms, the data and the missed messages,
//! and who begins afresh. The transcripts are those of the Node server, but that volatile messages are not sent again.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gatewire_hub::{CloseReason, DisconnectReason, HubConfig, Io, Namespace, Recovery};
use proptest::prelude::*;
use support::{Peer, Script, serve_with};

fn config(recovery: Recovery) -> HubConfig {
    HubConfig {
        connection_state_recovery: Some(recovery),
        ..HubConfig::default()
    }
}

fn serve() -> (Io, Namespace) {
    serve_with(config(Recovery::default()), Script::default())
}

/// The id, the private id, and what came before and after the answer to CONNECT.
struct Joined {
    id: String,
    pid: String,
    before: Vec<String>,
    after: Vec<String>,
}

fn join(peer: &mut Peer, auth: &str) -> Joined {
    peer.recv(&format!("0{auth}")).unwrap();
    let mut before = peer.sent();
    let at = before.iter().position(|line| line.starts_with("0{")).unwrap();
    let after = before.split_off(at + 1);
    let reply: serde_json::Value = serde_json::from_str(&before.pop().unwrap()[1..]).unwrap();
    let text = |name: &str| reply[name].as_str().unwrap().to_owned();
    Joined {
        id: text("sid"),
        pid: text("pid"),
        before,
        after,
    }
}

fn claim(pid: &str, offset: &str) -> String {
    serde_json::json!({ "pid": pid, "offset": offset }).to_string()
}

/// The event without its offset, and the offset.
fn split(line: &str) -> (String, String) {
    let rest = line
        .strip_suffix("\"]")
        .unwrap_or_else(|| panic!("no offset: {line}"));
    let (event, offset) = rest
        .rsplit_once(",\"")
        .unwrap_or_else(|| panic!("no offset: {line}"));
    assert_eq!(offset.len(), 11, "{line}");
    (format!("{event}]"), offset.to_owned())
}

fn events(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| split(line).0).collect()
}

#[test]
fn events_have_offsets_but_for_volatile_and_asking_ones() {
    let (_, root) = serve();
    let mut peer = Peer::new(&root.io().clone());
    let joined = join(&mut peer, "");
    assert_ne!(joined.id, joined.pid);
    let socket = root.socket(&joined.id).unwrap();
    assert!(!socket.recovered());
    socket.emit("hello", &1);
    socket.emit("nothing", &());
    root.emit("bin", &Bytes::from_static(&[7]));
    root.to(&*joined.id).emit_args("room", &(4, "x"));
    let lines = peer.sent();
    assert_eq!(split(&lines[0]).0, r#"2["hello",1]"#);
    assert_eq!(split(&lines[1]).0, r#"2["nothing"]"#);
    assert_eq!(split(&lines[2]).0, r#"51-["bin",{"_placeholder":true,"num":0}]"#);
    assert_eq!(lines[3], "<07>");
    assert_eq!(split(&lines[4]).0, r#"2["room",4,"x"]"#);
    let offsets: Vec<_> = [0, 1, 2, 4].map(|at| split(&lines[at]).1).into();
    assert!(offsets.windows(2).all(|two| two[0] != two[1]));

    drop(socket.emit_with_ack("withack", &2));
    root.volatile().emit("volatile", &3);
    socket.volatile().emit("volatile", &4);
    assert_eq!(
        peer.sent(),
        [r#"20["withack",2]"#, r#"2["volatile",3]"#, r#"2["volatile",4]"#]
    );
}

#[test]
fn a_lost_client_gets_everything_back_once() {
    let (io, root) = serve();
    let mut peer = Peer::new(&io);
    let first = join(&mut peer, "");
    let socket = root.socket(&first.id).unwrap();
    socket.join(["red", "blue"]);
    socket.set(42_u8);
    root.emit("hello", &1);
    let offset = split(&peer.sent()[0]).1;
    peer.close(DisconnectReason::TransportClose);
    let _ = peer.poll_closed();

    root.emit("all", &1);
    root.to("red").emit("red", &Bytes::from_static(&[5]));
    root.to("green").emit("green", &3);
    root.except("blue").emit("not blue", &4);
    root.to(["red", "blue"]).emit("two", &5);
    root.volatile().emit("volatile", &6);
    socket.broadcast().emit("others", &7);
    socket.emit("direct", &8);
    root.to(&*first.id).emit("own", &9);
    io.of("/other").emit("other", &10);

    let mut again = Peer::new(&io);
    let second = join(&mut again, &claim(&first.pid, &offset));
    assert_eq!((&second.id, &second.pid), (&first.id, &first.pid));
    assert_eq!(second.before[2], "<05>");
    let texts: Vec<_> = second
        .before
        .iter()
        .filter(|line| **line != "<05>")
        .cloned()
        .collect();
    assert_eq!(
        events(&texts),
        [
            r#"2["all",1]"#,
            r#"51-["red",{"_placeholder":true,"num":0}]"#,
            r#"2["two",5]"#,
            r#"2["direct",8]"#,
            r#"2["own",9]"#,
        ]
    );
    assert_eq!(second.after, [""; 0]);
    let back = root.socket(&first.id).unwrap();
    assert!(back.recovered() && back != socket);
    assert_eq!(back.get::<u8>().as_deref(), Some(&42));
    let mut rooms: Vec<_> = back.rooms().iter().map(ToString::to_string).collect();
    rooms.sort();
    let mut expected = vec![first.id.clone(), "blue".to_owned(), "red".to_owned()];
    expected.sort();
    assert_eq!(rooms, expected);
    // The old handle speaks for the new socket.
    socket.emit("old handle", &1);
    root.to("blue").emit("blue", &2);
    assert_eq!(events(&again.sent()), [r#"2["old handle",1]"#, r#"2["blue",2]"#]);

    // Somebody else with the same claim begins afresh.
    let mut third = Peer::new(&io);
    let fresh = join(&mut third, &claim(&first.pid, &offset));
    assert_ne!(fresh.id, first.id);
    assert_ne!(fresh.pid, first.pid);
    assert_eq!(root.len(), 2);
}

#[test]
fn what_does_not_fit_is_a_fresh_session() {
    type Spoil = fn(&str, &str) -> String;
    let cases: [(&str, Spoil); 7] = [
        ("another id", |_, offset| claim("AAAAAAAAAAAAAAAAAAAA", offset)),
        ("no id", |_, offset| claim("x", offset)),
        ("another offset", |pid, _| claim(pid, "00000000000")),
        ("no offset", |pid, _| claim(pid, "é")),
        ("a number", |pid, _| format!(r#"{{"pid":"{pid}","offset":1}}"#)),
        ("no offset at all", |pid, _| format!(r#"{{"pid":"{pid}"}}"#)),
        ("nothing", |_, _| "{}".to_owned()),
    ];
    for (label, spoil) in cases {
        let (io, root) = serve();
        let mut peer = Peer::new(&io);
        let first = join(&mut peer, "");
        root.emit("hello", &1);
        let offset = split(&peer.sent()[0]).1;
        peer.close(DisconnectReason::TransportClose);
        root.emit("missed", &1);
        let mut again = Peer::new(&io);
        let second = join(&mut again, &spoil(&first.pid, &offset));
        assert_ne!(second.id, first.id, "{label}");
        assert_ne!(second.pid, first.pid, "{label}");
        assert!(second.before.is_empty() && second.after.is_empty(), "{label}");
        assert!(!root.socket(&second.id).unwrap().recovered());
    }
}

#[test]
fn only_some_reasons_keep_the_session() {
    type Way = fn(&mut Peer, &Io);
    let cases: [(&str, Way, bool); 9] = [
        (
            "close",
            |peer, _| peer.close(DisconnectReason::TransportClose),
            true,
        ),
        (
            "error",
            |peer, _| peer.close(DisconnectReason::TransportError),
            true,
        ),
        (
            "forced",
            |peer, _| peer.close(DisconnectReason::ForcedClose),
            true,
        ),
        ("ping", |peer, _| peer.close(DisconnectReason::PingTimeout), true),
        ("parse", |peer, _| peer.close(DisconnectReason::ParseError), false),
        (
            "server",
            |peer, io| {
                io.close();
                peer.close(CloseReason::ServerShuttingDown.into());
            },
            true,
        ),
        ("dropped", |peer, io| *peer = Peer::new(io), true),
        ("client leaves", |peer, _| peer.recv("1").unwrap(), false),
        (
            "server puts out",
            |_, io| io.of("/").disconnect_sockets(false),
            false,
        ),
    ];
    for (label, way, is_kept) in cases {
        let (io, root) = serve();
        let mut peer = Peer::new(&io);
        let first = join(&mut peer, "");
        root.emit("hello", &1);
        let offset = split(&peer.sent()[0]).1;
        way(&mut peer, &io);
        peer.run();
        let mut again = Peer::new(&io);
        let second = join(&mut again, &claim(&first.pid, &offset));
        assert_eq!(second.id == first.id, is_kept, "{label}");
        assert_eq!(second.pid == first.pid, is_kept, "{label}");
    }
}

#[test]
fn middleware_and_handler_are_asked_again_only_if_wanted() {
    for skip_middlewares in [true, false] {
        let asked = Arc::new(AtomicUsize::new(0));
        let connected = Arc::new(AtomicUsize::new(0));
        let (asks, connects) = (asked.clone(), connected.clone());
        let script = Script::default()
            .connect(move |_| {
                asks.fetch_add(1, Ordering::SeqCst);
                Box::pin(std::future::ready(Ok(())))
            })
            .connected(move |_| {
                connects.fetch_add(1, Ordering::SeqCst);
            });
        let recovery = Recovery {
            skip_middlewares,
            ..Recovery::default()
        };
        let (io, root) = serve_with(config(recovery), script);
        let mut peer = Peer::new(&io);
        let first = join(&mut peer, "");
        root.emit("hello", &1);
        let offset = split(&peer.sent()[0]).1;
        peer.close(DisconnectReason::TransportClose);
        let mut again = Peer::new(&io);
        assert_eq!(join(&mut again, &claim(&first.pid, &offset)).id, first.id);
        assert_eq!(asked.load(Ordering::SeqCst), if skip_middlewares { 1 } else { 2 });
        assert_eq!(connected.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_end_with_their_time() {
    for (seconds, is_kept) in [(60, true), (121, false)] {
        let (io, root) = serve();
        let mut peer = Peer::new(&io);
        let first = join(&mut peer, "");
        root.emit("hello", &1);
        let offset = split(&peer.sent()[0]).1;
        let value = Arc::new(());
        root.socket(&first.id).unwrap().set(value.clone());
        peer.close(DisconnectReason::TransportClose);
        drop(peer);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let mut again = Peer::new(&io);
        let second = join(&mut again, &claim(&first.pid, &offset));
        assert_eq!(second.id == first.id, is_kept, "after {seconds} s");
        drop(again);
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(Arc::strong_count(&value), 1, "the values of a session go with it");
    }
}

#[test]
fn without_recovery_the_wire_is_as_ever() {
    let (io, root) = serve_with(HubConfig::default(), Script::default());
    let mut peer = Peer::new(&io);
    peer.recv(r#"0{"pid":"AAAAAAAAAAAAAAAAAAAA","offset":"00000000000"}"#)
        .unwrap();
    assert_eq!(peer.sent()[0].len(), r#"0{"sid":""}"#.len() + 20);
    root.emit("hello", &1);
    assert_eq!(peer.sent(), [r#"2["hello",1]"#]);
}

#[derive(Debug, Clone)]
enum Step {
    All,
    To(u8),
    Except(u8),
    ToExcept(u8, u8),
    Volatile,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::All),
        (0..4u8).prop_map(Step::To),
        (0..4u8).prop_map(Step::Except),
        (0..4u8, 0..4u8).prop_map(|(to, except)| Step::ToExcept(to, except)),
        Just(Step::Volatile),
    ]
}

proptest! {
    /// A witness in the same rooms, who never leaves, gets what the client gets, sooner or later.
    #[test]
    fn nothing_is_lost_and_nothing_comes_twice(
        rooms in proptest::collection::vec(0..4u8, 0..3),
        steps in proptest::collection::vec((step(), any::<bool>()), 0..40),
        late in 0..3usize,
    ) {
        let (io, root) = serve();
        let names: Vec<String> = rooms.iter().map(|room| format!("r{room}")).collect();
        let mut witness = Peer::new(&io);
        let other = join(&mut witness, "");
        root.socket(&other.id).unwrap().join(&names);
        let mut peer = Peer::new(&io);
        let first = join(&mut peer, "");
        root.socket(&first.id).unwrap().join(&names);
        root.emit("start", &0);
        let mut got = peer.sent();
        let mut wanted = witness.sent();
        let mut is_here = true;
        for (n, (step, toggles)) in steps.iter().enumerate() {
            if *toggles && is_here {
                // What was on its way is lost.
                let cut = got.len().saturating_sub(late).max(1);
                got.truncate(cut);
                peer.close(DisconnectReason::TransportClose);
                is_here = false;
            } else if *toggles {
                peer = Peer::new(&io);
                let again = join(&mut peer, &claim(&first.pid, &split(got.last().unwrap()).1));
                prop_assert_eq!(&again.id, &first.id);
                got.extend(again.before);
                is_here = true;
            }
            let room = |room: &u8| format!("r{room}");
            match step {
                Step::All => root.emit("e", &n),
                Step::To(to) => root.to(room(to)).emit("e", &n),
                Step::Except(except) => root.except(room(except)).emit("e", &n),
                Step::ToExcept(to, except) => root.to(room(to)).except(room(except)).emit("e", &n),
                Step::Volatile => root.volatile().emit("e", &n),
            }
            let is_kept = |line: &String| line.len() > 20;
            got.extend(peer.sent().into_iter().filter(is_kept));
            wanted.extend(witness.sent().into_iter().filter(is_kept));
        }
        if !is_here {
            peer = Peer::new(&io);
            got.extend(join(&mut peer, &claim(&first.pid, &split(got.last().unwrap()).1)).before);
        } else {
            let len = wanted.len();
            prop_assert_eq!(got.len(), len);
        }
        prop_assert_eq!(got, wanted);
    }
}
