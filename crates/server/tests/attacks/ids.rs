//! Guessing the id of another client's session.

use std::collections::HashSet;

use gatewire_hub::Id;

use crate::support::sid_of;
use crate::world::{World, status_of, upgrade};

/// 20 characters of 6 bits, 120 bits in all: among so many ids every bit is as often one as zero, no two bits of neighbours
/// go together, and none comes twice.
#[test]
fn ids_have_120_bits_that_nothing_tells() {
    const COUNT: usize = 40_000;
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = |id: &Id| -> u128 {
        id.as_str().chars().fold(0, |bits, character| {
            bits << 6 | ALPHABET.find(character).expect("a character of the alphabet") as u128
        })
    };
    let ids: Vec<u128> = (0..COUNT).map(|_| bits(&Id::generate())).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), COUNT);
    // Six standard deviations, which chance exceeds once in 500 million looks.
    let (half, most) = (COUNT as f64 / 2.0, 3.0 * (COUNT as f64).sqrt());
    for at in 0..120 {
        let ones = ids.iter().filter(|&id| id >> at & 1 == 1).count();
        assert!(
            (ones as f64 - half).abs() < most,
            "bit {at} is one {ones} times of {COUNT}"
        );
        let kept = ids
            .windows(2)
            .filter(|pair| (pair[0] ^ pair[1]) >> at & 1 == 0)
            .count();
        assert!(
            (kept as f64 - half).abs() < most,
            "bit {at} is that of the id before {kept} times"
        );
    }
    let differences: HashSet<u128> = ids.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    assert_eq!(differences.len(), COUNT - 1, "nothing is counted");
}

#[tokio::test]
async fn the_id_that_others_learn_is_not_that_of_the_session() {
    let world = World::start().await;
    let mut stream = crate::support::TestSocket(world.connect().await);
    tokio::io::AsyncWriteExt::write_all(&mut stream.0, upgrade("", "").as_bytes())
        .await
        .unwrap();
    crate::support::read_head(&mut stream.0).await;
    let session = stream.opened().await;
    stream.text("40").await;
    let crate::support::Frame::Text(joined) = stream.receive().await else {
        panic!("no answer to CONNECT");
    };
    assert_ne!(sid_of(&joined), session);
}

/// Every id that is none of a session gets the same answer, however near it is to one.
#[tokio::test]
async fn a_wrong_id_tells_nothing() {
    let world = World::start().await;
    let polling = world.polling().await;
    let (path, sid) = polling.split_once("&sid=").unwrap();
    let near = |at: usize| {
        let mut near = sid.as_bytes().to_vec();
        near[at] = if near[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(near).unwrap()
    };
    let mut wrong: Vec<String> = (0..20).map(near).collect();
    wrong.extend([
        "A".repeat(20),
        sid[..19].to_owned(),
        format!("{sid}A"),
        "__proto__".to_owned(),
    ]);
    for sid in wrong {
        let answer = world
            .answer_to(format!(
                "GET {path}&sid={sid} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert_eq!(status_of(&answer), 400);
        assert!(
            answer.ends_with(r#"{"code":1,"message":"Session ID unknown"}"#),
            "{answer}"
        );
        let answer = world.answer_to(upgrade(&format!("&sid={sid}"), "")).await;
        assert_eq!(status_of(&answer), 400, "{sid}");
    }
    assert_eq!(
        world.request(&polling, "40").await.0,
        200,
        "the session has not noticed anything"
    );
    world.serves().await;
}
