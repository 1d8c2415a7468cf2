// Which rooms are in the list.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Known } from "../known.js";

test("what came last counts, in whatever order it is read", () => {
  globalThis.localStorage = { getItem: () => null, setItem: () => {} };
  const known = new Known("ann");
  known.set("a", { at: 10 });
  known.came("a", 30);
  known.came("a", 20); // of a page that was read later
  assert.deepEqual(known.get("a"), { at: 30, muted: false });
  known.end();
});
