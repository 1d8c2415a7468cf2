// A room: its topic, what is loaded of it, and where the user has read to.

import { Timeline } from "./timeline.js";

const pageSize = 100;

export class Room {
  timeline = new Timeline();
  /** Nothing that is kept is in front of what is loaded. */
  begin = false;
  /** The offset behind which messages are new, since the room was entered. */
  divider = null;
  /** The user has seen the last line. */
  caughtUp = false;
  /** What is in the room is known, for the first time or again. */
  loaded = false;
  #back = null;
  #loading = false;
  #entered = false; // the divider is not decided yet

  /** @param {(room: Room, lines: object[], source: string) => void} changed */
  constructor(topic, changed) {
    this.topic = topic;
    this.name = topic.name;
    this.changed = changed;
    topic.on("subscribed", (frame) => this.#subscribed(frame));
    topic.on("reset", (position) => this.#reset(position));
    topic.on("messages", (messages, source) => {
      const lines = this.timeline.append(messages);
      changed(this, lines, source);
    });
  }

  get unread() {
    return this.topic.marker.unread ?? 0;
  }

  /** Messages are on their way, in front of what is shown or all. */
  get busy() {
    return !(this.loaded || this.topic.state === "failed") || this.#loading;
  }

  /** The user comes in: what is behind the marker is new, until they leave. */
  enter() {
    this.#entered = true;
    this.caughtUp = false;
    const marker = this.topic.marker;
    if (marker.pos && (marker.unread ?? 0) > 0) this.divider = marker.pos.offset;
    this.topic.configure({ mode: "live" });
    this.topic.subscribe();
  }

  leave() {
    this.divider = null;
    this.#entered = false;
    this.topic.configure({ mode: "passive" });
  }

  /** Loads the page in front of what is loaded; one at a time. */
  async more() {
    if (this.#loading || this.begin || !this.#back) return false;
    this.#loading = true;
    try {
      const page = await this.topic.history({ before: this.#back, limit: pageSize });
      this.#took(page);
      return true;
    } catch (error) {
      // "later": the next connection asks again. Otherwise nothing is in front.
      if (error.retry === "never") this.begin = true;
      return false;
    } finally {
      this.#loading = false;
      this.changed(this, [], "older");
    }
  }

  #took({ messages, back, begin }) {
    this.timeline.prepend(messages);
    this.#back = back ?? null;
    this.begin = begin || !back;
  }

  #subscribed(frame) {
    if (this.topic.mode === "passive") return;
    if (frame.state !== "resumed") {
      this.#back = frame.back ?? null;
      this.begin = frame.begin ?? false;
    }
    if (this.#entered && this.divider === null && frame.marker?.pos && frame.unread > 0) this.divider = frame.marker.pos.offset;
    this.#entered = false;
    this.loaded = true;
    this.changed(this, [], "subscribed");
  }

  // Another life of the topic, or a hole: what is shown cannot be continued.
  async #reset(position) {
    this.timeline.clear();
    this.divider = null;
    this.#back = null;
    this.begin = false;
    this.changed(this, [], "reset");
    if (this.topic.back) return; // the page of the answer follows
    try {
      if (position) this.#took(await this.topic.history({ limit: pageSize }));
    } catch {
      this.#back = null;
    } finally {
      this.changed(this, [], "older");
    }
  }
}
