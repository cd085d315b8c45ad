use gatewire::prelude::*;

struct ChatService;

#[module(providers = [ChatService])]
struct ChatModule;

fn main() {}
