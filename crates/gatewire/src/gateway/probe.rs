//! Finds out at compile time what a concrete gateway, or controller, implements: calls on `&Probe` prefer the impl for `Probe<G>` under
//! its bounds, and fall back to the one for `&Probe<G>`.

use std::marker::PhantomData;

use super::lifecycle::{
    ConnectionHook, DisconnectHook, InitHook, OnGatewayConnection, OnGatewayDisconnect, OnGatewayInit,
};
use super::subscription::{Subscription, Subscriptions};
use crate::controller::{ControllerRoute, Routes};
use crate::pipeline::Enhancers;

/// The gateway `G`.
pub struct Probe<G>(PhantomData<fn() -> G>);

impl<G> Probe<G> {
    /// The gateway `G`.
    #[allow(clippy::new_without_default, reason = "only the macro makes one")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

macro_rules! probe {
    ($has:ident, $no:ident, $bound:path, $method:ident -> $hook:ty, $found:expr) => {
        /// For a gateway that has it.
        pub trait $has<G> {
            /// What was found.
            fn $method(&self) -> $hook;
        }

        impl<G: $bound + Send + Sync + 'static> $has<G> for Probe<G> {
            fn $method(&self) -> $hook {
                $found
            }
        }

        /// For a gateway that has it not.
        pub trait $no<G> {
            /// Nothing.
            fn $method(&self) -> $hook;
        }

        impl<G> $no<G> for &Probe<G> {
            fn $method(&self) -> $hook {
                Default::default()
            }
        }
    };
}

probe!(HasSubscriptions, NoSubscriptions, Subscriptions, subscriptions -> Vec<Subscription<G>>, <G as Subscriptions>::subscriptions());
probe!(HasEnhancers, NoEnhancers, Subscriptions, enhancers -> Enhancers, <G as Subscriptions>::enhancers());
probe!(HasRoutes, NoRoutes, Routes, routes -> Vec<ControllerRoute<G>>, <G as Routes>::routes());
probe!(HasRouteEnhancers, NoRouteEnhancers, Routes, route_enhancers -> Enhancers, <G as Routes>::enhancers());
probe!(
    HasInit, NoInit, OnGatewayInit,
    init -> Option<InitHook<G>>,
    Some(|gateway, server| Box::pin(async move { gateway.after_init(&server).await }))
);
probe!(
    HasConnection, NoConnection, OnGatewayConnection,
    connection -> Option<ConnectionHook<G>>,
    Some(|gateway, client| Box::pin(async move { gateway.handle_connection(&client).await }))
);
probe!(
    HasDisconnect, NoDisconnect, OnGatewayDisconnect,
    disconnect -> Option<DisconnectHook<G>>,
    Some(|gateway, client, reason| Box::pin(async move { gateway.handle_disconnect(&client, reason).await }))
);
