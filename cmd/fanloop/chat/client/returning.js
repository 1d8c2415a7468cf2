// From the fallback back to WebSocket. A second connection shows first that
// frames pass both ways: the service answers a ping before connect, if only
// with an error.

/** @import {Env} from "./types.d.ts" */
import { Alarm } from "./alarm.js";
import { SocketTransport } from "./transport.js";

const firstTrial = 60_000; // until the first trial, then more and more rarely
const trialPatience = 10_000; // then it is given up

export class Returning {
  #env;
  #works;
  #alarm;
  #base = "";
  #trials = 0; // so far; -1 where WebSocket has worked
  /** @type {{transport: SocketTransport, proven: boolean} | undefined} */
  #trial;

  /**
   * @param {Env} env
   * @param {(now: boolean) => void} works called when a trial is proven, and with now when
   *   it should not wait longer
   */
  constructor(env, works) {
    this.#env = env;
    this.#works = works;
    this.#alarm = new Alarm(env, () => this.#look());
  }

  /** A stream to this address has begun. @param {string} base */
  begin(base) {
    this.#base = base;
    const n = this.#trials++;
    this.#alarm.set(this.#env.now() + (n < 0 ? 1000 : firstTrial * 2 ** Math.min(n, 3)) * (1 + this.#env.random()));
  }

  /** WebSocket works here: it is tried soon. */
  worked() {
    this.#trials = -1;
  }

  stop() {
    this.#trial?.transport.close();
    this.#trial = undefined;
    this.#alarm.set(Infinity);
  }

  /** Whether frames pass both ways. */
  get proven() {
    return this.#trial?.proven ?? false;
  }

  // The time has come: begins a trial, or ends one.
  #look() {
    if (this.proven) return this.#works(true);
    if (this.#trial) return this.#later();
    this.#alarm.set(this.#env.now() + trialPatience);
    try {
      const transport = new SocketTransport(this.#env, this.#base, {
        first: () => '{"type":"ping","ref":1}',
        heard: () => {},
        ended: () => this.#later(),
        received: () => {
          if (this.#trial) this.#trial.proven = true;
          this.#works(false);
        },
      });
      this.#trial = { transport, proven: false };
    } catch {
      this.#later();
    }
  }

  #later() {
    this.stop();
    this.begin(this.#base);
  }

  /** Hands over the connection of a trial. */
  take() {
    const transport = this.#trial?.transport;
    this.#trial = undefined;
    this.#alarm.set(Infinity);
    return transport;
  }
}
