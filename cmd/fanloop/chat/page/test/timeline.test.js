// Which lines a timeline shows after edits, deletions and reactions, in
// whatever pages they come.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Timeline, textOf } from "../timeline.js";

const line = (offset, text = `line ${offset}`, user = "ann") => ({ offset: String(offset), id: `i${offset}`, time: 0, user, data: { text } });
const event = (offset, kind, target, data, user = "ann") => ({ offset: String(offset), id: `i${offset}`, time: 0, user, kind, target: { offset: String(target), id: `i${target}` }, data });
const texts = (timeline) => timeline.messages.map(({ text }) => text);

test("a message is shown once, however often it comes", () => {
  const timeline = new Timeline();
  timeline.append([line(3), line(4)]);
  timeline.prepend([line(1), line(2), line(3)]);
  timeline.append([line(4)]);
  assert.deepEqual(texts(timeline), ["line 1", "line 2", "line 3", "line 4"]);
});

test("the last edit wins, and nothing undoes a deletion", () => {
  const timeline = new Timeline();
  timeline.append([line(1), event(2, "edit", 1, { text: "a" }), event(3, "edit", 1, { text: "b" })]);
  assert.deepEqual(texts(timeline), ["b"]);
  timeline.append([event(4, "delete", 1), event(5, "edit", 1, { text: "c" }), event(6, "react", 1, "👍")]);
  assert.deepEqual([texts(timeline), timeline.messages[0].deleted, timeline.messages[0].reactions.size], [[""], true, 0]);
});

test("an event applies only if the message at the offset has its id", () => {
  const timeline = new Timeline();
  timeline.append([line(1), { ...event(2, "delete", 1), target: { offset: "1", id: "other" } }]);
  assert.deepEqual(texts(timeline), ["line 1"]);
});

test("events wait for a target in an earlier page, and apply in order", () => {
  // However the log is cut into pages, the end is the same.
  const log = [line(1), event(2, "edit", 1, { text: "a" }), line(3), event(4, "react", 1, "👍", "bob"), event(5, "edit", 1, { text: "b" }), event(6, "unreact", 1, "👍", "bob"), event(7, "react", 1, "🎉", "bob"), line(8), event(9, "edit", 3, { text: "c" })];
  const whole = new Timeline();
  whole.append(log);
  for (let first = 0; first <= log.length; first++) {
    for (let second = 0; second <= first; second++) {
      const timeline = new Timeline();
      timeline.append(log.slice(first));
      timeline.prepend(log.slice(second, first));
      timeline.prepend(log.slice(0, second));
      const shown = ({ messages }) => messages.map(({ text, edited, reactions }) => [text, edited, [...reactions]]);
      assert.deepEqual(shown(timeline), shown(whole), `cut at ${second} and ${first}`);
    }
  }
});

test("a user has a reaction or has not", () => {
  const timeline = new Timeline();
  timeline.append([line(1), event(2, "react", 1, "👍"), event(3, "react", 1, "👍"), event(4, "unreact", 1, "👍")]);
  assert.equal(timeline.messages[0].reactions.size, 0);
});

test("names such as __proto__ are values", () => {
  const timeline = new Timeline();
  timeline.append([line(1), event(2, "react", 1, "__proto__", "__proto__")]);
  assert.deepEqual([...timeline.messages[0].reactions.get("__proto__")], ["__proto__"]);
});

test("data of another program is shown as what it is", () => {
  assert.equal(textOf("plain"), "plain");
  assert.equal(textOf({ text: "t" }), "t");
  assert.equal(textOf({ temperature: 3 }), '{"temperature":3}');
  assert.equal(textOf(undefined), '""');
});
