// A room whose pages are late, refused, or overlap with what comes by itself.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Room } from "../room.js";

const message = (n) => ({ offset: String(n), id: `m${n}`, user: "bob", time: n, data: { text: String(n) } });
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => message(from + i));
const compare = (a, b) => a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);

// A topic that a test drives: history() answers when the test says so.
class Topic {
  name = "a";
  state = "subscribed";
  mode = "live";
  marker = {};
  position = { epoch: "e", offset: "0", id: "" };
  asked = [];
  marked = [];
  #listeners = {};
  on(event, listener) { this.#listeners[event] = listener; }
  emit(event, ...args) { this.#listeners[event]?.(...args); }
  configure() {}
  subscribe() {}
  markUnread(position) { this.marked.push(position); }
  history(where) { return new Promise((resolve, reject) => this.asked.push({ where, resolve, reject })); }
}

const texts = (room) => room.timeline.messages.map(({ text }) => Number(text));
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("after a reset without a page, the page in front is asked for, and joins what came meanwhile", async () => {
  const topic = new Topic();
  const room = new Room(topic, () => {}, compare);
  topic.emit("subscribed", { state: "fresh", begin: true });
  topic.emit("messages", range(1, 3), "page");
  topic.emit("reset", { epoch: "e", offset: "20", id: "m20" });
  assert.deepEqual(texts(room), []);
  topic.emit("messages", range(21, 22), "live");
  void room.more();
  assert.equal(topic.asked[0].where.before, undefined);
  topic.asked[0].resolve({ messages: range(14, 23), back: { epoch: "e", offset: "14", id: "m14" } }); // 23 comes by itself
  await turn();
  assert.deepEqual(texts(room), [...range(14, 22).map(({ time }) => time)]);
  topic.emit("messages", [message(23)], "live");
  void room.more();
  assert.equal(topic.asked[1].where.before.offset, "14");
  topic.asked[1].resolve({ messages: range(10, 13), begin: true });
  await turn();
  assert.deepEqual(texts(room), range(10, 23).map(({ time }) => time));
  assert.ok(room.begin);
});

test("where all of the last page comes by itself, the page in front of it is next", async () => {
  const topic = new Topic();
  const room = new Room(topic, () => {}, compare);
  topic.emit("reset", { epoch: "e", offset: "20", id: "m20" });
  topic.emit("messages", range(21, 40), "live");
  void room.more();
  topic.asked[0].resolve({ messages: range(31, 40), back: { epoch: "e", offset: "31", id: "m31" } });
  await turn();
  assert.deepEqual(texts(room), range(21, 40).map(({ time }) => time));
  void room.more();
  topic.asked[1].resolve({ messages: range(18, 30), back: { epoch: "e", offset: "18", id: "m18" } });
  await turn();
  assert.deepEqual(texts(room), range(18, 40).map(({ time }) => time));
});

test("a page that is refused for now is asked for once, and again later", async () => {
  const topic = new Topic();
  let changes = 0;
  const room = new Room(topic, () => (changes++, void room.more()), compare); // as drawing does
  topic.emit("subscribed", { state: "fresh", back: { epoch: "e", offset: "9", id: "m9" } });
  await turn();
  assert.equal(topic.asked.length, 1);
  topic.asked[0].reject({ retry: "later", delay: 20 });
  await turn();
  assert.equal(topic.asked.length, 1);
  while (topic.asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(changes > 2);
});

test("nothing is asked for without a subscription", async () => {
  const topic = new Topic();
  const room = new Room(topic, () => {}, compare);
  topic.emit("subscribed", { state: "fresh", back: { epoch: "e", offset: "9", id: "m9" } });
  topic.state = "waiting";
  assert.equal(await room.more(), false);
  assert.equal(topic.asked.length, 0);
});

test("X24 unread from a line on is behind the line in front of it", () => {
  const topic = new Topic();
  const room = new Room(topic, () => {}, compare);
  topic.emit("messages", range(1, 3), "page");
  room.markUnread(room.timeline.messages[1]);
  room.markUnread(room.timeline.messages[0]);
  assert.deepEqual(topic.marked, [{ epoch: "e", offset: "1", id: "m1" }, { epoch: "e", offset: "0", id: "" }]);
  assert.ok(room.held);
});

test("a line is read by the others whose position of this epoch is not in front of it, in a room of at most 100", () => {
  const topic = new Topic();
  const room = new Room(topic, () => {}, compare, () => "me");
  const reads = (positions) => topic.emit("values", "read", new Map(Object.entries(positions)));
  reads({ me: { epoch: "e", offset: "30" }, ann: { epoch: "e", offset: "10" }, bob: { epoch: "e", offset: "9" }, cy: { epoch: "old", offset: "99" } });
  topic.emit("values", "typing", new Map([["dan", true]]));
  assert.deepEqual(room.readers(message(10)), ["ann"]);
  reads({ ann: { epoch: "e", offset: "8" }, bob: { epoch: "e", offset: "11" } }); // ann's is late
  assert.deepEqual(room.readers(message(10)), ["ann", "bob"]);
  reads({}); // their time is over
  assert.deepEqual(room.readers(message(11)), ["bob"]);
  topic.presence = { count: 101 };
  assert.deepEqual(room.readers(message(10)), []);
  topic.presence = { count: 100 };
  assert.deepEqual(room.readers(message(10)), ["ann", "bob"]);
  topic.position = { epoch: "next", offset: "5", id: "" };
  assert.deepEqual(room.readers(message(4)), []);
});
