//! What a server counts about itself, for those who watch it: counts and times that cost a thread no more than a look at its
//! own memory. Nothing is counted until somebody asks for it ([`Io::meter`](crate::Io::meter) and its like), and nothing here
//! knows who will read it.

mod lanes;
mod times;

pub use lanes::{Count, Lane, Lanes};
pub use times::{BOUNDS, Stamp, Times, TimesStats};
