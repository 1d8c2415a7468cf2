// One timer, set to the next time that matters.

/** @import {Env} from "./types.d.ts" */

const longest = 2 ** 31 - 1; // that setTimeout takes

export class Alarm {
  /** When it rings, by Env.now. */
  due = Infinity;
  #env;
  #rings;
  /** @type {unknown} */
  #timer;

  /**
   * @param {Env} env
   * @param {(late: number) => void} rings late says by how many milliseconds
   */
  constructor(env, rings) {
    this.#env = env;
    this.#rings = rings;
  }

  /** Rings at this time, and not before it; Infinity: not at all. @param {number} due */
  set(due) {
    this.#env.clearTimeout(this.#timer);
    this.due = due;
    if (due === Infinity) return;
    const delay = Math.min(longest, Math.max(0, due - this.#env.now()));
    this.#timer = this.#env.setTimeout(() => {
      this.due = Infinity;
      this.#rings(this.#env.now() - due);
    }, delay);
  }

  /** Rings at this time, unless it rings sooner. @param {number} due */
  hasten(due) {
    if (due < this.due) this.set(due);
  }
}
