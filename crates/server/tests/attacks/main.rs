//! The known attacks of this field, by name. Each test shows what bounds the attack, be it a count, a size or a time, and that
//! a good client is served meanwhile or afterwards. Which limit each of them is about stands in `docs/security.md`.

mod bombs;
mod crowds;
mod floods;
mod fragments;
mod heads;
mod ids;
mod packets;
mod pages;
mod paths;
mod payloads;
mod slowness;
#[expect(dead_code, reason = "the tests of engines need more")]
#[path = "../engine/support.rs"]
mod support;
mod world;

/// See the tests `relayed`.
const RELAYED: bool = false;
