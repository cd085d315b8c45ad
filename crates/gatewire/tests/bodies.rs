//! What handlers take of a message's body: all of it, parts, through pipes, valid; and what a client gets for one that
//! does not fit.

use bytes::Bytes;
use garde::Validate;
use gatewire::pipeline::{
    Argument, DefaultValue, ParseBool, ParseFloat, ParseInt, Pipe, Trim, Validate as Check,
};
use gatewire::prelude::*;
use gatewire::testing::ScriptedClient as Peer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Deserialize, Serialize, Validate)]
struct Address {
    #[garde(length(min = 5, max = 5), ascii)]
    zip: String,
}

#[derive(Deserialize, Serialize, Validate)]
struct Person {
    #[garde(length(min = 2))]
    name: String,
    #[garde(range(max = 150))]
    age: u8,
    #[garde(dive)]
    address: Option<Address>,
    #[garde(inner(length(max = 3)))]
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct UserId(u64);

#[injectable]
struct Users;

impl Users {
    async fn name(&self, id: u64) -> Option<&'static str> {
        tokio::task::yield_now().await;
        (id == 7).then_some("ada")
    }
}

struct User {
    name: &'static str,
    event: &'static str,
}

#[injectable]
struct UserById {
    users: Arc<Users>,
}

impl Pipe<User> for UserById {
    type Input = u64;

    async fn transform(&self, id: u64, argument: &Argument) -> Result<User, Exception> {
        assert!(argument.client.connected());
        let name = self.users.name(id).await.ok_or("no such user")?;
        let event = argument.pattern;
        Ok(User { name, event })
    }
}

struct Shout {
    times: usize,
}

impl Pipe<String> for Shout {
    type Input = String;

    async fn transform(&self, text: String, _: &Argument) -> Result<String, Exception> {
        assert!(text != "panic", "as the test asked");
        Ok(format!("{}{}", text.to_uppercase(), "!".repeat(self.times)))
    }
}

#[websocket_gateway]
struct Gateway {
    #[websocket_server]
    server: Server,
    user_by_id: Arc<UserById>,
}

#[subscriptions]
impl Gateway {
    #[subscribe_message("body")]
    fn body(&self, #[message_body] number: u8) -> u8 {
        number
    }

    #[subscribe_message("part")]
    fn part(&self, #[message_body("id")] id: UserId, #[message_body("note")] note: Option<String>) -> Value {
        json!([id.0, note])
    }

    #[subscribe_message("binary")]
    fn binary(&self, #[message_body("data")] data: Bytes) -> usize {
        data.len()
    }

    #[subscribe_message("trim")]
    fn trim(&self, #[message_body(Trim)] text: String) -> String {
        text
    }

    #[subscribe_message("shout")]
    async fn shout(&self, #[message_body("text", Trim, Shout { times: 2 })] text: String) -> String {
        text
    }

    #[subscribe_message("greet")]
    async fn greet(&self, #[message_body("id", ParseInt, self.user_by_id)] user: User) -> String {
        format!("{} by {}", user.name, user.event)
    }

    #[subscribe_message("page")]
    fn page(&self, #[message_body("page", DefaultValue(1))] page: u32) -> u32 {
        page
    }

    #[subscribe_message("int")]
    fn int(&self, #[message_body("n", ParseInt)] n: i16) -> i16 {
        n
    }

    #[subscribe_message("int_or_default")]
    fn int_or_default(&self, #[message_body("n", ParseInt, DefaultValue(7))] n: i16) -> i16 {
        n
    }

    #[subscribe_message("maybe")]
    fn maybe(&self, #[message_body("n", ParseBool)] n: Option<bool>) -> String {
        format!("{n:?}")
    }

    #[subscribe_message("float")]
    fn float(&self, #[message_body("n", ParseFloat)] n: f64) -> f64 {
        n
    }

    #[subscribe_message("bool")]
    fn bool(&self, #[message_body("n", ParseBool)] n: bool) -> bool {
        n
    }

    #[subscribe_message("valid")]
    fn valid(&self, Valid(person): Valid<Person>) -> String {
        person.name
    }

    #[subscribe_message("valid-part")]
    async fn valid_part(&self, #[message_body("who", Check)] who: Person) -> String {
        who.name
    }

    #[subscribe_message("nobody")]
    fn nobody(&self) -> bool {
        true
    }

    #[subscribe_message("pair")]
    fn pair(&self, MessageBody((a, b)): MessageBody<(u8, Option<u8>)>) -> Value {
        json!([a, b])
    }

    #[subscribe_message("float-body")]
    fn float_body(&self, MessageBody(n): MessageBody<f64>) -> f64 {
        n
    }
}

#[module(providers = [Users, UserById, Gateway])]
struct Module;

async fn server() -> Server {
    let app = App::create::<Module>().without_logger().await.unwrap();
    // The handlers go with the application, which is to live as long as the test.
    Box::leak(Box::new(app)).get::<Gateway>().server.clone()
}

/// Sends `args` as `event` with an acknowledgement; the answer, and what was emitted before it.
async fn ask(peer: &mut Peer, event: &str, args: &str) -> (Value, Vec<String>) {
    let comma = if args.is_empty() { "" } else { "," };
    let mut sent = peer.ask(&format!(r#"21["{event}"{comma}{args}]"#));
    while !sent.last().is_some_and(|line| line.starts_with("31")) {
        sent.extend(peer.wait(1).await);
    }
    let answer: Vec<Value> = serde_json::from_str(&sent.pop().unwrap()[2..]).unwrap();
    (answer.into_iter().next().unwrap_or_default(), sent)
}

#[tokio::test]
async fn what_fits_is_taken() {
    let mut peer = Peer::joined(&server().await);
    for (event, args, expected) in [
        ("body", "7", json!(7)),
        ("part", r#"{"id":3,"note":"x","more":{"id":4}}"#, json!([3, "x"])),
        ("part", r#"{"id":3}"#, json!([3, null])),
        ("part", r#"{"id":3,"note":null,"id":4}"#, json!([4, null])),
        ("part", r#"{"i\u0064":3}"#, json!([3, null])),
        ("trim", r#"" a b ""#, json!("a b")),
        ("shout", r#"{"text":" hey "}"#, json!("HEY!!")),
        ("greet", r#"{"id":"7"}"#, json!("ada by greet")),
        ("greet", r#"{"id":7}"#, json!("ada by greet")),
        ("page", r#"{"page":3}"#, json!(3)),
        ("page", "{}", json!(1)),
        ("page", "", json!(1)),
        ("int", r#"{"n":"-12"}"#, json!(-12)),
        ("int_or_default", r#"{"n":"-12"}"#, json!(-12)),
        ("int_or_default", r#"{"n":null}"#, json!(7)),
        ("int_or_default", "{}", json!(7)),
        ("maybe", r#"{"n":"true"}"#, json!("Some(true)")),
        ("maybe", "{}", json!("None")),
        ("int", r#"{"n":-12}"#, json!(-12)),
        ("float", r#"{"n":"1.5"}"#, json!(1.5)),
        ("float", r#"{"n":2}"#, json!(2.0)),
        ("bool", r#"{"n":"true"}"#, json!(true)),
        ("bool", r#"{"n":false}"#, json!(false)),
        (
            "valid",
            r#"{"name":"ada","age":36,"address":{"zip":"12345"}}"#,
            json!("ada"),
        ),
        ("valid-part", r#"{"who":{"name":"ada","age":36}}"#, json!("ada")),
        ("nobody", r#"1,2,{"a":[3]}"#, json!(true)),
        ("pair", "1,2", json!([1, 2])),
        ("pair", "1,null", json!([1, null])),
    ] {
        assert_eq!(
            ask(&mut peer, event, args).await,
            (expected, vec![]),
            "{event} {args}"
        );
    }
    assert!(
        peer.ask(r#"51-1["binary",{"data":{"_placeholder":true,"num":0}}]"#)
            .is_empty()
    );
    assert_eq!(peer.ask_binary(&[1, 2, 3]), ["31[3]"]);
}

#[tokio::test]
async fn what_does_not_fit_is_told_and_changes_nothing() {
    let mut peer = Peer::joined(&server().await);
    let numeric = "Validation failed (numeric string is expected)";
    let errors = |errors: &[(&str, &[&str])]| -> Value {
        let errors = errors
            .iter()
            .map(|(property, constraints)| json!({ "property": property, "constraints": constraints }));
        errors.collect()
    };
    for (event, args, message, fields) in [
        (
            "body",
            r#""x""#,
            "Invalid message body: invalid type: string \"x\", expected u8",
            None,
        ),
        (
            "body",
            "",
            "Invalid message body: invalid type: null, expected u8",
            None,
        ),
        (
            "body",
            "1,2",
            "Invalid message body: invalid type: sequence, expected u8",
            None,
        ),
        (
            "body",
            "300",
            "Invalid message body: invalid value: integer `300`, expected u8",
            None,
        ),
        (
            "pair",
            "1",
            "Invalid message body: invalid type: integer `1`, expected a tuple of size 2",
            None,
        ),
        ("pair", "1,2,3", "Invalid message body: trailing characters", None),
        (
            "part",
            r#"{"note":"x"}"#,
            "Invalid message body: missing field `id`",
            None,
        ),
        ("part", "", "Invalid message body: missing field `id`", None),
        ("part", "null", "Invalid message body: missing field `id`", None),
        (
            "part",
            "[1]",
            "Invalid message body: expected an object with the field `id`",
            None,
        ),
        (
            "part",
            "1,2",
            "Invalid message body: expected an object with the field `id`",
            None,
        ),
        (
            "part",
            r#""id""#,
            "Invalid message body: expected an object with the field `id`",
            None,
        ),
        (
            "part",
            r#"{"id":-1}"#,
            "Invalid message body: invalid value: integer `-1`, expected u64",
            None,
        ),
        (
            "trim",
            "1",
            "Invalid message body: invalid type: integer `1`, expected a string",
            None,
        ),
        ("shout", r#"{"text":"panic"}"#, "Internal server error", None),
        ("greet", r#"{"id":8}"#, "no such user", None),
        (
            "int",
            r#"{"n":"1.5"}"#,
            numeric,
            Some(errors(&[("n", &["numeric string is expected"])])),
        ),
        (
            "int",
            r#"{"n":"+1"}"#,
            numeric,
            Some(errors(&[("n", &["numeric string is expected"])])),
        ),
        (
            "int",
            r#"{"n":40000}"#,
            numeric,
            Some(errors(&[("n", &["numeric string is expected"])])),
        ),
        (
            "int",
            r#"{"n":[1]}"#,
            numeric,
            Some(errors(&[("n", &["numeric string is expected"])])),
        ),
        (
            "float",
            r#"{"n":"inf"}"#,
            numeric,
            Some(errors(&[("n", &["numeric string is expected"])])),
        ),
        (
            "float",
            r#"{"n":""}"#,
            numeric,
            Some(errors(&[("n", &["numeric string is expected"])])),
        ),
        (
            "bool",
            r#"{"n":1}"#,
            "Validation failed (boolean string is expected)",
            Some(errors(&[("n", &["boolean string is expected"])])),
        ),
        (
            "valid",
            r#"{"name":"a","age":200,"address":{"zip":"é1"},"tags":["a","long"]}"#,
            "Validation failed",
            Some(errors(&[
                ("address.zip", &["not ascii", "length is lower than 5"]),
                ("age", &["greater than 150"]),
                ("name", &["length is lower than 2"]),
                ("tags[1]", &["length is greater than 3"]),
            ])),
        ),
        (
            "valid",
            r#"{"name":"ada","age":"old"}"#,
            "Validation failed",
            Some(errors(&[("age", &["invalid type: string \"old\", expected u8"])])),
        ),
        (
            "valid",
            r#"{"name":"ada"}"#,
            "Validation failed",
            Some(errors(&[("age", &["missing field `age`"])])),
        ),
        (
            "valid",
            r#"{"name":"ada","age":1,"address":{}}"#,
            "Validation failed",
            Some(errors(&[("address.zip", &["missing field `zip`"])])),
        ),
        (
            "valid-part",
            r#"{"who":{"name":"a","age":1}}"#,
            "Validation failed",
            Some(errors(&[("who.name", &["length is lower than 2"])])),
        ),
    ] {
        let (answer, sent) = ask(&mut peer, event, args).await;
        assert_eq!(answer["status"], "error", "{event} {args}");
        assert_eq!(answer["message"], message, "{event} {args}");
        let mut found = answer.get("errors").cloned();
        if let Some(Value::Array(found)) = &mut found {
            found.sort_by_key(|error| error["property"].as_str().map(str::to_owned));
        }
        assert_eq!(found, fields, "{event} {args}");
        assert_eq!(answer["cause"]["pattern"], event);
        let exception: Value = serde_json::from_str(&sent[0][1..]).unwrap();
        assert_eq!((&exception[0], &exception[1]), (&json!("exception"), &answer));
        assert_eq!(sent.len(), 1, "{event} {args}");
    }
    // JavaScript reads such a number, back in the cause, as infinite; Rust does not read it at all.
    for huge in [format!("1{}", "0".repeat(400)), "1e999".to_owned()] {
        let sent = peer.ask(&format!(r#"21["float-body",{huge}]"#));
        assert!(
            sent[0].contains(r#""message":"Invalid message body: number out of range""#),
            "{sent:?}"
        );
        assert!(sent[1].starts_with("31["));
    }
    assert_eq!(ask(&mut peer, "body", "7").await.0, 7, "the connection lives on");
}
