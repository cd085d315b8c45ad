//! Every form of field, option, parameter and reply.

use gatewire::prelude::*;

const LIMIT: usize = 1 << 20;
const EVENT: &str = "constant";

#[websocket_gateway(
    namespace = "chat",
    path = "/rt",
    port = 0,
    cors(
        origin = ["https://a.example"],
        methods = ["GET"],
        allowed_headers = ["x-token"],
        exposed_headers = ["x-id"],
        credentials = true,
        max_age = 600,
    ),
    transports = ["websocket", "polling"],
    ping_interval = 25_000,
    ping_timeout = 20_000,
    max_http_buffer_size = LIMIT,
    connect_timeout = 45_000,
    upgrade_timeout = 10_000,
    allow_upgrades = true,
)]
pub struct Chat {
    #[websocket_server]
    server: Server,
    logger: Logger,
    #[inject(default)]
    count: std::sync::atomic::AtomicUsize,
    #[inject(value = LIMIT / 2)]
    half: usize,
}

#[derive(Debug)]
struct Refused;

impl From<Refused> for WsException {
    fn from(_: Refused) -> Self {
        Self::new("refused")
    }
}

type Outcome<T> = Result<T, Refused>;

#[subscriptions]
impl Chat {
    #[subscribe_message("a")]
    fn a(&self, MessageBody(text): MessageBody<String>) -> String {
        text
    }

    #[subscribe_message("b")]
    #[subscribe_message("b2")]
    async fn b(&self, Pattern(name): Pattern, client: Socket, _server: Server) -> &'static str {
        self.logger.debug(client.id());
        name
    }

    #[subscribe_message("c")]
    async fn c(&self, _payload: Payload, _handshake: Handshake) -> Result<Option<u8>, WsException> {
        Err("no".into())
    }

    #[subscribe_message("d", concurrent)]
    async fn d(&self, ack: Ack) {
        ack.send("done");
    }

    #[subscribe_message("e", concurrent = 10)]
    async fn e(&self, _ack: Option<Ack>, _data: Option<Extension<String>>) -> Outcome<WsResponse<usize>> {
        Ok(WsResponse::new("size", self.half + self.count.load(std::sync::atomic::Ordering::Relaxed)))
    }

    #[subscribe_message(EVENT)]
    fn f(&self) -> impl serde::Serialize {
        [1, 2, 3]
    }

    #[subscribe_message("g")]
    fn g(&self) -> Option<Payload> {
        None
    }

    #[subscribe_message("h")]
    fn h(&self) -> Result<(), Refused> {
        self.helper();
        Ok(())
    }

    #[subscribe_message("i")]
    async fn i(&self) -> impl serde::Serialize + use<> {
        "i"
    }

    #[subscribe_message("j")]
    async fn j(&self) -> &str {
        self.server.name()
    }

    fn helper(&self) {}
}

impl OnGatewayInit for Chat {
    async fn after_init(&self, _server: &Server) {}
}

impl OnGatewayConnection for Chat {
    async fn handle_connection(&self, client: &Socket) -> Result<(), WsException> {
        client.join("lobby");
        Ok(())
    }
}

impl OnGatewayDisconnect for Chat {
    async fn handle_disconnect(&self, _client: &Socket, _reason: DisconnectReason) {}
}

#[websocket_gateway]
struct Empty;

#[websocket_gateway(cors)]
struct Tuple(Logger, Server);

macro_rules! gateway {
    ($name:ident, $ty:ty, $event:literal) => {
        #[websocket_gateway]
        struct $name;

        #[subscriptions]
        impl $name {
            #[subscribe_message($event)]
            async fn handle(&self, MessageBody(value): MessageBody<$ty>) -> $ty {
                value
            }
        }
    };
}

gateway!(Made, u32, "made");

#[module(providers = [Chat, Empty, Tuple, Made])]
struct AppModule;

fn main() {
    fn is_module<M: gatewire::module::Module>() {}
    is_module::<AppModule>();
}
