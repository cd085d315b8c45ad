//! One life of a client, from its connection to one of many ends, as the dice say. What it did is told to the tally; what the
//! server did wrong is its fault.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Client, Heard, Transport, filler};
use super::dice::Dice;
use super::fault::{Fault, Result, wrong};
use super::link::{Link, PATIENCE};
use super::tally::Account;
use crate::wire::flavour;

/// After this time the server must have ended a connection whose client is silent: it pings every 5 s, the answer must come
/// within 20 s, and the machine may be busy.
const SILENCE: Duration = Duration::from_secs(35);

/// Rooms that clients share.
const ROOMS: usize = 12;

/// What a life is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Speaks and listens.
    Talk(Transport),
    /// Listens to a room over Server-Sent Events.
    Listen,
    /// Asks for much, and reads it late.
    Slow,
    /// Asks for more than the server keeps, and does not read.
    Glutton,
    /// Is cut off in the middle of the head of its first request.
    CutHandshake,
}

impl Kind {
    /// The name in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Talk(Transport::WebSocket) => "websocket",
            Self::Talk(Transport::Polling) => "polling",
            Self::Talk(Transport::Upgrade) => "upgrade",
            Self::Talk(Transport::Plain) => "plain",
            Self::Listen => "listener",
            Self::Slow => "slow reader",
            Self::Glutton => "glutton",
            Self::CutHandshake => "cut handshake",
        }
    }
}

/// How a life that speaks ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// Packet and close handshake.
    Goodbye,
    /// The connection is dropped.
    Drop,
    /// Requests are sent, whose answers are not waited for.
    Abandon,
    /// In the middle of a frame, or of a poll.
    Cut,
    /// It says nothing more, and does not answer pings.
    Vanish,
}

/// What a life does at one moment.
#[derive(Clone, Copy, Debug)]
enum Step {
    Work,
    Burst,
    Say,
    Join,
    Leave,
    Bytes,
    Question,
    Ignore,
    Side,
    Rest,
}

const KINDS: [(Kind, usize); 8] = [
    (Kind::Talk(Transport::WebSocket), 30),
    (Kind::Talk(Transport::Polling), 14),
    (Kind::Talk(Transport::Upgrade), 14),
    (Kind::Talk(Transport::Plain), 14),
    (Kind::Listen, 12),
    (Kind::CutHandshake, 10),
    (Kind::Slow, 4),
    (Kind::Glutton, 2),
];

const ENDS: [(End, usize); 5] = [
    (End::Goodbye, 47),
    (End::Drop, 20),
    (End::Abandon, 15),
    (End::Cut, 15),
    (End::Vanish, 3),
];

const STEPS: [(Step, usize); 10] = [
    (Step::Work, 30),
    (Step::Burst, 5),
    (Step::Say, 18),
    (Step::Join, 10),
    (Step::Leave, 6),
    (Step::Bytes, 8),
    (Step::Question, 8),
    (Step::Ignore, 1),
    (Step::Side, 2),
    (Step::Rest, 12),
];

/// A life that is about to begin.
pub(super) struct Life {
    address: SocketAddr,
    key: String,
    dice: Dice,
    pub(super) kind: Kind,
    pub(super) account: Account,
}

impl Life {
    pub(super) fn new(address: SocketAddr, seed: u64, client: usize, number: u64) -> Self {
        let mut dice = Dice::of(seed, client, number);
        Self {
            address,
            key: format!("{client}-{number}"),
            kind: dice.choose(&KINDS),
            dice,
            account: Account::default(),
        }
    }

    /// The name by which both ledgers know it.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Lives.
    pub(super) fn live(&mut self) -> Result<()> {
        match self.kind {
            Kind::Talk(transport) => self.talk(transport),
            Kind::Listen => self.listen(),
            Kind::Slow => self.read_late(),
            Kind::Glutton => self.eat(),
            Kind::CutHandshake => self.cut_handshake(),
        }
    }

    fn connect(&mut self, transport: Transport) -> Result<Client> {
        let client = Client::connect(self.address, transport, &self.key)?;
        self.account.is_known = true;
        Ok(client)
    }

    fn talk(&mut self, transport: Transport) -> Result<()> {
        let mut client = self.connect(transport)?;
        for _ in 0..self.dice.between(3, 40) {
            let step = self.dice.choose(&STEPS);
            self.step(&mut client, step)?;
        }
        match self.dice.choose(&ENDS) {
            End::Goodbye => client.say_goodbye(),
            End::Drop => Ok(()),
            End::Abandon => {
                let count = self.dice.between(1, 10);
                self.send_work(&mut client, count).map(drop)
            }
            End::Cut => client.cut_off("say", &json!({ "text": "x".repeat(200) })),
            End::Vanish if client.vanish(SILENCE) => Ok(()),
            End::Vanish => wrong(format!(
                "the connection of a silent client still stands after {} s",
                SILENCE.as_secs()
            )),
        }
    }

    fn step(&mut self, client: &mut Client, step: Step) -> Result<()> {
        match step {
            Step::Work => {
                let sent = self.send_work(client, 1)?;
                self.await_work(client, sent)
            }
            Step::Burst => {
                let count = self.dice.between(2, 24);
                let sent = self.send_work(client, count)?;
                self.await_work(client, sent)
            }
            Step::Say => {
                let room = match client.rooms.first() {
                    Some(room) if self.dice.below(2) == 0 => room.clone(),
                    _ => self.room(),
                };
                let number = self.account.said;
                self.account.said += 1;
                client.say(&room, number, self.length())
            }
            Step::Join => match self.room() {
                room if client.rooms.len() < 4 && !client.rooms.contains(&room) => client.join(&room),
                _ => Ok(()),
            },
            Step::Leave => client.leave(),
            Step::Bytes if !client.is_plain() => {
                let length = self.length();
                let bytes = self.dice.bytes(length);
                let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
                if client.ask_bytes("reverse", bytes)? == reversed {
                    Ok(())
                } else {
                    wrong("bytes came back changed")
                }
            }
            Step::Question if !client.is_plain() => {
                let number = self.dice.below(1_000_000);
                match client.ask("ask", &json!(number))? {
                    answer if answer == json!(number + 1) => Ok(()),
                    answer => wrong(format!("asked to be asked {number}, the answer was {answer}")),
                }
            }
            Step::Ignore if !client.is_plain() => {
                client.is_answering = false;
                let answer = client.ask("ask", &json!(1))?;
                client.is_answering = true;
                // What is not answered ends by the server's timeout.
                if answer["status"] == json!("error") {
                    Ok(())
                } else {
                    wrong(format!("a question that was not answered: {answer}"))
                }
            }
            Step::Side => self.visit_side(),
            Step::Rest => {
                let rest = Duration::from_millis(self.dice.between(1, 120) as u64);
                client.listen(Instant::now() + rest)
            }
            Step::Bytes | Step::Question | Step::Ignore => Ok(()),
        }
    }

    /// More requests of the ledger; the numbers by which their answers are waited for, and the first of their own.
    fn send_work(&mut self, client: &mut Client, count: usize) -> Result<(Range<u64>, u32)> {
        let first = self.account.sent;
        let mut bodies = Vec::with_capacity(count);
        for _ in 0..count {
            let length = self.length();
            let number = self.account.sent;
            let text = filler(&self.key, number, length);
            bodies.push(json!({ "number": number, "text": text }));
            self.account.sent += 1;
        }
        let id = client.send_all("work", &bodies)?;
        Ok((id..id + count as u64, first))
    }

    fn await_work(&mut self, client: &mut Client, (ids, first): (Range<u64>, u32)) -> Result<()> {
        for (id, number) in ids.zip(first..) {
            match client.answer(id, "work")? {
                answer if answer == json!(number) => self.account.acknowledged += 1,
                answer => return wrong(format!("work {number} was answered with {answer}")),
            }
        }
        Ok(())
    }

    /// Another connection, to a namespace that may come into being with it, and cease to be.
    fn visit_side(&mut self) -> Result<()> {
        let name = format!("/side-{}", self.dice.below(50));
        Client::visit(self.address, &name)
    }

    fn listen(&mut self) -> Result<()> {
        let room = self.room();
        let mut link = Link::connect(self.address)?;
        link.request("GET", &format!("/listen/{room}?life={}", self.key), b"")?;
        let deadline = Instant::now() + PATIENCE;
        while flavour::check_stream(link.input())
            .map_err(Fault::Wrong)?
            .is_none()
        {
            link.fill_or_fail(deadline, "a stream of events")?;
        }
        link.head(deadline)?;
        self.account.is_known = true;
        let until = Instant::now() + Duration::from_millis(self.dice.between(100, 4_000) as u64);
        let mut last = HashMap::new();
        while Instant::now() < until {
            while let Some((content, end)) = flavour::chunk(link.input()).map_err(Fault::Wrong)? {
                if let Some(said) = said(&link.input()[content])? {
                    Heard::check(&said, |other| other == room)?.in_order(&mut last)?;
                }
                link.consume(end);
            }
            link.fill(until)?;
        }
        Ok(())
    }

    fn read_late(&mut self) -> Result<()> {
        let transport = self
            .dice
            .choose(&[(Transport::WebSocket, 3), (Transport::Polling, 1)]);
        let mut client = self.connect(transport)?;
        let parts = 150;
        let id = client.send("flood", &json!({ "parts": parts, "length": 2_000 }))?;
        std::thread::sleep(Duration::from_millis(500));
        client.answer(id, "flood")?;
        if client.drops != parts {
            return wrong(format!(
                "{} of {parts} messages came to a slow reader",
                client.drops
            ));
        }
        client.say_goodbye()
    }

    fn eat(&mut self) -> Result<()> {
        /// More than the server and both kernels keep.
        const PARTS: u32 = 1_000;
        let mut client = self.connect(Transport::WebSocket)?;
        let id = client.send("flood", &json!({ "parts": PARTS, "length": 16_000 }))?;
        std::thread::sleep(Duration::from_secs(1));
        // All of it comes, in order, or the beginning of it.
        match client.answer(id, "flood") {
            Ok(_) if client.drops == PARTS => client.say_goodbye(),
            Ok(_) => wrong(format!("{} of {PARTS} messages came to a glutton", client.drops)),
            Err(Fault::Gone(_)) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    fn cut_handshake(&mut self) -> Result<()> {
        let target = self.dice.choose(&[
            ("/socket.io/?EIO=4&transport=websocket", 3),
            ("/ws?", 1),
            ("/socket.io/?EIO=4&transport=polling", 1),
        ]);
        let request = flavour::upgrade(
            &format!("{target}&life={}", self.key),
            &self.address.to_string(),
            "",
        );
        let part = self.dice.below(request.len());
        let mut link = Link::connect(self.address)?;
        link.write(&request.as_bytes()[..part])?;
        std::thread::sleep(Duration::from_millis(self.dice.below(50) as u64));
        Ok(())
    }

    /// A room that others are in, too, or one of its own.
    fn room(&mut self) -> String {
        match self.dice.below(4) {
            0 => format!("own-{}", self.key),
            _ => format!("room-{}", self.dice.below(ROOMS)),
        }
    }

    /// How long a text is: mostly short, now and then of many frames' length.
    fn length(&mut self) -> usize {
        let (from, to) = self
            .dice
            .choose(&[((1, 40), 80), ((100, 2_000), 18), ((20_000, 90_000), 2)]);
        self.dice.between(from, to)
    }
}

/// The message to a room that a chunk holds, if it holds one.
fn said(chunk: &[u8]) -> Result<Option<Value>> {
    let text = String::from_utf8_lossy(chunk);
    let mut lines = text.lines();
    if lines.next() != Some("event: said") {
        // The preamble, or a heartbeat.
        return if text.lines().all(|line| line.is_empty() || line.starts_with(':')) {
            Ok(None)
        } else {
            wrong(format!("an unexpected event: {text:?}"))
        };
    }
    let data = lines.next().and_then(|line| line.strip_prefix("data: "));
    let data = data.ok_or_else(|| Fault::Wrong(format!("an event without data: {text:?}")))?;
    Ok(Some(serde_json::from_str(data)?))
}
