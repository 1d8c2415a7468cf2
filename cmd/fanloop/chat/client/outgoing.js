// One publish: what it is, where it is on its way, and what is kept of it.

/** @import {Env, Failure, Outgoing as Declared, OutgoingState, Position, Target} from "./types.d.ts" */
/** @import {Outbox} from "./outbox.js" */

/** One publish, from Enter to stored. @implements {Declared} */
export class Outgoing {
  /** @type {OutgoingState} */
  state = "sending";
  /** Why it is refused, or not confirmed yet. @type {Failure | null} */
  error = null;
  /** Where it is stored. @type {Position | null} */
  position = null;
  /** Nobody can find out whether it is stored: retry may store it twice. */
  mayRepeat = false;
  /** Who published it. @internal */
  user = "";
  /** When it went first, by Env.wall and Env.now; 0 is never. @internal */
  first = 0;
  /** @internal */ firstNow = 0;
  /** Where the topic was then. @internal @type {Position | null} */
  from = null;
  /** @internal @type {object | null} */ lineage = null;
  /** Not before this, by Env.now. @internal */
  notBefore = 0;
  /** @internal */ failures = 0;
  /** The topic must be subscribed first. @internal */
  held = false;
  /** @internal */ busy = false;
  /** Resolves to the entry when it is stored or refused. @type {Promise<Outgoing>} */
  settled;
  #settle = /** @type {(entry: Outgoing) => void} */ (() => {});
  #outbox;

  /**
   * @param {Outbox} outbox
   * @param {string} topic
   * @param {{kind?: string, target?: Target, data?: unknown}} content
   * @param {string} id
   */
  constructor(outbox, topic, { kind, target, data }, id) {
    this.#outbox = outbox;
    this.topic = topic;
    this.kind = kind;
    this.target = target;
    this.data = data;
    this.id = id;
    this.settled = new Promise((resolve) => (this.#settle = resolve));
  }

  /** Sends it now, with its id, although it was refused or may be stored. */
  retry() {
    this.#outbox.retry(this);
  }

  /** Gives it up. What is on its way may be stored all the same. */
  discard() {
    this.#outbox.remove(this);
  }

  /** @internal */
  get waits() {
    return (this.state === "sending" || this.state === "unconfirmed") && !this.mayRepeat;
  }

  /** @internal */
  settle() {
    this.#settle(this);
  }

  /**
   * The service still knows the first attempt, and stores the same id once.
   * @internal
   * @param {Env} env
   * @param {number} duplicates milliseconds that it knows an id
   */
  inWindow(env, duplicates) {
    const wall = env.wall() - this.first;
    const elapsed = this.firstNow ? Math.max(wall, env.now() - this.firstNow) : wall;
    return wall >= 0 && elapsed < duplicates - Math.min(5000, duplicates / 5);
  }

  /** What is kept of it over a reload. @internal */
  kept() {
    const { id, topic, kind, target, data, state, error, user, first, from, mayRepeat } = this;
    return { id, topic, kind, target, data, state, error, user, first, from, mayRepeat };
  }

  /**
   * Makes it of what was kept. What was on its way may be stored.
   * @internal
   * @param {Outbox} outbox
   * @param {ReturnType<Outgoing["kept"]>} kept
   */
  static from(outbox, { id, topic, state, error, user, first, from, mayRepeat, ...content }) {
    const entry = new Outgoing(outbox, topic, content, id);
    return Object.assign(entry, { state: state === "sending" && first ? "unconfirmed" : state, error, user, first, from, mayRepeat });
  }
}
