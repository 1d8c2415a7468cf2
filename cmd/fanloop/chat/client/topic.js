// One topic: its subscription, its position, and what belongs to it.

/** @import {AnswerFrame, Failure, Env, Message, Page, Position, SubscribedFrame, Target, TopicFrame, TopicOptions, TopicState} from "./types.d.ts" */
/** @import {Outbox, Outgoing} from "./outbox.js" */
/** @import {Session} from "./session.js" */
import { backoff, compareOffsets, Emitter } from "./base.js";
import { Marker, Presence, Values } from "./live.js";
import { Tokens } from "./tokens.js";

const breakerWindow = 60_000;
const breakerAttempts = 5;

/**
 * @typedef {object} Around what topics share
 * @property {Env} env
 * @property {Session} session
 * @property {Outbox} outbox
 * @property {() => number} nextAttempt
 */

/**
 * @typedef {{
 *   state: [state: TopicState, error: Failure | null],
 *   subscribed: [frame: SubscribedFrame],
 *   reset: [position: Position | null],
 *   messages: [messages: Message[], source: "page" | "history" | "live"],
 *   presence: [presence: Presence],
 *   values: [kind: string, values: Map<string, unknown>],
 *   marker: [marker: Marker],
 *   note: [count: number],
 *   outgoing: [entry: Outgoing],
 * }} TopicEvents
 */

/** @extends {Emitter<TopicEvents>} */
export class Topic extends Emitter {
  /** @type {TopicState} */
  state = "idle";
  /** Why the state is waiting or failed. @type {Failure | null} */
  error = null;
  /** Behind the last message that you got. @type {Position | null} */
  position = null;
  /** Changes whenever messages may be missing before what follows. @internal */
  lineage = {};
  /** Whether messages from history are still coming. */
  recovering = false;
  /** Where the page in front of the first messages is, if there may be one. @type {Position | null} */
  back = null;
  /** The count of a passive subscription. @type {number | undefined} */
  count;
  /** @type {Presence | null} */
  presence = null;
  /** @readonly */ name;
  /** @readonly */ marker;
  #values;
  #around;
  #options;
  #tokens;
  #attempt = 0;
  /** Another number for each subscription that began. @internal */
  subscription = 0;
  /** @type {number[]} */
  #tries = [];
  #failures = 0;
  /** @type {unknown} */
  #timer;

  /**
   * @param {Around} around
   * @param {string} name
   * @param {TopicOptions} options
   */
  constructor(around, name, options) {
    super();
    const { env, session } = around;
    this.#around = around;
    this.name = name;
    this.#options = options;
    this.#tokens = new Tokens(env, options.getToken, name, (failure) => this.#fetched(failure));
    this.marker = new Marker(env, session, name, () => this.emit("marker", this.marker));
    this.#values = new Values(env, session, name, (kind) => this.emit("values", kind, this.values(kind)));
  }

  // The subscription.

  /** Subscribes, and stays subscribed across connections. */
  subscribe() {
    if (this.state === "subscribing" || this.state === "subscribed") return;
    this.#tries = [];
    this.#failures = 0;
    this.#begin();
  }

  /** Ends the subscription. The position is kept for the next one. */
  unsubscribe() {
    if (this.state === "idle") return;
    this.#stop();
    this.#enter("idle");
  }

  /**
   * Changes what the subscription asks for, such as its mode.
   * @param {TopicOptions} options
   */
  configure(options) {
    Object.assign(this.#options, options);
    if (this.state === "subscribed" || this.#attempt > 0) this.#begin();
  }

  get mode() {
    return this.#options.mode ?? "live";
  }

  /** Forgets the position: the next subscription is a fresh one. */
  forget() {
    this.position = this.back = null;
    this.lineage = {};
  }

  #leave() {
    this.#around.env.clearTimeout(this.#timer);
    this.#attempt = 0;
    this.recovering = false;
  }

  // #enter is the only place that changes the state.
  /**
   * @param {TopicState} state
   * @param {Failure | null} [error]
   */
  #enter(state, error = null) {
    if (state === this.state && !error) return;
    this.state = state;
    this.error = error;
    this.emit("state", state, error);
    if (state === "failed") this.#around.outbox.flush();
  }

  /** @internal The first message of a connection is being written. */
  opening() {
    if (this.state !== "idle" && this.state !== "failed") this.#begin();
  }

  /** @internal The connection ended. */
  lost() {
    this.#leave();
    this.#tries = [];
    this.#values.lost();
    if (this.state === "subscribed" || this.state === "waiting") this.#enter("subscribing");
  }

  // Sends a subscribe, or waits for what it needs.
  #begin() {
    this.#leave();
    const { session, nextAttempt } = this.#around;
    if (this.#tokens.canFetch && !this.#tokens.value) this.#tokens.fetch();
    else if (session.open) {
      const attempt = (this.#attempt = nextAttempt());
      const { last, presence, kinds, mode } = this.#options;
      const pos = mode === "passive" ? undefined : (this.position ?? undefined);
      const token = this.#tokens.value || undefined;
      this.#command({ type: "subscribe", attempt, pos, last, presence, kinds, mode, token }, (answer) => this.#answered(attempt, answer));
    }
    this.#enter("subscribing");
  }

  // Subscribes again after a subscription ended that had begun, or a token did
  // not help. Where that goes on and on, more of it is no cure.
  /** @param {Failure} error */
  #again(error) {
    const now = this.#around.env.now();
    this.#tries = [...this.#tries.filter((at) => now - at < breakerWindow), now];
    if (this.#tries.length > breakerAttempts) this.#fail({ code: "breaker", retry: "never", message: `subscribed too often: ${error.code}` });
    else if (error.delay) this.#wait(error);
    else this.#begin();
  }

  /** @param {Failure} error */
  #fail(error) {
    this.#stop();
    this.#enter("failed", error);
  }

  #stop() {
    const attempt = this.#attempt;
    this.#leave();
    if (attempt > 0 && this.#around.session.open) this.#command({ type: "unsubscribe", attempt }, () => {});
  }

  /** @param {Failure} error */
  #wait(error) {
    const { env } = this.#around;
    this.#leave();
    const delay = Math.max(error.delay ?? 0, backoff(env, this.#failures++));
    this.#timer = env.setTimeout(() => this.state === "waiting" && this.#begin(), delay);
    this.#enter("waiting", error);
  }

  // What to do after an error, as it says itself.
  /** @param {Failure} error */
  #retry(error) {
    if (error.code === "connection_lost") return; // lost follows
    if (error.retry === "later") return this.#wait(error);
    if (error.retry === "never" || !this.#tokens.canFetch) return this.#fail(error);
    this.#tokens.value = "";
    this.#again(error);
  }

  /** @param {Failure} [failure] */
  #fetched(failure) {
    if (this.state === "subscribed") {
      if (!failure) this.#refresh();
      else if (failure.retry === "never") this.#fail(failure);
      else this.#refreshIn(failure.delay, 1);
    } else if (this.state === "subscribing") {
      if (failure) this.#retry(failure);
      else this.#begin();
    }
  }

  #refresh() {
    const attempt = this.#attempt;
    this.#command({ type: "refresh", attempt, token: this.#tokens.value }, (answer) => {
      if (attempt === this.#attempt && answer.type === "refreshed") this.#refreshIn(answer.ttl);
    });
  }

  /** @param {number} [ttl] @param {number} [share] */
  #refreshIn(ttl, share = 0.7 + 0.2 * this.#around.env.random()) {
    const { env } = this.#around;
    env.clearTimeout(this.#timer);
    if (ttl === undefined || !this.#tokens.canFetch) return;
    this.#timer = env.setTimeout(() => this.#tokens.fetch(), Math.min(ttl * share, 2 ** 31 - 1));
  }

  // What the service sends.

  /**
   * @param {number} attempt
   * @param {AnswerFrame} answer
   */
  #answered(attempt, answer) {
    if (attempt !== this.#attempt) return; // the answer to an earlier attempt
    if (answer.type === "error") return this.#retry(answer);
    if (answer.type === "subscribed") this.#subscribed(attempt, answer);
  }

  /**
   * @param {number} attempt
   * @param {SubscribedFrame} frame
   */
  #subscribed(attempt, frame) {
    const before = this.position;
    const live = () => this.#attempt === attempt;
    this.#failures = 0;
    this.subscription = attempt;
    this.recovering = frame.more ?? false;
    if (this.mode === "live") {
      this.position = frame.pos ?? null;
      if (frame.state !== "resumed") this.#restart(frame);
    }
    this.count = frame.count;
    this.presence = frame.presence ? new Presence(frame.presence) : null;
    this.#refreshIn(frame.ttl);
    const messages = (frame.messages ?? []).filter(({ offset }) => frame.state !== "resumed" || !before || compareOffsets(offset ?? "", before.offset) > 0);
    for (const message of messages) this.#around.outbox.seen(this, message);
    this.#enter("subscribed");
    if (live() && frame.state === "reset" && before) this.emit("reset", this.position);
    if (live()) this.emit("subscribed", frame);
    if (live() && messages.length > 0) this.emit("messages", messages, "page");
    if (live() && this.presence) this.emit("presence", this.presence);
    if (live()) this.#values.replace(frame.kinds ?? []);
    if (live()) this.marker.take({ version: 0, ...frame.marker, unread: frame.unread });
    if (live()) this.#around.outbox.flush();
  }

  /** @param {SubscribedFrame} frame */
  #restart({ back }) {
    this.lineage = {};
    this.back = back ?? null;
  }

  /** @internal @param {TopicFrame} frame */
  received(frame) {
    if (frame.type === "marker") return this.marker.take(frame);
    if (frame.type === "unsubscribed") return this.#ended(frame);
    // Until the answer to the latest attempt, frames belong to an earlier one.
    if (this.state !== "subscribed") return;
    switch (frame.type) {
      case "message":
        return this.#take([frame], "live");
      case "messages":
        this.recovering = frame.more ?? false;
        return this.#take(frame.messages, "history");
      case "reset":
        return frame.attempt === this.#attempt && this.#reset(frame.pos);
      case "presence":
        return this.presence?.apply(frame) && this.emit("presence", this.presence);
      case "values":
        return this.#values.apply(frame);
      case "note":
        this.count = frame.count;
        this.marker.note(frame.unread);
        return this.emit("note", frame.count);
    }
  }

  // Takes messages by the rule of positions, and moves the position first.
  /**
   * @param {Message[]} messages
   * @param {"history" | "live"} source
   */
  #take(messages, source) {
    const attempt = this.#attempt;
    /** @type {Message[]} */
    const taken = [];
    let hole = false;
    for (const message of messages) {
      const { offset, prev, id } = message;
      const position = this.position;
      if (offset !== undefined && position) {
        if (compareOffsets(offset, position.offset) <= 0) continue;
        hole = prev !== undefined && compareOffsets(prev, position.offset) > 0;
        if (hole) break;
        this.position = { epoch: position.epoch, offset, id };
      }
      taken.push(message);
    }
    for (const message of taken) this.#around.outbox.seen(this, message);
    if (hole && attempt === this.#attempt) this.#again({ code: "hole", retry: "later" });
    if (taken.length > 0) this.emit("messages", taken, source);
    if (!this.recovering && source === "history") this.#around.outbox.flush();
  }

  /** @param {Position} position */
  #reset(position) {
    this.position = position;
    this.lineage = {};
    this.emit("reset", position);
  }

  /** @param {{attempt: number} & Partial<Failure>} frame */
  #ended({ attempt, code = "unsubscribed", retry = "never", message, delay }) {
    if (attempt !== this.#attempt) return;
    const error = { code, retry, message, delay };
    if (retry === "later") this.#again(error);
    else this.#retry(error);
  }

  // Messages.

  /**
   * Publishes a message. What is returned says how it fares, at once and
   * always: publish does not throw.
   * @param {unknown} data
   * @returns {Outgoing}
   */
  publish(data) {
    return this.#around.outbox.add(this.name, { data });
  }

  /** @param {Target | Outgoing} target a message, or what publish returned @param {unknown} data */
  edit(target, data) {
    return this.#event("edit", target, data);
  }

  /** @param {Target | Outgoing} target */
  delete(target) {
    return this.#event("delete", target);
  }

  /** @param {Target | Outgoing} target @param {unknown} data */
  react(target, data) {
    return this.#event("react", target, data);
  }

  /** @param {Target | Outgoing} target @param {unknown} data */
  unreact(target, data) {
    return this.#event("unreact", target, data);
  }

  /**
   * @param {string} kind
   * @param {Target | Outgoing} target
   * @param {unknown} [data]
   */
  #event(kind, target, data) {
    const place = "settled" in target ? target.position : target;
    if (!place) throw new TypeError("fanloop: a message is changed once it is stored: wait for settled");
    const { offset, id } = place;
    return this.#around.outbox.add(this.name, { kind, target: { offset, id }, data });
  }

  /** What was published and is not stored yet, or was refused. */
  get outgoing() {
    return this.#around.outbox.of(this.name);
  }

  /**
   * Gets a page of messages: the last ones, or those before or after a position.
   * @param {{before?: Position, after?: Position, limit?: number}} [where]
   * @returns {Promise<Page>}
   */
  async history({ before, after, limit } = {}) {
    const page = await this.#around.session.request({ type: "history", topic: this.name, before, after, limit }, "page");
    return { ...page, messages: page.messages ?? [] };
  }

  /**
   * Gets users in the order of their names, from behind one on.
   * @param {{after?: string, limit?: number}} [where]
   */
  members({ after, limit } = {}) {
    return this.#around.session.request({ type: "presence", topic: this.name, after, limit }, "members");
  }

  // Keyed values.

  /**
   * The values of a kind, by key. A kind is one that the subscription asks for.
   * @param {string} kind
   */
  values(kind) {
    return this.#values.of(kind);
  }

  /**
   * Sets a value, or takes it away where data is undefined. Nothing is sent
   * while there is no connection.
   * @param {string} kind
   * @param {unknown} [data]
   * @param {string} [key]
   */
  set(kind, data, key) {
    this.#values.set(kind, data, key);
  }

  /**
   * Says that the user types, or has stopped. Call it at each input; it sends
   * no more than is needed.
   * @param {boolean} on
   */
  typing(on) {
    this.#values.typing(on);
  }

  // Read position.

  /**
   * Moves the marker forward, to the position of the topic where none is given.
   * @param {Position | null} [position]
   */
  read(position = this.position) {
    if (position) this.marker.read(position);
  }

  /**
   * Sets the marker back on purpose.
   * @param {Position} position
   */
  markUnread(position) {
    this.marker.markUnread(position);
  }

  /**
   * @param {{type: string} & Record<string, unknown>} frame
   * @param {(answer: AnswerFrame) => void} answer
   */
  #command({ type, ...rest }, answer) {
    this.#around.session.command({ type, topic: this.name, ...rest }, answer);
  }
}
