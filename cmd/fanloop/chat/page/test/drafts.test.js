// X30: drafts belong to a user and a room.
// X29: how often a screen reader speaks.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Announcer } from "../announce.js";
import { Drafts } from "../drafts.js";

class Storage extends Map {
  getItem(key) { return this.get(key) ?? null; }
  setItem(key, value) { this.set(key, value); }
  removeItem(key) { this.delete(key); }
}

test("X30 a draft is seen by its user in its room, also after a reload", () => {
  const storage = new Storage();
  new Drafts(storage, "ann").set("room:a", "hello");
  assert.equal(new Drafts(storage, "ann").get("room:a"), "hello");
  assert.equal(new Drafts(storage, "ann").get("room:b"), "");
  assert.equal(new Drafts(storage, "bob").get("room:a"), "");
});

test("X30 users and rooms whose names run together are different", () => {
  const storage = new Storage();
  new Drafts(storage, "a").set('b","c', "hello");
  assert.equal(new Drafts(storage, 'a","b').get("c"), "");
});

test("X30 an empty draft leaves nothing", () => {
  const storage = new Storage();
  const drafts = new Drafts(storage, "ann");
  drafts.set("room:a", "x");
  drafts.set("room:a", "");
  assert.equal(storage.size, 0);
});

test("X30 a storage that refuses costs only the reload", () => {
  const full = { getItem() { throw new Error("no"); }, setItem() { throw new Error("full"); } };
  const drafts = new Drafts(full, "ann");
  drafts.set("room:a", "kept");
  assert.equal(drafts.get("room:a"), "kept");
});

test("X30 the other tab's draft is noticed, one's own is not", () => {
  const storage = new Storage();
  const drafts = new Drafts(storage, "ann");
  drafts.set("room:a", "mine");
  const [key] = storage.keys();
  assert.equal(drafts.foreign({ key, newValue: "mine" }, "room:a"), undefined);
  assert.equal(drafts.foreign({ key, newValue: "theirs" }, "room:a"), "theirs");
  assert.equal(drafts.foreign({ key, newValue: "theirs" }, "room:b"), undefined);
});

test("X29 a screen reader hears one utterance in 3 s, with all lines in it", () => {
  let now = 0;
  const timers = [];
  const region = { textContent: "" };
  const announcer = new Announcer(region, { now: () => now, setTimeout: (run, delay) => timers.push([now + delay, run]) });
  const spoken = [];
  for (; now < 10_000; now += 100) {
    announcer.add([{ name: "ann", text: `line ${now}` }]);
    while (timers.length && timers[0][0] <= now) timers.shift()[1]();
    if (region.textContent) spoken.push([now, region.textContent]);
    region.textContent = "";
  }
  assert.deepEqual(spoken, [[0, "ann: line 0"], [3000, "30 new messages"], [6000, "30 new messages"], [9000, "30 new messages"]]);
});
