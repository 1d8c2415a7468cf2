// X28: what becomes a link, and that everything else stays text.

import assert from "node:assert/strict";
import { test } from "node:test";
import { clean } from "../format.js";
import { onlyEmoji, parse, plain } from "../text.js";

// All parts with a text, in their order.
const leaves = (parts) => parts.flatMap((part) => (part.parts ? leaves(part.parts) : [part]));
const typed = (text) => leaves(parse(text)).map(({ text }) => text).join("");
// The parts in short: bold(a b).
const short = (parts) => parts.map(({ kind, text, parts }) => (kind === "text" ? text : kind === "sign" || kind === "fence" ? "" : `${kind}(${parts ? short(parts) : text})`)).join("");

const links = (text) => leaves(parse(text)).filter(({ kind }) => kind === "link").map(({ href }) => href);

const never = [
  "javascript:alert(1)", "JavaScript:alert(1)", "java\tscript:alert(1)", "java\nscript:alert(1)", "\u0001javascript:alert(1)",
  "data:text/html,<script>alert(1)</script>", "vbscript:msgbox(1)", "//evil.test", "file:///etc/passwd",
  "https://good.test@evil.test/", "https://user:secret@evil.test/", "https:evil", "http://", "https://[", "ftp://x.test/",
  "https://e.test/\u202egnp.exe", "https://e\u200b.test/", "view-source:https", "<a href=javascript:alert(1)>x</a>",
  "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", "<title>x</title>", "</script><script>alert(1)</script>", "&#106;avascript:alert(1)",
];

for (const text of never) {
  test(`no link: ${JSON.stringify(text)}`, () => {
    assert.deepEqual(links(text).filter((href) => !/^https:\/\/evil\/?$/.test(href)), []);
    assert.equal(typed(text), text);
  });
}

test("links end where their sentence goes on", () => {
  assert.deepEqual(links("see https://a.test/x. Or (https://b.test/y), https://c.test/z_(1)!"), ["https://a.test/x", "https://b.test/y", "https://c.test/z_(1)"]);
  assert.deepEqual(links("write to mailto:ann@a.test?"), ["mailto:ann@a.test"]);
});

test("nothing of a text is lost", () => {
  let seed = 1;
  const next = (n) => (seed = (seed * 48271) % 2147483647) % n;
  const pieces = ["*", "_", "~", "`", "```", "**", "\n", "> ", "- ", " ", "a", "é", "1", ")", "(", "<b>", "https://a.test/", "mailto:a@b", "js", "\r", "\u2028", "🎉"];
  for (let i = 0; i < 20_000; i++) {
    const text = Array.from({ length: next(24) }, () => pieces[next(pieces.length)]).join("");
    assert.equal(typed(text), text);
  }
});

const forms = {
  "*bold* and _italic_, ~struck~.": "bold(bold) and italic(italic), struck(struck).",
  "**bold** ~~struck~~ (*a*)": "bold(bold) struck(struck) (bold(a))",
  "*_both_* _*both*_": "bold(italic(both)) italic(bold(both))",
  "*a _b* c_": "bold(a _b) c_",
  "*a *b*": "*a bold(b)",
  "a_b_c 2*3*4 __init__ ***": "a_b_c 2*3*4 __init__ ***",
  "* a * b _ ~ **": "* a * b _ ~ **",
  "*a\nb*": "*a\nb*",
  "`*a*` *`b`*": "code(*a*) bold(code(b))",
  "no end ` here": "no end ` here",
  "> a *b*\n> c\nd": "quote(a bold(b)\nc\n)d",
  ">_< a > b": ">_< a > b",
  "a:\n- b\n- _c_\nd": "a:\nlist(item(b\n)item(italic(c)\n))d",
  "- \n-> a - b": "- \n-> a - b",
  "a\n```js\n*b*\n- c\n```\nd": "a\nblock(*b*\n- c)d",
  "```a``` b": "block(a) b",
  "```\nno end": "```\nno end",
  "`https://a.test`\n```js\nhttps://b.test\n```": "code(https://a.test)\nblock(https://b.test)",
  "*https://a.test/x_y_* _https://b.test/_c_d_": "bold(link(https://a.test/x_y)_) italic(link(https://b.test/_c_d))",
};

for (const [text, want] of Object.entries(forms)) test(`X28 ${JSON.stringify(text)}`, () => assert.equal(short(parse(text)), want));

test("what is said of a text has no signs", () => {
  assert.equal(plain("> *a* `b`\n- ~c~ https://d.test"), "a b\nc https://d.test");
});

// Where the cost grew with the square of the length, this would not end.
test("X28 a hostile text costs no more than its length", { timeout: 120_000 }, () => {
  const pieces = ["*", "*a", "*a ", " *a", "*_~", "*a_b~c ", "a* ", "`", "`a", "``a", "```", "```a", "``` ", "> ", "> *a\n", "- ", "- a\n", "\n", "https://", "https://a", "https://a ", "mailto:.", ")", "(", "a.", "@"];
  for (const piece of pieces) {
    for (const before of ["*", "`", "https://a.test/"]) {
      const text = before + piece.repeat(100_000 / piece.length);
      assert.equal(typed(text).length, text.length);
    }
  }
});

test("a few emoji are shown large, digits are not", () => {
  assert.ok(onlyEmoji("🎉") && onlyEmoji("👍🏽 👩‍👩‍👧"));
  assert.ok(!onlyEmoji("12") && !onlyEmoji("a 🎉") && !onlyEmoji(""));
});

test("a name cannot reorder or hide its neighbours", () => {
  assert.equal(clean("\u202eann\u2066\u0000\n"), "ann");
});
