//! Bodies that must keep rules, parts of bodies, and pipes: `register` answers with every field that is wrong, `profile`
//! makes a user of an id. `PORT` (3000) and `HOST` (127.0.0.1) choose the address.

use std::env;
use std::sync::RwLock;

use garde::Validate;
use gatewire::prelude::*;
use serde::{Deserialize, Serialize};

/// What a new user sends.
#[derive(Clone, Deserialize, Serialize, Validate)]
pub struct Registration {
    #[garde(length(min = 3, max = 20), alphanumeric)]
    name: String,
    #[garde(range(min = 18, max = 150))]
    age: u8,
}

/// Who has registered; an id is a place in the list.
#[injectable]
pub struct Users {
    #[inject(default)]
    all: RwLock<Vec<Registration>>,
}

impl Users {
    fn add(&self, user: Registration) -> usize {
        let mut all = self.all.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        all.push(user);
        all.len()
    }

    fn find(&self, id: usize) -> Option<Registration> {
        let all = self.all.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        all.get(id.checked_sub(1)?).cloned()
    }
}

/// A pipe with a provider: the user with that id.
#[injectable]
pub struct UserById {
    users: Arc<Users>,
}

impl Pipe<Registration> for UserById {
    type Input = usize;

    async fn transform(&self, id: usize, _: &Argument) -> Result<Registration, Exception> {
        Ok(self.users.find(id).ok_or("no such user")?)
    }
}

/// Registers and greets.
#[websocket_gateway(cors(origin = "*"))]
pub struct UsersGateway {
    users: Arc<Users>,
    user_by_id: Arc<UserById>,
}

#[subscriptions]
impl UsersGateway {
    #[subscribe_message("register")]
    fn register(&self, Valid(user): Valid<Registration>) -> usize {
        self.users.add(user)
    }

    #[subscribe_message("profile")]
    async fn profile(
        &self,
        #[message_body("id", ParseInt, self.user_by_id)] user: Registration,
    ) -> Registration {
        user
    }

    #[subscribe_message("greet")]
    async fn greet(
        &self,
        #[message_body("name", Trim)] name: String,
        #[message_body("times", DefaultValue(1))] times: u8,
    ) -> String {
        vec![format!("hello {name}"); times.into()].join(", ")
    }
}

/// The application.
#[module(providers = [Users, UserById, UsersGateway])]
pub struct UsersModule;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port: u16 = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let app = App::create::<UsersModule>().await?.bind((host, port)).await?;
    println!("listening on http://{}", app.local_addr());
    app.serve().await;
    Ok(())
}
