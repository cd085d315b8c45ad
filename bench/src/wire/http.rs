//! HTTP/1.1 from the client's side, as far as the load over long-polling needs it: the requests of a page that polls, and where
//! a response ends. A body has a length or comes in chunks; anything else is an error.

use std::ops::Range;

use super::flavour::chunk;

/// What a browser sends with each request of a page.
const BROWSER: &str = "Accept: */*\r\nAccept-Language: en-GB,en;q=0.9\r\nAccept-Encoding: gzip, deflate\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Connection: keep-alive\r\n";

/// A response that was found in a buffer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Response {
    /// Whether its status is 200.
    pub(crate) is_ok: bool,
    /// Its content, chunks put together.
    pub(crate) body: Vec<u8>,
    /// How long it is altogether.
    pub(crate) len: usize,
}

/// Appends a request for what has come for a session, or for a session if `sid` is empty.
pub(crate) fn put_poll(out: &mut Vec<u8>, host: &str, sid: &str) {
    put_head(out, "GET", host, sid);
    out.extend_from_slice(b"\r\n");
}

/// Appends a request that carries packets.
pub(crate) fn put_post(out: &mut Vec<u8>, host: &str, sid: &str, packets: &[u8]) {
    put_head(out, "POST", host, sid);
    let more = format!(
        "Origin: http://{host}\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: {}\r\n\r\n",
        packets.len()
    );
    out.extend_from_slice(more.as_bytes());
    out.extend_from_slice(packets);
}

fn put_head(out: &mut Vec<u8>, method: &str, host: &str, sid: &str) {
    let sid = if sid.is_empty() {
        String::new()
    } else {
        format!("&sid={sid}")
    };
    let head = format!(
        "{method} /socket.io/?EIO=4&transport=polling&t=pq9rm{sid} HTTP/1.1\r\nHost: {host}\r\n\
         Referer: http://{host}/\r\n{BROWSER}"
    );
    out.extend_from_slice(head.as_bytes());
}

/// The response at the start of `input`: `Ok(None)` while it is not whole, `Err` with what is wrong with it.
pub(crate) fn response(input: &[u8]) -> Result<Option<Response>, String> {
    let Some(head_end) = input.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if input.len() > 16 << 10 {
            Err("a response head without an end".to_owned())
        } else {
            Ok(None)
        };
    };
    let head = String::from_utf8_lossy(&input[..head_end]);
    let mut lines = head.split("\r\n");
    let is_ok = lines
        .next()
        .is_some_and(|status| status.starts_with("HTTP/1.1 200"));
    let headers: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
    let value_of = |wanted: &str| {
        let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim())
    };
    let start = head_end + 4;
    if let Some(len) = value_of("content-length") {
        let len: usize = len.parse().map_err(|_| format!("Content-Length: {len}"))?;
        let body: Range<usize> = start..start + len;
        return Ok((input.len() >= body.end).then(|| Response {
            is_ok,
            body: input[body.clone()].to_vec(),
            len: body.end,
        }));
    }
    if value_of("transfer-encoding").is_none_or(|value| !value.eq_ignore_ascii_case("chunked")) {
        return Err(format!("a response without a length: {head}"));
    }
    chunks(&input[start..]).map(|found| {
        found.map(|(body, len)| Response {
            is_ok,
            body,
            len: start + len,
        })
    })
}

fn chunks(input: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    const LAST: &[u8] = b"0\r\n\r\n";
    let (mut body, mut used) = (Vec::new(), 0);
    loop {
        let rest = &input[used..];
        if rest.starts_with(LAST) {
            return Ok(Some((body, used + LAST.len())));
        }
        if LAST.starts_with(rest) {
            return Ok(None);
        }
        let Some((content, end)) = chunk(rest)? else {
            return Ok(None);
        };
        body.extend_from_slice(&rest[content]);
        used += end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_found_only_when_it_is_whole() {
        let plain = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n42abc";
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n42\r\n3\r\nabc\r\n0\r\n\r\n";
        for text in [plain, chunked] {
            for cut in 0..text.len() {
                assert_eq!(response(&text.as_bytes()[..cut]), Ok(None), "{cut} of {text}");
            }
            let longer = format!("{text}HTTP/1.1");
            let expected = Response {
                is_ok: true,
                body: b"42abc".to_vec(),
                len: text.len(),
            };
            assert_eq!(response(longer.as_bytes()), Ok(Some(expected)));
        }
        let refused = response(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        assert!(refused.is_ok_and(|found| found.is_some_and(|found| !found.is_ok)));
        assert!(response(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn a_post_carries_its_packets() {
        let mut out = Vec::new();
        put_post(&mut out, "here:1", "abc", b"40");
        let text = String::from_utf8_lossy(&out);
        assert!(text.starts_with(
            "POST /socket.io/?EIO=4&transport=polling&t=pq9rm&sid=abc HTTP/1.1\r\nHost: here:1\r\n"
        ));
        assert!(text.ends_with("Content-Length: 2\r\n\r\n40"));
    }
}
