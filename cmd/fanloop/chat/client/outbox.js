// What was published and is not known to be stored: sent in order, again with
// the same id, and never again by itself where that could store it twice.

/** @import {AnswerFrame, ConnectedFrame, Env, Failure, Message, OutgoingState, Position, Storage, Target} from "./types.d.ts" */
/** @import {Session} from "./session.js" */
/** @import {Topic} from "./topic.js" */
import { Alarm } from "./alarm.js";
import { backoff, byteLength, ChatError, randomId } from "./base.js";
import { findStored, unknown } from "./lookup.js";
import { Outgoing } from "./outgoing.js";

const most = 100; // entries
const notCarriedOut = new Set(["not_subscribed", "rate_limited", "overloaded"]);

export class Outbox {
  /** In the order of their sending, over all topics. @type {Map<string, Outgoing>} */
  #entries = new Map();
  #env;
  #session;
  #topicOf;
  #storage;
  #key;
  #changed;
  #alarm; // when the next entry is due
  #tokens = 1;
  #filledAt = 0;

  /**
   * @param {Env} env
   * @param {Session} session
   * @param {(name: string) => Topic | undefined} topicOf
   * @param {(entry: Outgoing) => void} changed
   * @param {Storage | undefined} storage
   * @param {string} key
   */
  constructor(env, session, topicOf, changed, storage, key) {
    this.#env = env;
    this.#alarm = new Alarm(env, () => this.flush());
    this.#session = session;
    this.#topicOf = topicOf;
    this.#changed = changed;
    this.#storage = storage;
    this.#key = key;
    this.#load();
  }

  get entries() {
    return [...this.#entries.values()];
  }

  /** @param {string} topic */
  of(topic) {
    return this.entries.filter((entry) => entry.topic === topic);
  }

  /**
   * @param {string} topic
   * @param {{kind?: string, target?: Target, data?: unknown}} content
   */
  add(topic, content) {
    const entry = new Outgoing(this, topic, content, randomId());
    entry.user = this.#session.user;
    const size = byteLength(JSON.stringify(content.data) ?? "");
    const { data } = this.#session.limits;
    if (size > data) this.#refuse(entry, { code: "too_large", retry: "never", message: `${size} bytes, ${data} are allowed` });
    else if (this.#entries.size >= most) this.#refuse(entry, { code: "outbox_full", retry: "later" });
    else {
      this.#entries.set(entry.id, entry);
      this.#update(entry, "sending");
      this.flush();
    }
    return entry;
  }

  /** @param {Outgoing} entry */
  retry(entry) {
    if (entry.state === "stored" || entry.busy) return;
    if (!this.#entries.has(entry.id)) {
      if (this.#entries.size >= most) return;
      this.#entries.set(entry.id, entry);
    }
    if (entry.mayRepeat) entry.first = 0; // the user has decided
    entry.mayRepeat = entry.held = false;
    entry.notBefore = 0;
    this.#update(entry, entry.first === 0 ? "sending" : "unconfirmed");
    this.flush();
  }

  /** @param {Outgoing} entry */
  remove(entry) {
    if (this.#entries.delete(entry.id)) this.#save();
    this.flush();
  }

  clear() {
    this.#entries.clear();
    this.#save();
  }

  /** What another user left here is nothing for this one. @param {ConnectedFrame} frame */
  connected({ user, limits }) {
    this.#tokens = Math.max(1, Math.floor(limits.burst / 2));
    this.#filledAt = this.#env.now();
    for (const entry of this.entries) {
      if (entry.user && entry.user !== user) this.#entries.delete(entry.id);
      entry.user ||= user;
    }
    this.#save();
    this.flush();
  }

  /**
   * A message of a topic has come: it may be one of these.
   * @param {Topic} topic
   * @param {Message} message
   */
  seen(topic, { id, offset, user }) {
    const entry = this.#entries.get(id);
    if (!entry || entry.topic !== topic.name || (entry.user && entry.user !== user)) return;
    const epoch = topic.position?.epoch;
    this.#stored(entry, offset && epoch ? { epoch, offset, id } : null);
  }

  // Sends what can be sent: of each topic the first that waits, so that the
  // order is kept whatever happens to one.
  flush() {
    if (!this.#session.ready) return;
    /** @type {Set<string>} */
    const passed = new Set();
    let next = Infinity;
    for (const entry of this.entries) {
      if (passed.has(entry.topic) || !entry.waits) continue;
      passed.add(entry.topic);
      if (entry.busy) continue;
      const due = this.#due(entry);
      if (due > this.#env.now()) next = Math.min(next, due);
      else this.#next(entry);
    }
    this.#alarm.set(next);
  }

  // When an entry may go: now, later, or when something else happens.
  /** @param {Outgoing} entry */
  #due(entry) {
    const topic = this.#topicOf(entry.topic);
    const ready = topic?.state === "subscribed" ? !topic.recovering : topic?.state === "failed";
    if (entry.held && ready && (topic?.state === "failed" || topic?.mode === "live")) entry.held = false;
    if (entry.held || (topic && topic.state !== "idle" && !ready)) return Infinity;
    return Math.max(entry.notBefore, this.#paced());
  }

  // A token bucket, slower than the service's own.
  #paced() {
    const { rate, burst } = this.#session.limits;
    const now = this.#env.now();
    const pace = (rate * 0.8) / 1000;
    this.#tokens = Math.min(Math.max(1, burst / 2), this.#tokens + (now - this.#filledAt) * pace);
    this.#filledAt = now;
    return this.#tokens >= 1 ? now : now + Math.ceil((1 - this.#tokens) / pace);
  }

  // Sends an entry, or finds out first whether it is stored.
  /** @param {Outgoing} entry */
  #next(entry) {
    const topic = this.#topicOf(entry.topic);
    if (entry.first === 0 || entry.inWindow(this.#env, this.#session.limits.duplicates)) return this.#send(entry, topic);
    // All that came after the first attempt was seen, and it was not there.
    if (topic?.state === "subscribed" && topic.mode === "live" && entry.from && entry.lineage === topic.chain.lineage) return this.#send(entry, topic, true);
    if (topic?.state !== "subscribed" && topic?.state !== "failed") return void (entry.held = true);
    void this.#lookUp(entry, topic);
  }

  /**
   * @param {Outgoing} entry
   * @param {Topic | undefined} topic
   * @param {boolean} [anew] no earlier attempt was stored
   */
  #send(entry, topic, anew = entry.first === 0) {
    if (anew) {
      entry.first = this.#env.wall();
      entry.firstNow = this.#env.now();
      entry.from = topic?.position ?? null;
      entry.lineage = topic?.chain.lineage ?? null;
    }
    this.#tokens--;
    entry.busy = true;
    this.#update(entry, "sending");
    const { topic: name, id, kind, target, data } = entry;
    const subscription = topic?.subscription.attempt;
    this.#session.command({ type: "publish", topic: name, id, kind, target, data }, (answer) => {
      entry.busy = false;
      if (anew && answer.type === "error" && notCarriedOut.has(answer.code)) entry.first = 0;
      if (this.#entries.get(id) === entry && entry.state !== "stored") this.#answered(entry, answer, subscription);
      this.flush();
    });
  }

  /**
   * @param {Outgoing} entry
   * @param {AnswerFrame} answer
   * @param {number | undefined} subscription the one in which it was sent
   */
  #answered(entry, answer, subscription) {
    if (answer.type === "published") return this.#stored(entry, answer.pos ?? null);
    if (answer.type !== "error") return;
    const { code, retry, message, delay } = answer;
    const topic = this.#topicOf(entry.topic);
    const unsubscribed = code === "not_subscribed";
    const error = (unsubscribed && topic?.error) || { code, retry, message, delay };
    // Final is this only of a subscription that lives, or of one that failed.
    const lives = topic?.state === "subscribed" && topic.mode === "live" && topic.subscription.attempt === subscription;
    const misses = unsubscribed && topic?.state !== "failed" && !lives;
    if (misses) entry.held = true;
    else if (retry === "never") return this.#refuse(entry, error);
    else if (code !== "connection_lost") entry.notBefore = this.#env.now() + Math.max(delay ?? 0, backoff(this.#env, entry.failures++));
    this.#update(entry, entry.first === 0 ? "sending" : "unconfirmed", error);
  }

  /**
   * @param {Outgoing} entry
   * @param {Topic} topic
   */
  async #lookUp(entry, topic) {
    entry.busy = true;
    try {
      const found = await findStored(entry, topic, this.#session.limits.page);
      entry.busy = false;
      if (this.#entries.get(entry.id) !== entry || entry.state === "stored") return;
      if (found === unknown) {
        entry.mayRepeat = true;
        this.#update(entry, "unconfirmed", { code: "not_found_out", retry: "never" });
      } else if (found) this.#stored(entry, found);
      else this.#send(entry, topic, true);
    } catch (err) {
      entry.busy = false;
      const { code, retry } = err instanceof ChatError ? err : { code: "", retry: "never" };
      if (retry === "never") {
        entry.mayRepeat = true;
        this.#update(entry, "unconfirmed", { code, retry: "never" });
      } else entry.notBefore = this.#env.now() + backoff(this.#env, ++entry.failures);
    }
    this.flush();
  }

  /**
   * @param {Outgoing} entry
   * @param {Position | null} position
   */
  #stored(entry, position) {
    this.#entries.delete(entry.id);
    entry.position = position;
    entry.mayRepeat = false;
    this.#update(entry, "stored");
    entry.settle();
    this.flush();
  }

  /**
   * @param {Outgoing} entry
   * @param {Failure} error
   */
  #refuse(entry, error) {
    this.#update(entry, "refused", error);
    entry.settle();
  }

  /**
   * @param {Outgoing} entry
   * @param {OutgoingState} state
   * @param {Failure | null} [error]
   */
  #update(entry, state, error = null) {
    entry.state = state;
    entry.error = error;
    this.#save();
    this.#changed(entry);
  }

  // Storage.

  #load() {
    try {
      for (const kept of JSON.parse(this.#storage?.getItem(this.#key) ?? "[]")) this.#entries.set(kept.id, Outgoing.from(this, kept));
    } catch {
      // Not what this client wrote: there is nothing to send.
    }
  }

  #save() {
    if (!this.#storage) return;
    try {
      if (this.#entries.size > 0) this.#storage.setItem(this.#key, JSON.stringify(this.entries.map((entry) => entry.kept())));
      else this.#storage.removeItem(this.#key);
    } catch {
      // Full, or forbidden: what is published lives as long as the page.
    }
  }
}
