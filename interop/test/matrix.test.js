// The matrix: versions of the official client × transports × packet formats, each with a server of its own and the same
// scenarios. Several run side by side, since most of each is waiting.

import { describe } from "node:test";
import { scenarios } from "../lib/scenarios.js";
import { missingServer } from "../lib/server.js";
import { TRANSPORTS } from "../lib/transports.js";
import { FORMATS, VERSIONS } from "../lib/versions.js";

const SIDE_BY_SIDE = 3;

describe("matrix", { skip: missingServer("interop_server"), concurrency: SIDE_BY_SIDE }, () => {
  for (const version of VERSIONS) {
    for (const format of FORMATS.filter(([name]) => version.formats.includes(name))) {
      for (const [label, transport] of TRANSPORTS) {
        describe(`${version.name}, ${label}, ${format[0]}`, { concurrency: 1 }, () => {
          scenarios(version, transport, format);
        });
      }
    }
  }
});
