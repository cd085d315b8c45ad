//! Large messages: who keeps their bytes does not copy them, and nobody else's memory is kept for that.

use super::*;
use crate::large;

const SIZE: usize = 2 * large::LEAST;

/// Where the bytes of a message lie that comes in these pieces, and whether who keeps them shares them.
fn keep(opcode: Opcode, pieces: &[&[u8]]) -> Vec<bool> {
    let mut decoder = Decoder::new(LIMITS);
    let mut shared = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut at = 0;
        loop {
            let Received { consumed, event } = decoder.receive(&mut piece[at..]).unwrap();
            at += consumed;
            let data = match event {
                Some(Event::Binary(data)) => data,
                Some(Event::Text(text)) => text.as_bytes(),
                Some(_) => panic!("{opcode:?} was sent"),
                None => break,
            };
            let kept = large::own(data);
            assert_eq!(kept, data);
            shared.push(kept.as_ptr() == data.as_ptr());
        }
    }
    shared
}

#[test]
fn a_large_binary_message_is_shared_however_it_comes() {
    for len in [large::LEAST, SIZE] {
        let whole = frames().fin(Opcode::Binary, vec![7; len]).0;
        assert_eq!(keep(Opcode::Binary, &[&whole]), [true]);
        let (first, second) = whole.split_at(len / 3);
        assert_eq!(keep(Opcode::Binary, &[first, second]), [true]);
        let half = vec![7; len / 2];
        let fragments = frames()
            .open(Opcode::Binary, &half)
            .fin(Opcode::Continuation, &half);
        assert_eq!(keep(Opcode::Binary, &[&fragments.0]), [true]);
        let twice = [&whole[..], &whole].concat();
        assert_eq!(keep(Opcode::Binary, &[&twice]), [true, true]);
    }
}

#[test]
fn what_is_small_or_text_is_not() {
    let small = frames().fin(Opcode::Binary, vec![7; large::LEAST - 1]).0;
    assert_eq!(keep(Opcode::Binary, &[&small]), [false]);
    let text = frames().fin(Opcode::Text, "x".repeat(SIZE)).0;
    assert_eq!(keep(Opcode::Text, &[&text]), [false]);
}

#[test]
fn messages_in_pieces_use_the_same_memory_again() {
    for opcode in [Opcode::Binary, Opcode::Text] {
        let mut decoder = Decoder::new(LIMITS);
        let mut places = Vec::new();
        let message = frames().fin(opcode, vec![b'x'; SIZE]).0;
        for _ in 0..3 {
            let (mut first, mut second) = (message[..SIZE / 2].to_vec(), message[SIZE / 2..].to_vec());
            assert_eq!(decoder.receive(&mut first).unwrap().event, None);
            places.push(match decoder.receive(&mut second).unwrap().event {
                Some(Event::Binary(data)) => data.as_ptr(),
                Some(Event::Text(text)) => text.as_ptr(),
                other => panic!("{other:?}"),
            });
            assert_eq!(decoder.receive(&mut []).unwrap().event, None);
            assert!(!decoder.holds_buffer());
        }
        // The first grows as it comes, the others find its memory.
        assert_eq!(places[1], places[2], "{opcode:?}");
    }
}
