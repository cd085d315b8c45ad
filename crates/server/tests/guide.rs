//! What stands in the right columns of the guide's tables (docs/low-level-api.md): it compiles, for it stands here, too.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use gatewire_hub::cluster::{ClusterAdapter, Local};
use gatewire_hub::{
    ConnectError, ConnectionObserver, DisconnectReason, Event, EventError, HubConfig, Id, Io, Namespace,
    NamespaceRequest, OwnedEvent, ParentNamespace, RemoteSocket, RoomEvent, ServerSideEvent, Socket,
    TransportKind,
};
use gatewire_proto::engineio::HandshakeError;
use gatewire_server::{Engine, EngineConfig, Hooks, SocketIo};
use http::HeaderMap;
use http::request::Parts;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Auth {}

#[derive(Serialize, Deserialize)]
struct Data {}

struct User;

fn welcome(_: &Socket) {}

fn opened(_: &Namespace) {}

fn upgraded(_: &Socket, _: TransportKind) {}

fn moved(_: &Namespace, _: RoomEvent<'_>) {}

fn heard(_: &Namespace, _: &ServerSideEvent) {}

fn answer(_: &Socket, _: &Event<'_>) {}

fn left(_: &Socket, _: DisconnectReason) {}

fn is_known(_: &NamespaceRequest) -> bool {
    true
}

fn look_up(_: NamespaceRequest) -> Ready<bool> {
    ready(true)
}

fn authenticate(_: Socket) -> Ready<Result<(), ConnectError>> {
    ready(Ok(()))
}

fn prepare(_: Socket) -> Ready<()> {
    ready(())
}

fn work(_: Socket, _: OwnedEvent) -> Ready<()> {
    ready(())
}

fn check(_: &Socket, _: &Event<'_>) -> Result<(), EventError> {
    Ok(())
}

fn check_later(_: Socket, _: OwnedEvent) -> Ready<Result<(), EventError>> {
    ready(Ok(()))
}

fn is_allowed(_: &Parts) -> Ready<Result<(), String>> {
    ready(Ok(()))
}

fn new_id(_: &Parts) -> Option<Id> {
    None
}

fn change(_: &mut HeaderMap, _: &Parts) {}

fn refused(_: &HandshakeError, _: &Parts) {}

struct Observer;

impl ConnectionObserver for Observer {}

async fn server(io: &Io, namespace: &Namespace, id: &str, second: Duration) {
    io.on_connection(welcome);
    io.on_connection_async(prepare);
    let observer = Arc::new(Observer);
    io.observe_connections(observer);
    io.use_middleware(authenticate);
    let _ = io.of("/chat");
    let parent: ParentNamespace = io.of_pattern("/room-:id");
    let _ = namespace.param("id");
    io.of_predicate(is_known);
    io.of_predicate_async(look_up);
    io.on_new_namespace(opened);
    let _ = io.sockets();
    let _ = io.sockets().socket(id);
    let _ = io.sockets().len();
    let _ = namespace.rooms();
    assert!(!namespace.has_room("a"));
    assert_eq!(namespace.in_room("a").sockets().len(), 0);
    namespace.on_room_event(moved);
    parent.emit("e", &1);
    let _ = parent.children();
    io.emit("e", &1);
    io.emit_args("e", &(1, "b"));
    io.emit("message", &"x");
    io.to("a").to("b").except("c").emit("e", &());
    io.in_room(["a", "b"]).emit("e", &());
    io.volatile().emit("e", &());
    io.compress(false).emit("e", &());
    io.local().emit("e", &());
    assert_eq!(io.timeout(second).emit_with_ack("q", &1).await, Ok(Vec::new()));
    let _ = io.fetch_sockets().await;
    io.sockets_join("a");
    io.sockets_leave("a");
    io.in_room("a").disconnect_sockets(true);
    io.server_side_emit("e", &1).unwrap();
    assert_eq!(io.server_side_emit_with_ack("q", &()).await, Ok(Vec::new()));
    io.on_server_side("e", heard);
    io.close();
}

async fn remote(remote: &RemoteSocket, second: Duration) {
    remote.emit("e", &1);
    let _ = remote.timeout(second).emit_with_ack("q", &1).await;
    let _ = remote.rooms();
    let _ = remote.data_as::<Data>();
    remote.join("a");
    remote.disconnect(false);
}

async fn socket(socket: &Socket, data: &Data, second: Duration) {
    let _ = (socket.id(), socket.namespace(), socket.rooms());
    let _ = socket.is_in("a");
    let _ = (socket.connected(), socket.recovered());
    let _ = socket.transport().as_str();
    let _ = socket.connection_id();
    socket.on_upgrade(upgraded);
    socket.writable().await;
    let _ = socket.auth::<Auth>();
    let _ = socket.handshake().query("team");
    let _ = socket.handshake().headers().get("x-a");
    let _ = socket.handshake().address();
    let _ = socket.handshake().is_secure();
    let _ = socket.handshake().is_cross_domain();
    let _ = socket.handshake().url();
    let _ = socket.handshake().issued();
    let _ = socket.handshake().time();
    let _ = (socket.set(User), socket.get::<User>());
    let _ = (socket.set_data(&data), socket.data_json());
    socket.join(["a", "b"]);
    socket.leave("a");
    socket.emit("e", &1);
    socket.emit_args("e", &(1, "b"));
    socket.emit("message", &"x");
    let _ = socket.emit_with_ack("q", &1).await;
    let _ = socket.emit_with_ack("q", &1).timeout(second).await;
    socket.to("a").emit("e", &());
    let _ = socket.in_room("a");
    let _ = socket.except("a");
    socket.compress(false).emit("e", &());
    socket.broadcast().emit("e", &());
    socket.local().emit("e", &());
    socket.volatile().emit("e", &());
    let listener = socket.on("e", answer);
    socket.on_async("e", work);
    socket.once("e", answer);
    socket.off("e");
    socket.off_listener(listener);
    socket.on_any(answer);
    socket.prepend_any(answer);
    socket.off_any();
    let _ = socket.listeners_any();
    socket.on_any_outgoing(answer);
    socket.on_any_outgoing_async(work);
    socket.use_middleware(check);
    socket.use_middleware_async(check_later);
    socket.on_disconnecting(left);
    socket.on_disconnect(left);
    socket.disconnect(false);
    socket.disconnect(true);
}

async fn http_side(engine: &Engine, adapter: Arc<dyn ClusterAdapter>) {
    let _ = engine.clients_count();
    engine.close();
    engine.drained().await;
    let _ = Hooks::new().allow_request(is_allowed);
    let _ = Hooks::new().generate_id(new_id);
    let _ = Hooks::new().initial_headers(change);
    let _ = Hooks::new().headers(change);
    let _ = Hooks::new().connection_error(refused);
    let _ = Io::with_cluster(HubConfig::default(), adapter);
}

/// Without spaces, which rustfmt sets as it likes.
fn bare(code: &str) -> String {
    code.split_whitespace().collect()
}

/// Every option that the tables name is a field.
fn is_option(code: &str) -> bool {
    let source = match code.split_once("::") {
        Some(("EngineConfig", _)) => include_str!("../src/config.rs"),
        Some(("HubConfig", _)) => include_str!("../../hub/src/config.rs"),
        _ => return false,
    };
    let field = code.split_once("::").map_or(code, |(_, field)| field);
    source.contains(&format!("    pub {field}: "))
}

#[test]
fn every_right_column_compiles() {
    let (guide, here) = (
        include_str!("../../../docs/low-level-api.md"),
        bare(include_str!("guide.rs")),
    );
    let rows = guide
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once(" | "));
    let mut found = 0;
    for (node, gatewire) in rows {
        for code in gatewire.split('`').skip(1).step_by(2) {
            found += 1;
            assert!(
                is_option(code) || here.contains(&bare(code)),
                "`{code}`, for `{node}`, is not in this file"
            );
        }
    }
    assert!(found > 80, "{found}");
}

#[tokio::test]
async fn and_runs() {
    let io = Io::default();
    let namespace = io.of("/");
    server(&io, &namespace, "", Duration::from_secs(1)).await;
    let engine = Engine::new(EngineConfig::default(), SocketIo::new(io)).unwrap();
    http_side(&engine, Arc::new(Local)).await;
    // These want a client.
    let _ = (remote, socket);
}
