// Text can be read: WCAG 2 AA, in light and in dark.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const css = await readFile(new URL("../style.css", import.meta.url), "utf8");
const colours = (block) => Object.fromEntries([...block.matchAll(/--([\w-]+): (#\w+)/g)].map(([, name, value]) => [name, value]));
const [light, dark] = [...css.matchAll(/:root \{([^}]*)\}/g)].map(([, block]) => colours(block));

function luminance(colour) {
  const hex = colour.length === 4 ? [...colour.slice(1)].map((c) => c + c).join("") : colour.slice(1);
  const [r, g, b] = [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a, b) {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

for (const [name, scheme] of Object.entries({ light, dark })) {
  test(`every text of the ${name} scheme stands out from every ground`, () => {
    for (const text of ["ink", "soft", "accent", "fault", "wait"]) {
      for (const ground of ["paper", "side", "raised", "hover", "press", "tint"]) {
        const ratio = contrast(scheme[text], scheme[ground]);
        assert.ok(ratio >= 4.5, `${text} on ${ground}: ${ratio.toFixed(2)}`);
      }
    }
    assert.ok(contrast(scheme["accent-ink"], scheme.accent) >= 4.5);
  });
}

test("the letters of an avatar stand out from its colour", () => {
  const grounds = [...css.matchAll(/\.h\d \{ background: (#\w+)/g)].map(([, colour]) => colour);
  assert.equal(grounds.length, 8);
  for (const ground of grounds) assert.ok(contrast("#fff", ground) >= 4.5, ground);
});
