use gatewire::prelude::*;

#[module()]
struct Other;

fn for_root() -> Other {
    Other
}

#[module(imports = [for_root()])]
struct App;

fn main() {}
