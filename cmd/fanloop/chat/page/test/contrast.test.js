// Text can be read: WCAG 2 AA, in light and in dark.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { hue } from "../format.js";

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

// What is only half there is a decoration, or stands out all the same.
test("text that fades can be read", () => {
  const decorations = [".rooms .hash", ".rooms .pen", ".room-head .hash", ".new::before, .new::after"];
  const byte = (colour, i) => parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16);
  const full = (colour) => (colour.length === 4 ? `#${[...colour.slice(1)].map((c) => c + c).join("")}` : colour);
  const mix = (a, b, part) => `#${[0, 1, 2].map((i) => Math.round(byte(full(a), i) * part + byte(full(b), i) * (1 - part)).toString(16).padStart(2, "0")).join("")}`;
  const faded = [...css.matchAll(/^([^@\n{}]*) \{[^}\n]*\bopacity: (0\.\d+)/gm)].filter(([, rule]) => !decorations.includes(rule));
  for (const { ink, soft, paper, side } of [light, dark]) {
    for (const [, rule, part] of faded) {
      const ratio = rule.startsWith(".rooms") ? contrast(mix(soft, side, part), side) : contrast(mix(ink, paper, part), paper);
      assert.ok(ratio >= 4.5, `${rule}: ${ratio.toFixed(2)}`);
    }
  }
  assert.match(css, /^::placeholder \{ color: var\(--soft\); opacity: 1; \}$/m);
});

// What a browser makes of oklch(), as hex.
function oklch(l, c, h) {
  const [a, b] = [c * Math.cos((h * Math.PI) / 180), c * Math.sin((h * Math.PI) / 180)];
  const [x, y, z] = [l + 0.3963377774 * a + 0.2158037573 * b, l - 0.1055613458 * a - 0.0638541728 * b, l - 0.0894841775 * a - 1.291485548 * b].map((v) => v ** 3);
  const rgb = [4.0767416621 * x - 3.3077115913 * y + 0.2309699292 * z, -1.2684380046 * x + 2.6097574011 * y - 0.3413193965 * z, -0.0041960863 * x - 0.7034186147 * y + 1.707614701 * z];
  const byte = (v) => Math.round(255 * Math.min(1, Math.max(0, v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055)));
  return `#${rgb.map((v) => byte(v).toString(16).padStart(2, "0")).join("")}`;
}

test("the letters of an avatar stand out from its colour, whoever it is", () => {
  const [, l, c] = /\.avatar \{[^}]*background: oklch\(([\d.]+) ([\d.]+) var\(--hue\)\); color: #fff;/.exec(css);
  const users = Array.from({ length: 1000 }, (_, i) => `user ${i}`);
  const hues = new Set(users.map(hue));
  assert.equal(hues.size, 24);
  for (const h of hues) assert.ok(contrast("#fff", oklch(Number(l), Number(c), h)) >= 4.5, `${h}: ${contrast("#fff", oklch(Number(l), Number(c), h))}`);
});
