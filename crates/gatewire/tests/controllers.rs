//! Controllers: routes, extractors, answers and errors, guards, interceptors and filters, and what is told at start.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Json;
use axum::extract::Query;
use gatewire::controller::{ETag, HttpError};
use gatewire::pipeline::ContextKind;
use gatewire::prelude::*;
use gatewire::testing::TestApp;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Cat {
    name: String,
}

#[derive(Deserialize, garde::Validate)]
struct NewCat {
    #[garde(length(min = 3))]
    name: String,
}

#[derive(Debug, PartialEq)]
struct NoSuchCat(usize);

impl From<NoSuchCat> for HttpError {
    fn from(error: NoSuchCat) -> Self {
        Self::not_found(format!("no cat {}", error.0))
    }
}

#[injectable]
#[derive(Debug)]
struct Cats {
    #[inject(value = std::sync::Mutex::new(vec![Cat { name: "Tom".to_owned() }]))]
    all: std::sync::Mutex<Vec<Cat>>,
}

#[controller("/cats")]
struct CatsController {
    cats: Arc<Cats>,
}

#[derive(Deserialize)]
struct Page {
    limit: Option<usize>,
}

#[routes]
impl CatsController {
    #[get]
    fn all(&self, Query(page): Query<Page>) -> Vec<Cat> {
        let all = self.cats.all.lock().unwrap();
        all.iter().take(page.limit.unwrap_or(10)).cloned().collect()
    }

    #[get("/{id}")]
    async fn one(&self, Path(id): Path<usize>) -> Result<Json<Cat>, NoSuchCat> {
        let all = self.cats.all.lock().unwrap();
        all.get(id).cloned().map(Json).ok_or(NoSuchCat(id))
    }

    #[post("/")]
    fn add(&self, Valid(new): Valid<NewCat>) -> (StatusCode, String) {
        let name = new.name;
        self.cats.all.lock().unwrap().push(Cat { name: name.clone() });
        (StatusCode::CREATED, name)
    }

    #[put("/{id}/{name}")]
    #[patch("/{id}/{name}")]
    fn rename(&self, Path((id, name)): Path<(usize, String)>, body: String) -> Result<(), HttpError> {
        assert!(body.is_empty(), "the cat got a letter");
        let mut all = self.cats.all.lock().unwrap();
        all.get_mut(id)
            .ok_or_else(|| HttpError::from(StatusCode::NOT_FOUND))?
            .name = name;
        Ok(())
    }

    #[delete("/{id}")]
    fn remove(&self, Path(_): Path<usize>) -> Result<(), HttpError> {
        Err(HttpError::internal("the database is on fire"))
    }

    #[get("/tagged")]
    fn tagged(&self, etag: ETag) -> axum::response::Response {
        etag.reply(self.cats.all.lock().unwrap().len(), || "the list")
    }
}

#[module(controllers = [CatsController], providers = [Cats])]
struct CatsModule;

async fn cats() -> TestApp {
    TestApp::create::<CatsModule>().await.unwrap()
}

#[tokio::test]
async fn handlers_answer_with_values_responses_and_errors() {
    let app = cats().await;
    let all = app.fetch("/cats").await.unwrap();
    assert_eq!(
        (all.status, all.header("content-type")),
        (StatusCode::OK, Some("application/json"))
    );
    assert_eq!(all.json::<Value>(), json!([{ "name": "Tom" }]));
    assert_eq!(app.fetch("/cats?limit=0").await.unwrap().text(), "[]");
    assert_eq!(
        app.fetch("/cats/0").await.unwrap().json::<Value>(),
        json!({ "name": "Tom" })
    );

    let missing = app.fetch("/cats/7").await.unwrap();
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(
        missing.text(),
        r#"{"message":"no cat 7","error":"Not Found","statusCode":404}"#
    );
    let added = app
        .request(Method::POST, "/cats")
        .json(&json!({ "name": "Kit" }))
        .send()
        .await
        .unwrap();
    assert_eq!((added.status, added.text()), (StatusCode::CREATED, "Kit"));
    for method in [Method::PUT, Method::PATCH] {
        let renamed = app.request(method, "/cats/1/Kat").send().await.unwrap();
        assert_eq!((renamed.status, renamed.text()), (StatusCode::OK, ""));
    }
    assert_eq!(app.get::<Cats>().all.lock().unwrap()[1].name, "Kat");
    let missing = app.request(Method::PUT, "/cats/9/x").send().await.unwrap();
    assert_eq!(missing.text(), r#"{"message":"Not Found","statusCode":404}"#);
}

#[tokio::test]
async fn what_cannot_be_taken_or_is_no_client_s_business_is_told_in_json() {
    let app = cats().await;
    let wrong = app.fetch("/cats/x").await.unwrap();
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let told: Value = wrong.json();
    assert_eq!(
        (&told["statusCode"], &told["error"]),
        (&json!(400), &json!("Bad Request"))
    );
    let invalid = app
        .request(Method::POST, "/cats")
        .json(&json!({ "name": "x" }))
        .send()
        .await
        .unwrap();
    assert_eq!(
        invalid.json::<Value>(),
        json!({
            "message": "Validation failed", "error": "Bad Request", "statusCode": 400,
            "errors": [{ "property": "name", "constraints": ["length is lower than 3"] }],
        })
    );
    for (method, target, body) in [
        (Method::DELETE, "/cats/0", ""),
        (Method::PUT, "/cats/0/x", "dear cat"),
    ] {
        let failed = app.request(method, target).body(body).send().await.unwrap();
        assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            failed.text(),
            r#"{"message":"Internal server error","statusCode":500}"#
        );
    }
    let nothing = app.fetch("/dogs").await.unwrap();
    assert_eq!(nothing.status, StatusCode::NOT_FOUND);
    assert_eq!(nothing.json::<Value>()["message"], "Cannot GET /dogs");
}

#[tokio::test]
async fn a_poll_for_what_the_client_has_is_cheap() {
    let app = cats().await;
    let first = app.fetch("/cats/tagged").await.unwrap();
    assert_eq!(first.text(), "the list");
    let tag = first.header("etag").unwrap();
    let again = app
        .request(Method::GET, "/cats/tagged")
        .header("if-none-match", tag)
        .send()
        .await
        .unwrap();
    assert_eq!((again.status, again.text()), (StatusCode::NOT_MODIFIED, ""));
    let added = app
        .request(Method::POST, "/cats")
        .json(&json!({ "name": "Kit" }))
        .send()
        .await
        .unwrap();
    assert_eq!(added.status, StatusCode::CREATED);
    let changed = app
        .request(Method::GET, "/cats/tagged")
        .header("if-none-match", tag)
        .send()
        .await
        .unwrap();
    assert_eq!(changed.text(), "the list");
}

struct User(String);

/// The same guard for gateways and controllers.
#[injectable]
struct TokenGuard {
    #[inject(default)]
    asked: AtomicUsize,
}

#[derive(Deserialize)]
struct Auth {
    token: Option<String>,
}

impl Guard for TokenGuard {
    async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        assert!(!context.is_connection());
        let Auth { token } = context.data()?;
        match token.as_deref() {
            None => Ok(false),
            Some("bad") => Err("this token is over".into()),
            Some("boom") => panic!("no guard is safe"),
            Some(token) => {
                context.client().set(User(token.to_owned()));
                Ok(true)
            }
        }
    }
}

#[injectable]
struct Wrap;

impl Interceptor for Wrap {
    async fn intercept(&self, context: &ExecutionContext, next: Next<'_>) -> Result<Answer, Exception> {
        assert_eq!(context.kind(), ContextKind::Http);
        let method = context.request().unwrap().method.clone();
        let answer = next.handle().await?;
        if answer.data().is_none() {
            return Ok(answer);
        }
        let path = context.pattern();
        answer
            .map(|value: Value| json!({ "of": format!("{method} {path}"), "value": value }))
            .map_err(Into::into)
    }
}

#[injectable]
struct NoCatFilter;

impl ExceptionFilter for NoCatFilter {
    type Error = WsException;

    async fn catch(&self, error: WsException, _: &ExecutionContext) -> Result<Answer, WsException> {
        if error.error() == json!("teapot") {
            return Answer::value(&"tea");
        }
        Err(error)
    }
}

#[controller("guarded")]
#[use_interceptors(Wrap)]
#[use_filters(NoCatFilter)]
struct GuardedController;

#[routes]
#[use_guards(TokenGuard)]
impl GuardedController {
    #[get("me")]
    fn me(&self, user: Extension<User>) -> Cat {
        Cat {
            name: user.0.0.clone(),
        }
    }

    #[get("text")]
    fn text(&self) -> &'static str {
        "as it is"
    }

    #[get("tea")]
    fn tea(&self) -> Result<(), WsException> {
        Err("teapot".into())
    }

    #[get("slow")]
    #[use_guards(Throttle::by(1, std::time::Duration::from_secs(60), |_| Some(())))]
    fn slow(&self) {}
}

#[module(controllers = [GuardedController])]
struct GuardedModule;

#[tokio::test]
async fn guards_interceptors_and_filters_are_those_of_gateways() {
    let app = TestApp::create::<GuardedModule>().await.unwrap();
    let refused = app.fetch("/guarded/me").await.unwrap();
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(
        refused.text(),
        r#"{"message":"Forbidden resource","error":"Forbidden","statusCode":403}"#
    );
    let bad = app.fetch("/guarded/me?token=bad").await.unwrap();
    assert_eq!(
        bad.text(),
        r#"{"message":"this token is over","error":"Forbidden","statusCode":403}"#
    );
    let panicked = app.fetch("/guarded/me?token=boom").await.unwrap();
    assert_eq!(panicked.status, StatusCode::INTERNAL_SERVER_ERROR);

    let me = app.fetch("/guarded/me?token=Tom").await.unwrap();
    assert_eq!(
        me.json::<Value>(),
        json!({ "of": "GET me", "value": { "name": "Tom" } })
    );
    assert_eq!(
        app.fetch("/guarded/text?token=Tom").await.unwrap().text(),
        "as it is"
    );
    assert_eq!(
        app.fetch("/guarded/tea?token=Tom").await.unwrap().text(),
        r#""tea""#
    );
    assert_eq!(
        app.fetch("/guarded/slow?token=Tom").await.unwrap().status,
        StatusCode::OK
    );
    let throttled = app.fetch("/guarded/slow?token=Tom").await.unwrap();
    assert_eq!(throttled.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(throttled.header("retry-after"), Some("60"));
}

#[controller("/limited")]
#[use_guards(Throttle::per_client(2, std::time::Duration::from_secs(60)))]
struct LimitedController;

#[routes]
impl LimitedController {
    #[get]
    fn limited(&self) {}
}

#[module(controllers = [LimitedController])]
struct LimitedModule;

#[tokio::test]
async fn requests_of_one_address_are_one_client_to_a_throttle() {
    let app = App::create::<LimitedModule>().without_logger().await.unwrap();
    let app = TestApp::on_free_port(app).await.unwrap();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(app.fetch("/limited").await.unwrap().status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 429]);
}

#[controller]
struct Twice;

#[routes]
impl Twice {
    #[get("/cats")]
    fn again(&self) {}

    #[get("/cats/{name}")]
    fn other(&self) {}
}

#[module(imports = [CatsModule], controllers = [Twice])]
struct FaultyModule;

#[test]
fn two_handlers_of_one_request_are_told_at_start() {
    let error = gatewire::verify::<FaultyModule>().unwrap_err().to_string();
    for told in [
        "GET /cats has two handlers: CatsController::all and Twice::again",
        "Twice::other has the path \"/cats/{name}\", which is not to be told from \"/cats/{id}\"",
    ] {
        assert!(error.contains(told), "{told} in {error}");
    }
}

#[tokio::test]
async fn controllers_are_served_beside_a_router_and_in_one() {
    let other = axum::Router::new().route("/other", axum::routing::get(|| async { "other" }));
    let app = App::create::<CatsModule>()
        .without_logger()
        .await
        .unwrap()
        .merge(other);
    let app = TestApp::on_free_port(app).await.unwrap();
    assert_eq!(app.fetch("/other").await.unwrap().text(), "other");
    assert_eq!(app.fetch("/cats?limit=0").await.unwrap().text(), "[]");

    let router = App::create::<CatsModule>()
        .without_logger()
        .await
        .unwrap()
        .into_router()
        .unwrap();
    let request = http::Request::get("/cats?limit=0")
        .body(axum::body::Body::empty())
        .unwrap();
    let response = tower_service::Service::call(&mut router.clone(), request)
        .await
        .unwrap();
    let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    assert_eq!(body, "[]");
}
