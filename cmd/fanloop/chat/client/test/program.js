// The client as a program of Node, for the tests. Its argument is an object with the
// options of start. Each line of its input is an expression as a JSON string; each line
// of its output is {value} or {error}.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { Client } from "../fanloop.js";
import { start } from "./tab.js";

const WebSocket = globalThis.WebSocket ?? createRequire(new URL("npm/", import.meta.url))("ws");
start({ Client, WebSocket, ...JSON.parse(process.argv[2]) });

const input = createInterface({ input: process.stdin });
input.on("line", async (line) => {
  let answer;
  try {
    answer = { value: await (0, eval)(JSON.parse(line)) };
  } catch (err) {
    answer = { error: String(err?.stack ?? err) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
input.on("close", () => process.exit());
