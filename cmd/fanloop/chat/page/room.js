// A room: its topic, what is loaded of it, and where the user has read to.

import { Timeline } from "./timeline.js";

const pageSize = 100;
const mostReaders = 100; // with more people here, the service does not say how far they read

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
  /** The user is mentioned in what is new. */
  mentioned = false;
  /** The user set the marker back: it stays there until they leave. */
  held = false;
  /** What is wrong with the room, for the user; empty: nothing. */
  trouble = "";
  /** The user was let in. */
  admitted = false;
  /** The user had it not in the list before. */
  isNew = false;
  #back = null; // where the page in front begins; null with until set: at the end
  #until = null; // what is behind this offset comes by itself
  #version = null; // of the marker
  #compare;
  #loading = false;
  #resting = false; // a page was refused for now
  #entered = false; // the divider is not decided yet

  #resumed = false;
  #me;
  #read = new Map(); // user -> the position that they have read up to, of what is known

  /**
   * @param {(room: Room, lines: object[], source: string) => void} changed
   * @param {(a: string, b: string) => number} compare of offsets
   * @param {() => string} me the user
   */
  constructor(topic, changed, compare, me = () => "") {
    this.#compare = compare;
    this.#me = me;
    this.topic = topic;
    this.name = topic.name;
    this.changed = changed;
    topic.on("subscribed", (frame) => this.#subscribed(frame));
    topic.on("marker", (marker) => this.#marked(marker));
    topic.on("values", (kind, values) => kind === "read" && this.#reads(values));
    topic.on("reset", (position) => this.#reset(position));
    topic.on("messages", (messages, source) => {
      const lines = this.timeline.append(messages);
      changed(this, lines, source === "history" || this.#resumed && source === "page" ? "recovered" : source);
    });
  }

  /** How many lines of others are behind the marker: counted where they are loaded, or as the service says. */
  get unread() {
    const { marker, position, mode } = this.topic;
    const { messages } = this.timeline;
    const from = marker.pos?.epoch === position?.epoch && marker.pos?.offset;
    const all = from && (this.begin || messages.length > 0 && this.#compare(messages[0].offset, from) <= 0);
    if (this.topic.state === "failed") return 0;
    if (mode === "passive" || !all) return marker.unread ?? 0;
    let count = 0;
    for (let i = messages.length - 1; i >= 0 && this.#compare(messages[i].offset, from) > 0; i--) if (messages[i].user !== this.#me()) count++;
    return count;
  }

  /** There is no such room, and there cannot be. */
  get nowhere() {
    return this.topic.state === "failed" && ["unknown_topic", "bad_name"].includes(this.topic.error?.code);
  }

  /** It is in the list for nothing: a mistyped name, or the user was removed from it. */
  get useless() {
    if (this.topic.outgoing.length > 0) return false;
    return this.isNew && this.nowhere || this.admitted && this.topic.state === "failed" && this.topic.error?.code === "forbidden";
  }

  /** The others who have read a line, as far as is known. */
  readers({ offset }) {
    const { position, presence } = this.topic;
    if (!position || presence?.count > mostReaders) return [];
    const has = ([user, pos]) => user !== this.#me() && pos.epoch === position.epoch && this.#compare(pos.offset, offset) >= 0;
    return [...this.#read].filter(has).map(([user]) => user);
  }

  // A position that is gone, or further back, takes nothing away: what was read is read.
  #reads(values) {
    for (const [user, pos] of values) {
      const known = this.#read.get(user);
      if (known?.epoch !== pos.epoch || this.#compare(pos.offset, known.offset) > 0) this.#read.set(user, pos);
    }
  }

  /** Messages are on their way, in front of what is shown or all. */
  get busy() {
    return !(this.loaded || this.topic.state === "failed") || this.#loading;
  }

  /** The user comes in: what is behind the marker is new, until they leave. */
  enter() {
    this.#entered = true;
    this.caughtUp = this.held = false;
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

  /** The user may not see the room any more: nothing of it is kept, until they may. */
  conceal() {
    this.timeline = new Timeline();
    this.topic.forget();
    this.#read.clear();
    this.divider = this.#back = this.#until = null;
    this.begin = this.loaded = this.mentioned = this.held = false;
  }

  /** Loads the page in front of what is loaded; one at a time. */
  async more() {
    if (this.#loading || this.#resting || this.topic.state !== "subscribed") return false;
    if (this.begin || !(this.#back || this.#until)) return false;
    this.#loading = true;
    const { timeline } = this;
    try {
      const page = await this.topic.history({ before: this.#back ?? undefined, limit: pageSize });
      if (timeline !== this.timeline) return false; // it was concealed meanwhile
      this.#took(page);
      return true;
    } catch (error) {
      if (error.retry === "never") this.begin = true; // nothing can be in front
      else this.#rest(error.delay);
      return false;
    } finally {
      this.#loading = false;
      this.changed(this, [], "older");
    }
  }

  // A page that was refused is asked for again after a while.
  #rest(delay = 1000) {
    this.#resting = true;
    setTimeout(() => {
      this.#resting = false;
      this.changed(this, [], "rested");
    }, delay);
  }

  #took({ messages, back, begin }) {
    const until = this.#until;
    const older = until ? messages.filter(({ offset }) => this.#compare(offset, until) <= 0) : messages;
    this.timeline.prepend(older);
    this.#back = back ?? null;
    this.begin = begin || !back;
    if (older.length > 0 || this.begin) this.#until = null;
  }

  #subscribed(frame) {
    if (this.topic.mode === "passive") return;
    this.#resumed = frame.state === "resumed";
    if (!this.#resumed) {
      this.#back = frame.back ?? null;
      this.#until = null;
      this.begin = frame.begin ?? false;
    }
    if (this.#entered && this.divider === null && frame.marker?.pos && frame.unread > 0) this.divider = frame.marker.pos.offset;
    this.#entered = false;
    this.loaded = true;
    this.changed(this, [], "subscribed");
  }

  /** The user wants to read from a line on later, on all devices. */
  markUnread(line) {
    const { messages } = this.timeline;
    const { offset, id } = messages[messages.indexOf(line) - 1] ?? { offset: "0", id: "" };
    this.held = true;
    this.divider = offset;
    this.topic.markUnread({ epoch: this.topic.position.epoch, offset, id });
    this.changed(this, [], "marked");
  }

  // The user set the marker back elsewhere: nothing is read here that is unread there.
  #marked({ version, pos }) {
    const back = this.#version !== null && version > this.#version;
    this.#version = version;
    if (!back || this.topic.mode === "passive") return;
    this.held = true;
    this.divider = pos?.offset ?? "0";
    this.changed(this, [], "marked");
  }

  // Another life of the topic, or a hole: what is shown cannot be continued. What
  // follows comes by itself, what is in front is a page at the end: that of the answer,
  // or one to ask for.
  #reset(position) {
    this.timeline.clear();
    this.divider = null;
    this.#back = null;
    this.#until = position?.offset ?? null;
    this.begin = false;
    this.changed(this, [], "reset");
  }
}
