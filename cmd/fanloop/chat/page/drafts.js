// Drafts, one for each user and room, as people type.

import { keyOf } from "./keys.js";

export class Drafts {
  #storage;
  #user;
  #written = new Map(); // room -> what this tab wrote or saw last

  constructor(storage, user) {
    this.#storage = storage;
    this.#user = user;
  }

  #key(room) {
    return keyOf(this.#user, `draft ${room}`);
  }

  get(room) {
    try {
      return this.#storage.getItem(this.#key(room)) ?? "";
    } catch {
      return this.#written.get(room) ?? "";
    }
  }

  /** Keeps a text, or forgets it where it is empty. */
  set(room, text) {
    this.#written.set(room, text);
    try {
      if (text === "") this.#storage.removeItem(this.#key(room));
      else this.#storage.setItem(this.#key(room), text);
    } catch {
      // The storage is full or forbidden: the draft lives as long as the page.
    }
  }

  /** What another tab wrote for a room, from an event of the storage, or undefined. */
  foreign({ key, newValue }, room) {
    if (key !== this.#key(room) || (newValue ?? "") === (this.#written.get(room) ?? "")) return undefined;
    this.#written.set(room, newValue ?? "");
    return newValue ?? "";
  }

  /** Whether any draft of a room is kept. */
  has(room) {
    if (!this.#written.has(room)) this.#written.set(room, this.get(room));
    return this.#written.get(room) !== "";
  }
}
