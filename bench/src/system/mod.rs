//! What the benchmark asks of the operating system: processes, their CPU time and memory, and CPU pinning. Only
//! Linux answers all of it; elsewhere nothing is pinned and nothing measured.

pub(crate) mod affinity;
pub(crate) mod machine;
pub(crate) mod probe;
pub(crate) mod server;
