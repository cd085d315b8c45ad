//! One process after the other on one port: nobody is refused between them, and nothing is left of who has gone.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gatewire::prelude::*;
use gatewire::testing::TestApp;
use gatewire::{Bound, Counts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

#[websocket_gateway]
struct Gateway;

#[subscriptions]
impl Gateway {
    #[subscribe_message("ask")]
    async fn ask(&self, client: Socket) -> u32 {
        client.join("asked");
        let answer = client.emit_with_ack("question", &1).await;
        answer.map_or(0, |_| 1)
    }
}

#[module(providers = [Gateway])]
struct AppModule;

async fn app() -> App {
    App::create::<AppModule>().without_logger().await.unwrap()
}

fn serve(bound: Bound) -> (gatewire::AppHandle, JoinHandle<()>) {
    let handle = bound.handle();
    (
        handle,
        tokio::spawn(bound.serve_with_shutdown(std::future::pending())),
    )
}

/// Opens a session by a connection of its own; the head of the answer.
async fn shake_hands(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

/// Clients that come one after the other until they are told to stop.
struct Crowd {
    served: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    clients: JoinHandle<Vec<String>>,
}

impl Crowd {
    fn come_to(address: SocketAddr) -> Self {
        let (served, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, end) = (Arc::clone(&served), Arc::clone(&stop));
        let clients = tokio::spawn(async move {
            let mut refused = Vec::new();
            while !end.load(Ordering::Relaxed) {
                match shake_hands(address).await {
                    Ok(head) if head == "HTTP/1.1 200 OK" => drop(count.fetch_add(1, Ordering::Relaxed)),
                    other => refused.push(format!("{other:?}")),
                }
            }
            refused
        });
        Self {
            served,
            stop,
            clients,
        }
    }

    /// Until so many more have been served.
    async fn pass(&self, count: usize) {
        let enough = self.served.load(Ordering::Relaxed) + count;
        let passed = async {
            while self.served.load(Ordering::Relaxed) < enough {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), passed)
            .await
            .expect("clients are not served");
    }

    async fn refused(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_two_applications_have_refuses_nobody() {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let inherited = listener.try_clone().unwrap();
    let first = app().await.bind_on(listener).await.unwrap().hand_over(true);
    let (first, ended) = serve(first);
    let crowd = Crowd::come_to(address);
    crowd.pass(20).await;
    let (second, _) = serve(app().await.bind_on(inherited).await.unwrap());
    first.close().await;
    ended.await.unwrap();
    assert_eq!(first.counts().sessions, 0);
    crowd.pass(20).await;
    assert_eq!(crowd.refused().await, Vec::<String>::new());
    assert!(second.counts().sessions >= 20);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_two_applications_share_goes_over_to_the_second() {
    let mut first = app().await;
    first.reuse_port(true);
    let first = first.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = first.local_addr();
    let taken = app().await.bind(address).await;
    assert!(taken.is_err(), "who does not say so does not share the port");
    let (first, ended) = serve(first);
    let crowd = Crowd::come_to(address);
    crowd.pass(20).await;
    let mut second = app().await;
    second.reuse_port(true);
    let (second, _) = serve(second.bind(address).await.unwrap());
    first.close().await;
    ended.await.unwrap();
    crowd.pass(20).await;
    // One may come in the moment in which the kernel takes the old listener away, unless the kernel moves it.
    let refused = crowd.refused().await;
    let moves = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_migrate_req");
    let most = usize::from(moves.is_ok_and(|moves| moves.trim() == "0"));
    assert!(
        refused.len() <= most && refused.iter().all(|error| error.contains("ConnectionReset")),
        "{refused:?}"
    );
    assert!(second.counts().sessions >= 20);
}

/// As a browser does that connects in advance.
#[tokio::test]
async fn a_connection_that_says_nothing_does_not_hold_up_the_end() {
    let bound = app().await.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let _silent = TcpStream::connect(bound.local_addr()).await.unwrap();
    let (handle, ended) = serve(bound);
    handle.close().await;
    tokio::time::timeout(Duration::from_secs(5), ended)
        .await
        .expect("the end waits for a request that never comes")
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_an_application_holds_is_counted() -> Result<(), Box<dyn std::error::Error>> {
    let app = TestApp::create::<AppModule>().await?;
    let empty = app.handle().counts();
    assert_eq!((empty.namespaces, empty.sessions, empty.sockets), (1, 0, 0));
    let mut client = app.connect("/").await?;
    client.emit("ask", &()).await?;
    client.next_event::<u32>("question").await?;
    let counts = app.handle().counts();
    let expected = (1, 1, 1, 1, 1);
    let Counts {
        sessions,
        timers,
        sockets,
        rooms,
        pending_acks,
        ..
    } = counts;
    assert_eq!((sessions, timers, sockets, rooms, pending_acks), expected);
    drop(client);
    // The wheel forgets within the shortest deadline.
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(app.handle().counts(), empty);
    Ok(())
}
