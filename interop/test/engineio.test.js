// The Engine.IO protocol, revision 4, against the `engine_echo` program: the cases of the protocol's public test suite
// and the corners of the Node server that clients depend on. Every request and frame is written by hand.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Peer, Polling, request } from "../lib/raw.js";
import { Server, missingServer, reference } from "../lib/server.js";
import { PATIENCE, pause, within } from "../lib/wait.js";

const PING_INTERVAL = 300;
const PING_TIMEOUT = 200;

describe("Engine.IO", { skip: missingServer("engine_echo") }, () => {
  let server, http, ws;
  before(async () => {
    server = await Server.start("engine_echo");
    http = `${server.url}/engine.io/`;
    ws = `${server.wsUrl}/engine.io/`;
  });
  after(() => server?.stop());

  const connect = (query = "EIO=4&transport=websocket", options = {}) => new Peer(`${ws}?${query}`, options);
  const connected = async (options) => {
    const peer = connect(undefined, options);
    await peer.next();
    return peer;
  };

  describe("handshake", () => {
    const checkOpen = (packet, upgrades) => {
      assert.equal(packet[0], "0");
      const open = JSON.parse(packet.slice(1));
      assert.deepEqual(Object.keys(open), ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]);
      assert.match(open.sid, /^[\w-]{20}$/);
      assert.deepEqual(open.upgrades, upgrades);
      assert.equal(open.pingInterval, PING_INTERVAL);
      assert.equal(open.pingTimeout, PING_TIMEOUT);
      assert.equal(open.maxPayload, 1_000_000);
    };

    test("polling opens a session", async () => {
      const response = await request(`${http}?EIO=4&transport=polling`);
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("content-type"), "text/plain; charset=UTF-8");
      assert.equal(response.headers.get("cache-control"), "no-store");
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      checkOpen(response.body, ["websocket"]);
    });

    test("WebSocket opens a session", async () => {
      const peer = connect();
      checkOpen(await peer.next(), []);
      peer.close();
    });

    test("a preflight request is answered", async () => {
      const response = await request(`${http}?EIO=4&transport=polling`, {
        method: "OPTIONS",
        headers: { origin: "https://a.example", "access-control-request-method": "POST" },
      });
      assert.equal(response.status, 204);
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      assert.match(response.headers.get("access-control-allow-methods"), /POST/);
    });

    const refusals = [
      ["no EIO", "GET", "transport=polling", 5, "Unsupported protocol version"],
      ["EIO=abc", "GET", "EIO=abc&transport=polling", 5, "Unsupported protocol version"],
      ["EIO=3, which is off by default", "GET", "EIO=3&transport=polling", 5, "Unsupported protocol version"],
      ["EIO=5", "GET", "EIO=5&transport=polling", 5, "Unsupported protocol version"],
      ["no transport", "GET", "EIO=4", 0, "Transport unknown"],
      ["transport=abc", "GET", "EIO=4&transport=abc", 0, "Transport unknown"],
      ["transport=__proto__", "GET", "EIO=4&transport=__proto__", 0, "Transport unknown"],
      ["POST without sid", "POST", "EIO=4&transport=polling", 2, "Bad handshake method"],
      ["PUT without sid", "PUT", "EIO=4&transport=polling", 2, "Bad handshake method"],
      ["an unknown sid", "GET", "EIO=4&transport=polling&sid=abcdefghijklmnopqrst", 1, "Session ID unknown"],
      ["POST to an unknown sid", "POST", "EIO=4&transport=polling&sid=abc", 1, "Session ID unknown"],
      ["transport=websocket as a plain GET", "GET", "EIO=4&transport=websocket", 3, "Bad request"],
    ];
    for (const [what, method, query, code, message] of refusals) {
      test(`polling is refused: ${what}`, async () => {
        const response = await request(`${http}?${query}`, { method });
        assert.equal(response.status, 400);
        assert.match(response.headers.get("content-type"), /^application\/json/);
        assert.deepEqual(JSON.parse(response.body), { code, message });
      });
    }

    test("of a repeated query key the last one counts", async () => {
      const response = await request(`${http}?EIO=3&transport=polling&EIO=4`);
      assert.equal(response.status, 200);
    });

    const wsRefusals = [
      ["no transport", "EIO=4"],
      ["transport=abc", "EIO=4&transport=abc"],
      ["an unknown sid", "EIO=4&transport=websocket&sid=abcdefghijklmnopqrst"],
      // The Node server answers 101 to these two, and writes its refusal into the upgraded stream.
      ["no EIO", "transport=websocket", true],
      ["EIO=abc", "EIO=abc&transport=websocket", true],
    ];
    for (const [what, query, late] of wsRefusals) {
      test(`WebSocket is refused: ${what}`, async () => {
        const end = await connect(query).closed();
        if (!(reference && late)) assert.equal(end.status, 400);
      });
    }
  });

  describe("messages over polling", () => {
    const echoes = [
      ["one text", "4hello", ["4hello"]],
      ["several texts", "4test1\x1e4test2\x1e4test3", ["4test1", "4test2", "4test3"]],
      ["text and binary", "4hello\x1ebAQIDBA==", ["4hello", "bAQIDBA=="]],
      ["text beyond ASCII", "4čau 🦀 \u2028", ["4čau 🦀 \u2028"]],
      ["an empty text", "4", ["4"]],
    ];
    for (const [what, payload, expected] of echoes) {
      test(`echo of ${what}`, async () => {
        const session = await Polling.open(http);
        const posted = await session.post(payload);
        assert.equal(posted.status, 200);
        assert.equal(posted.body, "ok");
        assert.equal(posted.headers.get("content-type"), "text/html");
        const received = [];
        while (received.length < expected.length) received.push(...(await session.packets()));
        assert.deepEqual(received, expected);
      });
    }

    for (const [what, payload] of [
      ["no packet type", "abc"],
      ["an empty body", ""],
      ["an empty last packet", "4a\x1e"],
    ]) {
      test(`a malformed payload ends the session: ${what}`, async () => {
        const session = await Polling.open(http);
        await session.post(payload);
        let response = await session.get();
        // What was echoed before the bad packet may still be delivered, with the close packet.
        if (response.status === 200) response = await session.get();
        assert.equal(response.status, 400);
        assert.equal(JSON.parse(response.body).code, 1);
      });
    }

    test("a second concurrent poll ends the session", async () => {
      const session = await Polling.open(http);
      const responses = await Promise.all([session.get(), session.get()]);
      // Which of the two arrives first is up to the network.
      const [good, bad] = responses.sort((a, b) => a.status - b.status);
      assert.equal(good.status, 200);
      assert.equal(good.body, "1");
      assert.equal(bad.status, 400);
      assert.equal((await session.get()).status, 400);
    });
  });

  describe("messages over WebSocket", () => {
    for (const [what, message] of [
      ["a text", "4hello"],
      ["an empty text", "4"],
      ["a long text", `4${"x".repeat(200_000)}`],
      ["text beyond ASCII", "4čau 🦀"],
    ]) {
      test(`echo of ${what}`, async () => {
        const peer = await connected();
        peer.send(message);
        assert.equal(await peer.next(), message);
        peer.close();
      });
    }

    test("echo of binary", async () => {
      const peer = await connected();
      peer.send(Uint8Array.of(1, 2, 3, 4));
      assert.deepEqual(await peer.next(), Uint8Array.of(1, 2, 3, 4));
      peer.close();
    });

    test("a burst comes back in order", async () => {
      const peer = await connected({ pong: true });
      const sent = Array.from({ length: 1000 }, (_, i) => `4${i}`);
      peer.send(...sent);
      for (const message of sent) assert.equal(await peer.next(), message);
      peer.close();
    });

    test("a malformed packet ends the session", async () => {
      const peer = await connected();
      peer.send("abc");
      await peer.closed();
    });
  });

  describe("heartbeat", () => {
    test("polling: pings come, pongs keep the session", async () => {
      const session = await Polling.open(http);
      for (let i = 0; i < 3; i += 1) {
        const poll = await session.get();
        assert.equal(poll.status, 200);
        assert.equal(poll.body, "2");
        assert.equal((await session.post("3")).status, 200);
      }
    });

    test("polling: without a pong the session ends", async () => {
      const session = await Polling.open(http);
      await pause(PING_INTERVAL + PING_TIMEOUT + 200);
      assert.equal((await session.get()).status, 400);
    });

    test("WebSocket: pings come, pongs keep the session", async () => {
      const peer = await connected({ keepPings: true });
      for (let i = 0; i < 3; i += 1) {
        assert.equal(await peer.next(), "2");
        peer.send("3");
      }
      peer.close();
    });

    test("WebSocket: without a pong the session ends", async () => {
      const peer = await connected();
      const end = await peer.closed();
      assert.equal(end.code, 1005);
      assert.equal(peer.pings, 1);
    });

    test("the heartbeat goes on after an upgrade", async () => {
      const session = await Polling.open(http);
      const peer = connect(`EIO=4&transport=websocket&sid=${session.sid}`, { keepPings: true });
      await peer.opened;
      peer.send("2probe");
      assert.equal(await peer.next(), "3probe");
      peer.send("5");
      for (let pings = 0; pings < 2; ) {
        if ((await peer.next()) === "2") {
          pings += 1;
          peer.send("3");
        }
      }
      peer.close();
    });

    test("a ping from the client ends the session", async () => {
      const peer = await connected();
      peer.send("2");
      await peer.closed();
    });
  });

  describe("close", () => {
    test("polling: the pending poll is answered and the session ends", async () => {
      const session = await Polling.open(http);
      const pending = session.get();
      // The poll has to be there first; a second request would race it on another connection.
      await pause(50);
      const posted = await session.post("1");
      assert.equal(posted.status, 200);
      const poll = await pending;
      assert.equal(poll.status, 200);
      assert.equal(poll.body, "6");
      assert.equal((await session.get()).status, 400);
    });

    // The Node server ignores the packet on this transport and waits for the missing pong.
    test("WebSocket: the session ends", async () => {
      const peer = await connected();
      peer.send("1");
      await peer.closed();
      if (!reference) assert.equal(peer.pings, 0);
    });

    test("a poll that the client gives up ends the session", async () => {
      const session = await Polling.open(http);
      const abort = new AbortController();
      const pending = session.get({ signal: abort.signal });
      await pause(50);
      abort.abort();
      await assert.rejects(pending);
      const gone = async () => {
        for (;;) {
          const response = await session.post("4x");
          if (response.status === 400) return response;
          await pause(10);
        }
      };
      const response = await within(PATIENCE, "the session to end", gone());
      assert.equal(JSON.parse(response.body).code, 1);
    });
  });

  describe("upgrade", () => {
    const probe = async (session) => {
      const peer = connect(`EIO=4&transport=websocket&sid=${session.sid}`);
      await peer.opened;
      peer.send("2probe");
      assert.equal(await peer.next(), "3probe");
      return peer;
    };

    test("from polling to WebSocket", async () => {
      const session = await Polling.open(http);
      const peer = await probe(session);
      const poll = await session.get();
      assert.equal(poll.status, 200);
      assert.equal(poll.body, "6");
      peer.send("5", "4hello");
      assert.equal(await peer.next(), "4hello");
      peer.close();
    });

    test("a poll that was pending is released", async () => {
      const session = await Polling.open(http);
      const pending = session.get();
      const peer = await probe(session);
      assert.equal((await pending).body, "6");
      peer.send("5", "4hello");
      assert.equal(await peer.next(), "4hello");
      peer.close();
    });

    test("messages before it travel on polling, none is lost", async () => {
      const session = await Polling.open(http);
      const peer = await probe(session);
      await session.post("4first");
      const packets = [];
      while (!packets.includes("4first")) packets.push(...(await session.packets()));
      await session.post("4second");
      // Not polled any more: the echo has to arrive on the new transport.
      peer.send("5", "4third");
      assert.equal(await peer.next(), "4second");
      assert.equal(await peer.next(), "4third");
      peer.close();
    });

    test("afterwards polling with that sid is refused", async () => {
      const session = await Polling.open(http);
      const peer = await probe(session);
      peer.send("5", "4hello");
      assert.equal(await peer.next(), "4hello");
      const poll = await session.get();
      assert.equal(poll.status, 400);
      assert.equal(JSON.parse(poll.body).code, 3);
      peer.send("4still here");
      assert.equal(await peer.next(), "4still here");
      peer.close();
    });

    test("afterwards a second WebSocket with that sid is closed", async () => {
      const session = await Polling.open(http);
      const peer = await probe(session);
      peer.send("5", "4hello");
      assert.equal(await peer.next(), "4hello");
      await connect(`EIO=4&transport=websocket&sid=${session.sid}`).closed();
      peer.send("4still here");
      assert.equal(await peer.next(), "4still here");
      peer.close();
    });

    test("a failed probe leaves the session on polling", async () => {
      const session = await Polling.open(http);
      const peer = connect(`EIO=4&transport=websocket&sid=${session.sid}`);
      await peer.opened;
      peer.send("4not a probe");
      await peer.closed();
      await session.post("4hello");
      assert.deepEqual(await session.packets(), ["4hello"]);
    });
  });
});
