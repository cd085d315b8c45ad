//! The comparison: one source of news, brought to the page in four ways at once. Each is a few lines: a gateway for the
//! WebSocket, and a controller for Server-Sent Events, long-polling and polling.

mod controller;
mod gateway;
mod source;

use gatewire::prelude::*;

use controller::CompareController;
use gateway::CompareGateway;
use source::Source;

#[module(controllers = [CompareController], providers = [Source, CompareGateway])]
pub(crate) struct CompareModule;
