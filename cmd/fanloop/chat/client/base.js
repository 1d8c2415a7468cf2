// What all parts of the client stand on: offsets, errors, listeners, chance.

/** @import {Env, Failure, Limits, Position} from "./types.d.ts" */

/**
 * Compares offsets, which pass 2^53: by length, then by characters.
 * @param {string} a
 * @param {string} b
 */
export function compareOffsets(a, b) {
  if (typeof a !== "string" || typeof b !== "string") throw new TypeError("fanloop: an offset is a string");
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

/**
 * Says whether a moves on from b. Of two epochs, nobody knows the order: the
 * one that comes later counts.
 * @param {Position} a
 * @param {Position | undefined} b
 */
export function movesOn(a, b) {
  return !b || a.epoch !== b.epoch || compareOffsets(a.offset, b.offset) > 0;
}

/** An error with the protocol's code and what it says of another attempt. */
export class ChatError extends Error {
  /** @param {Failure} failure */
  constructor({ code, retry, message, delay }) {
    super(`fanloop: ${message ?? code}`);
    this.name = "ChatError";
    this.code = code;
    this.retry = retry;
    this.delay = delay;
  }
}

/** Throw it in getToken when the answer is no: the client stops and says so. */
export class Refused extends Error {
  name = "Refused";
}

/** @type {Failure} */
export const connectionLost = { code: "connection_lost", retry: "later" };

/** @type {Limits} The limits until the service has named its own. */
export const defaultLimits = {
  message: 65536, commands: 64, topics: 256, data: 16384, rate: 20, burst: 100, page: 100, unread: 1000, duplicates: 60000,
};

/**
 * Waits longer from attempt to attempt, by full jitter.
 * @param {Env} env
 * @param {number} attempt
 * @param {number} [cap]
 */
export function backoff(env, attempt, cap = 20000) {
  return env.random() * Math.min(cap, 500 * 2 ** Math.min(attempt, 16));
}

const encoder = new TextEncoder();

/** @param {string} text */
export function byteLength(text) {
  return encoder.encode(text).length;
}

/**
 * Takes lines from the front of a queue, as many as fit into one message.
 * @param {string[]} queue
 * @param {Limits} limits
 */
export function pack(queue, { commands, message }) {
  let n = 0;
  for (let size = 0; n < queue.length && n < commands; n++) {
    size += byteLength(queue[n]) + 1;
    if (n > 0 && size > message) break;
  }
  return queue.splice(0, n).join("\n");
}

/** @type {() => string} */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

/**
 * Calls listeners by the name of an event. What a listener throws is reported
 * as uncaught and disturbs nothing else.
 * @template {Record<string, unknown[]>} Events
 */
export class Emitter {
  /** @type {Map<keyof Events, Set<(...args: any[]) => void>>} */
  #listeners = new Map();

  /**
   * Adds a listener. Returns a function that removes it.
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(...args: Events[Name]) => void} listener
   */
  on(name, listener) {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set.add(listener));
    return () => void set.delete(listener);
  }

  /**
   * @internal
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {Events[Name]} args
   */
  emit(name, ...args) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(...args);
      } catch (err) {
        report(err);
      }
    }
  }
}

/** @param {unknown} err */
function report(err) {
  if (globalThis.reportError) return globalThis.reportError(err);
  queueMicrotask(() => {
    throw err;
  });
}

// Over HTTP/1.1 all tabs share six connections. A page from the cache of the browser does
// not say how it came, then something else of its origin may.
function tabsShareConnections() {
  if (typeof document !== "object") return false;
  const entries = /** @type {PerformanceResourceTiming[]} */ ([...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]);
  const known = entries.find(({ name, nextHopProtocol }) => nextHopProtocol && name.startsWith(location.origin));
  return !known || known.nextHopProtocol.startsWith("http/1");
}

/** @returns {Env} */
export function surroundings() {
  return {
    now: () => performance.now(),
    wall: () => Date.now(),
    setTimeout: (run, milliseconds) => setTimeout(run, milliseconds),
    clearTimeout: (timer) => clearTimeout(timer),
    random: () => Math.random(),
    fetch: (url, init) => fetch(url, init),
    WebSocket: globalThis.WebSocket,
    window: typeof window === "object" ? window : undefined,
    document: typeof document === "object" ? document : undefined,
    locks: tabsShareConnections() ? navigator.locks : undefined,
  };
}
