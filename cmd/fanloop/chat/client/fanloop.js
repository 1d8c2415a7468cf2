// The client of the fanloop chat, for browsers and Node.

/** @import {Client as Declared, ClientEvents, ClientOptions, Env, GetToken, TopicOptions} from "./types.d.ts" */
import { ChatError, compareOffsets, Emitter, Refused, surroundings } from "./base.js";
import { Outbox } from "./outbox.js";
import { Outgoing } from "./outgoing.js";
import { Session } from "./session.js";
import { tokenFrom } from "./tokens.js";
import { Topic } from "./topic.js";

export { ChatError, compareOffsets, Outgoing, Refused, tokenFrom, Topic };

/**
 * A chat: one connection that comes back by itself, and topics on it.
 * @extends {Emitter<ClientEvents>}
 * @implements {Declared}
 */
export class Client extends Emitter {
  #env;
  #session;
  #outbox;
  /** @type {Map<string, Topic>} */
  #topics = new Map();
  #attempt = 0;
  /** @type {(() => void) | undefined} */
  #unwatch;
  /** @type {BroadcastChannel | undefined} */
  #tabs;

  /** @param {ClientOptions} [options] */
  constructor(options = {}) {
    super();
    const env = (this.#env = { ...surroundings(), ...options.env });
    this.#session = new Session(env, { ...options, getToken: oneByOne(options) }, {
      entered: (state, detail) => this.emit("state", state, detail),
      opening: () => this.#each((topic) => topic.opening()),
      lost: () => this.#each((topic) => topic.lost()),
      connected: (frame) => {
        this.emit("connected", frame);
        this.#outbox.connected(frame);
      },
      told: (failure, topic) => queueMicrotask(() => this.emit("token", failure, topic)),
      received: (frame) => this.#topics.get(frame.topic)?.received(frame),
    });
    this.#outbox = new Outbox(
      env, this.#session,
      (name) => this.#topics.get(name),
      (entry) => {
        this.#topics.get(entry.topic)?.emit("outgoing", entry);
        this.emit("outgoing", entry);
      },
      options.storage, options.storageKey ?? "fanloop.outbox",
    );
    if (options.tabs && globalThis.BroadcastChannel) {
      this.#tabs = new BroadcastChannel(`fanloop.${options.tabs}`);
      this.#tabs.onmessage = () => this.#forget();
    }
  }

  /** Connects, and stays connected until you disconnect. */
  connect() {
    this.#unwatch ??= watchPage(this.#env, this.#session);
    this.#session.connect();
  }

  /** Closes the connection. Topics and the outbox stay for the next one. */
  disconnect() {
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#session.disconnect();
  }

  /**
   * Disconnects and forgets the user: token, topics, positions and outbox. The
   * other tabs of the option tabs do the same.
   */
  logout() {
    this.#tabs?.postMessage("logout");
    this.#forget();
  }

  #forget() {
    this.disconnect();
    this.#session.forget();
    this.#each((topic) => topic.unsubscribe());
    this.#topics.clear();
    this.#outbox.clear();
    this.emit("logout");
  }

  /**
   * Takes another token of the same user. After a refusal, call connect too.
   * @param {string} token
   */
  setToken(token) {
    this.#session.setToken(token);
  }

  /**
   * Returns the topic of this name, always the same object. The options count
   * when it is made.
   * @param {string} name
   * @param {TopicOptions} [options]
   */
  topic(name, options = {}) {
    let topic = this.#topics.get(name);
    if (!topic) {
      const around = { env: this.#env, session: this.#session, outbox: this.#outbox, nextAttempt: () => ++this.#attempt };
      topic = new Topic(around, name, { ...options });
      this.#topics.set(name, topic);
    }
    return topic;
  }

  /** Unsubscribes from a topic and forgets it. @param {string} name */
  forget(name) {
    this.#topics.get(name)?.unsubscribe();
    this.#topics.delete(name);
  }

  get state() {
    return this.#session.state;
  }

  /** Who you are, as the service knows it; "" before the first connection. */
  get user() {
    return this.#session.user;
  }

  get limits() {
    return this.#session.limits;
  }

  /** websocket or sse, while there is a connection. */
  get transport() {
    return this.#session.transport;
  }

  /** The last round trip in milliseconds, or undefined. */
  get latency() {
    return this.#session.latency;
  }

  /** Measures the round trip; the connection is given up if nobody answers. */
  probe() {
    this.#session.probe();
  }

  /** All that is not stored yet or was refused, of all topics. */
  get outgoing() {
    return this.#outbox.entries;
  }

  /** @param {(topic: Topic) => void} run */
  #each(run) {
    for (const topic of [...this.#topics.values()]) run(topic);
  }
}

/**
 * Lets the tabs of a user fetch tokens one after the other: what a token is
 * made from may be good for one use only.
 * @param {ClientOptions} options
 * @returns {GetToken | undefined}
 */
function oneByOne({ getToken, tabs }) {
  const locks = globalThis.navigator?.locks;
  if (!getToken || !tabs || !locks) return getToken;
  return (need) => locks.request(`fanloop.token.${tabs}`, { signal: need.signal }, () => getToken(need));
}

/**
 * Tells the session what becomes of the page. Returns how to stop it.
 * @param {Env} env
 * @param {Session} session
 */
function watchPage({ window, document }, session) {
  const listening = new AbortController();
  /** @param {EventTarget | undefined} target @param {string} name @param {(event: Event) => void} listener */
  const listen = (target, name, listener) => target?.addEventListener(name, listener, { signal: listening.signal });
  listen(document, "visibilitychange", () => document?.visibilityState === "visible" && session.wake());
  listen(document, "resume", () => session.wake());
  listen(window, "online", () => session.wake(1000));
  listen(window, "pagehide", () => session.suspend());
  listen(window, "pageshow", (event) => {
    if (/** @type {PageTransitionEvent} */ (event).persisted || session.state === "suspended") session.resume();
  });
  return () => listening.abort();
}
