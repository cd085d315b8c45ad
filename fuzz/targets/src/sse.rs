//! A stream of Server-Sent Events, whole and cut in two, and what was read from it written and read again.

use gatewire_proto::sse::{Decoder, Item, SseEvent};

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    // The first eight bytes are where the stream is cut.
    let (cut, stream) = input.split_at(input.len().min(8));
    let mut number = [0; 8];
    number[..cut.len()].copy_from_slice(cut);
    let cut = u64::from_le_bytes(number) as usize;
    let items = read(&[stream]);
    let (first, second) = stream.split_at(cut % (stream.len() + 1));
    assert_eq!(read(&[first, second]), items);
    for item in items {
        let mut out = Vec::new();
        match &item {
            Item::Message(message) => SseEvent::data(&*message.data)
                .event(message.event.clone())
                .id(&*message.id)
                .encode(&mut out),
            Item::Retry(wait) => SseEvent::new().retry(*wait).encode(&mut out),
            Item::Comment(comment) => SseEvent::only_comment(&**comment).encode(&mut out),
        }
        let mut again = read(&[&out]);
        // A name has no NUL when it is written.
        if let (Item::Message(message), Some(Item::Message(again))) = (&item, again.first_mut())
            && message.event.contains('\0')
        {
            again.event.clone_from(&message.event);
        }
        assert_eq!(again, [item]);
    }
}

fn read(pieces: &[&[u8]]) -> Vec<Item> {
    let mut decoder = Decoder::default();
    for piece in pieces {
        if decoder.receive(piece).is_err() {
            break;
        }
    }
    std::iter::from_fn(|| decoder.poll_item()).collect()
}
