// The page with the service of the client's tests behind it, and rooms with
// something in them. Prints its port. /control: {say, room, user, count},
// {raw, room, user}, {type, room, user}, {refuse, room}, {stored}.
//
//   FANLOOP_WS=.../node_modules/ws node serve.js

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { Service } from "../../client/test/service.js";

const npm = new URL("../../client/test/npm/", import.meta.url);
const { WebSocketServer } = createRequire(npm)(process.env.FANLOOP_WS ?? "ws");
const types = { html: "text/html", css: "text/css", js: "text/javascript", svg: "image/svg+xml" };
const client = ["base", "tokens", "transport", "session", "live", "outbox", "topic", "fanloop"];

const service = new Service({ now: () => performance.now(), random: Math.random, setTimeout: (run, delay) => setTimeout(run, delay) });
let time; // of the next message, or now
const topic = service.topic.bind(service);
service.topic = (name) => {
  const stream = topic(name);
  if (!stream.timed) {
    stream.timed = true;
    const append = stream.append.bind(stream);
    stream.append = (content) => Object.assign(append(content), { time: time ?? Date.now() });
  }
  return stream;
};

const people = ["ann", "bob", "Chen Wei", "dora", "Émile Zola"];
const names = ["room:lobby", "room:engineering", "room:design", "room:lunch", "room:releases"];
const lines = [
  ["bob", "Morning! The fan-out numbers from last night are in."],
  ["bob", "p99 went from 38 ms to 11 ms with batching on, same machine, same load."],
  ["Chen Wei", "Nice. Was that with compression or without?"],
  ["bob", "Without. I'd like to see the compressed run before we tell anybody. Notes: https://example.org/notes/fan-out?run=42."],
  ["dora", "I can start one after lunch. The command is `fanloop bench chat --seed 7`, right?"],
  ["bob", "Yes. Or all of it:\n```\nfanloop bench chat --users 10000 \\\n  --rooms 1000 --seed 7\n```"],
  ["Émile Zola", "While you are at it: the reconnect storm from Tuesday, do we know what began it? I read the logs twice and it seems that all clients came back in the same second, although the delay is random. Either the hint from the node was lost, or somebody put the same seed everywhere."],
  ["dora", "Same seed. Fixed in the release of yesterday."],
  ["Émile Zola", "🎉"],
  ["ann", "Great work, both of you."],
  ["ann", "I'll write the release note this afternoon, then we can ship."],
  ["Chen Wei", "Ship it 🚀"],
];

function seed() {
  const start = Date.now() - 26 * 3600_000;
  for (let i = 0; i < Number(process.env.LINES ?? 400); i++) {
    time = start + i * 60_000;
    service.say("room:lobby", people[(i >> 1) % 5], { text: `Line ${i}: ${"something that was said ".repeat(i % 5)}` });
  }
  const said = lines.map(([user, text], i) => {
    time = Date.now() - (lines.length - i) * 110_000;
    return service.say("room:lobby", user, { text });
  });
  for (const [i, emoji, user] of [[1, "🎉", "ann"], [1, "🎉", "dora"], [1, "👀", "Chen Wei"], [9, "❤️", "bob"], [11, "👍", "ann"]]) {
    service.publish("room:lobby", { user, kind: "react", target: said[i], data: emoji, id: `r${i}${user}` });
  }
  time = undefined;
}
seed();

// What the service of the client's tests does not do.
function enrich(line) {
  const frame = JSON.parse(line);
  if (frame.type === "connected") Object.assign(frame, { topics: names, development: true, time: Date.now() });
  if (frame.type === "subscribed" && frame.presence) frame.presence = { level: "full", seq: 1, count: 5, users: people };
  if (frame.type === "subscribed" && /engineering|releases/.test(frame.topic)) Object.assign(frame, { unread: frame.topic.length - 13 });
  return JSON.stringify(frame);
}

const http = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, "http://test");
  if (pathname === "/control") {
    let body = "";
    for await (const piece of request) body += piece;
    return response.end(JSON.stringify(control(JSON.parse(body)) ?? null));
  }
  try {
    const name = pathname === "/" ? "index.html" : pathname.slice(1);
    const source = client.includes(name.replace(".js", "")) ? `../../client/${name}` : `../${name}`;
    const body = await readFile(new URL(source, import.meta.url));
    response.writeHead(200, { "Content-Type": types[name.split(".").at(-1)], "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'" });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
});

function control({ say, raw, room = "room:lobby", user = "bob", count = 1, type, refuse, allow, stored, drop }) {
  for (let i = 0; say && i < count; i++) service.say(room, user, { text: count > 1 ? `${say} ${i}` : say });
  if (raw !== undefined) service.say(room, user, raw);
  if (type !== undefined) for (const c of service.connections) c.send({ type: "values", topic: room, kind: "typing", values: [{ key: user, data: type || undefined }] });
  if (refuse) service.denied.set(refuse, "forbidden");
  if (allow) service.denied.delete(allow);
  if (drop) for (const c of [...service.connections]) c.close(4000);
  if (stored) return service.topic(stored).all;
}

const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] });
http.on("upgrade", (request, socket, head) => sockets.handleUpgrade(request, socket, head, (ws) => {
  const connection = service.open({ send: (text) => ws.send(text.split("\n").map(enrich).join("\n")), close: (code, reason) => ws.close(code, reason) });
  ws.on("message", (text) => connection.receive(String(text)));
  ws.on("close", () => connection.lost());
}));
http.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => console.log(http.address().port));
process.stdin.on("end", () => process.exit()).resume();
