// From the fallback back to WebSocket. A second connection shows first that
// frames pass both ways: the service answers a ping before connect, if only
// with an error.

/** @import {Env} from "./types.d.ts" */
import { SocketTransport } from "./transport.js";

const firstTrial = 60_000; // until the first trial, then more and more rarely
const trialPatience = 10_000; // then it is given up

export class Returning {
  /** When to look again. */
  due = Infinity;
  #env;
  #changed;
  #trials = 0; // so far; -1 where WebSocket has worked
  /** @type {{transport: SocketTransport, proven: boolean} | undefined} */
  #trial;

  /**
   * @param {Env} env
   * @param {() => void} changed
   */
  constructor(env, changed) {
    this.#env = env;
    this.#changed = changed;
  }

  /** A stream has begun. */
  begin() {
    const n = this.#trials++;
    this.due = this.#env.now() + (n < 0 ? 1000 : firstTrial * 2 ** Math.min(n, 3)) * (1 + this.#env.random());
  }

  /** WebSocket works here: it is tried soon. */
  worked() {
    this.#trials = -1;
  }

  stop() {
    this.#trial?.transport.close();
    this.#trial = undefined;
    this.due = Infinity;
  }

  /** Whether frames pass both ways. */
  get proven() {
    return this.#trial?.proven ?? false;
  }

  /** The time has come: begins a trial, or gives up one without an answer. @param {string} base */
  look(base) {
    if (this.#trial) return this.#later();
    this.due = this.#env.now() + trialPatience;
    try {
      const transport = new SocketTransport(this.#env, base, {
        first: () => '{"type":"ping","ref":1}',
        heard: () => {},
        ended: () => this.#later(),
        received: () => {
          if (this.#trial) this.#trial.proven = true;
          this.#changed();
        },
      });
      this.#trial = { transport, proven: false };
    } catch {
      this.#later();
    }
  }

  #later() {
    this.stop();
    this.begin();
    this.#changed();
  }

  /** Hands over the connection of a trial. */
  take() {
    const transport = this.#trial?.transport;
    this.#trial = undefined;
    this.due = Infinity;
    return transport;
  }
}
