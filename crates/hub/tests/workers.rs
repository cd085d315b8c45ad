//! One server and the threads of its runtime: they share it, so that none of them is a node of anything.

mod support;

use std::sync::{Arc, Barrier};

use gatewire_hub::Io;
use support::Peer;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn broadcasts_of_several_workers_at_once_reach_everybody_once() {
    const WORKERS: usize = 2;
    const COUNT: usize = 500;
    let io = Io::default();
    let _ = io.of("/");
    let mut peers: Vec<Peer> = (0..5).map(|_| Peer::new(&io)).collect();
    for peer in &mut peers {
        peer.join("/");
    }
    let together = Arc::new(Barrier::new(WORKERS));
    let emitting: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (namespace, together) = (io.of("/"), together.clone());
            tokio::task::spawn_blocking(move || {
                together.wait();
                for n in 0..COUNT {
                    namespace.emit("n", &(worker * COUNT + n));
                }
            })
        })
        .collect();
    for worker in emitting {
        worker.await.unwrap();
    }
    for peer in &mut peers {
        let got: Vec<usize> = peer.sent().iter().map(|line| number(line)).collect();
        for worker in 0..WORKERS {
            let (start, end) = (worker * COUNT, (worker + 1) * COUNT);
            let of_worker = got.iter().copied().filter(|n| (start..end).contains(n));
            assert!(
                of_worker.eq(start..end),
                "each once, and in the order of its worker"
            );
        }
        assert_eq!(got.len(), WORKERS * COUNT);
    }
}

fn number(line: &str) -> usize {
    let number = line
        .strip_prefix(r#"2["n","#)
        .and_then(|rest| rest.strip_suffix(']'));
    number.and_then(|number| number.parse().ok()).expect("a number")
}
