// What a screen reader says: new lines of others, in a region of its own, at
// most one utterance every 3 s, nothing for history.

import { clean, plural } from "./format.js";
import { plain } from "./text.js";

const pause = 3000;

export class Announcer {
  #region;
  #env;
  #lines = [];
  #timer = null;
  #last = -Infinity;

  constructor(region, env = { now: () => performance.now(), setTimeout: (run, delay) => setTimeout(run, delay) }) {
    this.#region = region;
    this.#env = env;
  }

  add(lines) {
    this.#lines.push(...lines);
    if (this.#lines.length === 0 || this.#timer !== null) return;
    this.#timer = this.#env.setTimeout(() => this.#speak(), Math.max(0, this.#last + pause - this.#env.now()));
  }

  clear() {
    this.#lines = [];
    this.#region.textContent = "";
  }

  #speak() {
    this.#timer = null;
    if (this.#lines.length === 0) return;
    this.#last = this.#env.now();
    const [line] = this.#lines;
    this.#region.textContent = this.#lines.length === 1 ? `${clean(line.name)}: ${plain(line.text.slice(0, 200))}` : plural(this.#lines.length, "new message");
    this.#lines = [];
  }
}
