// Search in a room.

import assert from "node:assert/strict";
import { test } from "node:test";
import { excerpt, found } from "../search.js";

const line = (name, text, deleted = false) => ({ name, text, deleted });

test("all words are in the text or the author, in any case, and the newest is first", () => {
  const lines = [line("Ann", "The build is green"), line("Bob", "Build failed"), line("Ann", "what build?", true), line("Cy", "nothing")];
  assert.deepEqual(found(lines, "BUILD").map(({ text }) => text), ["Build failed", "The build is green"]);
  assert.deepEqual(found(lines, " ann  build ").map(({ text }) => text), ["The build is green"]);
  assert.deepEqual(found(lines, "  "), []);
  assert.equal(found([line("a", "ﬁne.*")], "fine.*").length, 1);
});

test("a long text is shown around what was searched", () => {
  assert.equal(excerpt("short", "x"), "short");
  const long = `${"a".repeat(300)} needle ${"b".repeat(300)}`;
  const shown = excerpt(long, "Needle");
  assert.ok(shown.includes("needle") && shown.startsWith("…") && shown.endsWith("…") && shown.length <= 202);
});
