//! The live dashboard: prices that move, over Server-Sent Events. The server speaks and the page listens, so no socket is
//! needed; what a page misses while it is away is replayed.

mod controller;
mod market;

use gatewire::prelude::*;

use controller::DashboardController;
use market::Market;

#[module(controllers = [DashboardController], providers = [Market])]
pub(crate) struct DashboardModule;
