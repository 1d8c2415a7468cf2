// A worker that owns one WebSocket and times its echoes. It runs beside the
// page so that drawing rows does not count as round trip.
//
// In:  { connect: [address, protocols] }, { send: content }, { close: [code, reason] }
// Out: { event: "refused" | "open" | "message" | "close", ... }

import { sameContent, sizeOf } from "./values.js";

const maxExpected = 256; // sent messages that may still come back
const maxExpectedBytes = 32 * 1024 * 1024;

const expected = [];
let expectedBytes = 0;
let socket;

self.addEventListener("message", ({ data }) => {
  if (data.connect) connect(...data.connect);
  else if (data.close) socket.close(...data.close);
  else send(data.send);
});

function connect(address, protocols) {
  try {
    socket = new WebSocket(address, protocols);
  } catch (err) {
    self.postMessage({ event: "refused", message: err.message });
    return;
  }
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => {
    self.postMessage({ event: "open", protocol: socket.protocol, extensions: socket.extensions });
  });
  socket.addEventListener("message", ({ data }) => {
    const now = performance.now();
    const content = typeof data === "string" ? data : new Uint8Array(data);
    const delay = roundTrip(content, now);
    self.postMessage({ event: "message", content, delay }, typeof data === "string" ? [] : [data]);
  });
  socket.addEventListener("close", ({ code, reason, wasClean }) => {
    self.postMessage({ event: "close", code, reason, wasClean });
  });
}

function send(content) {
  const size = sizeOf(content);
  expected.push({ content, size, at: performance.now() });
  expectedBytes += size;
  socket.send(content);
  while (expected.length > maxExpected || expectedBytes > maxExpectedBytes) {
    expectedBytes -= expected.shift().size;
  }
}

// Echoes come back in order, so whatever was sent before a match is given up.
function roundTrip(content, now) {
  const at = expected.findIndex((sent) => sameContent(sent.content, content));
  if (at < 0) return undefined;
  const passed = expected.splice(0, at + 1);
  for (const { size } of passed) expectedBytes -= size;
  return now - passed[at].at;
}
