// When and where the next connection is tried.

/** @import {Env, Failure} from "./types.d.ts" */
import { backoff } from "./base.js";

const lasting = 10_000; // a connection that lived so long was no failure
const wakefulness = 30_000; // short delays after waking up
const attemptsWindow = 120_000; // no more attempts in it than
const attemptsMost = 12;

export class Attempts {
  /** Counts the changes of the transport. */
  way = 0;
  #env;
  #own; // addresses that the application gave
  #hosts;
  #home; // where the last connection was
  /** Of other nodes. @type {string[]} */
  #others;
  /** Still to be tried before all are tried again. @type {string[]} */
  #round;
  #given = ""; // by the service, for the next attempt only
  #failures = 0;
  #shortLives = 0;
  /** @type {number[]} */
  #made = [];
  #notBefore = 0;
  #wakefulUntil = 0;

  /**
   * @param {Env} env
   * @param {string | string[]} url
   * @param {string[]} [hosts] to which the service may send the client
   */
  constructor(env, url, hosts = []) {
    this.#env = env;
    this.#own = [url].flat().map(baseOf);
    this.#hosts = hosts;
    this.#home = this.#own[0];
    this.#others = this.#own.slice(1);
    this.#round = [this.#home];
  }

  /** The user wishes to connect: what was before does not count. */
  restart() {
    this.#failures = this.#shortLives = this.#notBefore = 0;
    this.#made = [];
  }

  wake() {
    this.#wakefulUntil = this.#env.now() + wakefulness;
  }

  /** An attempt is made now. Returns its address. */
  next() {
    const now = this.#env.now();
    if (now >= this.#wakefulUntil) this.#made = [...this.#made, now].slice(-attemptsMost);
    if (this.#round.length === 0) this.#round = [...this.#shuffled(this.#others), this.#home];
    const address = this.#given || /** @type {string} */ (this.#round.shift());
    this.#given = "";
    return address;
  }

  /** @param {string[]} list */
  #shuffled(list) {
    const left = [...list];
    return list.map(() => left.splice(Math.floor(this.#env.random() * left.length), 1)[0]);
  }

  /**
   * Connected to a node, which has named others: the client stays there.
   * @param {string} base
   * @param {string[]} [addresses]
   */
  connected(base, addresses = []) {
    this.#home = base;
    this.#others = [...new Set([...this.#own, ...addresses.filter((address) => this.#safe(address)).map(baseOf)])].filter((other) => other !== base);
    this.#round = [base];
  }

  // Who began with TLS goes on with it.
  /** @param {string} address */
  #safe(address) {
    return URL.canParse(address) && (this.#own[0].startsWith("https:") ? /^(https|wss):/ : /^(http|ws)s?:/).test(address);
  }

  /**
   * A connection has ended, or an attempt. Says whether it has lasted.
   * @param {number} lived
   * @param {boolean} refused
   */
  ended(lived, refused) {
    if (lived >= lasting) {
      this.#failures = this.#shortLives = 0;
      return true;
    }
    if (!refused && ++this.#shortLives >= 3) {
      this.#shortLives = 0;
      this.way++;
    }
    return false;
  }

  /**
   * Returns how long to wait after a failure.
   * @param {Failure} failure
   */
  delay({ delay: wanted }) {
    const now = this.#env.now();
    const wakeful = now < this.#wakefulUntil;
    let delay = backoff(this.#env, this.#failures++, wakeful ? 1000 : undefined);
    // Chance could be unkind: so many attempts in so long a time at most.
    if (!wakeful && this.#made.length === attemptsMost) delay = Math.max(delay, this.#made[0] + attemptsWindow - now);
    if (wanted === undefined) return delay;
    this.#notBefore = now + wanted;
    return this.#failures > 1 ? Math.max(delay, wanted) : wanted;
  }

  /**
   * When to try after waking up, within so many milliseconds but not before
   * the time that the service gave.
   * @param {number} spread
   */
  soon(spread) {
    return Math.max(this.#notBefore, this.#env.now() + spread * this.#env.random());
  }

  /**
   * Takes another address from the service, if it is known.
   * @param {string | undefined} address
   */
  take(address) {
    this.#given = "";
    if (!address || !this.#safe(address)) return;
    const base = baseOf(address.replace(/\/v1\/(socket|stream)$/, ""));
    const { host } = new URL(base);
    const known = this.#others.includes(base) || this.#hosts.includes(host) || this.#own.some((own) => new URL(own).host === host);
    if (known) this.#given = base;
  }
}

/** @param {string} url */
function baseOf(url) {
  return url.replace(/^ws/, "http").replace(/\/+$/, "");
}
