use gatewire::gateway::GatewayOptions;
use gatewire::prelude::*;

#[websocket_gateway(options = GatewayOptions::new())]
struct NotAFunction;

fn number() -> u16 {
    3000
}

#[websocket_gateway(options = number)]
struct NotOptions;

fn main() {}
