use gatewire::prelude::*;

#[controller(7)]
struct Number;

#[controller("/a", nmaespace = "/b")]
struct Misspelt;

#[controller("/:id")]
struct Colon;

struct Alone;

impl Alone {
    #[get("/")]
    fn get(&self) {}
}

#[controller]
struct Wrong;

#[routes]
impl Wrong {
    #[get("/:id")]
    fn colon(&self) {}

    #[get = "/"]
    fn assigned(&self) {}

    #[get("/a", method = POST)]
    fn method(&self) {}

    #[sse("/b", method = BREW)]
    fn brewed(&self) {}

    #[sse("/c", retry = 5)]
    fn option(&self) {}

    #[post("/d")]
    fn first(&self) {}

    #[post("d/")]
    fn second(&self) {}

    #[get("/e")]
    fn without_self() {}

    #[get("/f")]
    fn changes(&mut self) {}

    #[get("/g")]
    fn generic<T>(&self) {}

    #[get("/h")]
    fn any(&self, body: impl Clone) {}

    #[post("/i")]
    fn body_first(&self, Json(_body): Json<u8>, Query(_page): Query<u8>) {}

    #[post("/j")]
    fn two_bodies(&self, _text: String, Valid(_body): Valid<()>) {}
}

fn main() {}
