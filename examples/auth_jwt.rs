//! Clients that prove who they are with a JSON Web Token: checked once, before anything of the client is handled, and
//! over when the token is. `GET /token?name=ada&role=admin&seconds=60` gives one out to anybody, which a real
//! application would not do. Reads `PORT` (3000), `HOST` (127.0.0.1) and `JWT_SECRET`.

use std::env;
use std::time::{Duration, SystemTime};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use gatewire::pipeline::Expiry;
use gatewire::prelude::*;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// What stands in a token.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Claims {
    /// The user's name.
    sub: String,
    role: String,
    /// When it is over, in seconds since 1970.
    exp: u64,
}

/// Makes and checks tokens.
struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Tokens {
    fn new(secret: &str) -> Self {
        let mut validation = Validation::new(jsonwebtoken::Algorithm::HS256);
        // Servers and issuers whose clocks differ are another program's matter.
        validation.leeway = 0;
        Self {
            encoding: EncodingKey::from_secret(secret.as_bytes()),
            decoding: DecodingKey::from_secret(secret.as_bytes()),
            validation,
        }
    }

    fn issue(&self, claims: &Claims) -> jsonwebtoken::errors::Result<String> {
        jsonwebtoken::encode(&Header::default(), claims, &self.encoding)
    }

    /// What a token says, if it is one of ours and not over.
    fn check(&self, token: &str) -> Result<Claims, WsException> {
        let checked = jsonwebtoken::decode(token, &self.decoding, &self.validation);
        // Why it does not hold is nothing that its bearer must know.
        Ok(checked.map_err(|_| "Invalid token")?.claims)
    }

    /// Makes the bearer of `token` the client's user, until the token is over.
    fn admit(&self, client: &Socket, token: &str) -> Result<(), WsException> {
        let claims = self.check(token)?;
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(claims.exp);
        Expiry::at(end).reason("Token expired").set(client);
        client.set(claims);
        Ok(())
    }
}

/// Lets in who has a token: `io(url, { auth: { token } })`, or the header `Authorization: Bearer ..`.
#[injectable]
struct JwtGuard {
    tokens: Arc<Tokens>,
}

#[derive(Deserialize)]
struct Auth {
    token: Option<String>,
}

impl Guard for JwtGuard {
    async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
        let client = context.client();
        if context.is_connection() {
            let header = client.handshake().headers().get("authorization");
            let bearer = header.and_then(|header| header.strip_prefix("Bearer "));
            let auth: Auth = context.data()?;
            let token = auth.token.as_deref().or(bearer).ok_or("Missing token")?;
            self.tokens.admit(client, token)?;
        }
        Ok(client.get::<Claims>().is_some())
    }
}

/// Which roles a handler is for.
struct Roles(&'static [&'static str]);

/// Lets only the roles pass that the handler names.
#[injectable]
struct RolesGuard;

impl Guard for RolesGuard {
    async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
        let Some(Roles(roles)) = context.metadata() else {
            return Ok(true);
        };
        let user = context.client().get::<Claims>();
        Ok(user.is_some_and(|user| roles.contains(&&*user.role)))
    }
}

#[websocket_gateway(cors(origin = "*"))]
#[use_guards(JwtGuard, RolesGuard)]
struct AccountGateway {
    #[websocket_server]
    server: Server,
    tokens: Arc<Tokens>,
}

#[subscriptions]
impl AccountGateway {
    #[subscribe_message("whoami")]
    fn whoami(&self, user: Extension<Claims>) -> String {
        format!("{} ({})", user.sub, user.role)
    }

    /// A new token in time keeps the client in.
    #[subscribe_message("renew")]
    fn renew(&self, client: Socket, MessageBody(token): MessageBody<String>) -> Result<(), WsException> {
        self.tokens.admit(&client, &token)
    }

    #[subscribe_message("announce")]
    #[set_metadata(Roles(&["admin"]))]
    fn announce(&self, MessageBody(text): MessageBody<String>) {
        self.server.emit("announcement", &text);
    }
}

#[module(providers = [value(Tokens::new(&secret())), AccountGateway])]
struct AppModule;

fn secret() -> String {
    env::var("JWT_SECRET").unwrap_or_else(|_| "for this example only".to_owned())
}

#[derive(Deserialize)]
struct Wish {
    name: String,
    #[serde(default)]
    role: String,
    seconds: u64,
}

async fn give(State(tokens): State<Arc<Tokens>>, Query(wish): Query<Wish>) -> Result<String, StatusCode> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let claims = Claims {
        sub: wish.name,
        role: wish.role,
        exp: now.map_or(0, |now| now.as_secs()).saturating_add(wish.seconds),
    };
    tokens
        .issue(&claims)
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port: u16 = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let app = App::create::<AppModule>().await?;
    let router = axum::Router::new()
        .route("/token", get(give))
        .with_state(app.get::<Tokens>());
    let app = app.merge(router).bind((host, port)).await?;
    println!("listening on http://{}", app.local_addr());
    app.serve().await;
    Ok(())
}
