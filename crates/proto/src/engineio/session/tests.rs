//! A session's life as transcripts: what the client does at which millisecond, and what comes due meanwhile.

use proptest::prelude::*;

use super::*;

const TIMING: Timing = Timing {
    ping_interval: Duration::from_millis(300),
    ping_timeout: Duration::from_millis(200),
    upgrade_timeout: Duration::from_millis(100),
};

/// One session and the clock of its test, in milliseconds from the open packet.
struct Transcript {
    session: Session,
    start: Instant,
    now: u64,
}

impl Transcript {
    fn open(transport: TransportKind) -> Self {
        let start = Instant::now();
        Self {
            session: Session::open(&TIMING, transport, start),
            start,
            now: 0,
        }
    }

    fn open_v3(transport: TransportKind) -> Self {
        let start = Instant::now();
        Self {
            session: Session::open_v3(&TIMING, transport, start),
            start,
            now: 0,
        }
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_millis(self.now)
    }

    /// Lets time pass to `at`; everything due on the way must be `expected`, in order, at these times.
    fn until(&mut self, at: u64, expected: &[(u64, Timeout)]) -> &mut Self {
        let mut seen = Vec::new();
        while let Some(due) = self.session.poll_timeout() {
            let due = u64::try_from((due - self.start).as_millis()).unwrap();
            if due > at {
                break;
            }
            self.now = self.now.max(due);
            let timeout = self
                .session
                .handle_timeout(self.instant())
                .expect("poll_timeout said so");
            seen.push((self.now, timeout));
        }
        self.now = at;
        assert_eq!(self.session.handle_timeout(self.instant()), None);
        assert_eq!(seen, expected, "until {at} ms");
        self
    }

    /// Nobody asks what is due until `at`, and what the client sends meanwhile is not read.
    fn stand_still_until(&mut self, at: u64) -> &mut Self {
        self.now = at;
        self.session.resume(self.instant());
        self
    }

    /// The client sends this packet on the session's transport; it means nothing to the protocol above.
    fn client(&mut self, text: &str) -> &mut Self {
        let now = self.instant();
        assert_eq!(
            self.session.receive(Packet::decode(text).unwrap(), now),
            Ok(None),
            "{text}"
        );
        self
    }

    fn client_message(&mut self, text: &str) -> &mut Self {
        let packet = Packet::decode(text).unwrap();
        let now = self.instant();
        assert_eq!(
            self.session.receive(packet.clone(), now),
            Ok(Some(packet)),
            "{text}"
        );
        self
    }

    fn client_closes(&mut self, text: &str, reason: CloseReason) {
        let now = self.instant();
        assert_eq!(
            self.session.receive(Packet::decode(text).unwrap(), now),
            Err(reason),
            "{text}"
        );
        assert!(self.session.is_closed());
        assert_eq!(self.session.poll_timeout(), None);
        assert_eq!(self.session.receive(Packet::Message("late"), now), Ok(None));
        assert_eq!(self.session.handle_timeout(now + Duration::from_secs(60)), None);
    }

    fn upgrade(&mut self) -> Result<(), UpgradeRefused> {
        let now = self.instant();
        self.session.start_upgrade(now)
    }

    fn probe(&mut self, text: &str) -> Result<Probe, UpgradeRefused> {
        let now = self.instant();
        self.session.receive_probe(&Packet::decode(text).unwrap(), now)
    }
}

use CloseReason::{TransportClose, TransportError};
use Timeout::{PingTimeout, SendPing, UpgradeTimeout};
use TransportKind::{Polling, WebSocket};

#[test]
fn a_pong_restarts_the_interval() {
    Transcript::open(WebSocket)
        .until(300, &[(300, SendPing)])
        .until(340, &[])
        .client("3")
        .until(640, &[(640, SendPing)])
        .client("3")
        .until(939, &[])
        .until(940, &[(940, SendPing)]);
}

#[test]
fn a_missing_pong_ends_the_session() {
    for transport in [Polling, WebSocket] {
        let mut transcript = Transcript::open(transport);
        transcript
            .until(499, &[(300, SendPing)])
            .until(1000, &[(500, PingTimeout)]);
        assert!(transcript.session.is_closed());
        assert_eq!(transcript.session.poll_timeout(), None);
    }
}

#[test]
fn the_first_other_packet_renews_the_ping_timeout_once() {
    Transcript::open(WebSocket)
        .until(450, &[(300, SendPing)])
        .client_message("4slow upload")
        .until(600, &[])
        .client_message("4more")
        .until(700, &[(650, PingTimeout)]);
    // Once for each ping.
    Transcript::open(WebSocket)
        .until(450, &[(300, SendPing)])
        .client_message("4a")
        .until(600, &[])
        .client("3")
        .until(1050, &[(900, SendPing)])
        .client_message("bAQID")
        .until(1249, &[])
        .client("3")
        .until(1300, &[]);
}

#[test]
fn packets_before_the_ping_change_nothing() {
    Transcript::open(WebSocket)
        .until(299, &[])
        .client_message("4a")
        .until(300, &[(300, SendPing)]);
}

#[test]
fn an_unasked_pong_restarts_the_interval_too() {
    Transcript::open(WebSocket)
        .until(200, &[])
        .client("3")
        .until(500, &[(500, SendPing)]);
}

#[test]
fn a_late_call_gives_the_whole_ping_timeout() {
    let mut transcript = Transcript::open(WebSocket);
    transcript.now = 10_000;
    let now = transcript.instant();
    assert_eq!(transcript.session.handle_timeout(now), Some(SendPing));
    transcript.until(10_199, &[]).client("3").until(10_498, &[]);
}

#[test]
fn whoever_answered_while_the_server_stood_still_is_not_missed() {
    Transcript::open(WebSocket)
        .until(310, &[(300, SendPing)])
        // The pong lies unread, its time is long over, and the client waits for the next ping.
        .stand_still_until(60_310)
        .until(60_311, &[(60_310, SendPing)])
        .client("3")
        .until(60_320, &[])
        .client("3")
        .until(60_900, &[(60_620, SendPing), (60_820, PingTimeout)]);
}

#[test]
fn whoever_is_gone_is_found_out_however_often_the_server_stands_still() {
    Transcript::open(WebSocket)
        .until(310, &[(300, SendPing)])
        .stand_still_until(1_000)
        .until(1_100, &[(1_000, SendPing)])
        .stand_still_until(2_000)
        .until(2_001, &[(2_000, PingTimeout)]);
}

#[test]
fn a_client_that_rests_is_pinged_after_a_stop() {
    Transcript::open(WebSocket)
        .stand_still_until(250)
        .until(251, &[(250, SendPing)])
        .client("3")
        // Once more.
        .stand_still_until(900)
        .until(1_200, &[(900, SendPing), (1_100, PingTimeout)]);
}

#[test]
fn an_upgrade_under_way_survives_a_stop() {
    let mut transcript = Transcript::open(Polling);
    assert_eq!(transcript.upgrade(), Ok(()));
    transcript.stand_still_until(250).until(251, &[(250, SendPing)]);
    assert_eq!(transcript.probe("5"), Ok(Probe::Done));
}

#[test]
fn in_version_3_a_ping_that_lies_unread_counts() {
    Transcript::open_v3(WebSocket)
        .stand_still_until(10_000)
        .until(10_100, &[])
        .client_message("2")
        .until(10_700, &[(10_600, PingTimeout)]);
}

#[test]
fn close_and_ping_of_the_client_end_the_session_on_every_transport() {
    for transport in [Polling, WebSocket] {
        Transcript::open(transport).client_closes("1", TransportClose);
        Transcript::open(transport).client_closes("2", TransportError);
        Transcript::open(transport).client_closes("2probe", TransportError);
    }
}

#[test]
fn packets_without_a_meaning_are_ignored() {
    Transcript::open(WebSocket)
        .client("0")
        .client("5")
        .client("6")
        .client_message("4")
        .client_message("b");
}

#[test]
fn upgrade() {
    let mut transcript = Transcript::open(Polling);
    transcript.until(20, &[]);
    assert_eq!(transcript.upgrade(), Ok(()));
    assert!(transcript.session.is_upgrading());
    assert_eq!(transcript.probe("2probe"), Ok(Probe::Pong));
    transcript.client_message("4still on polling");
    assert_eq!(transcript.session.transport(), Polling);
    assert_eq!(transcript.probe("5"), Ok(Probe::Done));
    assert_eq!(transcript.session.transport(), WebSocket);
    assert!(!transcript.session.is_upgrading());
    transcript
        .client_message("4on the websocket")
        .until(310, &[(300, SendPing)])
        .client("3");
}

#[test]
fn an_upgrade_between_ping_and_pong_keeps_the_heartbeat() {
    // The pong comes on the WebSocket.
    let mut transcript = Transcript::open(Polling);
    transcript.until(450, &[(300, SendPing)]);
    assert_eq!(transcript.upgrade(), Ok(()));
    assert_eq!(transcript.probe("5"), Ok(Probe::Done));
    transcript
        .until(649, &[])
        .client("3")
        .until(949, &[(949, SendPing)]);
    // The pong never comes: no zombie.
    let mut transcript = Transcript::open(Polling);
    transcript.until(450, &[(300, SendPing)]);
    assert_eq!(transcript.upgrade(), Ok(()));
    assert_eq!(transcript.probe("5"), Ok(Probe::Done));
    transcript.until(1000, &[(650, PingTimeout)]);
}

#[test]
fn an_upgrade_does_not_delay_the_next_ping() {
    // The official client gives up interval + timeout = 500 ms after the last ping.
    let mut transcript = Transcript::open(Polling);
    transcript.until(280, &[]);
    assert_eq!(transcript.upgrade(), Ok(()));
    assert_eq!(transcript.probe("5"), Ok(Probe::Done));
    transcript.until(300, &[(300, SendPing)]);
}

#[test]
fn an_upgrade_that_hangs_is_given_up() {
    let mut transcript = Transcript::open(Polling);
    transcript.until(50, &[]);
    assert_eq!(transcript.upgrade(), Ok(()));
    assert_eq!(transcript.probe("2probe"), Ok(Probe::Pong));
    transcript.until(160, &[(150, UpgradeTimeout)]);
    assert_eq!(transcript.probe("5"), Err(UpgradeRefused::NotStarted));
    assert_eq!(transcript.session.transport(), Polling);
    assert_eq!(transcript.upgrade(), Ok(()), "another one may try");
    transcript.until(300, &[(260, UpgradeTimeout), (300, SendPing)]);
}

#[test]
fn upgrades_refused() {
    let mut transcript = Transcript::open(Polling);
    assert_eq!(transcript.probe("2probe"), Err(UpgradeRefused::NotStarted));
    assert_eq!(transcript.upgrade(), Ok(()));
    assert_eq!(transcript.upgrade(), Err(UpgradeRefused::InProgress));
    for text in [
        "2", "2prob", "2probes", "3probe", "4early", "6", "0", "1", "bAQID",
    ] {
        assert_eq!(
            transcript.probe(text),
            Err(UpgradeRefused::UnexpectedPacket),
            "{text}"
        );
        assert!(!transcript.session.is_upgrading() && !transcript.session.is_closed());
        assert_eq!(transcript.upgrade(), Ok(()));
    }
    transcript.session.upgrade_failed();
    assert_eq!(transcript.upgrade(), Ok(()));
    assert_eq!(transcript.probe("5"), Ok(Probe::Done));
    assert_eq!(transcript.upgrade(), Err(UpgradeRefused::AlreadyUpgraded));
    assert_eq!(transcript.probe("5"), Err(UpgradeRefused::NotStarted));
    transcript.session.close();
    assert_eq!(transcript.upgrade(), Err(UpgradeRefused::Closed));
    assert_eq!(transcript.probe("5"), Err(UpgradeRefused::Closed));
    assert_eq!(
        Transcript::open(WebSocket).upgrade(),
        Err(UpgradeRefused::AlreadyUpgraded)
    );
}

#[test]
fn in_version_3_the_client_pings() {
    for transport in [Polling, WebSocket] {
        let mut transcript = Transcript::open_v3(transport);
        assert_eq!(transcript.session.protocol(), Protocol::V3);
        transcript.until(499, &[]).client_message("2");
        assert!(!transcript.session.is_awaiting_pong());
        // Nothing else renews its time.
        transcript
            .until(900, &[])
            .client_message("4late")
            .client("6")
            .until(998, &[])
            .client_message("2")
            .until(1500, &[(1498, PingTimeout)]);
        assert!(transcript.session.is_closed());
    }
    assert_eq!(Transcript::open(Polling).session.protocol(), Protocol::V4);
}

#[test]
fn in_version_3_a_pong_goes_the_wrong_way() {
    Transcript::open_v3(WebSocket).client_closes("3", TransportError);
    Transcript::open_v3(Polling).client_closes("1", TransportClose);
}

#[test]
fn in_version_3_an_upgrade_leaves_the_client_its_time() {
    let mut transcript = Transcript::open_v3(Polling);
    transcript.until(300, &[]).client_message("2").until(350, &[]);
    assert_eq!(transcript.upgrade(), Ok(()));
    assert_eq!(transcript.probe("2probe"), Ok(Probe::Pong));
    transcript.client_message("4on polling");
    assert_eq!(transcript.probe("5"), Ok(Probe::Done));
    assert_eq!(transcript.session.protocol(), Protocol::V3);
    transcript.until(900, &[(800, PingTimeout)]);

    let mut transcript = Transcript::open_v3(Polling);
    assert_eq!(transcript.upgrade(), Ok(()));
    transcript.until(500, &[(100, UpgradeTimeout), (500, PingTimeout)]);
}

#[test]
fn a_session_is_small() {
    assert!(size_of::<Session>() <= 48, "{}", size_of::<Session>());
}

#[test]
fn huge_timings_are_clamped() {
    let timing = Timing {
        ping_interval: Duration::MAX,
        ping_timeout: Duration::MAX,
        upgrade_timeout: Duration::MAX,
    };
    let now = Instant::now();
    let mut session = Session::open(&timing, Polling, now);
    assert_eq!(session.start_upgrade(now), Ok(()));
    assert_eq!(
        session.poll_timeout(),
        Some(now + Duration::from_millis(u32::MAX.into()))
    );
}

#[test]
fn reasons_are_the_official_words() {
    let table = [
        (CloseReason::PingTimeout, "ping timeout"),
        (TransportClose, "transport close"),
        (TransportError, "transport error"),
        (CloseReason::ParseError, "parse error"),
        (CloseReason::ForcedClose, "forced close"),
        (CloseReason::ServerShuttingDown, "server shutting down"),
    ];
    for (reason, text) in table {
        assert_eq!(reason.as_str(), text);
        assert_eq!(reason.to_string(), text);
    }
}

proptest! {
    /// Whatever comes, an open session always has a time at which something happens, and never waits longer for
    /// a silent client than interval + two timeouts.
    #[test]
    fn a_silent_client_is_always_found_out(steps in proptest::collection::vec((0u64..400, 0usize..12), 0..40)) {
        let mut transcript = Transcript::open(Polling);
        for (delay, step) in steps {
            transcript.now += delay;
            let now = transcript.instant();
            while transcript.session.handle_timeout(now).is_some() {}
            let text = ["0", "1", "2", "3", "3", "4x", "5", "6", "2probe"].get(step);
            match text {
                Some(text) if step < 8 => { let _ = transcript.session.receive(Packet::decode(text).unwrap(), now); }
                Some(text) => { let _ = transcript.probe(text); }
                None if step == 9 => { let _ = transcript.upgrade(); }
                None if step == 10 => { let _ = transcript.probe("5"); }
                None => transcript.session.upgrade_failed(),
            }
            prop_assert_eq!(transcript.session.poll_timeout().is_none(), transcript.session.is_closed());
        }
        let limit = transcript.instant() + Duration::from_millis(300 + 200);
        while let Some(due) = transcript.session.poll_timeout() {
            prop_assert!(due <= limit);
            transcript.session.handle_timeout(due);
        }
    }
}
