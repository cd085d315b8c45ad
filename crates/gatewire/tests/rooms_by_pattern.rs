//! Gateways whose namespace is a pattern: namespaces that come into being when clients ask for them.

use std::sync::Mutex;

use gatewire::gateway::GatewayOptions;
use gatewire::module::Fault;
use gatewire::prelude::*;
use gatewire::testing::{Closed, TestApp, TestError};
use serde::Deserialize;
use serde_json::Value;

type Failure = Box<dyn std::error::Error>;

#[derive(Clone, Copy, Debug, Deserialize)]
struct RoomId(u32);

#[injectable]
struct Journal(#[inject(default)] Mutex<Vec<String>>);

impl Journal {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[websocket_gateway(namespace = "/room-:id")]
struct Rooms {
    #[websocket_server]
    server: ParentServer,
    journal: Arc<Journal>,
}

impl OnGatewayConnection for Rooms {
    async fn handle_connection(&self, client: &Socket) -> Result<(), WsException> {
        let Path(RoomId(id)) = Path::of(client)?;
        if id == 13 {
            return Err("out of order".into());
        }
        self.journal.note(format!("{id} +"));
        Ok(())
    }
}

impl OnGatewayDisconnect for Rooms {
    async fn handle_disconnect(&self, client: &Socket, _: DisconnectReason) {
        self.journal.note(format!("{} -", client.namespace().name()));
    }
}

#[subscriptions]
impl Rooms {
    #[subscribe_message("where")]
    async fn whereabouts(&self, Path(RoomId(id)): Path<RoomId>, server: Server) -> (u32, String) {
        (id, server.name().to_owned())
    }

    #[subscribe_message("say")]
    fn say(&self, server: Server, MessageBody(text): MessageBody<String>) {
        server.emit("said", &text);
    }

    #[subscribe_message("shout")]
    fn shout(&self, MessageBody(text): MessageBody<String>) {
        self.server.emit("said", &text);
    }
}

/// Shares the namespaces.
#[websocket_gateway(namespace = "room-:id")]
struct Counts;

#[subscriptions]
impl Counts {
    #[subscribe_message("count")]
    fn count(&self, server: Server) -> usize {
        server.len()
    }
}

/// One of the names has a gateway of its own.
#[websocket_gateway(namespace = "/room-0")]
struct Lobby {
    #[websocket_server]
    server: Server,
}

#[subscriptions]
impl Lobby {
    #[subscribe_message("where")]
    fn whereabouts(&self) -> String {
        format!("the lobby {}", self.server.name())
    }
}

#[module(providers = [Journal, Rooms, Counts, Lobby])]
struct AppModule;

async fn app() -> Result<TestApp, Failure> {
    let mut app = App::create::<AppModule>().without_logger().await?;
    app.use_websocket_adapters((SocketIoAdapter::new(), WsAdapter::at("/ws")));
    Ok(TestApp::in_memory(app)?)
}

#[tokio::test]
async fn a_room_is_there_for_who_asks() -> Result<(), Failure> {
    let app = app().await?;
    let journal = app.get::<Journal>();
    let (mut ada, mut bob) = (app.connect("/room-1").await?, app.connect("/room-1").await?);
    let (mut eve, mut dan) = (app.connect("/room-2").await?, app.connect_ws("/ws/room-2").await?);
    assert_eq!(journal.take(), ["1 +", "1 +", "2 +", "2 +"]);

    let here: (u32, String) = ada.emit_with_ack("where", &()).await?;
    assert_eq!(here, (1, "/room-1".to_owned()));
    let here: (u32, String) = dan.emit_with_ack("where", &()).await?;
    assert_eq!(here, (2, "/room-2".to_owned()));
    assert_eq!(
        ada.emit_with_ack::<_, usize>("count", &()).await?,
        2,
        "of the second gateway"
    );

    ada.emit_with_ack::<_, ()>("say", "one").await?;
    ada.emit_with_ack::<_, ()>("shout", "all").await?;
    for said in ["one", "all"] {
        assert_eq!(ada.next_event::<String>("said").await?, said);
        assert_eq!(bob.next_event::<String>("said").await?, said);
    }
    assert_eq!(eve.next_event::<String>("said").await?, "all");
    assert_eq!(dan.next_event::<String>("said").await?, "all");

    let mut lobby = app.connect("/room-0").await?;
    assert_eq!(
        lobby.emit_with_ack::<_, String>("where", &()).await?,
        "the lobby /room-0"
    );
    lobby.close().await;
    let mut lobby = app.connect("/room-0").await?;
    assert_eq!(
        lobby.emit_with_ack::<_, String>("where", &()).await?,
        "the lobby /room-0"
    );
    assert!(journal.take().is_empty());
    bob.close().await;
    assert_eq!(journal.take(), ["/room-1 -"]);
    Ok(())
}

#[tokio::test]
async fn a_name_that_is_none_is_refused() -> Result<(), Failure> {
    let app = app().await?;
    for (name, message) in [
        ("/room-x", "Invalid namespace: \"x\" is no u32"),
        ("/room-13", "out of order"),
        ("/hall-1", "Invalid namespace"),
    ] {
        match app.connect(name).await {
            Err(TestError::ConnectError { error, .. }) => assert_eq!(error["message"], message),
            other => panic!("{name}: {:?}", other.err()),
        }
    }
    let mut refused = app.connect_ws("/ws/room-13").await?;
    assert_eq!(
        refused.next_event::<Value>("exception").await?["message"],
        "out of order"
    );
    assert_eq!(refused.closed().await?, Closed::Frame(Some(1008)));
    let nowhere = app.connect_ws("/ws/hall-1").await;
    assert!(matches!(nowhere, Err(TestError::Refused { status: 404, .. })));
    Ok(())
}

#[websocket_gateway(namespace = "/:tenant/chat")]
struct OneServer {
    #[websocket_server]
    server: Server,
}

#[subscriptions]
impl OneServer {}

impl OnGatewayInit for OneServer {
    async fn after_init(&self, _: &Server) {
        unreachable!("{}", self.server.name());
    }
}

#[websocket_gateway(options = chat)]
struct ManyServers {
    #[websocket_server]
    server: ParentServer,
}

fn chat() -> GatewayOptions {
    GatewayOptions::new().namespace("/chat")
}

#[subscriptions]
impl ManyServers {
    #[subscribe_message("x")]
    fn x(&self) {
        self.server.emit("x", &());
    }
}

/// Everything that it would get goes to the other one.
#[websocket_gateway(namespace = "/acme-:id/chat")]
struct Shadowed;

#[subscriptions]
impl Shadowed {}

#[module(providers = [OneServer, Shadowed])]
struct Wrong;

#[module(providers = [ManyServers])]
struct WrongLate;

#[tokio::test]
async fn what_a_pattern_cannot_have_is_told_at_start() -> Result<(), Failure> {
    let error = gatewire::verify::<Wrong>().unwrap_err();
    let faults: Vec<String> = error.faults().iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            "OneServer has a Server in `server`, but its namespace \"/:tenant/chat\" stands for many",
            "OneServer has an `after_init`, but its namespace \"/:tenant/chat\" stands for many",
            "Shadowed is never reached: every client of its namespace \"/acme-:id/chat\" comes to \"/:tenant/chat\" of OneServer",
        ]
    );
    let Err(gatewire::Error::Verify(error)) = App::create::<WrongLate>().without_logger().await else {
        panic!("a namespace is no parent");
    };
    assert!(
        matches!(error.faults(), [Fault::ParentServerOfOne { .. }]),
        "{error}"
    );
    Ok(())
}
