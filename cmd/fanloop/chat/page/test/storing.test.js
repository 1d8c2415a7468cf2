// Whether the service stores what is sent.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Emitter } from "../../client/base.js";
import { Storing } from "../storing.js";

function world() {
  const client = Object.assign(new Emitter(), { outgoing: [] });
  const w = { now: 0, client, storing: new Storing(client, () => w.now) };
  w.is = (entry, state, code, mayRepeat = false) => {
    Object.assign(entry, { state, error: code ? { code, retry: "later" } : null, mayRepeat });
    client.outgoing = client.outgoing.filter((one) => one !== entry).concat(state === "stored" ? [] : [entry]);
    client.emit("outgoing", entry);
  };
  client.emit("state", "connected");
  return w;
}

test("what is refused for now is stuck until something is stored", () => {
  for (const code of ["unavailable", "overloaded", "internal", "timeout"]) {
    const w = world(), one = {}, two = {};
    w.is(one, "sending");
    w.is(two, "sending");
    assert.equal(w.storing.stuck, false);
    w.is(one, "unconfirmed", code);
    assert.equal(w.storing.stuck, true);
    w.is(one, "sending"); // tried again
    assert.equal(w.storing.stuck, true);
    w.is(one, "stored");
    assert.equal(w.storing.stuck, false);
  }
});

test("what is discarded is not waited for", () => {
  const w = world(), one = {};
  w.is(one, "unconfirmed", "unavailable");
  w.client.outgoing = [];
  assert.equal(w.storing.stuck, false);
  w.is({}, "sending");
  assert.equal(w.storing.stuck, false);
});

test("other refusals say nothing of the store", () => {
  const w = world();
  w.is({}, "refused", "forbidden");
  w.is({}, "sending", "rate_limited");
  w.is({}, "unconfirmed", "not_found_out", true);
  w.now = 3000;
  assert.equal(w.storing.stuck, false);
});

test("a long silence is one", () => {
  const w = world(), one = {}, two = {};
  w.is(one, "sending");
  w.is(two, "sending");
  w.now = 6000;
  assert.equal(w.storing.stuck, false);
  w.is(one, "stored"); // so it goes on, however slowly
  w.now = 11_000;
  assert.equal(w.storing.stuck, false);
  w.now = 12_001;
  assert.equal(w.storing.stuck, true);
  w.client.emit("state", "connected"); // it goes again, on another connection
  assert.equal(w.storing.stuck, false);
});
