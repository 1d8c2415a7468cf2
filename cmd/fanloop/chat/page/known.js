// Which rooms the user has in the list, and how.

import { keyOf } from "./keys.js";

export class Known {
  #key;
  #saving = null;
  #rooms = new Map(); // name -> {at, muted}

  constructor(user) {
    this.#key = keyOf(user, "rooms");
    try {
      for (const { name, at, muted } of JSON.parse(localStorage.getItem(this.#key)) ?? []) this.#rooms.set(name, { at, muted });
    } catch {} // without a storage, the rooms last as long as the page
  }

  get names() {
    return [...this.#rooms.keys()];
  }

  /** When something came last, and whether the user does not want to hear of it. */
  get(name) {
    return this.#rooms.get(name) ?? { at: 0, muted: false };
  }

  set(name, change) {
    this.#rooms.set(name, { ...this.get(name), ...change });
    this.#save();
  }

  /** Something came, which may be often: that is written down later. */
  came(name, at) {
    const known = this.get(name);
    if (at <= known.at) return;
    this.#rooms.set(name, { ...known, at });
    this.#saving ??= setTimeout(() => this.#save(), 1000);
  }

  /** The user signs out: nothing is written any more. */
  end() {
    clearTimeout(this.#saving);
    this.#saving = this;
  }

  remove(name) {
    this.#rooms.delete(name);
    this.#save();
  }

  #save() {
    clearTimeout(this.#saving);
    this.#saving = null;
    try {
      localStorage.setItem(this.#key, JSON.stringify([...this.#rooms].map(([name, { at, muted }]) => ({ name, at, muted }))));
    } catch {}
  }
}
