//! One client that sends without end: the others have their turns, and what it sends is worked off in portions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Context;

use crate::support::TestServer;
use gatewire_hub::Handshake;
use gatewire_proto::engineio::CloseReason;
use gatewire_proto::websocket::{Opcode, put_masked_frame};
use gatewire_server::{Application, Connection, Engine, EngineConfig, Rejected, Session};
use tokio::io::AsyncWriteExt;

/// Counts messages: all of them, and the most in one poll.
#[derive(Clone, Default)]
struct Counting {
    all: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

struct CountingSession {
    counting: Counting,
    connection: Connection,
    in_this_poll: usize,
}

impl Application for Counting {
    fn open(&self, connection: Connection, _: Arc<Handshake>) -> Box<dyn Session> {
        Box::new(CountingSession {
            counting: self.clone(),
            connection,
            in_this_poll: 0,
        })
    }
}

impl Session for CountingSession {
    fn receive_text(&mut self, text: &str, _: &mut Context<'_>) -> Result<(), Rejected> {
        self.in_this_poll += 1;
        self.counting.all.fetch_add(1, Ordering::SeqCst);
        if text == "last" {
            self.connection.send_text(text);
        }
        Ok(())
    }

    fn receive_binary(&mut self, _: &[u8], _: &mut Context<'_>) -> Result<(), Rejected> {
        Ok(())
    }

    fn poll(&mut self, _: &mut Context<'_>) {
        self.counting.most.fetch_max(self.in_this_poll, Ordering::SeqCst);
        self.in_this_poll = 0;
    }

    fn close(&mut self, _: CloseReason) {}
}

const MESSAGES: usize = 10_000;

#[tokio::test]
async fn a_flood_is_worked_off_in_portions_on_a_websocket() {
    let counting = Counting::default();
    let engine = Engine::new(EngineConfig::default(), counting.clone()).unwrap();
    let server = TestServer::of(engine).await;
    let mut socket = server.websocket("").await;
    socket.opened().await;
    let mut flood = Vec::new();
    for _ in 1..MESSAGES {
        put_masked_frame(&mut flood, true, Opcode::Text, [1, 2, 3, 4], b"4x");
    }
    put_masked_frame(&mut flood, true, Opcode::Text, [1, 2, 3, 4], b"4last");
    socket.0.write_all(&flood).await.unwrap();
    socket.receive().await;
    assert_eq!(counting.all.load(Ordering::SeqCst), MESSAGES);
    let most = counting.most.load(Ordering::SeqCst);
    assert!(most <= 256, "{most} messages in one poll");
}

#[tokio::test]
async fn and_in_a_polling_body_whose_bound_stays() {
    let counting = Counting::default();
    let engine = Engine::new(EngineConfig::default(), counting.clone()).unwrap();
    let server = TestServer::of(engine).await;
    for (count, worked_off) in [(MESSAGES, MESSAGES), (20_000, 16_384)] {
        counting.all.store(0, Ordering::SeqCst);
        let sid = server.open_polling().await;
        let target = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
        let body = vec!["4x"; count].join("\u{1e}");
        server.request("POST", &target, body.as_bytes()).await;
        assert_eq!(counting.all.load(Ordering::SeqCst), worked_off);
        let most = counting.most.load(Ordering::SeqCst);
        assert!(most <= 256, "{most} messages in one poll");
    }
}
