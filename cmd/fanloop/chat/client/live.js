// What a topic has besides messages: who is there, keyed values, the marker.

/** @import {Env, KindFrame, MarkerState, Position, PresenceFrame, PresenceState} from "./types.d.ts" */
/** @import {Session} from "./session.js" */
import { Alarm } from "./alarm.js";
import { backoff, movesOn } from "./base.js";

/** @implements {PresenceState} */
export class Presence {
  /** @type {readonly string[]} */
  sample = [];
  /** @type {Set<string> | null} */
  users = null;
  #seq;

  /** @param {PresenceFrame & {level: PresenceState["level"]}} frame */
  constructor({ level, seq, count, users, sample }) {
    this.level = level;
    this.count = count;
    this.sample = sample ?? [];
    if (users) this.users = new Set(users);
    this.#seq = seq;
  }

  /**
   * Says whether the frame is newer than the state.
   * @param {PresenceFrame} frame
   */
  apply({ seq, count, sample, joined, left, reset }) {
    if (seq <= this.#seq) return false;
    this.#seq = seq;
    this.count = count;
    if (sample) this.sample = sample;
    if (reset) this.users = new Set();
    else if (!joined && !left) this.users = null; // too large for a list of all
    for (const user of left ?? []) this.users?.delete(user);
    for (const user of joined ?? []) this.users?.add(user);
    return true;
  }
}

const defaultLifetime = 6000;
const grace = 1000; // the service's word that a value is gone may be on its way

/** The keyed values of one topic. */
export class Values {
  /** @type {Map<string, {lifetime: number | undefined, entries: Map<string, {data: unknown, until: number}>}>} */
  #kinds = new Map();
  #env;
  #session;
  #topic;
  #changed;
  #alarm; // when the next value expires
  #typedAt = -Infinity;

  /**
   * @param {Env} env
   * @param {Session} session
   * @param {string} topic
   * @param {(kind: string) => void} changed
   */
  constructor(env, session, topic, changed) {
    this.#env = env;
    this.#alarm = new Alarm(env, () => this.#expire());
    this.#session = session;
    this.#topic = topic;
    this.#changed = changed;
  }

  /** @param {string} kind */
  of(kind) {
    const entries = this.#kinds.get(kind)?.entries ?? new Map();
    return new Map([...entries].map(([key, { data }]) => [key, data]));
  }

  /** @param {KindFrame[]} kinds */
  replace(kinds) {
    const gone = [...this.#kinds.keys()].filter((kind) => !kinds.some((frame) => frame.kind === kind));
    for (const kind of gone) {
      this.#kinds.delete(kind);
      this.#changed(kind);
    }
    for (const frame of kinds) this.apply({ ...frame, reset: true });
  }

  /** @param {KindFrame} frame */
  apply({ kind, lifetime, values, reset }) {
    const known = this.#kinds.get(kind) ?? { lifetime: undefined, entries: new Map() };
    this.#kinds.set(kind, known);
    known.lifetime = lifetime ?? known.lifetime;
    if (reset) known.entries.clear();
    const until = this.#env.now() + (known.lifetime ?? Infinity) + grace;
    for (const { key, data } of values ?? []) {
      if (data === undefined) known.entries.delete(key);
      else known.entries.set(key, { data, until });
    }
    this.#expireIn();
    this.#changed(kind);
  }

  /** The connection ended: the values live on for what is left of their time. */
  lost() {
    this.#typedAt = -Infinity;
  }

  #expireIn() {
    let next = Infinity;
    for (const { entries } of this.#kinds.values()) {
      for (const { until } of entries.values()) next = Math.min(next, until);
    }
    this.#alarm.set(next);
  }

  #expire() {
    const now = this.#env.now();
    for (const [kind, { entries }] of this.#kinds) {
      const before = entries.size;
      for (const [key, { until }] of entries) if (until <= now) entries.delete(key);
      if (entries.size < before) this.#changed(kind);
    }
    this.#expireIn();
  }

  /**
   * @param {string} kind
   * @param {unknown} data
   * @param {string} [key]
   */
  set(kind, data, key) {
    if (this.#session.ready) this.#session.command({ type: "set", topic: this.#topic, kind, key, data });
  }

  /** @param {boolean} on */
  typing(on) {
    const now = this.#env.now();
    const lifetime = this.#kinds.get("typing")?.lifetime ?? defaultLifetime;
    if (on ? now - this.#typedAt < lifetime / 2 : this.#typedAt === -Infinity) return;
    this.#typedAt = on ? now : -Infinity;
    this.set("typing", on || undefined);
  }
}

const readSpacing = 500; // between two commands of one topic

/** The marker of the user in one topic: up to where it is read, on all devices. */
export class Marker {
  /** @type {Position | undefined} */
  pos;
  version = 0;
  /** How many messages of others are behind the marker, where that is known. @type {number | undefined} */
  unread;
  #env;
  #session;
  #topic;
  #changed;
  /** What is to be sent; the last wish counts. @type {{type: "read" | "unread", pos: Position} | undefined} */
  #wish;
  /** What has no answer yet. @type {{type: "read" | "unread", pos: Position} | undefined} */
  #sent;
  #busy = false;
  #failures = 0;

  /**
   * @param {Env} env
   * @param {Session} session
   * @param {string} topic
   * @param {() => void} changed
   */
  constructor(env, session, topic, changed) {
    this.#env = env;
    this.#session = session;
    this.#topic = topic;
    this.#changed = changed;
  }

  /** @param {Position} pos */
  read(pos) {
    if (!movesOn(pos, this.pos)) return;
    const last = this.#wish ?? this.#sent;
    if (last?.type === "read" && !movesOn(pos, last.pos)) return;
    this.#wish = { type: "read", pos };
    this.#send();
  }

  /** @param {Position} pos */
  markUnread(pos) {
    this.#wish = { type: "unread", pos };
    this.#send();
  }

  /** @internal @param {MarkerState} state */
  take({ pos, version, unread }) {
    const newer = version > this.version || (version === this.version && !!pos && movesOn(pos, this.pos));
    // What was to be read before the step back is not read by that.
    if (version > this.version && this.#wish?.type === "read") this.#wish = undefined;
    if (newer) {
      this.pos = pos;
      this.version = version;
    }
    if (newer || version === this.version) this.unread = unread ?? this.unread;
    this.#changed();
    this.#send();
  }

  /** @internal @param {number | undefined} unread */
  note(unread) {
    this.unread = unread;
    this.#changed();
  }

  #send() {
    const wish = this.#wish;
    if (this.#busy || !wish || !this.#session.ready) return;
    this.#wish = undefined;
    this.#sent = wish;
    this.#busy = true;
    this.#session.command({ type: wish.type, topic: this.#topic, pos: wish.pos, version: this.version }, (answer) => {
      this.#sent = undefined;
      let delay = 0;
      if (answer.type === "error" && answer.retry === "later") {
        this.#wish ??= wish;
        delay = Math.max(answer.delay ?? 0, backoff(this.#env, this.#failures++));
      } else this.#failures = 0;
      if (answer.type === "marker") this.take(answer);
      this.#env.setTimeout(() => {
        this.#busy = false;
        this.#send();
      }, Math.max(readSpacing, delay));
    });
  }
}
