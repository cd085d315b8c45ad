// The Admin UI's namespace, driven by `socket.io-client` as the published UI (npm @socket.io/admin-ui) drives it: the same
// ways in, the same events, the same commands. Against the original with REFERENCE=1.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { Server, missingServer, reference } from "../lib/server.js";
import { Clients, TRANSPORTS } from "../lib/transports.js";
import { PATIENCE, collect, once, within } from "../lib/wait.js";

const skip = missingServer("admin_ui");
const credentials = { username: "admin", password: "changeit" };
const COMMANDS = ["EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT"];
const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Waits until `emitter` has had an `event` whose arguments fit. */
function until(emitter, event, fits) {
  const found = new Promise((resolve) => {
    const look = (...args) => {
      if (!fits(...args)) return;
      emitter.off(event, look);
      resolve(args);
    };
    emitter.on(event, look);
  });
  return within(PATIENCE, `the event "${event}" that fits`, found);
}

/** An admin, the way the UI connects, with the events of the beginning. */
async function attach(clients, auth = credentials, namespace = "/admin") {
  const admin = clients.start(namespace, { auth, withCredentials: true });
  const beginning = {};
  for (const event of ["session", "config", "all_sockets"]) admin.once(event, (arg) => (beginning[event] = arg));
  const config = once(admin, "config");
  await once(admin, "connect");
  await config;
  return Object.assign(admin, { beginning });
}

for (const [label, transport] of TRANSPORTS) {
  describe(`the Admin UI, ${label}`, { skip }, () => {
    let server, clients;
    before(async () => {
      server = await Server.start("admin_ui");
    });
    after(() => server?.stop());
    beforeEach(() => {
      clients = new Clients(server, transport);
    });
    afterEach(() => clients.close());

    test("name and password let in, and give a session that does, too", async () => {
      const admin = await attach(clients);
      const { session } = admin.beginning;
      assert.match(session, /^[0-9a-f]{16}$/);
      const again = await attach(clients, { sessionId: session });
      assert.equal(again.beginning.session, undefined);
    });

    test("who has neither is refused", async () => {
      const wrong = [
        undefined,
        {},
        { username: "admin" },
        { username: "admin", password: "" },
        { username: "admin", password: "wrong" },
        { username: "other", password: "changeit" },
        { sessionId: "0123456789abcdef" },
        ...(reference ? [] : [{ username: "admin", password: 1 }, { username: {}, password: [] }, { sessionId: {} }]),
      ];
      // The original never answers when there is no password to compare.
      const asked = wrong.filter((auth) => !(reference && auth?.username === "admin" && auth.password === undefined));
      for (const auth of asked) {
        const refused = clients.start("/admin", { auth });
        assert.equal((await once(refused, "connect_error"))[0].message, "invalid credentials", JSON.stringify(auth));
      }
    });

    test("an admin is told what it can do, and who is there", async () => {
      const user = await clients.connect("/chat", { auth: { token: "secret" }, query: { team: "red" } });
      const admin = clients.start("/admin", { auth: credentials });
      const [[config], [sockets]] = await Promise.all([once(admin, "config"), once(admin, "all_sockets")]);
      assert.deepEqual(config, { supportedFeatures: [...COMMANDS, "AGGREGATED_EVENTS", "ALL_EVENTS"] });
      const shown = sockets.find((socket) => socket.id === user.id);
      assert.deepEqual(Object.keys(shown).sort(), [
        "clientId", "data", "handshake", "id", "nsp", "rooms", "transport",
      ]);
      assert.equal(shown.nsp, "/chat");
      assert.equal(shown.clientId.length, 12);
      assert.equal(shown.transport, user.io.engine.transport.name);
      assert.deepEqual(shown.data, {});
      assert.deepEqual(shown.rooms, [user.id]);
      const { handshake } = shown;
      assert.deepEqual(Object.keys(handshake).sort(), [
        "address", "headers", "issued", "query", "secure", "time", "url", "xdomain",
      ]);
      assert.equal(handshake.query.team, "red");
      assert.match(handshake.address, /127\.0\.0\.1$/);
      assert.ok(sockets.some((socket) => socket.id === admin.id && socket.nsp === "/admin"));
      if (!reference) assert.notEqual(shown.clientId, user.io.engine.id.slice(0, 12), "the id of a session is a secret");
    });

    test("sockets of one connection have the same clientId, and a proxy's address is shown", async () => {
      const one = await clients.connect("/", { extraHeaders: { "x-forwarded-for": "192.0.2.7" } });
      const two = clients.beside(one, "/chat");
      await once(two, "connect");
      const admin = clients.start("/admin", { auth: credentials });
      const [sockets] = await once(admin, "all_sockets");
      const [first, second] = [one, two].map(({ id }) => sockets.find((socket) => socket.id === id));
      assert.equal(first.clientId, second.clientId);
      assert.equal(first.handshake.address, "192.0.2.7");
      assert.notEqual(sockets.find((socket) => socket.id === admin.id).clientId, first.clientId);
    });

    test("coming, changing and going is told", async () => {
      const admin = await attach(clients);
      const came = collect(admin, "socket_connected");
      const upgraded = until(admin, "socket_updated", ({ nsp, transport }) => nsp === "/chat" && transport === "websocket");
      upgraded.catch(() => {});
      const user = await clients.connect("/chat");
      const [[shown, date]] = await came.take(1);
      assert.equal(shown.id, user.id);
      assert.match(date, DATE);
      if (transport.transports.length > 1) {
        assert.deepEqual(await upgraded, [{ id: user.id, nsp: "/chat", transport: "websocket" }]);
      }

      const renamed = until(admin, "socket_updated", ({ data }) => data);
      user.emit("rename", "Ada");
      assert.deepEqual(await renamed, [{ id: user.id, nsp: "/chat", data: { name: "Ada" } }]);

      const joined = until(admin, "room_joined", (_, room) => room === "red");
      user.emit("join", "red");
      assert.deepEqual((await joined).slice(0, 3), ["/chat", "red", user.id]);
      const left = until(admin, "room_left", (_, room) => room === "red");
      user.emit("leave", "red");
      const [nsp, room, id, when] = await left;
      assert.deepEqual([nsp, room, id], ["/chat", "red", user.id]);
      assert.match(when, DATE);

      // The client forgets it.
      const own = user.id;
      const gone = Promise.all([
        once(admin, "socket_disconnected"),
        until(admin, "room_left", (_, room) => room === own),
      ]);
      user.disconnect();
      const [[goneNsp, goneId, reason, goneDate]] = await gone;
      assert.deepEqual([goneNsp, goneId, reason], ["/chat", own, "client namespace disconnect"]);
      assert.match(goneDate, DATE);
    });

    test("events are shown in both directions, with their arguments", async () => {
      const admin = await attach(clients);
      const user = await clients.connect("/chat");
      const received = until(admin, "event_received", (_, id, args) => id === user.id && args[0] === "echo");
      const sent = until(admin, "event_sent", (_, id, args) => id === user.id && args[0] === "echo");
      user.emit("echo", 1, { a: "é" }, Buffer.from([1, 2, 3]), null);
      for (const [nsp, id, args, date] of await Promise.all([received, sent])) {
        assert.equal(nsp, "/chat");
        assert.equal(id, user.id);
        assert.deepEqual([args[1], args[2], [...args[3]], args[4]], [1, { a: "é" }, [1, 2, 3], null]);
        assert.match(date, DATE);
      }
      const asked = until(admin, "event_received", (_, id, args) => id === user.id && args[0] === "join");
      await user.timeout(PATIENCE).emitWithAck("join", "blue");
      assert.deepEqual((await asked)[2], ["join", "blue"], "without the acknowledgement");
    });

    test("commands reach everybody, a room, or one", async () => {
      const admin = await attach(clients);
      const [one, two] = await Promise.all([clients.connect("/chat"), clients.connect("/chat")]);
      const [heardOne, heardTwo] = [collect(one, "news"), collect(two, "news")];

      admin.emit("emit", "/chat", undefined, "news", 1, { two: 2 });
      assert.deepEqual([await heardOne.take(1), await heardTwo.take(1)], [[[1, { two: 2 }]], [[1, { two: 2 }]]]);
      admin.emit("emit", "/chat", two.id, "news", "for two");
      admin.emit("emit", "/chat", [one.id], "news");
      assert.deepEqual((await heardTwo.take(2))[1], ["for two"]);
      assert.deepEqual((await heardOne.take(2))[1], []);

      const joined = until(admin, "room_joined", (_, room, id) => room === "red" && id === one.id);
      admin.emit("join", "/chat", "red", one.id);
      await joined;
      admin.emit("emit", "/chat", "red", "news", "in red");
      assert.deepEqual((await heardOne.take(3))[2], ["in red"]);
      const left = until(admin, "room_left", (_, room, id) => room === "red" && id === one.id);
      admin.emit("leave", "/chat", "red");
      await left;
      const all = Promise.all(
        [one, two].map((user) => until(admin, "room_joined", (_, room, id) => room === "all" && id === user.id)),
      );
      admin.emit("join", "/chat", "all");
      await all;
      assert.equal(heardTwo.seen.length, 2);

      const put = once(one, "disconnect");
      admin.emit("_disconnect", "/chat", false, one.id);
      assert.equal((await put)[0], "io server disconnect");
      const closed = Promise.all([once(two, "disconnect"), once(two.io.engine, "close")]);
      admin.emit("_disconnect", "/chat", true);
      assert.equal((await closed)[0][0], "io server disconnect");
    });

    test("the statistics are told every two seconds", async () => {
      const admin = await attach(clients);
      const stats = collect(admin, "server_stats");
      const user = await clients.connect("/chat");
      user.emit("echo", "x");
      await once(user, "echo");
      user.io.engine.close();
      await once(admin, "socket_disconnected");
      // The next one may have been made before that; the second cannot.
      const seen = await stats.take(2);
      for (const [stat] of seen) {
        assert.deepEqual(Object.keys(stat).sort(), [
          "aggregatedEvents", "clientsCount", "hostname", "namespaces", "pid", "pollingClientsCount", "serverId", "uptime",
        ]);
      }
      const last = seen[1][0];
      assert.equal(last.serverId, "example");
      assert.equal(typeof last.hostname, "string");
      assert.equal(typeof last.pid, "number");
      assert.ok(last.uptime > 0);
      assert.equal(last.clientsCount, 1);
      assert.equal(last.pollingClientsCount, admin.io.engine.transport.name === "polling" ? 1 : 0);
      const counts = Object.fromEntries(last.namespaces.map(({ name, socketsCount }) => [name, socketsCount]));
      assert.deepEqual(counts, { "/": 0, "/admin": 1, "/chat": 0 });

      const events = seen.flatMap(([stat]) => stat.aggregatedEvents);
      for (const { timestamp, count } of events) {
        assert.equal(timestamp % 1000, 0);
        assert.ok(Math.abs(Date.now() - timestamp) < 60_000);
        assert.ok(count > 0);
      }
      const kinds = new Set(events.map(({ type, subType }) => (subType ? `${type}: ${subType}` : type)));
      for (const kind of ["rawConnection", "packetsIn", "packetsOut", "bytesIn", "bytesOut"]) {
        assert.ok(kinds.has(kind), `${kind} in ${[...kinds]}`);
      }
      assert.ok(kinds.has("rawDisconnection: transport close"), [...kinds].join());
    });
  });
}

describe("the Admin UI's options", { skip }, () => {
  const [, transport] = TRANSPORTS[1];
  let server, clients;
  afterEach(async () => {
    clients?.close();
    await server?.stop();
  });
  const start = async (env) => {
    server = await Server.start("admin_ui", { env });
    clients = new Clients(server, transport);
  };

  test("without authentication everybody is let in", async () => {
    await start({ ADMIN_AUTH: "none" });
    const admin = await attach(clients, {});
    assert.equal(admin.beginning.session, undefined);
  });

  test("in production there are statistics alone", async () => {
    await start({ ADMIN_MODE: "production" });
    const admin = clients.start("/admin", { auth: credentials });
    const seen = [];
    admin.onAny((event) => seen.push(event));
    assert.deepEqual(await once(admin, "config"), [{ supportedFeatures: [...COMMANDS, "AGGREGATED_EVENTS"] }]);
    const user = await clients.connect("/chat");
    user.emit("echo", 1);
    await once(user, "echo");
    const stats = await collect(admin, "server_stats").take(1);
    assert.equal(stats[0][0].clientsCount, 2);
    assert.deepEqual([...new Set(seen)].sort(), ["config", "server_stats", "session"]);
    const put = once(user, "disconnect");
    admin.emit("_disconnect", "/chat", false, user.id);
    await put;
  });

  test("who may only look cannot do anything", async () => {
    await start({ ADMIN_READONLY: "1" });
    const admin = clients.start("/admin", { auth: credentials });
    assert.deepEqual(await once(admin, "config"), [{ supportedFeatures: ["AGGREGATED_EVENTS", "ALL_EVENTS"] }]);
    const user = await clients.connect("/chat");
    const news = collect(user, "news");
    admin.emit("emit", "/chat", undefined, "news", 1);
    admin.emit("join", "/chat", "red");
    admin.emit("_disconnect", "/chat", true);
    // Once this event is back, those before it were handled, too.
    const statsAfter = once(admin, "server_stats");
    await statsAfter;
    assert.deepEqual(await user.timeout(PATIENCE).emitWithAck("join", "blue"), [user.id, "blue"]);
    assert.equal(news.seen.length, 0);
  });

  test("a page of the UI may connect from its origin", async () => {
    await start({});
    const response = await fetch(`${server.url}/socket.io/?EIO=4&transport=polling`, {
      headers: { origin: "https://admin.socket.io" },
    });
    assert.equal(response.headers.get("access-control-allow-origin"), "https://admin.socket.io");
    assert.equal(response.headers.get("access-control-allow-credentials"), "true");
    await response.text();
  });

  test("commands that make no sense harm nobody", { skip: reference && "the original ends" }, async () => {
    await start({});
    const admin = await attach(clients);
    const user = await clients.connect("/chat");
    for (const command of ["emit", "join", "leave", "_disconnect"]) {
      for (const args of [[], [1], [null, null, null], ["/nowhere", "a", "b"], [{}, [], {}, {}], ["/chat", {}, 7, 8]]) {
        admin.emit(command, ...args);
      }
    }
    admin.emit("emit", "/chat", null, "disconnect", 1);
    admin.emit("emit", "/chat", null, "news", Buffer.from([7]));
    const [bytes] = await once(user, "news");
    assert.deepEqual([...bytes], [7]);
    assert.equal(admin.connected, true);
    const stranger = clients.start("/nowhere");
    assert.equal((await once(stranger, "connect_error"))[0].message, "Invalid namespace");
  });
});
