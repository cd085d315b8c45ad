//! A client in one namespace, over any way: it asks and waits for answers, answers what it is asked, and looks at everything
//! that comes: whether it is whole, meant for this client, and in order.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fault::{Fault, Result, wrong};
use super::link::PATIENCE;
use super::way::{Message, Socket, Way};

/// How a client comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Transport {
    WebSocket,
    Polling,
    /// By polling, and then over a WebSocket.
    Upgrade,
    /// A WebSocket without Socket.IO.
    Plain,
}

/// The text that belongs to one message of one client: whoever gets it can tell whether it is whole, and whose it is.
pub(super) fn filler(key: &str, number: u32, length: usize) -> String {
    let unit = format!("{key}#{number};");
    unit.chars().cycle().take(length).collect()
}

/// A connected client.
pub(super) struct Client {
    way: Way,
    is_plain: bool,
    /// Its name in the ledgers.
    key: String,
    next_ack: u64,
    /// Answers that came before they were waited for, by their id; a plain client's are in their order.
    answers: HashMap<u64, (Value, Vec<Vec<u8>>)>,
    plain_answers: VecDeque<(String, Value)>,
    /// A packet whose attachments have not come.
    unfinished: Option<(String, usize, Vec<Vec<u8>>)>,
    pub(super) rooms: Vec<String>,
    /// Rooms that it has left: a message that another thread was sending just then may still come.
    left: HashSet<String>,
    /// The last message that came of each sender in each room.
    heard: HashMap<(String, String), u32>,
    /// Whether it answers what it is asked.
    pub(super) is_answering: bool,
    /// How many parts of a flood came.
    pub(super) drops: u32,
    /// Its own messages to its rooms that it waits for.
    own: VecDeque<u32>,
}

impl Client {
    pub(super) fn connect(address: SocketAddr, transport: Transport, key: &str) -> Result<Self> {
        let query = format!("life={key}");
        let way = match transport {
            Transport::WebSocket => Way::websocket(address, &query)?,
            Transport::Polling | Transport::Upgrade => Way::polling(address, &query)?,
            Transport::Plain => Way::plain(address, &query)?,
        };
        let mut client = Self {
            way,
            is_plain: transport == Transport::Plain,
            key: key.to_owned(),
            next_ack: 0,
            answers: HashMap::new(),
            plain_answers: VecDeque::new(),
            unfinished: None,
            rooms: Vec::new(),
            left: HashSet::new(),
            heard: HashMap::new(),
            is_answering: true,
            drops: 0,
            own: VecDeque::new(),
        };
        if !client.is_plain {
            client.join_namespace()?;
        }
        if transport == Transport::Upgrade {
            let (way, rest) = client.way.upgraded()?;
            client.way = way;
            for message in rest {
                client.take(message)?;
            }
        }
        Ok(client)
    }

    /// Enters another namespace alone, is answered there, and leaves.
    pub(super) fn visit(address: SocketAddr, namespace: &str) -> Result<()> {
        let mut way = Way::websocket(address, "")?;
        let packets = [
            (format!("40{namespace},"), format!("40{namespace},{{")),
            (
                format!("42{namespace},7[\"ping\",5]"),
                format!("43{namespace},7[5]"),
            ),
        ];
        for (packet, expected) in packets {
            way.send(&[Message::Text(packet)])?;
            loop {
                match way.receive(Instant::now() + PATIENCE)?.pop() {
                    Some(Message::Text(text)) if text.starts_with(&expected) => break,
                    Some(Message::Text(text)) if text == "2" => way.send(&[Message::Text("3".to_owned())])?,
                    other => return wrong(format!("instead of {expected} came {other:?}")),
                }
            }
        }
        way.send(&[Message::Text(format!("41{namespace},"))])
    }

    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }

    fn join_namespace(&mut self) -> Result<()> {
        self.way.send(&[Message::Text("40".to_owned())])?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            for message in self.way.receive(deadline)? {
                match &message {
                    Message::Text(text) if text.starts_with("40{") => return Ok(()),
                    Message::Text(text) if text == "2" => self.pong()?,
                    Message::Text(text) if text == "6" => {}
                    _ => return wrong(format!("instead of the namespace came {message:?}")),
                }
            }
        }
        wrong("the namespace was not joined in time")
    }

    fn pong(&mut self) -> Result<()> {
        self.way.send(&[Message::Text("3".to_owned())])
    }

    /// Sends an event and waits for its answer.
    pub(super) fn ask(&mut self, event: &str, body: &Value) -> Result<Value> {
        let id = self.send(event, body)?;
        self.answer(id, event)
    }

    /// Sends an event; the number by which its answer is waited for.
    pub(super) fn send(&mut self, event: &str, body: &Value) -> Result<u64> {
        self.send_all(event, std::slice::from_ref(body))
    }

    /// Sends several of an event, over polling in one request; the number of the first, which the others follow.
    pub(super) fn send_all(&mut self, event: &str, bodies: &[Value]) -> Result<u64> {
        let first = self.next_ack;
        let mut messages = Vec::with_capacity(bodies.len());
        for body in bodies {
            messages.push(self.event(event, body));
            self.next_ack += 1;
        }
        self.way.send(&messages)?;
        Ok(first)
    }

    /// As [`send`](Self::send), with bytes as its body.
    pub(super) fn ask_bytes(&mut self, event: &str, body: Vec<u8>) -> Result<Vec<u8>> {
        let id = self.next_ack;
        self.next_ack += 1;
        let head = format!("451-{id}[\"{event}\",{{\"_placeholder\":true,\"num\":0}}]");
        self.way.send(&[Message::Text(head), Message::Binary(body)])?;
        self.wait_for(event, |client| client.answers.remove(&id))
            .and_then(|(_, mut attachments)| match attachments.pop() {
                Some(bytes) if attachments.is_empty() => Ok(bytes),
                _ => wrong("the answer to bytes holds none, or too many"),
            })
    }

    /// The answer to what was sent under this number.
    pub(super) fn answer(&mut self, id: u64, event: &str) -> Result<Value> {
        if self.is_plain {
            let (name, value) = self.wait_for(event, |client| client.plain_answers.pop_front())?;
            return if name == event {
                Ok(value)
            } else {
                wrong(format!("{name} was answered instead of {event}: {value}"))
            };
        }
        let (value, _) = self.wait_for(event, |client| client.answers.remove(&id))?;
        Ok(value)
    }

    /// Enters a room.
    pub(super) fn join(&mut self, room: &str) -> Result<()> {
        self.rooms.push(room.to_owned());
        self.ask("join", &json!(room)).map(drop)
    }

    /// Leaves the room that it entered first, if there is one.
    pub(super) fn leave(&mut self) -> Result<()> {
        if self.rooms.is_empty() {
            return Ok(());
        }
        let room = self.rooms.remove(0);
        self.left.insert(room.clone());
        self.ask("leave", &json!(room)).map(drop)
    }

    /// Says something to a room. Who is in it hears it before the answer comes.
    pub(super) fn say(&mut self, room: &str, number: u32, length: usize) -> Result<()> {
        let text = filler(&self.key, number, length);
        let body = json!({ "room": room, "from": self.key, "number": number, "text": text });
        let is_in = self.rooms.iter().any(|own| own == room);
        if is_in {
            self.own.push_back(number);
        }
        let answer = self.ask("say", &body)?;
        if answer != json!(number) {
            return wrong(format!("say {number} was answered with {answer}"));
        }
        if let Some(lost) = self.own.pop_front() {
            return wrong(format!(
                "its own message {lost} to its room {room} had not come when it was acknowledged"
            ));
        }
        Ok(())
    }

    /// Takes what comes until `until`.
    pub(super) fn listen(&mut self, until: Instant) -> Result<()> {
        loop {
            let messages = self.way.receive(until)?;
            if messages.is_empty() && Instant::now() >= until {
                return Ok(());
            }
            messages.into_iter().try_for_each(|message| self.take(message))?;
        }
    }

    fn wait_for<T>(&mut self, event: &str, mut ready: impl FnMut(&mut Self) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = ready(self) {
                return Ok(found);
            }
            if Instant::now() >= deadline {
                return wrong(format!(
                    "{event} was not answered within {} s",
                    PATIENCE.as_secs()
                ));
            }
            for message in self.way.receive(deadline)? {
                self.take(message)?;
            }
        }
    }

    fn event(&self, event: &str, body: &Value) -> Message {
        Message::Text(if self.is_plain {
            json!({ "event": event, "data": body }).to_string()
        } else {
            format!("42{}{}", self.next_ack, json!([event, body]))
        })
    }

    fn take(&mut self, message: Message) -> Result<()> {
        match message {
            Message::Text(text) if self.is_plain => {
                let mut envelope: Value = serde_json::from_str(&text)?;
                let event = envelope["event"].as_str().unwrap_or_default().to_owned();
                let data = envelope["data"].take();
                match &*event {
                    "said" => self.hear(&data),
                    _ => {
                        self.plain_answers.push_back((event, data));
                        Ok(())
                    }
                }
            }
            Message::Text(text) => match text.get(..2).unwrap_or(&text) {
                "2" => self.pong(),
                "6" => Ok(()),
                "1" => Err(Fault::Gone(std::io::ErrorKind::ConnectionAborted.into())),
                "42" | "43" => self.packet(&text[1..], Vec::new()),
                "45" | "46" => {
                    let (count, rest) = text[2..]
                        .split_once('-')
                        .ok_or_else(|| Fault::Wrong("attachments without a count".to_owned()))?;
                    let count = count.parse().unwrap_or(0);
                    let kind = if text.starts_with("45") { '2' } else { '3' };
                    self.unfinished = Some((format!("{kind}{rest}"), count, Vec::new()));
                    Ok(())
                }
                _ => wrong(format!("an unexpected packet: {text:?}")),
            },
            Message::Binary(data) => {
                let Some((packet, count, mut attachments)) = self.unfinished.take() else {
                    return wrong("an attachment that belongs to nothing");
                };
                attachments.push(data);
                if attachments.len() < count {
                    self.unfinished = Some((packet, count, attachments));
                    return Ok(());
                }
                self.packet(&packet, attachments)
            }
        }
    }

    /// An event or an answer, whole.
    fn packet(&mut self, packet: &str, attachments: Vec<Vec<u8>>) -> Result<()> {
        let start = packet.find('[').unwrap_or(packet.len());
        let (kind, id) = packet[..start].split_at(1);
        let mut arguments: Vec<Value> = serde_json::from_str(&packet[start..])?;
        let id = id.parse::<u64>().ok();
        if kind == "3" {
            let id = id.ok_or_else(|| Fault::Wrong("an answer without an id".to_owned()))?;
            let answer = arguments.drain(..).next().unwrap_or(Value::Null);
            return match self.answers.insert(id, (answer, attachments)) {
                None if id < self.next_ack => Ok(()),
                _ => wrong(format!("the answer {id} came twice, or was never asked for")),
            };
        }
        let data = arguments.get_mut(1).map(Value::take).unwrap_or_default();
        match arguments.first().and_then(Value::as_str) {
            Some("said") => self.hear(&data),
            Some("question") => match (id, data.as_u64()) {
                (Some(id), Some(number)) if self.is_answering => {
                    let answer = format!("43{id}[{}]", number + 1);
                    self.way.send(&[Message::Text(answer)])
                }
                (Some(_), Some(_)) => Ok(()),
                _ => wrong("a question without a number, or that wants no answer"),
            },
            Some("drop") if data == json!(self.drops) => {
                self.drops += 1;
                Ok(())
            }
            // After a question that was not answered.
            Some("exception") => Ok(()),
            other => wrong(format!(
                "an unexpected event {other:?}: {data} (drops: {})",
                self.drops
            )),
        }
    }

    /// A message to a room.
    fn hear(&mut self, said: &Value) -> Result<()> {
        let heard = Heard::check(said, |room| {
            self.rooms.iter().any(|own| own == room) || self.left.contains(room)
        })?;
        if heard.from == self.key && self.own.pop_front() != Some(heard.number) {
            return wrong(format!("its own message {} came at a wrong time", heard.number));
        }
        heard.in_order(&mut self.heard)
    }

    /// Leaves as an honest client does.
    pub(super) fn say_goodbye(mut self) -> Result<()> {
        if !self.is_plain {
            self.way.send(&[Message::Text("41".to_owned())])?;
        }
        match self.way {
            Way::Socket(socket) => socket.close(),
            Way::Polling(mut polling) => polling.leave(),
        }
    }

    /// Ends in the middle of a frame, or of a poll.
    pub(super) fn cut_off(mut self, event: &str, body: &Value) -> Result<()> {
        let message = self.event(event, body);
        match &mut self.way {
            Way::Socket(socket) => Socket::send_half(socket, &message),
            Way::Polling(polling) => polling.begin_poll(),
        }
    }

    /// Is silent from now on; whether the server has ended the connection within `time`. A client on polling cannot tell.
    pub(super) fn vanish(self, time: Duration) -> bool {
        match self.way {
            Way::Socket(socket) => {
                std::thread::sleep(time);
                socket.has_ended()
            }
            Way::Polling(_) => {
                std::thread::sleep(time);
                true
            }
        }
    }
}

/// A message to a room, which somebody heard.
pub(super) struct Heard {
    room: String,
    from: String,
    number: u32,
}

impl Heard {
    /// It must be whole, and for a room in which the listener is.
    pub(super) fn check(said: &Value, is_in: impl Fn(&str) -> bool) -> Result<Self> {
        let (room, from, number, text) = (&said["room"], &said["from"], &said["number"], &said["text"]);
        let (Some(room), Some(from), Some(number), Some(text)) =
            (room.as_str(), from.as_str(), number.as_u64(), text.as_str())
        else {
            return wrong(format!("a message to a room without its parts: {said}"));
        };
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        if !is_in(room) {
            return wrong(format!("a message came to the room {room}, in which it is not"));
        }
        if text != filler(from, number, text.len()) {
            return wrong(format!("the message {number} of {from} was changed on its way"));
        }
        Ok(Self {
            room: room.to_owned(),
            from: from.to_owned(),
            number,
        })
    }

    /// Numbers of one sender in one room only grow.
    pub(super) fn in_order(self, last: &mut HashMap<(String, String), u32>) -> Result<()> {
        let Self { room, from, number } = self;
        let what = format!("{from} in {room}");
        match last.insert((room, from), number) {
            Some(before) if before >= number => {
                wrong(format!("message {number} of {what} came after {before}"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(number: u32, text: &str) -> Value {
        json!({ "room": "red", "from": "1-2", "number": number, "text": text })
    }

    #[test]
    fn what_is_changed_foreign_or_out_of_order_is_seen() {
        let text = filler("1-2", 3, 20);
        assert_eq!(text, "1-2#3;1-2#3;1-2#3;1-");
        let is_red = |room: &str| room == "red";
        let mut last = HashMap::new();
        let mut hear = |number, text: &str| {
            Heard::check(&said(number, text), is_red).and_then(|heard| heard.in_order(&mut last))
        };
        assert!(hear(3, &text).is_ok());
        assert!(hear(3, &text).is_err(), "twice");
        assert!(hear(2, &filler("1-2", 2, 20)).is_err(), "an older one");
        assert!(hear(4, &text).is_err(), "another text");
        assert!(hear(4, &filler("1-2", 4, 9)).is_ok());
        assert!(
            Heard::check(&said(3, &text), |_| false).is_err(),
            "not in the room"
        );
        assert!(Heard::check(&json!({}), is_red).is_err());
    }
}
