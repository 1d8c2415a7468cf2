// One topic, as the application sees it: what comes of its subscription, and what
// is done with it.

/** @import {AnswerFrame, Env, Failure, MembersFrame, Message, Page, Position, SubscribedFrame, Target, Topic as Declared, TopicEvents, TopicFrame, TopicOptions, TopicState} from "./types.d.ts" */
/** @import {Outbox} from "./outbox.js" */
/** @import {Outgoing} from "./outgoing.js" */
/** @import {Session} from "./session.js" */
import { Emitter } from "./base.js";
import { Chain } from "./chain.js";
import { Marker, Presence, Values } from "./live.js";
import { Subscription } from "./subscription.js";

/**
 * @typedef {object} Around what topics share
 * @property {Env} env
 * @property {Session} session
 * @property {Outbox} outbox
 * @property {() => number} nextAttempt
 */

/**
 * @extends {Emitter<TopicEvents>}
 * @implements {Declared}
 */
export class Topic extends Emitter {
  /** Whether messages from history are still coming. */
  recovering = false;
  /** The count of a passive subscription. @type {number | undefined} */
  count;
  /** @type {Presence | null} */
  presence = null;
  /** @readonly */ name;
  /** @readonly */ marker;
  /** @internal @readonly */ subscription;
  /** @internal @readonly */ chain = new Chain();
  #around;
  #options;
  #values;

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
    this.subscription = new Subscription(around, name, options.getToken, () => this.#asks(), {
      entered: (state, error) => this.#entered(state, error),
      left: () => void (this.recovering = false),
      began: (frame) => this.#began(frame),
    });
    this.marker = new Marker(env, session, name, () => this.emit("marker", this.marker));
    this.#values = new Values(env, session, name, (kind) => this.emit("values", kind, this.values(kind)));
  }

  // The subscription.

  get state() {
    return this.subscription.state;
  }

  /** Why the state is waiting or failed. */
  get error() {
    return this.subscription.error;
  }

  get mode() {
    return this.#options.mode ?? "live";
  }

  /** Behind the last message that you got. */
  get position() {
    return this.chain.position;
  }

  /** Where the page in front of the first messages is, if there may be one. */
  get back() {
    return this.chain.back;
  }

  /** Subscribes, and stays subscribed across connections. */
  subscribe() {
    this.subscription.subscribe();
  }

  /** Ends the subscription. The position is kept for the next one. */
  unsubscribe() {
    this.subscription.unsubscribe();
  }

  /**
   * Changes what the subscription asks for, such as its mode.
   * @param {TopicOptions} options
   */
  configure(options) {
    Object.assign(this.#options, options);
    this.subscription.renew();
  }

  /** Forgets the position: the next subscription is a fresh one. */
  forget() {
    this.chain.forget();
  }

  /** @internal The first message of a connection is being written. */
  opening() {
    this.subscription.opening();
  }

  /** @internal The connection ended. */
  lost() {
    this.#values.lost();
    this.subscription.lost();
  }

  #asks() {
    const { last, presence, kinds, mode } = this.#options;
    const pos = mode === "passive" ? undefined : (this.position ?? undefined);
    return { pos, last, presence, kinds, mode };
  }

  /**
   * @param {TopicState} state
   * @param {Failure | null} error
   */
  #entered(state, error) {
    this.emit("state", state, error);
    if (state === "failed") this.#around.outbox.flush();
  }

  // What the service sends.

  /** @param {SubscribedFrame} frame */
  #began(frame) {
    const before = this.position;
    const { lineage } = this.chain;
    const attempt = this.subscription.attempt;
    const messages = this.chain.begin(frame, this.mode === "live");
    const broken = before && this.chain.lineage !== lineage;
    this.recovering = frame.more ?? false;
    this.count = frame.count;
    this.presence = frame.presence ? new Presence(frame.presence) : null;
    for (const message of messages) this.#around.outbox.seen(this, message);
    const live = () => this.subscription.attempt === attempt;
    return () => {
      if (live() && broken) this.emit("reset", this.position);
      if (live()) this.emit("subscribed", frame);
      if (live() && messages.length > 0) this.emit("messages", messages, "page");
      if (live() && this.presence) this.emit("presence", this.presence);
      if (live()) this.#values.replace(frame.kinds ?? []);
      if (live()) this.marker.take({ version: 0, ...frame.marker, unread: frame.unread });
      if (live()) this.#around.outbox.flush();
    };
  }

  /** @internal @param {TopicFrame} frame */
  received(frame) {
    if (frame.type === "marker") return this.marker.take(frame);
    if (frame.type === "unsubscribed") return this.subscription.ended(frame);
    // Until the answer to the latest attempt, frames belong to an earlier one.
    if (this.state !== "subscribed") return;
    switch (frame.type) {
      case "message":
        return this.#take([frame], "live");
      case "messages":
        this.recovering = frame.more ?? false;
        return this.#take(frame.messages, "history");
      case "reset":
        if (frame.attempt !== this.subscription.attempt) return;
        this.chain.reset(frame.pos);
        return this.emit("reset", frame.pos);
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

  /**
   * @param {Message[]} messages
   * @param {"history" | "live"} source
   */
  #take(messages, source) {
    const attempt = this.subscription.attempt;
    const { taken, hole } = this.chain.take(messages);
    for (const message of taken) this.#around.outbox.seen(this, message);
    if (hole && attempt === this.subscription.attempt) this.subscription.again({ code: "hole", retry: "later" });
    if (taken.length > 0) this.emit("messages", taken, source);
    if (!this.recovering && source === "history") this.#around.outbox.flush();
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
    /** @type {Extract<AnswerFrame, {type: "page"}>} */
    const page = await this.#around.session.request({ type: "history", topic: this.name, before, after, limit });
    return { ...page, messages: page.messages ?? [] };
  }

  /**
   * Gets users in the order of their names, from behind one on.
   * @param {{after?: string, limit?: number}} [where]
   * @returns {Promise<MembersFrame>}
   */
  members({ after, limit } = {}) {
    return this.#around.session.request({ type: "presence", topic: this.name, after, limit });
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
}
