// Days, groups and the divider.

import assert from "node:assert/strict";
import { test } from "node:test";
import { compareOffsets } from "../../client/base.js";
import { seenText } from "../format.js";
import { rows } from "../rows.js";

const noon = new Date(2026, 5, 1, 12).getTime();
const minute = 60_000;
const line = (offset, user, minutes) => ({ offset: String(offset), id: `i${offset}`, user, time: noon + minutes * minute, version: 0 });
const view = (messages, more = {}) => rows({ messages, divider: null, me: "me", begin: false, compare: compareOffsets, ...more });
const short = (list) => list.map(({ type, first, count }) => (type === "message" || type === "outgoing" ? (first ? "FIRST" : "next") : count === undefined ? type : `${type} ${count}`));

test("lines of one author within five minutes are a group", () => {
  assert.deepEqual(short(view([line(1, "a", 0), line(2, "a", 4), line(3, "b", 5), line(4, "b", 11)])), ["day", "FIRST", "next", "FIRST", "FIRST"]);
});

test("a day begins a group", () => {
  assert.deepEqual(short(view([line(1, "a", 719), line(2, "a", 721)])), ["day", "FIRST", "day", "FIRST"]);
});

test("X23 the divider stands before the first line of others, and counts those under it", () => {
  const messages = [line(9, "a", 0), line(10, "me", 1), line(11, "a", 2), line(12, "me", 3), line(13, "b", 4)];
  assert.deepEqual(short(view(messages, { divider: "9" })), ["day", "FIRST", "FIRST", "new 2", "FIRST", "FIRST", "FIRST"]);
});

test("X23 an own line makes no divider", () => {
  assert.deepEqual(short(view([line(1, "a", 0), line(2, "me", 1)], { divider: "1" })), ["day", "FIRST", "FIRST"]);
});

test("offsets pass 2^53", () => {
  const list = view([line("9007199254740992", "a", 0), line("9007199254740993", "a", 1)], { divider: "9007199254740992" });
  assert.deepEqual(short(list), ["day", "FIRST", "new 1", "FIRST"]);
});

test("what is sent is shown until the message with its id is there", () => {
  const entry = { id: "i2", state: "sending", data: {} };
  assert.deepEqual(short(view([line(1, "me", 0)], { outgoing: [entry] })), ["day", "FIRST", "next"]);
  assert.equal(view([line(1, "me", 0), line(2, "me", 0)], { outgoing: [entry] }).filter(({ type }) => type === "outgoing").length, 0);
});

test("an edit on its way is no row, a refused one is", () => {
  const entry = { id: "e", kind: "edit", state: "sending" };
  assert.equal(view([], { outgoing: [entry] }).length, 0);
  assert.equal(view([], { outgoing: [{ ...entry, state: "refused" }] }).length, 1);
});

test("one line says who has read it, and is drawn again when that changes", () => {
  const messages = [line(1, "me", 0), line(2, "me", 1)];
  const last = (text, of = messages[1]) => view(messages, { seen: { message: of, text } }).filter(({ type }) => type === "message");
  const [before, after, then] = [last(""), last("Seen by a"), last("Seen by a")];
  assert.deepEqual(after.map(({ seen }) => seen), ["", "Seen by a"]);
  assert.equal(after[0], before[0]);
  assert.notEqual(after[1].version, before[1].version);
  assert.equal(then[1], after[1]);
});

test("many who have read are three names and a count", () => {
  const all = ["a", "b", "c", "d", "e", "f"];
  assert.deepEqual([0, 1, 2, 4, 5, 6].map((n) => seenText(all.slice(0, n))), ["", "Seen by a", "Seen by a and b", "Seen by a, b, c and d", "Seen by a, b, c and 2 others", "Seen by a, b, c and 3 others"]);
});
