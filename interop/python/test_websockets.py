"""Plain WebSockets with Python's `websockets` as the client: the echo without gateways (`ws_echo`) and the gateways
(`events` with ADAPTER=ws). $GATEWIRE_BIN_DIR is where the programs are. The last line is `N passed, N failed`."""

import asyncio
import json
import os
import random
import sys
import unittest
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Close

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(os.environ.get("GATEWIRE_BIN_DIR", ROOT / "target/debug/examples"))
PATIENCE = 10

# How the client offers compression: not at all, plainly, and with the window that it wants.
COMPRESSION = {
    "off": None,
    "on": "deflate",
    "small windows": [ClientPerMessageDeflateFactory(server_max_window_bits=9, client_max_window_bits=9)],
    "no takeover": [ClientPerMessageDeflateFactory(client_no_context_takeover=True)],
}


class Server:
    """A program on a free port."""

    def __init__(self, name, **env):
        self.name, self.env = name, env

    async def __aenter__(self):
        env = {**os.environ, "PORT": "0", "HOST": "127.0.0.1", "NO_COLOR": "1", **self.env}
        self.process = await asyncio.create_subprocess_exec(
            PROGRAMS / self.name, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(PATIENCE):
            while b"listening on http://" not in (line := await self.process.stdout.readline()):
                if not line:
                    raise RuntimeError(f"{self.name} ended before it listened")
        self.url = "ws://" + line.decode().split("http://")[1].strip()
        # What else it says is of no interest, but somebody has to read it.
        self.reader = asyncio.create_task(self.process.stdout.read())
        return self

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self.reader


def offer(compression):
    if isinstance(compression, list):
        return {"compression": None, "extensions": compression}
    return {"compression": compression}


class Echo(unittest.IsolatedAsyncioTestCase):
    """Any message comes back as it was, however it is cut and whatever comes between."""

    async def asyncSetUp(self):
        self.server = await self.enterAsyncContext(Server("ws_echo"))

    async def test_messages_of_every_size(self):
        noise = random.Random(7)
        for name, compression in COMPRESSION.items():
            with self.subTest(compression=name):
                async with connect(self.server.url, max_size=None, **offer(compression)) as client:
                    agreed = client.response.headers.get("Sec-WebSocket-Extensions", "")
                    self.assertEqual("permessage-deflate" in agreed, compression is not None, agreed)
                    for size in [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000]:
                        text = "é" * (size // 2) + "x" * (size % 2)
                        for message in [text, noise.randbytes(size)]:
                            await client.send(message)
                            self.assertEqual(await asyncio.wait_for(client.recv(), PATIENCE), message)

    async def test_fragments(self):
        for name, compression in COMPRESSION.items():
            with self.subTest(compression=name):
                async with connect(self.server.url, **offer(compression)) as client:
                    for parts in [["a"], ["é", "", "🦀"], ["x" * 1000] * 100, list("abcdefgh" * 125)]:
                        await client.send(parts)
                        self.assertEqual(await asyncio.wait_for(client.recv(), PATIENCE), "".join(parts))
                    await client.send([b"\x00", b"", b"\xff" * 70_000])
                    self.assertEqual(await client.recv(), b"\x00" + b"\xff" * 70_000)

    async def test_pings_between_the_fragments(self):
        async with connect(self.server.url) as client:

            async def parts():
                for part in ["one ", "two ", "three"]:
                    yield part
                    await asyncio.wait_for(await client.ping(), PATIENCE)

            await client.send(parts())
            self.assertEqual(await client.recv(), "one two three")

    async def test_a_flood_of_pings(self):
        async with connect(self.server.url) as client:
            pongs = [await client.ping(str(number)) for number in range(10_000)]
            await asyncio.wait_for(asyncio.gather(*pongs), PATIENCE)
            await client.send("still here")
            self.assertEqual(await client.recv(), "still here")

    async def test_close_codes_are_echoed(self):
        for code, reason in [(1000, ""), (1001, "away"), (1008, "é"), (1011, "x" * 123), (3000, ""), (4999, "mine")]:
            with self.subTest(code=code):
                client = await connect(self.server.url)
                await client.close(code, reason)
                self.assertEqual(client.protocol.close_rcvd.code, code)

    async def test_what_breaks_the_protocol_is_told(self):
        # Masked with nothing.
        frames = {
            "not UTF-8": (b"\x81\x81\0\0\0\0\xff", 1007),
            "a continuation of nothing": (b"\x80\x80\0\0\0\0", 1002),
            "a reserved bit": (b"\xa1\x80\0\0\0\0", 1002),
            "an unknown opcode": (b"\x83\x80\0\0\0\0", 1002),
            "no mask": (b"\x81\x00", 1002),
        }
        for name, (frame, code) in frames.items():
            with self.subTest(name):
                client = await connect(self.server.url, compression=None)
                # Past the client, which would not send it.
                client.transport.write(frame)
                with self.assertRaises(ConnectionClosed) as closed:
                    await asyncio.wait_for(client.recv(), PATIENCE)
                self.assertEqual(closed.exception.rcvd.code, code)


class Gateways(unittest.IsolatedAsyncioTestCase):
    """The envelope, answers by id, broadcasts, faults."""

    async def asyncSetUp(self):
        self.server = await self.enterAsyncContext(Server("events", ADAPTER="ws"))

    async def test_answers_and_broadcasts(self):
        async with connect(self.server.url) as one, connect(self.server.url) as other:
            await one.send(json.dumps({"event": "ping", "data": "é 🦀", "id": 7}))
            self.assertEqual(json.loads(await one.recv()), {"event": "ping", "data": "pong: é 🦀", "id": 7})
            await one.send(json.dumps({"event": "broadcast", "data": "to all"}))
            for client in [one, other]:
                received = json.loads(await asyncio.wait_for(client.recv(), PATIENCE))
                self.assertEqual(received, {"event": "message", "data": "to all"})

    async def test_too_many_faults(self):
        client = await connect(self.server.url)
        for _ in range(11):
            await client.send("no")
        for _ in range(11):
            told = json.loads(await asyncio.wait_for(client.recv(), PATIENCE))
            self.assertEqual(told["data"]["message"], "the message is not JSON from byte 0 on")
        with self.assertRaises(ConnectionClosed) as closed:
            await asyncio.wait_for(client.recv(), PATIENCE)
        self.assertEqual(closed.exception.rcvd, Close(1008, "too many messages that are none"))

    async def test_a_message_that_is_too_large(self):
        client = await connect(self.server.url)
        await client.send("x" * 1_000_001)
        with self.assertRaises(ConnectionClosed) as closed:
            await asyncio.wait_for(client.recv(), PATIENCE)
        self.assertEqual(closed.exception.rcvd.code, 1009)

    async def test_an_unknown_path(self):
        with self.assertRaises(InvalidStatus) as refused:
            await connect(self.server.url + "/nothing")
        self.assertEqual(refused.exception.response.status_code, 404)

    async def test_the_end_of_the_server(self):
        client = await connect(self.server.url)
        self.server.process.terminate()
        with self.assertRaises(ConnectionClosed) as closed:
            await asyncio.wait_for(client.recv(), PATIENCE)
        self.assertEqual(closed.exception.rcvd.code, 1001)


class Origins(unittest.IsolatedAsyncioTestCase):
    """A page's origin is looked at before the upgrade."""

    async def test_pages_of_other_origins(self):
        async with Server("showcase" if (PROGRAMS / "showcase").exists() else "../showcase") as server:
            own = server.url.replace("ws://", "http://")
            async with connect(server.url + "/ws", origin=own) as client:
                await client.send('{"event":"rtt","data":1,"id":1}')
                self.assertEqual(json.loads(await client.recv())["data"], 1)
            with self.assertRaises(InvalidStatus) as refused:
                await connect(server.url + "/ws", origin="https://evil.example")
            self.assertEqual(refused.exception.response.status_code, 403)
            self.assertIn(b"`cors`", refused.exception.response.body)


if __name__ == "__main__":
    tests = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    result = unittest.TextTestRunner(verbosity=2).run(tests)
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed", flush=True)
    sys.exit(failed > 0)
