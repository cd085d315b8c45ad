//! Everything that a file with gateways needs: `use gatewire::prelude::*;`.

pub use std::sync::Arc;

pub use crate::adapter::{SocketIoAdapter, WsAdapter};
pub use crate::app::App;
pub use crate::controller::{Feed, HttpError, Json, LastEventId, Query, SseEvent};
pub use crate::gateway::{
    Ack, AckOnly, ConnectedSocket, Cors, Extension, FromMessage, Handshake, MessageBody, MessageContext,
    OnGatewayConnection, OnGatewayDisconnect, OnGatewayInit, Path, Pattern, Valid, WsResponse,
};
pub use crate::logger::Logger;
pub use crate::module::{
    BeforeApplicationShutdown, DynamicModule, HookResult, OnApplicationBootstrap, OnApplicationShutdown,
    OnModuleDestroy, OnModuleInit, ShutdownSignal,
};
pub use crate::pipeline::{
    Answer, Argument, BodyPipe, ConnectionLimit, DefaultValue, Exception, ExceptionFilter, ExecutionContext,
    Expiry, Guard, Interceptor, Next, ParseBool, ParseFloat, ParseInt, Pipe, Throttle, Timeout, Trim,
    WsException,
};
pub use crate::watch::{Health, HealthIndicator};
pub use crate::{DisconnectReason, ParentServer, Payload, Server, Socket, Tls};
pub use crate::{controller, delete, get, patch, post, put, routes, sse};
pub use crate::{
    injectable, module, set_metadata, subscribe_message, subscriptions, use_filters, use_guards,
    use_interceptors, use_pipes, websocket_gateway,
};
