//! Clients whose browser has logged in over HTTP: the session's signed cookie comes with the handshake. The session is
//! looked up for each message, so that logging out ends it at once. `POST /login?name=ada` and `POST /logout` are the HTTP
//! side. Reads `PORT` (3000) and `HOST` (127.0.0.1).

use std::collections::HashMap;
use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use cookie::{Cookie, CookieJar, Key, SameSite};
use gatewire::prelude::*;
use serde::Deserialize;

/// The name of the cookie.
const SESSION: &str = "session";

/// A user's session.
#[derive(Clone, Debug)]
struct Session {
    id: String,
    name: String,
}

/// The sessions that are open.
struct Sessions {
    key: Key,
    count: AtomicU64,
    open: Mutex<HashMap<String, Session>>,
}

impl Sessions {
    fn new() -> Self {
        Self {
            key: Key::generate(),
            count: AtomicU64::new(0),
            open: Mutex::default(),
        }
    }

    /// Opens one; its cookie.
    fn open(&self, name: String) -> Cookie<'static> {
        // It may be guessed, but nobody else can sign it.
        let id = self.count.fetch_add(1, Ordering::Relaxed).to_string();
        let session = Session { id: id.clone(), name };
        self.lock().insert(id.clone(), session);
        let cookie = Cookie::build((SESSION, id))
            .http_only(true)
            .same_site(SameSite::Lax)
            .path("/");
        let mut jar = CookieJar::new();
        jar.signed_mut(&self.key).add(cookie);
        jar.get(SESSION).cloned().unwrap_or_else(|| Cookie::from(SESSION))
    }

    /// The open session of a `Cookie` header.
    fn of(&self, header: Option<&str>) -> Option<Session> {
        let mut jar = CookieJar::new();
        for cookie in Cookie::split_parse(header?.to_owned()).flatten() {
            jar.add_original(cookie);
        }
        let id = jar.signed(&self.key).get(SESSION)?;
        self.lock().get(id.value()).cloned()
    }

    fn is_open(&self, session: &Session) -> bool {
        self.lock().contains_key(&session.id)
    }

    fn close(&self, session: &Session) {
        self.lock().remove(&session.id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets in who has an open session, and asks again for each message.
#[injectable]
struct SessionGuard {
    sessions: Arc<Sessions>,
}

impl Guard for SessionGuard {
    async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
        let client = context.client();
        if context.is_connection() {
            let header = client.handshake().headers().get("cookie");
            let session = self.sessions.of(header).ok_or("Log in first")?;
            client.join(room(&session));
            client.set(session);
            return Ok(true);
        }
        let session = client.get::<Session>();
        Ok(session.is_some_and(|session| self.sessions.is_open(&session)))
    }
}

/// Where all sockets of a session are.
fn room(session: &Session) -> String {
    format!("session:{}", session.id)
}

#[websocket_gateway]
#[use_guards(SessionGuard)]
struct AccountGateway {
    #[websocket_server]
    server: Server,
}

#[subscriptions]
impl AccountGateway {
    #[subscribe_message("whoami")]
    fn whoami(&self, session: Extension<Session>) -> String {
        session.name.clone()
    }
}

#[module(providers = [value(Sessions::new()), AccountGateway])]
struct AppModule;

#[derive(Deserialize)]
struct Login {
    name: String,
}

async fn login(State(http): State<Http>, Query(login): Query<Login>) -> impl IntoResponse {
    let cookie = http.sessions.open(login.name);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie.to_string())])
}

async fn logout(State(http): State<Http>, headers: HeaderMap) -> StatusCode {
    let header = headers.get(header::COOKIE).and_then(|value| value.to_str().ok());
    let Some(session) = http.sessions.of(header) else {
        return StatusCode::UNAUTHORIZED;
    };
    http.sessions.close(&session);
    http.gateway
        .server
        .in_room(room(&session))
        .disconnect_sockets(false);
    StatusCode::NO_CONTENT
}

/// What the HTTP side works with.
#[derive(Clone)]
struct Http {
    sessions: Arc<Sessions>,
    gateway: Arc<AccountGateway>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port: u16 = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let app = App::create::<AppModule>().await?;
    let router = axum::Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        .with_state(Http {
            sessions: app.get(),
            gateway: app.get(),
        });
    let app = app.merge(router).bind((host, port)).await?;
    println!("listening on http://{}", app.local_addr());
    app.serve().await;
    Ok(())
}
