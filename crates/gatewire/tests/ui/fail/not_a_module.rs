use gatewire::prelude::*;

#[injectable]
struct ChatService;

trait Repo: Send + Sync {}

#[module(imports = [ChatService], providers = [ChatService as dyn Repo])]
struct AppModule;

fn main() {}
