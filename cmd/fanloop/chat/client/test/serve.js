// The service of the tests on a real port: WebSockets by ws, streams by
// node:http, a page, and /control for the test. Prints its port.
//
//   node serve.js MODULE    MODULE is the file that the page gets as fanloop.js

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { Service } from "./service.js";

const { WebSocketServer } = createRequire(new URL("npm/", import.meta.url))("ws");
const module = process.argv[2] ?? new URL("../fanloop.js", import.meta.url).pathname;
const here = (name) => new URL(name, import.meta.url).pathname;

const service = new Service({
  now: () => performance.now(),
  random: Math.random,
  setTimeout: (run, delay) => setTimeout(run, delay),
});
let webSockets = true;
let swallowing = false; // answers to publishes

const sink = (send, close) => ({
  send: (text) => (swallowing && text.includes('"published"')) || send(text),
  close,
});

const files = new Map([
  ["/", ["page.html", "text/html"]],
  ["/page.js", ["page.js", "text/javascript"]],
  ["/fanloop.js", [module, "text/javascript"]],
]);

const http = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, "http://test");
  const file = files.get(pathname);
  if (file) {
    response.writeHead(200, { "Content-Type": file[1], "Content-Security-Policy": "default-src 'self'" });
    return response.end(await readFile(file[0].startsWith("/") ? file[0] : here(file[0])));
  }
  if (request.method !== "POST") return response.writeHead(404).end();
  let body = "";
  for await (const piece of request.setEncoding("utf8")) body += piece;
  if (pathname === "/control") return response.end(JSON.stringify(control(JSON.parse(body)) ?? null));
  if (pathname === "/v1/stream") return stream(response, body);
  if (pathname === "/v1/commands") return response.writeHead(post(request.headers, body)).end();
  response.writeHead(404).end();
});

function stream(response, body) {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  const write = (text) => response.write(text.split("\n").map((line) => `data: ${line}\n`).join("") + "\n");
  const connection = service.open(sink(write, () => response.end()));
  connection.seq = 0;
  connection.way = "sse";
  response.on("close", () => connection.lost());
  connection.receive(body);
}

function post(headers, body) {
  const connection = service.sessionsOf.get(headers["fanloop-session"]);
  const seq = Number(headers["fanloop-seq"]);
  if (!connection?.open) return 404;
  if (seq <= connection.seq) return 204;
  if (seq > connection.seq + 1) return 409;
  connection.seq = seq;
  connection.receive(body);
  return 204;
}

const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] });
http.on("upgrade", (request, socket, head) => {
  if (!webSockets) return socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n");
  sockets.handleUpgrade(request, socket, head, (ws) => {
    const connection = service.open(sink((text) => ws.send(text), (code, reason) => ws.close(code, reason)));
    connection.way = "websocket";
    ws.on("message", (text) => connection.receive(String(text)));
    ws.on("close", () => connection.lost());
  });
});

// What a test asks for.
function control({ say, room, count = 1, stored, swallow, allow, expire }) {
  if (expire) for (const connection of [...service.connections]) if (connection.user === expire) connection.close(4300);
  if (say) for (let i = 0; i < count; i++) service.say(room, "bob", `${say} ${i}`);
  if (swallow !== undefined) swallowing = swallow;
  if (allow !== undefined) webSockets = allow;
  if (stored) return service.topic(stored).all.map(({ offset, id, data }) => [offset, id, data]);
  return [...service.connections].filter(({ session }) => session).map(({ user, way }) => `${user} ${way}`);
}

http.listen(0, "127.0.0.1", () => console.log(http.address().port));
process.stdin.on("end", () => process.exit()).resume(); // with the test
