//! What the adapters write and read, as the official ones do. Pure: bytes in, messages out, and back; for adapters over
//! something else than Redis, too.

pub mod cluster;
