//! The shared text: several windows edit one text, and all of them end up with the same. The server puts the edits in order
//! and rebases each on those that its author had not seen (`edit.rs`); the page does the same with what comes meanwhile.

mod document;
mod dto;
mod edit;
mod gateway;

use gatewire::prelude::*;

use document::Document;
use gateway::TextGateway;

#[module(providers = [Document, TextGateway])]
pub(crate) struct TextModule;
