// The connection of a client: one state, changed by #enter alone.

/** @import {AnswerFrame, ClientOptions, ConnectedFrame, ConnectionState, Env, Failure, Frame, StateDetail, TopicFrame} from "./types.d.ts" */
import { Alarm } from "./alarm.js";
import { ChatError, connectionLost, defaultLimits } from "./base.js";
import { failureOf } from "./codes.js";
import { Connector } from "./connector.js";
import { pongPatience } from "./link.js";
import { Tokens } from "./tokens.js";

const openingPatience = 10_000; // until connected

/**
 * @typedef {object} Owner what the session tells the client
 * @property {(state: ConnectionState, detail: StateDetail) => void} entered
 * @property {() => void} opening commands that belong into the first message
 * @property {(frame: ConnectedFrame) => void} connected
 * @property {(frame: TopicFrame) => void} received
 * @property {(failure: Failure, topic?: string) => void} told that a token was not renewed
 * @property {() => void} lost
 */

export class Session {
  /** @type {ConnectionState} */
  state = "idle";
  limits = defaultLimits;
  user = "";

  #env;
  #owner;
  #name;
  #connector;
  #tokens;
  #session = "";
  #moves = 0; // changes of the state
  #alarm; // of the state: the next attempt, or the end of an opening

  /**
   * @param {Env} env
   * @param {ClientOptions} options
   * @param {Owner} owner
   */
  constructor(env, options, owner) {
    this.#env = env;
    this.#name = options.user;
    this.#owner = owner;
    this.told = owner.told;
    this.#connector = new Connector(env, options, {
      began: () => this.#enter("connecting"),
      first: () => this.#first(),
      received: (frame) => this.#received(frame),
      ended: (ending) => this.#over(failureOf(ending)),
      dropped: () => this.#lost(),
    });
    this.#tokens = new Tokens(env, options.getToken, undefined, (failure) => this.#fetched(failure), (token, answer) => this.#refresh(token, answer), (failure) => owner.told(failure));
    this.#tokens.value = options.token ?? "";
    this.#alarm = new Alarm(env, () => this.#late());
  }

  // Commands.

  /** Whether commands are taken. Until connected has come they wait. */
  get open() {
    return this.#connector.link?.sentAt !== undefined;
  }

  /** Whether commands go out now. */
  get ready() {
    return this.state === "connected" && this.open;
  }

  get transport() {
    return this.#connector.link?.transport?.name;
  }

  get latency() {
    return this.#connector.latency;
  }

  /**
   * Sends a command. The answer comes in order with all other frames; where
   * the connection ends first, it is the error connection_lost.
   * @param {{type: string} & Record<string, unknown>} frame
   * @param {(frame: AnswerFrame) => void} [answer]
   */
  command(frame, answer) {
    const { link } = this.#connector;
    if (!link || !this.open) return answer?.({ type: "error", ...connectionLost });
    link.command(frame, answer);
  }

  /**
   * Sends a command and returns its answer; an error is thrown.
   * @template {AnswerFrame} Answer
   * @param {{type: string} & Record<string, unknown>} frame
   * @returns {Promise<Answer>}
   */
  request(frame) {
    return new Promise((resolve, reject) => {
      if (!this.ready) return reject(new ChatError(connectionLost));
      this.command(frame, (answer) => {
        if (answer.type === "error") reject(new ChatError(answer));
        else resolve(/** @type {Answer} */ (answer));
      });
    });
  }

  // The life of a connection.

  connect() {
    if (this.state === "idle" || this.state === "failed" || this.state === "waiting") {
      this.#connector.attempts.restart();
      this.#start();
    }
  }

  disconnect() {
    this.#connector.drop("disconnect");
    this.#enter("idle");
  }

  /** Ends, and forgets the session and the token. */
  forget() {
    this.#session = this.user = "";
    this.#tokens.clear();
    this.disconnect();
  }

  /** @param {string} token */
  setToken(token) {
    this.#tokens.clear();
    this.#tokens.value = token;
    if (this.state === "connected") this.#tokens.renew();
    if (this.state === "signing-in") this.#start();
  }

  /**
   * The page can be seen again, or the network is back.
   * @param {number} [spread] wait a random time up to this
   */
  wake(spread = 0) {
    const { attempts, link } = this.#connector;
    attempts.wake();
    if (this.state === "connected") this.probe();
    else if (this.state === "waiting") this.#alarm.hasten(attempts.soon(spread));
    else if (this.state === "connecting" && link && this.#env.now() - link.openedAt > pongPatience) {
      this.#connector.drop("stuck");
      this.#start();
    }
  }

  /** The page goes into the back/forward cache, or for ever. */
  suspend() {
    if (this.state === "idle" || this.state === "failed") return;
    this.#connector.drop("pagehide");
    this.#enter("suspended");
  }

  /** The page is back from the back/forward cache. */
  resume() {
    if (this.state === "idle" || this.state === "failed") return;
    this.#connector.attempts.wake();
    this.#connector.drop("pageshow");
    this.#start();
  }

  /** Asks whether anybody is there; the link ends if not. */
  probe() {
    if (this.state === "connected") this.#connector.link?.probe();
  }

  // #enter is the only place that changes the state. Its alarm ends with it.
  /**
   * @param {ConnectionState} state
   * @param {StateDetail} [detail]
   */
  #enter(state, detail = {}) {
    this.state = state;
    this.#moves++;
    const patience = state === "waiting" ? (detail.delay ?? 0) : state === "connecting" ? openingPatience : Infinity;
    this.#alarm.set(this.#env.now() + patience);
    this.#owner.entered(state, detail);
  }

  #late() {
    if (this.state === "waiting") this.#start();
    else if (this.state === "connecting") this.#over(failureOf({ code: 1006, reason: "no answer to the opening" }));
  }

  #start() {
    if (this.#tokens.canFetch && !this.#tokens.value) {
      this.#enter("signing-in");
      this.#tokens.fetch();
    } else this.#connector.open();
  }

  // A fetch of a token has ended.
  /** @param {Failure} [failure] */
  #fetched(failure) {
    if (this.state === "idle" || this.state === "failed") return;
    if (failure?.retry === "never") {
      this.#connector.drop("unauthorized");
      this.#enter("failed", { error: failure });
    } else if (this.state === "signing-in") {
      if (failure) this.#enter("waiting", { error: failure, delay: failure.delay });
      else this.#connector.open();
    } else if (this.state === "connected") {
      if (failure) this.#tokens.again(failure);
      else this.#tokens.renew();
    }
  }

  // What answers comes from this link only, and not of its end.
  /** @param {string} token @param {(frame: AnswerFrame) => void} answer */
  #refresh(token, answer) {
    const { link } = this.#connector;
    this.command({ type: "refresh", token }, (frame) => void (this.#connector.link === link && answer(frame)));
  }

  #first() {
    const token = this.#tokens.value || undefined;
    const user = token ? undefined : this.#name;
    this.command(
      { type: "connect", version: 1, client: "fanloop-js/1", token, user, session: this.#session || undefined },
      (answer) => this.#connected(answer),
    );
    this.#owner.opening();
  }

  /** @param {AnswerFrame} answer */
  #connected(answer) {
    const { link, attempts } = this.#connector;
    if (!link?.transport) return;
    if (answer.type === "error") return this.#over(answer, true);
    if (answer.type !== "connected") return; // a link gives no other
    attempts.connected(link.base, answer.addresses);
    this.#session = answer.session;
    this.limits = answer.limits;
    this.user = answer.user;
    this.#tokens.taken(answer.ttl);
    this.#connector.connected(link);
    link.begin(answer, this.limits);
    this.#enter("connected");
    if (this.#connector.link !== link) return;
    this.#owner.connected(answer);
    link.flush();
  }

  /** @param {Frame} frame */
  #received(frame) {
    if (frame.type === "closing") this.#over(frame, false, frame.address);
    else if (frame.type !== "error") this.#owner.received(/** @type {TopicFrame} */ (frame));
  }

  #lost() {
    this.#tokens.stop();
    this.#owner.lost();
  }

  // Decides what comes after a connection.
  /**
   * @param {Failure} failure
   * @param {boolean} [refused]
   * @param {string} [address]
   */
  #over(failure, refused = false, address) {
    const lasted = this.#connector.failed(refused);
    const moves = this.#moves;
    this.#connector.drop("abandoned");
    if (this.#moves !== moves) return; // a listener did something else
    if (failure.retry === "never") return this.#enter("failed", { error: failure });
    if (failure.retry === "refresh") {
      this.#tokens.value = "";
      if (!this.#tokens.canFetch) return this.#enter("failed", { error: failure });
      if (lasted) return this.#start();
    }
    const { attempts } = this.#connector;
    attempts.take(address);
    this.#enter("waiting", { error: failure, delay: attempts.delay(failure) });
  }
}
