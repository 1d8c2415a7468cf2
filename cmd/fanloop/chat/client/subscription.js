// The subscription to one topic: one state, changed by #enter alone. It is tried
// again across connections, with a token where the topic wants one.

/** @import {AnswerFrame, Env, Failure, GetToken, SubscribedFrame, TopicState} from "./types.d.ts" */
/** @import {Session} from "./session.js" */
import { Alarm } from "./alarm.js";
import { backoff } from "./base.js";
import { Tokens } from "./tokens.js";

const breakerWindow = 60_000;
const breakerAttempts = 5;

/**
 * @typedef {object} Subscriber what the subscription tells the topic
 * @property {(state: TopicState, error: Failure | null) => void} entered
 * @property {() => void} left nothing more comes of the attempt, or of the subscription
 * @property {(frame: SubscribedFrame) => () => void} began takes what came with the answer; what
 *   it returns is called in the state subscribed
 */

export class Subscription {
  /** @type {TopicState} */
  state = "idle";
  /** Why the state is waiting or failed. @type {Failure | null} */
  error = null;
  /** The number of the subscription, or of the attempt to have one; 0: neither. */
  attempt = 0;
  #env;
  #session;
  #topic;
  #nextAttempt;
  #asks;
  #subscriber;
  #tokens;
  #alarm; // while it waits
  /** @type {number[]} */
  #tries = [];
  #failures = 0;

  /**
   * @param {{env: Env, session: Session, nextAttempt: () => number}} around
   * @param {string} topic
   * @param {GetToken | undefined} getToken
   * @param {() => Record<string, unknown>} asks what to subscribe with
   * @param {Subscriber} subscriber
   */
  constructor({ env, session, nextAttempt }, topic, getToken, asks, subscriber) {
    this.#env = env;
    this.#session = session;
    this.#topic = topic;
    this.#nextAttempt = nextAttempt;
    this.#asks = asks;
    this.#subscriber = subscriber;
    this.#tokens = new Tokens(env, getToken, topic, (failure) => this.#fetched(failure), (token, answer) => this.#command("refresh", { token }, answer), (failure) => session.told(failure, topic));
    this.#alarm = new Alarm(env, () => this.#begin());
  }

  // What the application wishes.

  subscribe() {
    if (this.state === "subscribing" || this.state === "subscribed") return;
    this.#tries = [];
    this.#failures = 0;
    this.#begin();
  }

  unsubscribe() {
    if (this.state === "idle") return;
    this.#stop();
    this.#enter("idle");
  }

  /** What it asks for has changed. */
  renew() {
    if (this.state === "subscribed" || this.attempt > 0) this.#begin();
  }

  // What becomes of the connection.

  /** The first message of a connection is being written. */
  opening() {
    if (this.state !== "idle" && this.state !== "failed") this.#begin();
  }

  /** The connection ended. */
  lost() {
    this.#leave();
    this.#tries = [];
    if (this.state === "subscribed" || this.state === "waiting") this.#enter("subscribing");
  }

  // The states.

  /**
   * @param {TopicState} state
   * @param {Failure | null} [error]
   */
  #enter(state, error = null) {
    if (state === this.state && !error) return;
    this.state = state;
    this.error = error;
    this.#subscriber.entered(state, error);
  }

  // Sends a subscribe, or waits for what it needs.
  #begin() {
    this.#leave();
    if (this.#tokens.canFetch && !this.#tokens.value) this.#tokens.fetch();
    else if (this.#session.open) {
      this.attempt = this.#nextAttempt();
      this.#command("subscribe", { ...this.#asks(), token: this.#tokens.value || undefined }, (answer) => this.#answered(answer));
    }
    this.#enter("subscribing");
  }

  // Sends a command of the attempt. An answer that comes after it counts for nothing.
  /**
   * @param {string} type
   * @param {Record<string, unknown>} fields
   * @param {(answer: AnswerFrame) => void} answered
   */
  #command(type, fields, answered) {
    const { attempt } = this;
    this.#session.command({ type, topic: this.#topic, attempt, ...fields }, (answer) => void (attempt === this.attempt && answered(answer)));
  }

  /** @param {AnswerFrame} answer */
  #answered(answer) {
    if (answer.type === "error") return this.#retry(answer);
    if (answer.type !== "subscribed") return;
    const { attempt } = this;
    this.#failures = 0;
    this.#tokens.taken(answer.ttl);
    const tell = this.#subscriber.began(answer);
    if (attempt !== this.attempt) return; // a listener ended it
    this.#enter("subscribed");
    tell();
  }

  /**
   * The service ended a subscription.
   * @param {{attempt: number} & Partial<Failure>} frame
   */
  ended({ attempt, code = "unsubscribed", retry = "never", message, delay }) {
    if (attempt !== this.attempt) return;
    const error = { code, retry, message, delay };
    if (retry === "later") this.again(error);
    else this.#retry(error);
  }

  // What to do after an error, as it says itself.
  /** @param {Failure} error */
  #retry(error) {
    if (error.code === "connection_lost") return; // lost follows
    if (error.retry === "later") return this.#wait(error);
    if (error.retry === "never" || !this.#tokens.canFetch) return this.#fail(error);
    this.#tokens.value = "";
    this.again(error);
  }

  /**
   * Subscribes again after a subscription ended that had begun, or a token did
   * not help. Where that goes on and on, more of it is no cure.
   * @param {Failure} error
   */
  again(error) {
    const now = this.#env.now();
    this.#tries = [...this.#tries.filter((at) => now - at < breakerWindow), now];
    if (this.#tries.length > breakerAttempts) this.#fail({ code: "breaker", retry: "never", message: `subscribed too often: ${error.code}` });
    else if (error.delay) this.#wait(error);
    else this.#begin();
  }

  /** @param {Failure} error */
  #wait(error) {
    this.#leave();
    this.#alarm.set(this.#env.now() + Math.max(error.delay ?? 0, backoff(this.#env, this.#failures++)));
    this.#enter("waiting", error);
  }

  /** @param {Failure} error */
  #fail(error) {
    this.#stop();
    this.#enter("failed", error);
  }

  #stop() {
    const { attempt } = this;
    this.#leave();
    if (attempt > 0 && this.#session.open) this.#session.command({ type: "unsubscribe", topic: this.#topic, attempt }, () => {});
  }

  #leave() {
    this.#alarm.set(Infinity);
    this.#tokens.stop();
    this.attempt = 0;
    this.#subscriber.left();
  }

  // A fetch of a token has ended.
  /** @param {Failure} [failure] */
  #fetched(failure) {
    if (this.state === "subscribed") {
      if (!failure) this.#tokens.renew();
      else if (failure.retry === "never") this.#fail(failure);
      else this.#tokens.again(failure);
    } else if (this.state === "subscribing") {
      if (failure) this.#retry(failure);
      else this.#begin();
    }
  }
}
