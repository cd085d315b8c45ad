//! What proxies say: any bytes as the header of the PROXY protocol, whole and cut, and any text as the fields of a request.
//! An answer, once given, does not change with more bytes, and what is read as an address is one.

use gatewire_proto::proxy::{Source, decode, forwarded, x_forwarded_for};

const LIMIT: usize = 536;

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let whole = decode(input, LIMIT);
    for cut in 0..input.len().min(64) {
        match decode(&input[..cut], LIMIT) {
            Ok(None) => {}
            early => assert_eq!(early, whole),
        }
    }
    if let Ok(Some(announced)) = whole {
        assert!(announced.length <= input.len().min(LIMIT));
        // A line that is written with what was read is read the same.
        if let Source::Client { address, .. } = announced.source {
            let (family, ip, port) = (
                if address.is_ipv4() { 4 } else { 6 },
                address.ip(),
                address.port(),
            );
            let line = format!("PROXY TCP{family} {ip} {ip} {port} 1\r\n");
            let again = decode(line.as_bytes(), LIMIT)
                .expect("a line")
                .expect("a whole one");
            assert_eq!(
                again.source,
                Source::Client {
                    address,
                    is_secure: None
                }
            );
        }
    }
    if let Ok(text) = std::str::from_utf8(input) {
        let commas = text.matches(',').count();
        assert_eq!(x_forwarded_for(text).count(), commas + 1);
        assert!(forwarded(text).count() <= commas + 1);
        for hop in forwarded(text) {
            if let Some(address) = hop.address {
                let quoted = format!("for=\"{address}\"");
                let again = forwarded(&quoted).next().expect("an element");
                assert_eq!(again.address, Some(address));
            }
        }
    }
}
