//! The tests of an engine once more, with a second engine that shares its sessions: each request for a session comes to
//! the one that does not have it. A client sees no difference. What is of the cluster alone is in `cluster`.

mod cluster;
#[path = "../engine/deflate.rs"]
mod deflate;
#[path = "../engine/eio3.rs"]
mod eio3;
#[path = "../engine/fairness.rs"]
mod fairness;
#[path = "../engine/faults.rs"]
mod faults;
#[path = "../engine/http.rs"]
mod http;
#[path = "../engine/jsonp.rs"]
mod jsonp;
#[path = "../engine/origins.rs"]
mod origins;
#[path = "../engine/sessions.rs"]
mod sessions;
#[expect(
    dead_code,
    reason = "the tests of plain WebSockets, which are not shared, need more"
)]
#[path = "../engine/support.rs"]
mod support;
#[path = "../engine/upgrade.rs"]
mod upgrade;
#[path = "../engine/vanish.rs"]
mod vanish;
#[path = "../engine/wire.rs"]
mod wire;

const RELAYED: bool = true;
