// What the matrix is made of, beside the transports: the versions of the official client with what is different for the
// user of each, and the packet formats.

import { io } from "socket.io-client";
import ioV2 from "socket.io-client-v2";
import { io as ioV3 } from "socket.io-client-v3";
import { io as ioV4 } from "socket.io-client-v4.0";
import msgpack from "socket.io-msgpack-parser";

/** From version 3 on. */
const modern = {
  /** The version of Engine.IO that it speaks. */
  engine: 4,
  /** Options that carry what a namespace asks for. */
  credentials: (auth) => ({ auth }),
  /** The event that tells of a refusal, and what it means. */
  refusal: ["connect_error", ({ message, data }) => ({ message, data })],
  formats: ["JSON", "MessagePack"],
  recovers: false,
};

export const VERSIONS = [
  {
    name: "socket.io-client 2.5",
    io: ioV2,
    engine: 3,
    credentials: (query) => ({ query }),
    // The bare value; the Node server gives the data if there is some, else the message.
    refusal: ["error", (value) => ({ message: value.message ?? value, data: value })],
    // The msgpack parser of its time writes other packets, and that of today cannot be used with it.
    formats: ["JSON"],
    recovers: false,
  },
  { ...modern, name: "socket.io-client 3.1", io: ioV3 },
  { ...modern, name: "socket.io-client 4.0", io: ioV4 },
  { ...modern, name: "socket.io-client 4.8", io, recovers: true },
];

/** Name, options of the client, environment of the server. */
export const FORMATS = [
  ["JSON", {}, {}],
  ["MessagePack", { parser: msgpack }, { PARSER: "msgpack" }],
];
