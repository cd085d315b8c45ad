use gatewire::prelude::*;

#[websocket_gateway(pingInterval = 1000, cors(origins = ["a"]))]
struct Wrong;

#[websocket_gateway(cors(origins = ["a"]))]
struct WrongCors;

#[websocket_gateway(transports = ["webtransport"])]
struct WrongTransport;

#[websocket_gateway(path = "chat", path = "/chat")]
struct Twice;

#[websocket_gateway(path = "chat")]
struct WrongPath;

#[module(provider = [Wrong])]
struct WrongModule;

fn main() {}
