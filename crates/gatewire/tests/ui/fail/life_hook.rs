use gatewire::prelude::*;

#[injectable]
struct Service;

impl OnModuleInit for Service {
    async fn on_module_init(&self) {}
}

fn main() {}
