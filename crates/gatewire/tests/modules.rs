//! Modules and injection through the public interface: what is built, who sees what, and every fault at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use gatewire::module::{Elsewhere, Fault, ModuleGraph, Provider};
use gatewire::prelude::*;
use gatewire::{Error, injectable, module};

trait Repo: Send + Sync {
    fn name(&self) -> &'static str;
}

#[injectable]
struct PgRepo;

impl Repo for PgRepo {
    fn name(&self) -> &'static str {
        "pg"
    }
}

struct Config {
    url: &'static str,
}

struct Pool {
    url: String,
    repo: &'static str,
}

async fn connect(
    config: Arc<Config>,
    repo: Arc<dyn Repo>,
    missing: Option<Arc<String>>,
) -> Result<Pool, String> {
    tokio::task::yield_now().await;
    assert!(missing.is_none());
    Ok(Pool {
        url: config.url.to_owned(),
        repo: repo.name(),
    })
}

async fn number() -> u64 {
    42
}

static BUILT: AtomicUsize = AtomicUsize::new(0);

fn count() -> usize {
    BUILT.fetch_add(1, Ordering::SeqCst)
}

#[injectable]
struct Counter {
    #[inject(value = count())]
    _before: usize,
}

#[injectable]
struct ChatService {
    pool: Arc<Pool>,
    repo: Arc<dyn Repo>,
    same: Arc<PgRepo>,
    counter: Arc<Counter>,
    nothing: Option<Arc<Vec<u8>>>,
    logger: Logger,
    #[inject(default)]
    rooms: Vec<String>,
    #[inject(value = 7)]
    limit: usize,
}

#[module(
    providers = [PgRepo as dyn Repo, PgRepo, value(Config { url: "db" }), factory(connect), factory(number)],
    exports = [dyn Repo, Pool, PgRepo, u64],
)]
struct StorageModule;

#[module(providers = [Counter], exports = [Counter])]
struct CounterModule;

#[module(imports = [StorageModule, CounterModule], exports = [StorageModule, CounterModule])]
struct SharedModule;

#[module(imports = [SharedModule, StorageModule, CounterModule], providers = [ChatService])]
struct ChatModule;

#[tokio::test]
async fn providers_are_built_once_in_order() {
    let app = App::create::<ChatModule>().without_logger().await.unwrap();
    let chat = app.get::<ChatService>();
    assert_eq!(
        (chat.pool.url.as_str(), chat.pool.repo, chat.repo.name()),
        ("db", "pg", "pg")
    );
    assert_eq!(
        (chat.rooms.len(), chat.limit, chat.nothing.is_none()),
        (0, 7, true)
    );
    assert_eq!(chat.logger, Logger::new("ChatService"));
    assert!(
        std::ptr::addr_eq(Arc::as_ptr(&chat.repo), Arc::as_ptr(&chat.same)),
        "one instance under both types"
    );
    assert!(Arc::ptr_eq(&chat.counter, &app.get::<Counter>()));
    assert_eq!(
        BUILT.load(Ordering::SeqCst),
        1,
        "a module that is imported twice is built once"
    );
    assert_eq!(*app.get::<u64>(), 42);
    assert!(app.try_get::<String>().is_none());
}

#[injectable]
struct Hidden;

#[injectable]
struct Exported;

#[module(providers = [Hidden])]
struct HidingModule;

#[module(providers = [Exported], exports = [Exported])]
struct ExportingModule;

#[injectable]
struct Needy {
    _hidden: Arc<Hidden>,
    _exported: Arc<Exported>,
    _nowhere: Arc<dyn Repo>,
}

#[injectable]
struct A {
    _b: Arc<B>,
}

#[injectable]
struct B {
    _c: Arc<C>,
}

#[injectable]
struct C {
    _a: Arc<A>,
}

#[injectable]
struct Loner {
    _itself: Arc<Self>,
    _server: Server,
}

#[module(providers = [Needy], imports = [HidingModule], exports = [String])]
struct NeedyModule;

#[websocket_gateway]
struct First;

#[subscriptions]
impl First {
    #[subscribe_message("x")]
    fn one(&self) {}
}

#[websocket_gateway(ping_interval = 1000)]
struct Second;

#[subscriptions]
impl Second {
    #[subscribe_message("x")]
    fn two(&self) {}
}

#[websocket_gateway(namespace = "other", ping_interval = 2000)]
struct Third;

#[module(
    imports = [NeedyModule, ExportingModule],
    providers = [A, B, C, A, Loner, First, Second, Third],
    exports = [HidingModule],
)]
struct BrokenModule;

#[tokio::test]
async fn every_fault_is_reported_at_once() {
    let Err(Error::Verify(error)) = App::create::<BrokenModule>().without_logger().await else {
        panic!("a broken application started");
    };
    let text = |s: &str| s.to_owned();
    let missing = |dependency: &str, place: &str, elsewhere: Vec<Elsewhere>| Fault::MissingProvider {
        module: text("NeedyModule"),
        owner: text("Needy"),
        place: text(place),
        dependency: text(dependency),
        elsewhere,
    };
    assert_eq!(
        error.faults(),
        [
            Fault::DuplicateProvider {
                module: text("BrokenModule"),
                provider: text("A")
            },
            Fault::UnknownExport {
                module: text("BrokenModule"),
                export: text("HidingModule")
            },
            Fault::UnknownExport {
                module: text("NeedyModule"),
                export: text("String")
            },
            missing(
                "Hidden",
                "_hidden",
                vec![Elsewhere::NotExported(text("HidingModule"))]
            ),
            missing(
                "Exported",
                "_exported",
                vec![Elsewhere::NotImported(text("ExportingModule"))]
            ),
            missing("dyn Repo", "_nowhere", vec![]),
            Fault::ServerOutsideGateway {
                module: text("BrokenModule"),
                owner: text("Loner"),
                place: text("_server")
            },
            Fault::Cycle {
                path: ["A", "B", "C", "A"].map(text).to_vec()
            },
            Fault::Cycle {
                path: ["Loner", "Loner"].map(text).to_vec()
            },
            Fault::OptionConflict {
                server: text("/socket.io"),
                option: "ping_interval",
                first: text("Second"),
                first_value: text("1s"),
                second: text("Third"),
                second_value: text("2s"),
            },
            Fault::DuplicateEvent {
                namespace: text("/"),
                event: text("x"),
                first: text("First::one"),
                second: text("Second::two"),
            },
        ]
    );
    let shown = error.to_string();
    assert!(shown.starts_with(
        "the application cannot start, 11 faults:\n  1. BrokenModule provides A twice\n     fix: "
    ));
    assert!(shown.contains(
        "\n  4. Needy (in NeedyModule) needs Hidden for `_hidden`, and NeedyModule sees no provider of it\n     \
         fix: HidingModule, which NeedyModule imports, provides it: add Hidden to the exports of HidingModule\n"
    ));
    assert!(shown.contains("providers need each other in a circle: A → B → C → A"));
}

#[websocket_gateway]
struct Twice;

#[subscriptions]
impl Twice {
    #[subscribe_message("one")]
    fn one(&self) {}

    #[subscribe_message("two")]
    fn two(&self) {}
}

#[module(providers = [Twice])]
struct OnceModule;

#[module(imports = [OnceModule], providers = [Twice])]
struct ListedTwiceModule;

#[test]
fn a_gateway_that_two_modules_list_is_told_as_such() {
    let error = gatewire::verify::<ListedTwiceModule>().unwrap_err().to_string();
    assert!(error.contains("1 fault:"), "{error}");
    assert!(
        error.contains(
            "fix: two modules list Twice, or two structs have that name: leave it in one of the modules"
        ),
        "{error}"
    );
}

#[module(providers = [Exported], exports = [Exported], global)]
struct GlobalModule;

#[injectable]
struct Reader {
    _exported: Arc<Exported>,
}

#[module(providers = [Reader])]
struct ReaderModule;

#[module(imports = [ReaderModule, GlobalModule])]
struct GlobalRoot;

#[tokio::test]
async fn a_global_module_is_seen_without_import() {
    App::create::<GlobalRoot>().without_logger().await.unwrap();
}

async fn fails() -> Result<String, std::io::Error> {
    Err(std::io::Error::other("no database"))
}

#[module(providers = [factory(fails)])]
struct FailingModule;

#[tokio::test]
async fn a_failing_factory_stops_the_start() {
    let error = App::create::<FailingModule>()
        .without_logger()
        .await
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "the application cannot start: the factory of String failed: no database"
    );
}

#[module(imports = [Pong])]
struct Ping;

#[module(imports = [Ping], providers = [value(1_u8) , value(PgRepo) as dyn Repo])]
struct Pong;

#[tokio::test]
async fn modules_may_import_each_other() {
    let app = App::create::<Ping>().without_logger().await.unwrap();
    assert_eq!((*app.get::<u8>(), app.get::<dyn Repo>().name()), (1, "pg"));
}

struct RoomConfig {
    name: &'static str,
}

#[injectable]
struct Rooms {
    config: Arc<RoomConfig>,
}

#[module(providers = [Rooms], exports = [Rooms])]
struct RoomModule;

impl RoomModule {
    fn for_root(name: &'static str) -> DynamicModule {
        DynamicModule::of::<Self>().provide(Provider::value(move || RoomConfig { name }))
    }

    fn for_root_async(delay: bool) -> DynamicModule {
        let make = move |url: Arc<Config>| async move {
            if delay {
                tokio::task::yield_now().await;
            }
            Ok::<_, std::io::Error>(RoomConfig { name: url.url })
        };
        DynamicModule::of::<Self>()
            .import::<ConfigModule>()
            .provide(Provider::try_factory(make))
            .export::<RoomConfig>()
            .global()
    }
}

#[module(providers = [value(Config { url: "async" })], exports = [Config])]
struct ConfigModule;

#[injectable]
struct RoomUser {
    rooms: Arc<Rooms>,
}

/// Met before the module is configured.
#[module(imports = [RoomModule], providers = [RoomUser])]
struct RoomUserModule;

#[module(imports = [RoomUserModule, RoomModule::for_root("lobby")])]
struct ConfiguredModule;

#[module(imports = [RoomModule::for_root_async(true)], providers = [RoomReader])]
struct AsyncModule;

#[injectable]
struct RoomReader {
    config: Arc<RoomConfig>,
}

#[tokio::test]
async fn a_module_is_configured_where_it_is_imported() {
    let app = App::create::<ConfiguredModule>().without_logger().await.unwrap();
    assert_eq!(app.get::<RoomUser>().rooms.config.name, "lobby");
    let app = App::create::<AsyncModule>().without_logger().await.unwrap();
    assert_eq!(app.get::<RoomReader>().config.name, "async");
}

#[module(imports = [RoomModule::for_root("one")], exports = [RoomModule])]
struct OneModule;

#[module(imports = [OneModule, RoomModule::for_root("two")])]
struct TwiceModule;

#[module(imports = [RoomModule::for_root("one").named("one"), RoomModule::for_root("two").named("two")])]
struct NamedModule;

#[test]
fn a_module_is_configured_once() {
    let error = gatewire::verify::<TwiceModule>().unwrap_err();
    assert_eq!(
        error.faults(),
        [Fault::ConfiguredTwice {
            module: "RoomModule".to_owned()
        }]
    );
    gatewire::verify::<NamedModule>().unwrap();
    assert_eq!(
        ModuleGraph::of::<NamedModule>().to_string(),
        "NamedModule\n  imports RoomModule(one), RoomModule(two)\n\
         RoomModule(one)\n  exports Rooms\n  Rooms\n    needs RoomConfig\n  RoomConfig\n\
         RoomModule(two)\n  exports Rooms\n  Rooms\n    needs RoomConfig\n  RoomConfig\n"
    );
}

struct FakeRepo;

impl Repo for FakeRepo {
    fn name(&self) -> &'static str {
        "fake"
    }
}

#[injectable]
struct Expensive {
    #[inject(value = panic_if_built())]
    _never: (),
}

fn panic_if_built() {
    panic!("it is replaced");
}

impl Repo for Expensive {
    fn name(&self) -> &'static str {
        "expensive"
    }
}

#[injectable]
struct RepoUser {
    repo: Arc<dyn Repo>,
}

#[module(providers = [Expensive as dyn Repo], exports = [dyn Repo])]
struct RepoModule;

#[module(imports = [RepoModule], providers = [RepoUser, value(PgRepo) as dyn Repo])]
struct RepoUserModule;

#[module(imports = [RepoUserModule, RepoModule], providers = [value(7_u8)])]
struct OverrideModule;

#[tokio::test]
async fn a_test_replaces_providers() {
    let app = App::create::<OverrideModule>()
        .without_logger()
        .override_provider(Provider::shared::<dyn Repo>(|| Arc::new(FakeRepo)))
        .override_provider(Provider::factory(|| async { 8_u8 }))
        .await
        .unwrap();
    assert_eq!(app.get::<dyn Repo>().name(), "fake");
    assert_eq!(app.get::<RepoUser>().repo.name(), "fake", "in every module");
    assert_eq!(*app.get::<u8>(), 8);
    assert!(app.try_get::<Expensive>().is_none(), "nobody needs it any more");

    let error = App::create::<OverrideModule>()
        .without_logger()
        .override_provider(Provider::alias::<PgRepo, dyn Repo>(|repo| repo))
        .override_provider(Provider::value(String::new))
        .await
        .err()
        .unwrap();
    let Error::Verify(error) = error else {
        panic!("{error}")
    };
    assert_eq!(
        error.faults(),
        [Fault::UnknownOverride {
            provider: "String".to_owned()
        }]
    );
}

struct Arguments {
    level: u8,
}

#[injectable]
struct NeedsArguments {
    arguments: Arc<Arguments>,
    repo: Arc<dyn Repo>,
}

#[module(providers = [NeedsArguments], exports = [NeedsArguments])]
struct DeepModule;

#[module(imports = [DeepModule])]
struct ProgramModule;

#[tokio::test]
async fn a_program_gives_what_it_has_made() {
    let level = std::hint::black_box(3);
    let app = App::create::<ProgramModule>()
        .without_logger()
        .provide(Provider::value(move || Arguments { level }))
        .provide(Provider::alias::<PgRepo, dyn Repo>(|repo| repo))
        .await
        .unwrap();
    let needs = app.get::<NeedsArguments>();
    assert_eq!((needs.arguments.level, needs.repo.name()), (3, "pg"));
    assert_eq!(app.get::<Arguments>().level, 3);

    let twice = App::create::<ProgramModule>()
        .without_logger()
        .provide(Provider::value(|| Arguments { level: 1 }))
        .provide(Provider::value(|| Arguments { level: 2 }))
        .await;
    let Err(Error::Verify(error)) = twice else {
        panic!("two of one type, and no `dyn Repo`, are faults")
    };
    let faults = error.to_string();
    assert!(
        faults.contains("the program provides Arguments twice"),
        "{faults}"
    );
    assert!(faults.contains("sees no provider of it"), "{faults}");
}

#[test]
fn the_graph_can_be_drawn() {
    let dot = ModuleGraph::of::<NeedyModule>().to_dot();
    for line in [
        "  subgraph cluster_0 {\n    label=\"NeedyModule\";\n",
        "    p0 [label=\"Hidden\"];\n",
        "  m0 -> m1 [ltail=cluster_0, lhead=cluster_1, style=dashed];\n",
        "  \"missing: Hidden\" [color=red];\n  p1 -> \"missing: Hidden\" [color=red];\n",
    ] {
        assert!(dot.contains(line), "{line} is not in\n{dot}");
    }
    assert!(dot.starts_with("digraph application {\n") && dot.ends_with("}\n"));
}
