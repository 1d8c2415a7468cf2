// One connection, from its opening to its end: the commands on it, and whether
// anybody answers.

/** @import {AnswerFrame, Ending, Env, Frame, Limits, Transport} from "./types.d.ts" */
import { Alarm } from "./alarm.js";
import { connectionLost, defaultLimits, pack } from "./base.js";
import { mustAnswer } from "./frames.js";

const answerPatience = 5_000; // then a probe
export const pongPatience = 3_000;
const sleep = 2_000; // an alarm that is so late was held up by the machine
const commandPatience = 30_000; // although pongs come

export class Link {
  /** @type {Transport | undefined} */
  transport;
  /** @readonly */ base;
  /** @readonly */ openedAt;
  /** When the first message went. @type {number | undefined} */
  sentAt;
  /** 0 until connected has come, and after the end. */
  connectedAt = 0;
  /** Round trip of the last probe in milliseconds. @type {number | undefined} */
  latency;
  #env;
  #ended;
  #alarm;
  #heardAt; // when something came last
  #ping = 0; // how often the service pings
  #provedAt = 0; // when a pong came last
  #probedAt = 0; // when the probe that has no pong was sent, or 0
  #ref = 0;
  /** In the order of their sending. @type {Map<number, {at: number, frame: object, answer: (frame: AnswerFrame) => void}>} */
  #commands = new Map();
  /** @type {string[]} */
  #queue = [];
  #flushing = false;

  /**
   * @param {Env} env
   * @param {string} base
   * @param {(ending: Ending) => void} ended called where nobody answers
   */
  constructor(env, base, ended) {
    this.#env = env;
    this.#ended = ended;
    this.#alarm = new Alarm(env, (late) => this.#look(late));
    this.base = base;
    this.openedAt = this.#heardAt = env.now();
  }

  /** No command is without its answer. */
  get idle() {
    return this.#commands.size === 0;
  }

  /**
   * Queues a command. It goes out with what else is queued in this turn.
   * @param {{type: string} & Record<string, unknown>} frame
   * @param {(frame: AnswerFrame) => void} [answer]
   */
  command(frame, answer) {
    /** @type {number | undefined} */
    let ref;
    if (answer) {
      ref = this.#ref = (this.#ref % 0xffffffff) + 1;
      this.#commands.set(ref, { at: this.#env.now(), frame, answer });
    }
    const { type, ...rest } = frame;
    this.#queue.push(JSON.stringify({ type, ref, ...rest }));
    if (this.connectedAt) this.#alarm.hasten(this.#due);
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => this.flush());
  }

  flush() {
    this.#flushing = false;
    if (this.connectedAt) this.transport?.send(this.#queue);
  }

  /** The first message: what is queued, as much as fits into one. */
  first() {
    return pack(this.#queue, defaultLimits);
  }

  /** Gives an answer to its command. Says whether the frame is one. @param {Frame} frame */
  answered(frame) {
    const { ref } = /** @type {{ref?: number}} */ (frame);
    if (ref === undefined) return false;
    const command = this.#commands.get(ref);
    if (command) mustAnswer(frame, command.frame);
    this.#commands.delete(ref);
    command?.answer(/** @type {AnswerFrame} */ (frame));
    return true;
  }

  /**
   * The service has taken the connection.
   * @param {{session: string, ping?: number}} frame
   * @param {Limits} limits
   */
  begin({ session, ping = 0 }, limits) {
    const now = this.#env.now();
    this.connectedAt = this.#provedAt = now;
    this.latency = now - (this.sentAt ?? now);
    this.#ping = ping;
    this.transport?.begin(session, limits);
    this.#watch();
  }

  /** Nothing that it brings counts any more. @param {string} why */
  end(why) {
    this.connectedAt = 0;
    this.#alarm.set(Infinity);
    this.transport?.close(why);
    this.#queue = [];
    const commands = [...this.#commands.values()];
    this.#commands.clear();
    for (const { answer } of commands) answer({ type: "error", ...connectionLost });
  }

  // Whether anybody is there.

  /** Something came. */
  heard() {
    this.#heardAt = this.#env.now();
  }

  /** Asks whether anybody is there, unless that is asked. */
  probe() {
    if (this.#probedAt) return;
    const at = (this.#probedAt = this.#env.now());
    this.command({ type: "ping" }, ({ type }) => {
      if (type === "error") return;
      this.#probedAt = 0;
      this.#provedAt = this.#env.now();
      this.latency = this.#provedAt - at;
      this.#watch();
    });
    this.#watch();
  }

  #watch() {
    if (this.connectedAt) this.#alarm.set(this.#due);
  }

  // When to look: for a pong, an answer, or a word of the service.
  get #due() {
    const busy = this.transport?.busyUntil ?? 0;
    if (this.#probedAt) return Math.max(this.#probedAt, busy) + pongPatience;
    let due = Infinity;
    for (const { at } of this.#commands.values()) {
      due = Math.max(at, this.#provedAt, busy) + answerPatience;
      break; // the oldest
    }
    const visible = this.#env.document?.visibilityState !== "hidden";
    if (visible && this.#ping > 0) due = Math.min(due, this.#heardAt + 2 * this.#ping);
    return due;
  }

  // After a sleep of the machine, a probe that was under way says nothing.
  /** @param {number} late */
  #look(late) {
    if (this.#probedAt && this.#env.now() >= this.#due) {
      if (late <= sleep) return this.#ended({ code: 1006, reason: "no answer to a probe" });
      this.#probedAt = 0;
      this.probe();
    }
    this.#giveUp();
    if (this.connectedAt && this.#env.now() >= this.#due) this.probe();
    this.#watch();
  }

  // A command whose answer does not come on a live connection has failed.
  #giveUp() {
    const before = this.#env.now() - commandPatience;
    for (const [ref, { at, answer }] of this.#commands) {
      if (at > before) return;
      this.#commands.delete(ref);
      answer({ type: "error", code: "timeout", retry: "later" });
    }
  }
}
