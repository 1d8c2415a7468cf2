// Names while @ is typed.

import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.document = { getElementById: () => null };
const { asked, matching } = await import("../complete.js");

test("a name is asked for behind an @ that begins a word, up to the caret", () => {
  const at = (text) => asked(text.replace("|", ""), text.indexOf("|"))?.name;
  assert.equal(at("@|"), "");
  assert.equal(at("hello @an|n"), "an");
  assert.equal(at("(@Chen W|"), "Chen W");
  assert.equal(at("@a and @b|"), "b");
  for (const none of ["|", "a|", "mail@example|", "日@b|", "@ a|", "@a\nb|", "@@|", `@${"x".repeat(40)}|`, "|@a"]) assert.equal(at(none), undefined, none);
});

test("names that begin so are in front of those of which a word does", () => {
  const names = ["Wei Chen", "chen", "Chen Wei", "ann", "chen"];
  assert.deepEqual(matching(names, "ch"), ["chen", "Chen Wei", "Wei Chen"]);
  assert.deepEqual(matching(names, "Chen W"), ["Chen Wei"]);
  assert.deepEqual(matching(names, "x"), []);
  assert.deepEqual(matching(names, "ANN"), []); // it is written already
  assert.equal(matching(Array.from({ length: 30 }, (_, i) => `n${i}`), "").length, 8);
});
