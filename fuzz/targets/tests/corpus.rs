//! Every fuzz target over the inputs that are kept for it, with the stable compiler and without libFuzzer; and that the
//! binaries which hand the targets to it are complete.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use gatewire_fuzz_targets::TARGETS;

/// The folder of the binaries and the corpus.
fn fuzz() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a folder above")
}

fn replay(name: &str) {
    let (_, run) = TARGETS
        .iter()
        .find(|(other, _)| *other == name)
        .expect("a target");
    let folder = fuzz().join("corpus").join(name);
    let mut inputs = 0;
    for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        let input = fs::read(&path).expect("an input");
        assert!(catch_unwind(|| run(&input)).is_ok(), "{}", path.display());
        inputs += 1;
    }
    assert!(inputs > 0, "{} holds nothing", folder.display());
}

macro_rules! corpora {
    ($($name:ident)*) => {
        /// The targets that are run here.
        const REPLAYED: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*
    };
}

corpora! {
    classic_cluster
    connection_socketio
    connection_sse
    connection_tls
    connection_websocket
    engineio_jsonp
    engineio_packet
    engineio_payload
    engineio_v3_payload
    envelope
    handshake
    http_upgrade
    hub_client
    local_frame
    presence
    proxy
    redis_cluster
    relay_message
    socketio_event
    socketio_msgpack
    socketio_packet
    sse
    websocket_decoder
    websocket_deflate
    websocket_tungstenite
}

#[test]
fn every_target_is_replayed_and_has_its_binary() {
    let names = TARGETS.map(|(name, _)| name);
    assert_eq!(names, REPLAYED);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("the manifest");
    for name in names {
        let path = format!("fuzz_targets/{name}.rs");
        assert!(manifest.contains(&format!("path = \"{path}\"\n")), "{path}");
        // They are not compiled here: libFuzzer wants a C++ compiler.
        let binary = fs::read_to_string(fuzz().join(&path)).expect("the binary");
        let written = format!(
            "#![no_main]\nlibfuzzer_sys::fuzz_target!(|input: &[u8]| gatewire_fuzz_targets::{name}::run(input));\n"
        );
        assert_eq!(binary, written, "{path}");
    }
    let binaries = fs::read_dir(fuzz().join("fuzz_targets")).expect("the binaries");
    assert_eq!(binaries.count(), names.len());
}
