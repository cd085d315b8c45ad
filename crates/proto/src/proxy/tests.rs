use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 536;

fn client(address: &str) -> Source {
    Source::Client {
        address: address.parse().unwrap(),
        is_secure: None,
    }
}

/// A header of version 2.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    header.extend(body);
    header
}

const V4: [u8; 12] = [203, 0, 113, 7, 10, 0, 0, 1, 0xc7, 0x38, 1, 0xbb];

fn v6() -> Vec<u8> {
    let mut body = Vec::new();
    for address in ["2001:db8::7", "2001:db8::1"] {
        body.extend(address.parse::<std::net::Ipv6Addr>().unwrap().octets());
    }
    body.extend([0xc7, 0x38, 1, 0xbb]);
    body
}

#[test]
fn lines_of_version_1() {
    for (line, source) in [
        (
            "PROXY TCP4 203.0.113.7 10.0.0.1 51000 443\r\n",
            client("203.0.113.7:51000"),
        ),
        (
            "PROXY TCP6 2001:db8::7 ::1 51000 443\r\n",
            client("[2001:db8::7]:51000"),
        ),
        (
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            client("255.255.255.255:65535"),
        ),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 0 0\r\n", client("1.2.3.4:0")),
        ("PROXY UNKNOWN\r\n", Source::Unknown),
        (
            "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
            Source::Unknown,
        ),
    ] {
        let with_more = format!("{line}GET / HTTP/1.1\r\n");
        let announced = decode(with_more.as_bytes(), LIMIT).unwrap().unwrap();
        assert_eq!(
            (announced.source, announced.length),
            (source, line.len()),
            "{line}"
        );
        for cut in 0..line.len() {
            assert_eq!(
                decode(&line.as_bytes()[..cut], LIMIT),
                Ok(None),
                "{line} up to {cut}"
            );
        }
    }
}

#[test]
fn what_is_no_line_of_version_1() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
    for line in [
        "PROXY TCP4 203.0.113.7 10.0.0.1 51000 443\n",
        "PROXY TCP4 203.0.113.7 10.0.0.1 51000\r\n",
        "PROXY TCP4 203.0.113.7 10.0.0.1 51000 443 1\r\n",
        "PROXY  TCP4 203.0.113.7 10.0.0.1 51000 443\r\n",
        "PROXY TCP4 203.0.113.7  10.0.0.1 51000 443\r\n",
        "PROXY TCP4 203.0.113.007 10.0.0.1 51000 443\r\n",
        "PROXY TCP4 203.0.113.7 10.0.0.1 65536 443\r\n",
        "PROXY TCP4 203.0.113.7 10.0.0.1 +1 443\r\n",
        "PROXY TCP4 203.0.113.7 10.0.0.1 01 443\r\n",
        "PROXY TCP4 2001:db8::7 ::1 51000 443\r\n",
        "PROXY TCP6 203.0.113.7 10.0.0.1 51000 443\r\n",
        "PROXY UDP4 203.0.113.7 10.0.0.1 51000 443\r\n",
        "PROXY tcp4 203.0.113.7 10.0.0.1 51000 443\r\n",
        "PROXY \r\n",
        &long,
    ] {
        assert_eq!(decode(line.as_bytes(), LIMIT), Err(HeaderError::Line), "{line}");
    }
    for start in [
        "GET / HTTP/1.1\r\n",
        "PROXZ",
        "proxy TCP4",
        "\r\n\r\n\0\r\nQUIT \n",
        "\x16\x03\x01",
        "\r\nX",
    ] {
        assert_eq!(
            decode(start.as_bytes(), LIMIT),
            Err(HeaderError::NoHeader),
            "{start:?}"
        );
    }
}

#[test]
fn blocks_of_version_2() {
    let with_tls = |flags: u8| {
        let mut body = V4.to_vec();
        body.extend([0x04, 0, 2, 0, 0]); // padding
        body.extend([0x20, 0, 5, flags, 0, 0, 0, 0]);
        body
    };
    let secure = |is_secure| Source::Client {
        address: "203.0.113.7:51000".parse().unwrap(),
        is_secure: Some(is_secure),
    };
    for (header, source) in [
        (v2(0x21, 0x11, &V4), client("203.0.113.7:51000")),
        (v2(0x21, 0x21, &v6()), client("[2001:db8::7]:51000")),
        (v2(0x21, 0x11, &with_tls(7)), secure(true)),
        (v2(0x21, 0x11, &with_tls(0)), secure(false)),
        (v2(0x21, 0x31, &[0; 216]), Source::Unknown),
        (v2(0x21, 0x00, &[]), Source::Unknown),
        (v2(0x21, 0x00, b"whatever"), Source::Unknown),
        (v2(0x20, 0x00, &[]), Source::Proxy),
        (v2(0x20, 0x11, &V4), Source::Proxy),
    ] {
        let mut with_more = header.clone();
        with_more.extend(b"GET /");
        let announced = decode(&with_more, LIMIT).unwrap().unwrap();
        assert_eq!((announced.source, announced.length), (source, header.len()));
        for cut in 0..header.len() {
            assert_eq!(decode(&header[..cut], LIMIT), Ok(None), "{header:?} up to {cut}");
        }
    }
}

#[test]
fn what_is_no_block_of_version_2() {
    let mut half_extension = V4.to_vec();
    half_extension.extend([0x20, 0, 9, 1]);
    let mut empty_ssl = V4.to_vec();
    empty_ssl.extend([0x20, 0, 0]);
    for (header, error) in [
        (v2(0x11, 0x11, &V4), HeaderError::Command { byte: 0x11 }),
        (v2(0x22, 0x11, &V4), HeaderError::Command { byte: 0x22 }),
        (v2(0x21, 0x12, &V4), HeaderError::Family { byte: 0x12 }),
        (v2(0x21, 0x41, &V4), HeaderError::Family { byte: 0x41 }),
        (v2(0x21, 0x11, &V4[..11]), HeaderError::Short),
        (v2(0x21, 0x21, &v6()[..35]), HeaderError::Short),
        (v2(0x21, 0x31, &[0; 215]), HeaderError::Short),
        (v2(0x21, 0x11, &half_extension), HeaderError::Extensions),
        (v2(0x21, 0x11, &empty_ssl), HeaderError::Extensions),
    ] {
        assert_eq!(decode(&header, LIMIT), Err(error));
    }
    // It is refused before it has come.
    let long = v2(0x21, 0x11, &[0; 521]);
    let error = HeaderError::TooLong {
        length: 537,
        limit: LIMIT,
    };
    assert_eq!(decode(&long[..16], LIMIT), Err(error));
}

#[test]
fn hops_of_x_forwarded_for() {
    let hops = |value| -> Vec<_> { x_forwarded_for(value).map(|hop| hop.address).collect() };
    let address = |text: &str| -> Option<SocketAddr> { Some(text.parse().unwrap()) };
    assert_eq!(
        hops("203.0.113.7, 2001:db8::7 ,198.51.100.1:80,[2001:db8::8],[2001:db8::9]:81"),
        [
            address("[2001:db8::9]:81"),
            address("[2001:db8::8]:0"),
            address("198.51.100.1:80"),
            address("[2001:db8::7]:0"),
            address("203.0.113.7:0"),
        ]
    );
    for nothing in [
        "",
        "unknown",
        "_hidden",
        "example.com",
        "1.2.3",
        "1.2.3.4:99999",
        "[1.2.3.4]",
        "::1]",
        ":80",
    ] {
        assert_eq!(hops(nothing), [None], "{nothing}");
    }
}

#[test]
fn hops_of_forwarded() {
    let hops = |value| -> Vec<_> { forwarded(value).collect() };
    let hop = |address: Option<&str>, is_secure| Hop {
        address: address.map(|address| address.parse().unwrap()),
        is_secure,
    };
    // The examples of RFC 7239 §4 and §6, and what could be taken for more than it is.
    for (value, expected) in [
        (r#"for="_gazonk""#, vec![hop(None, None)]),
        (
            r#"For="[2001:db8:cafe::17]:4711""#,
            vec![hop(Some("[2001:db8:cafe::17]:4711"), None)],
        ),
        (
            "for=192.0.2.60;proto=http;by=203.0.113.43",
            vec![hop(Some("192.0.2.60:0"), Some(false))],
        ),
        (
            "for=192.0.2.43, for=198.51.100.17;proto=https",
            vec![
                hop(Some("198.51.100.17:0"), Some(true)),
                hop(Some("192.0.2.43:0"), None),
            ],
        ),
        (
            r#"for="192.0.2.43:_port";Proto=WSS ,for=unknown"#,
            vec![hop(None, None), hop(Some("192.0.2.43:0"), Some(true))],
        ),
        (
            r#"host="a,for=6.6.6.6;b\"";for=192.0.2.43"#,
            vec![hop(Some("192.0.2.43:0"), None)],
        ),
        // What a stranger leaves open does not reach what a proxy appends.
        (
            r#"for="6.6.6.6, for=192.0.2.43"#,
            vec![hop(Some("192.0.2.43:0"), None), hop(None, None)],
        ),
        (
            r#"for="6.6.6.6\, for="192.0.2.43:80";proto=https"#,
            vec![hop(Some("192.0.2.43:80"), Some(true)), hop(None, None)],
        ),
        ("by=6.6.6.6", vec![hop(None, None)]),
        ("", vec![hop(None, None)]),
    ] {
        assert_eq!(hops(value), expected, "{value}");
    }
}

proptest! {
    #[test]
    fn headers_are_read_whatever_the_addresses(
        v4: ([u8; 4], [u8; 4]), v6: ([u8; 16], [u8; 16]), ports: (u16, u16), rest: Vec<u8>,
    ) {
        for (name, source, destination) in [
            ("TCP4", std::net::IpAddr::from(v4.0), std::net::IpAddr::from(v4.1)),
            ("TCP6", v6.0.into(), v6.1.into()),
        ] {
            let address = SocketAddr::new(source, ports.0);
            let mut line = format!("PROXY {name} {source} {destination} {} {}\r\n", ports.0, ports.1).into_bytes();
            let length = line.len();
            line.extend(&rest);
            let expected = Announcement { source: Source::Client { address, is_secure: None }, length };
            prop_assert_eq!(decode(&line, LIMIT), Ok(Some(expected)));
        }
    }

    #[test]
    fn anything_is_a_header_or_not_and_more_bytes_change_no_answer(input: Vec<u8>, start in 0..3_usize) {
        let mut bytes = [&b""[..], b"PROXY TCP4 ", b"\r\n\r\n\0\r\nQUIT\n\x21\x11"][start].to_vec();
        bytes.extend(input);
        let whole = decode(&bytes, LIMIT);
        for cut in 0..=bytes.len() {
            match decode(&bytes[..cut], LIMIT) {
                Ok(None) => {}
                early => prop_assert_eq!(early, whole),
            }
        }
        if let Ok(Some(announced)) = whole {
            prop_assert!(announced.length <= bytes.len());
        }
    }

    #[test]
    fn hops_are_as_many_as_commas_say(value in ".{0,200}") {
        prop_assert_eq!(x_forwarded_for(&value).count(), value.matches(',').count() + 1);
        prop_assert!(forwarded(&value).count() <= value.matches(',').count() + 1);
    }

    #[test]
    fn what_a_stranger_writes_hides_no_hop_that_a_proxy_appends(stranger in ".{0,100}") {
        let value = format!("{stranger}, for=192.0.2.43;proto=https");
        let expected = Hop { address: Some("192.0.2.43:0".parse().unwrap()), is_secure: Some(true) };
        prop_assert_eq!(forwarded(&value).next(), Some(expected));
    }

    #[test]
    fn addresses_are_read_as_they_are_written(ip: std::net::IpAddr, port in 1..=u16::MAX) {
        let address = SocketAddr::new(ip, port);
        let element = format!("proto=https;for=\"{address}\"");
        let hop = forwarded(&element).next();
        prop_assert_eq!(hop, Some(Hop { address: Some(address), is_secure: Some(true) }));
        let value = address.to_string();
        prop_assert_eq!(x_forwarded_for(&value).next(), Some(Hop { address: Some(address), is_secure: None }));
    }
}
