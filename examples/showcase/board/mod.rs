//! The shared board: strokes that stay, and pointers that do not. Every change has a number, so that a page that comes late
//! or comes back puts the state and the changes together; pointers are volatile, for an old one is worth nothing.

mod dto;
mod gateway;
mod service;

use gatewire::prelude::*;

use gateway::BoardGateway;
use service::BoardService;

#[module(providers = [BoardService, BoardGateway])]
pub(crate) struct BoardModule;
