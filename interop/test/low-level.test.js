// The server without gateways, the `low_level` program, with the official client: middleware, listeners, questions to
// all, and namespaces by pattern.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { Server, missingServer, reference } from "../lib/server.js";
import { Clients, TRANSPORTS } from "../lib/transports.js";
import { PATIENCE, collect, once } from "../lib/wait.js";

const skip = missingServer("low_level");

for (const [label, transport] of TRANSPORTS) {
  describe(`without gateways, ${label}`, { skip }, () => {
    let server, clients;
    before(async () => {
      server = await Server.start("low_level");
    });
    after(() => server?.stop());
    beforeEach(() => {
      clients = new Clients(server, transport);
    });
    afterEach(() => clients.close());

    const join = (name) => clients.connect("/", { auth: { name } });
    const ask = (socket, event, ...args) => socket.timeout(PATIENCE).emitWithAck(event, ...args);

    test("middleware refuses with a message and data", async () => {
      const nobody = clients.start("/");
      assert.equal((await once(nobody, "connect_error"))[0].message, "say your name");
      const long = clients.start("/", { auth: { name: "x".repeat(51) } });
      const [error] = await once(long, "connect_error");
      assert.deepEqual([error.message, error.data], ["that is no name", { max: 50 }]);
    });

    test("listeners hear, rooms are joined, private messages arrive", async () => {
      const ada = await join("Ada");
      const came = once(ada, "came");
      const bob = await join("Bob");
      assert.deepEqual(await came, ["Bob"]);
      const said = collect(bob, "said");
      ada.emit("say", "hello");
      ada.emit("to", "Bob", "only you");
      assert.deepEqual(await said.take(2), [["Ada", "hello"], ["Ada", "only you"]]);
      assert.deepEqual((await ask(bob, "join", "red")).sort(), [bob.id, "Bob", "red"].sort());
      ada.emit("to", "red", "in red");
      assert.deepEqual((await said.take(3)).at(-1), ["Ada", "in red"]);
    });

    test("a listener that hears once hears once", async () => {
      const ada = await join("Ada");
      const hellos = collect(ada, "hello");
      ada.emit("hello");
      ada.emit("hello");
      await ask(ada, "join", "x");
      assert.equal(hellos.seen.length, 1);
    });

    const silence = { skip: reference && "the Node server leaves the client without an answer" };
    test("middleware of a socket drops an event and tells why", silence, async () => {
      const ada = await join("Ada");
      const answer = await ask(ada, "shutdown");
      assert.equal(answer.status, "error");
      assert.equal(answer.message, "not you");
      assert.equal(ada.connected, true);
    });

    test("a question to all others collects the answers", async () => {
      const [ada, bob, cleo] = await Promise.all(["Ada", "Bob", "Cleo"].map(join));
      bob.on("question", (question, answer) => answer(`${question} yes`));
      cleo.on("question", (question, answer) => answer(`${question} no`));
      assert.deepEqual((await ask(ada, "ask", "tea?")).sort(), ["tea? no", "tea? yes"]);
    });

    test("who goes is told to the rooms it was in", async () => {
      const [ada, bob] = await Promise.all(["Ada", "Bob"].map(join));
      await Promise.all([ask(ada, "join", "blue"), ask(bob, "join", "blue")]);
      const went = once(ada, "went");
      bob.disconnect();
      assert.deepEqual(await went, ["Bob"]);
    });

    test("a namespace comes into being with its first client", async () => {
      const first = clients.start("/room-7", { auth: {} });
      assert.deepEqual(await once(first, "people"), [1]);
      const people = once(first, "people");
      const second = clients.start("/room-7", { auth: {} });
      await once(second, "connect");
      assert.deepEqual(await people, [2]);
      const heard = Promise.all([once(first, "anything"), once(second, "anything")]);
      second.emit("anything", 1, Buffer.from([2]));
      for (const [one, two] of await heard) assert.deepEqual([one, [...two]], [1, [2]]);
      const refused = clients.start("/room-x", { auth: {} });
      assert.equal((await once(refused, "connect_error"))[0].message, "rooms have numbers");
    });
  });
}
