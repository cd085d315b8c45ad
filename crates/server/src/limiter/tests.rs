use std::time::Instant;

use super::*;
use crate::networks::Networks;
use crate::rate::Rate;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn limiter_of(change: impl FnOnce(&mut ClientLimits)) -> ClientLimiter {
    let mut limits = ClientLimits {
        max_connections: usize::MAX,
        max_http_connections: usize::MAX,
        connections: None,
        requests: None,
        messages: None,
        bytes: None,
        exempt: Networks::default(),
        ..ClientLimits::default()
    };
    change(&mut limits);
    ClientLimiter::new(limits)
}

fn open(limiter: &ClientLimiter, from: &str) -> Result<Seat, Limit> {
    let visitor = limiter.visitor(address(from)).unwrap();
    visitor
        .0
        .open_session(clock::now())
        .map_err(|too_many| too_many.limit)
}

#[test]
fn sessions_are_counted_by_address_until_they_end() {
    let limiter = limiter_of(|limits| limits.max_connections = 2);
    let first = open(&limiter, "203.0.113.7").unwrap();
    let _second = open(&limiter, "::ffff:203.0.113.7").unwrap();
    assert_eq!(open(&limiter, "203.0.113.7").unwrap_err(), Limit::Connections);
    assert!(open(&limiter, "203.0.113.8").is_ok());
    drop(first);
    let _third = open(&limiter, "203.0.113.7").unwrap();
    assert!(open(&limiter, "203.0.113.7").is_err());
    assert_eq!(limiter.refused(Limit::Connections), 2);
}

#[test]
fn http_connections_are_counted_apart() {
    let limiter = limiter_of(|limits| {
        limits.max_connections = 1;
        limits.max_http_connections = 1;
    });
    let visitor = limiter.visitor(address("203.0.113.7")).unwrap();
    let _session = open(&limiter, "203.0.113.7").unwrap();
    let connection = visitor.open_http().unwrap();
    assert_eq!(visitor.open_http().unwrap_err().limit, Limit::HttpConnections);
    drop(connection);
    assert!(visitor.open_http().is_ok());
}

#[test]
fn sessions_and_requests_come_at_a_rate() {
    let limiter = limiter_of(|limits| {
        limits.connections = Some(Rate::new(1, Duration::from_secs(60)));
        limits.requests = Some(Rate::new(2, Duration::from_secs(90)));
    });
    drop(open(&limiter, "203.0.113.7").unwrap());
    assert_eq!(open(&limiter, "203.0.113.7").unwrap_err(), Limit::ConnectionRate);
    let visitor = limiter.visitor(address("203.0.113.7")).unwrap();
    assert_eq!((visitor.request(), visitor.request()), (Ok(()), Ok(())));
    let refused = visitor.request().unwrap_err();
    assert_eq!((refused.limit, refused.retry_after_secs()), (Limit::Requests, 45));
}

#[test]
fn networks_of_ipv6_are_one_address() {
    let limiter = limiter_of(|limits| limits.max_connections = 1);
    let _seat = open(&limiter, "2001:db8:1:2::3").unwrap();
    assert!(open(&limiter, "2001:db8:1:2:ffff::4").is_err());
    assert!(open(&limiter, "2001:db8:1:3::3").is_ok());
    let whole = limiter_of(|limits| {
        limits.max_connections = 1;
        limits.ipv6_prefix = 200;
        limits.ipv4_prefix = 24;
    });
    let _seats = (
        open(&whole, "2001:db8:1:2::3").unwrap(),
        open(&whole, "192.0.2.1").unwrap(),
    );
    assert!(open(&whole, "2001:db8:1:2::4").is_ok());
    assert!(open(&whole, "192.0.2.255").is_err());
}

#[test]
fn who_is_exempt_has_no_account() {
    let limiter = limiter_of(|limits| limits.exempt = Networks::loopback());
    assert!(limiter.visitor(address("127.0.0.1")).is_none());
    assert!(limiter.visitor(address("::ffff:127.0.0.1")).is_none());
    assert!(limiter.visitor(address("192.0.2.1")).is_some());
    assert_eq!(limiter.addresses(), 1);
}

#[test]
fn messages_wait_are_dropped_or_are_the_last() {
    let verdicts = |excess, bytes: [usize; 3]| {
        let limiter = limiter_of(|limits| {
            limits.messages = Some(Rate::new(2, Duration::from_secs(2)));
            limits.bytes = Some(Rate::per_second(1_000));
            limits.excess = excess;
        });
        let seat = open(&limiter, "203.0.113.7").unwrap();
        let now = Instant::now();
        let verdicts = bytes.map(|bytes| seat.admit(bytes, now));
        (
            verdicts,
            limiter.refused(Limit::Messages),
            limiter.refused(Limit::Bytes),
        )
    };
    let second = Duration::from_secs(1);
    let (handle, wait) = (Verdict::Handle, Verdict::HandleAndWait(second));
    assert_eq!(verdicts(Excess::Wait, [1, 1, 1]), ([handle, handle, wait], 1, 0));
    assert_eq!(verdicts(Excess::Wait, [2_000, 0, 0]), ([wait, wait, wait], 1, 2));
    let dropped = Verdict::Drop(second);
    assert_eq!(
        verdicts(Excess::Drop, [1, 1, 1]),
        ([handle, handle, dropped], 1, 0)
    );
    assert_eq!(
        verdicts(Excess::Drop, [2_000, 1, 0]).0[..2],
        [handle, Verdict::Drop(second)]
    );
    assert_eq!(
        verdicts(Excess::Close, [1, 1, 1]),
        ([handle, handle, Verdict::Close], 1, 0)
    );
}

#[test]
fn addresses_are_forgotten_when_nothing_is_open_and_nothing_used_up() {
    let limiter = limiter_of(|limits| limits.max_addresses = 1_000);
    let _seat = open(&limiter, "10.0.0.1").unwrap();
    for last in 0..20_000_u32 {
        drop(open(&limiter, &std::net::Ipv4Addr::from(last).to_string()));
        assert!(limiter.addresses() <= 1_000);
    }
    let held = limiter.table.len();
    assert!((1..1_000).contains(&held), "{held}");
}

#[test]
fn a_full_table_forgets_those_with_nothing_open_first() {
    let limiter = limiter_of(|limits| {
        limits.max_addresses = 10;
        limits.max_connections = 1;
        limits.connections = Some(Rate::new(100, Duration::from_secs(3_600)));
    });
    let seats: Vec<Seat> = (0..5)
        .map(|n| open(&limiter, &format!("10.0.0.{n}")).unwrap())
        .collect();
    for n in 0..100 {
        // Each has used something up.
        drop(open(&limiter, &format!("192.0.2.{n}")).unwrap());
        assert!(limiter.addresses() <= 10);
    }
    for n in 0..5 {
        assert_eq!(
            open(&limiter, &format!("10.0.0.{n}")).unwrap_err(),
            Limit::Connections
        );
    }
    drop(seats);
}

#[test]
fn who_finds_no_place_in_the_table_shares_an_allowance() {
    let limiter = limiter_of(|limits| {
        limits.max_addresses = 3;
        limits.max_connections = 1;
    });
    let _seats: Vec<Seat> = (0..3)
        .map(|n| open(&limiter, &format!("10.0.0.{n}")).unwrap())
        .collect();
    let shared = open(&limiter, "192.0.2.1").unwrap();
    assert_eq!(open(&limiter, "192.0.2.2").unwrap_err(), Limit::Connections);
    drop(shared);
    assert!(open(&limiter, "192.0.2.2").is_ok());
    assert_eq!(limiter.addresses(), 3);
}

#[test]
fn a_limiter_that_is_gone_leaves_nothing_behind() {
    let limiter = limiter_of(|limits| limits.max_connections = 1);
    let table = Arc::downgrade(&limiter.table);
    let seat = open(&limiter, "10.0.0.1").unwrap();
    drop(limiter);
    assert!(table.upgrade().is_none());
    drop(seat);
}
