// Guards, interceptors and filters as the official client sees them: refusals, exception payloads, and the order of the
// stages; and the two examples that ask clients who they are.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Server, missingServer, reference } from "../lib/server.js";
import { Clients, TRANSPORTS } from "../lib/transports.js";
import { PATIENCE, once } from "../lib/wait.js";

/** Nest's packages are no part of the reference. */
const skip = (name) => (reference ? "npm's socket.io has no guards" : missingServer(name));

describe("pipeline", { skip: skip("pipeline") }, () => {
  let server;
  before(async () => {
    server = await Server.start("pipeline");
  });
  after(() => server?.stop());

  for (const [label, transport] of TRANSPORTS) {
    describe(label, () => {
      let clients;
      before(() => {
        clients = new Clients(server, transport);
      });
      after(() => clients.close());

      /** The acknowledgement of an event that fails, which is the exception event's object, too. */
      async function failure(socket, event, body) {
        const exception = once(socket, "exception");
        const ack = await socket.timeout(PATIENCE).emitWithAck(event, body);
        assert.deepEqual(await exception, [ack]);
        return ack;
      }

      test("the stages run in Nest's order", async () => {
        const socket = await clients.connect();
        assert.equal(await socket.timeout(PATIENCE).emitWithAck("work", "x"), "x");
        assert.deepEqual(await socket.timeout(PATIENCE).emitWithAck("trace"), [
          ...["app guard", "gateway guard"],
          ...["app guard", "gateway guard", "handler guard"],
          ...["app before", "gateway before", "handler before"],
          ...["app pipe", "gateway pipe", "handler pipe"],
          "handler",
          ...["handler after", "gateway after", "app after"],
        ]);
      });

      test("a guard refuses a connection", async () => {
        for (const by of ["app", "gateway"]) {
          const [refused] = await once(clients.start("/", { auth: { refuse: by } }), "connect_error");
          assert.equal(refused.message, "not today");
          assert.deepEqual(refused.data, { message: "not today", by });
          const [forbidden] = await once(clients.start("/", { auth: { forbid: by } }), "connect_error");
          assert.equal(forbidden.message, "Forbidden resource");
          assert.equal(forbidden.data, undefined);
        }
      });

      test("a guard refuses a message, and later ones go on", async () => {
        const socket = await clients.connect();
        for (const by of ["app", "gateway", "handler"]) {
          assert.deepEqual(await failure(socket, "work", by), {
            status: "error",
            message: "Forbidden resource",
            cause: { pattern: "work", data: by },
          });
        }
        assert.equal(await socket.timeout(PATIENCE).emitWithAck("work", 1), 1);
      });

      test("errors are told in Nest's words, and no more of them", async () => {
        const socket = await clients.connect();
        const status = "error";
        for (const [event, body, expected] of [
          ["buy", 7, { status, message: "Out of stock", left: 3 }],
          ["sell", 7, { status, message: "Out of stock", cause: { pattern: "sell", data: 7 } }],
          ["secret", { k: 1 }, { status, message: "Internal server error", cause: { pattern: "secret", data: { k: 1 } } }],
          ["panic", { k: 1 }, { status, message: "Internal server error", cause: { pattern: "panic", data: { k: 1 } } }],
          ["hang", null, { status, message: "Request timeout", cause: { pattern: "hang", data: null } }],
        ]) {
          assert.deepEqual(await failure(socket, event, body), expected);
        }
        await server.printed('panic ("panic") panicked: the password is hunter2');
      });

      test("a throttle lets so many through", async () => {
        const socket = await clients.connect();
        const answers = [];
        for (let i = 0; i < 3; i++) answers.push(await socket.timeout(PATIENCE).emitWithAck("rare"));
        assert.deepEqual(answers.slice(0, 2), ["here", "here"]);
        assert.equal(answers[2].message, "Too many requests");
        assert.ok(answers[2].retryAfter > 0 && answers[2].retryAfter <= 30_000, answers[2].retryAfter);
      });
    });
  }
});

describe("auth_jwt", { skip: skip("auth_jwt") }, () => {
  let server;
  let clients;
  before(async () => {
    server = await Server.start("auth_jwt");
    clients = new Clients(server, { transports: ["websocket"] });
  });
  after(async () => {
    clients?.close();
    await server?.stop();
  });

  async function token(query) {
    const response = await fetch(`${server.url}/token?${new URLSearchParams({ name: "ada", seconds: 60, ...query })}`);
    return response.text();
  }

  test("a token lets in, in auth or in a header", async () => {
    const bearer = await token({ role: "admin" });
    const ways = [{ auth: { token: bearer } }, { extraHeaders: { authorization: `Bearer ${bearer}` } }];
    for (const way of ways) {
      const socket = await clients.connect("/", way);
      assert.equal(await socket.timeout(PATIENCE).emitWithAck("whoami"), "ada (admin)");
    }
  });

  test("without a good one nobody comes in", async () => {
    const good = await token({ role: "admin" });
    const forged = `${good.slice(0, -4)}AAAA`;
    for (const [auth, message] of [
      [{}, "Missing token"],
      [{ token: "x" }, "Invalid token"],
      [{ token: forged }, "Invalid token"],
      [{ token: 7 }, "Invalid auth: invalid type: integer `7`, expected a string"],
    ]) {
      const [error] = await once(clients.start("/", { auth }), "connect_error");
      assert.equal(error.message, message);
    }
  });

  test("roles", async () => {
    const [admin, guest] = await Promise.all(
      ["admin", "guest"].map(async (role) => clients.connect("/", { auth: { token: await token({ role }) } })),
    );
    const refused = await guest.timeout(PATIENCE).emitWithAck("announce", "hi");
    assert.equal(refused.message, "Forbidden resource");
    const heard = once(guest, "announcement");
    await admin.timeout(PATIENCE).emitWithAck("announce", "hello");
    assert.deepEqual(await heard, ["hello"]);
  });

  test("who has no new token in time is put out", async () => {
    const [late, renewed] = await Promise.all(
      [1, 2].map(async () => clients.connect("/", { auth: { token: await token({ seconds: 2 }) } })),
    );
    await renewed.timeout(PATIENCE).emitWithAck("renew", await token({}));
    const exception = once(late, "exception");
    const [reason] = await once(late, "disconnect");
    assert.equal(reason, "io server disconnect");
    assert.deepEqual(await exception, [{ status: "error", message: "Token expired" }]);
    assert.equal(await renewed.timeout(PATIENCE).emitWithAck("whoami"), "ada ()");
  });
});

describe("auth_session", { skip: skip("auth_session") }, () => {
  let server;
  let clients;
  before(async () => {
    server = await Server.start("auth_session");
    clients = new Clients(server, { transports: ["polling", "websocket"] });
  });
  after(async () => {
    clients?.close();
    await server?.stop();
  });

  async function login(name) {
    const response = await fetch(`${server.url}/login?name=${name}`, { method: "POST" });
    return response.headers.get("set-cookie").split(";")[0];
  }

  test("the session's cookie lets in", async () => {
    const cookie = await login("ada");
    const socket = await clients.connect("/", { extraHeaders: { cookie } });
    assert.equal(await socket.timeout(PATIENCE).emitWithAck("whoami"), "ada");
  });

  test("another one does not", async () => {
    const cookie = await login("ada");
    for (const other of ["", "session=1", `${cookie}x`, cookie.replace(/.$/, "")]) {
      const [error] = await once(clients.start("/", { extraHeaders: { cookie: other } }), "connect_error");
      assert.equal(error.message, "Log in first");
    }
  });

  test("logging out ends it", async () => {
    const cookie = await login("bob");
    const socket = await clients.connect("/", { extraHeaders: { cookie } });
    const disconnected = once(socket, "disconnect");
    const response = await fetch(`${server.url}/logout`, { method: "POST", headers: { cookie } });
    assert.equal(response.status, 204);
    assert.deepEqual((await disconnected)[0], "io server disconnect");
    const [error] = await once(clients.start("/", { extraHeaders: { cookie } }), "connect_error");
    assert.equal(error.message, "Log in first");
  });
});
