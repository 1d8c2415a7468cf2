// Who is mentioned in a text.

import assert from "node:assert/strict";
import { test } from "node:test";
import { mentions, parts } from "../mention.js";

test("a name with @ is a mention, a part of a name or an address is none", () => {
  for (const text of ["@ann", "hi @Ann!", "(@ann)", "@ann, @bob", "x\n@ann"]) assert.ok(mentions(text, "ann"), text);
  for (const text of ["ann", "@anna", "mail@ann.test", "@@ann", "@ann_2", "@änn", ""]) assert.ok(!mentions(text, "ann"), text);
});

test("names are text, whatever they are made of", () => {
  for (const name of ["a.b", "a+b", "(x)", "[ann]", "a|b", "Chen Wei", "Émile", "日本", "a\\d", "$&"]) {
    assert.ok(mentions(`hello @${name} there`, name), name);
    assert.ok(!mentions("hello @axb there", name), name);
  }
  assert.ok(!mentions("@", ""));
});

test("the parts of a text are the text", () => {
  const text = "@ann and @Ann: ann@ann";
  const list = parts(text, "ann");
  assert.equal(list.map((part) => part.text).join(""), text);
  assert.deepEqual(list.filter(({ mine }) => mine).map((part) => part.text), ["@ann", "@Ann"]);
});
