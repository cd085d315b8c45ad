//! The chat: rooms, a typing indicator, who is there. A thin gateway (`gateway.rs`) over a service that knows no sockets
//! (`service.rs`), and typed messages (`dto.rs`).

mod dto;
mod gateway;
mod service;

use gatewire::prelude::*;

use gateway::ChatGateway;
use service::ChatService;

#[module(providers = [ChatService, ChatGateway])]
pub(crate) struct ChatModule;
