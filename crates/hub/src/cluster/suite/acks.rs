//! Events that clients answer.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::{NODES, Nodes, SOON};
use crate::BroadcastAckError;

/// Of the asking node, too.
pub async fn clients_of_all_nodes_answer(nodes: Nodes) {
    let mut guests = nodes.guests("/");
    nodes.enter(&mut guests, 1, &["a"]).await;
    for node in 0..NODES {
        let request = nodes.main(node).timeout(SOON).emit_with_ack("ask", &node);
        for (index, guest) in guests.iter_mut().enumerate() {
            assert_eq!(guest.answer(&index.to_string(), None).await, json!(["ask", node]));
        }
        let mut answers: Vec<usize> = match request.await {
            Ok(answers) => answers.iter().filter_map(|answer| answer.body().ok()).collect(),
            Err(error) => panic!("from node {node}: {error}"),
        };
        answers.sort_unstable();
        assert_eq!(answers, [0, 1, 2]);
    }
    let request = nodes.main(0).to("a").timeout(SOON).emit_with_ack("ask", &());
    assert_eq!(guests[1].answer("\"yes\"", None).await, json!(["ask"]));
    let answers = request.await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].body::<String>().ok().as_deref(), Some("yes"));
}

/// What came is told, and how many are missing.
pub async fn who_does_not_answer_is_missing(nodes: Nodes) {
    let mut guests = nodes.guests("/");
    let request = nodes
        .main(0)
        .timeout(Duration::from_secs(1))
        .emit_with_ack("ask", &());
    guests[0].answer("0", None).await;
    guests[1].answer("1", None).await;
    match request.await {
        Err(BroadcastAckError::Timeout {
            responses,
            missing,
            silent_nodes,
            ..
        }) => assert_eq!((responses.len(), missing, silent_nodes.count), (2, 1, 0)),
        other => panic!("guest 2 has not answered: {other:?}"),
    }
}

/// No client anywhere is an answer at once.
pub async fn nobody_to_ask_is_no_answer(nodes: Nodes) {
    let request = nodes
        .main(0)
        .to("nowhere")
        .timeout(SOON)
        .emit_with_ack("ask", &());
    let answers = tokio::time::timeout(SOON / 2, request.into_future()).await;
    assert!(
        matches!(answers, Ok(Ok(answers)) if answers.is_empty()),
        "nobody was asked"
    );
}

/// Bytes in the event and in the answers.
pub async fn binary_answers_arrive(nodes: Nodes) {
    let mut guests = nodes.guests("/");
    let request = nodes
        .main(0)
        .to(guests[2].id())
        .timeout(SOON)
        .emit_with_ack("ask", &Bytes::from_static(b"question"));
    let asked = guests[2]
        .answer(r#"{"_placeholder":true,"num":0}"#, Some(b"answer"))
        .await;
    assert_eq!(asked, json!(["ask", {"_placeholder": true, "num": 0}]));
    let answers = request.await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].body::<Bytes>().ok().as_deref(), Some(&b"answer"[..]));
    // A client that answers with nothing has answered.
    let request = nodes
        .main(0)
        .to(guests[2].id())
        .timeout(SOON)
        .emit_with_ack("ask", &());
    guests[2].answer("", None).await;
    let answers = request.await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(answers.len(), 1);
}
