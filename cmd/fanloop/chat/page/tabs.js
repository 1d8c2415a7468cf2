// What the tabs of a user have in common: locks say which of them lives and which
// shows a room. They end with the tab, however it ends.

import { keyOf } from "./keys.js";

const patience = 1000; // until the page before a reload has gone

/**
 * Holds a lock. Says whether it got it, and returns how to let it go.
 * @param {string} name
 * @param {LockOptions} options
 */
async function hold(name, options) {
  let release;
  const released = new Promise((resolve) => (release = resolve));
  const got = await new Promise((resolve) => {
    const lock = (lock) => (resolve(lock !== null), lock && released);
    navigator.locks.request(name, options, lock).catch(() => resolve(false));
  });
  return { got, release };
}

/**
 * Where this tab keeps what it sends until it is stored: a key of the storage of
 * all tabs. What a tab left that was killed is this one's now.
 * @returns {Promise<{storage: Storage, storageKey?: string}>}
 */
export async function outbox(user) {
  if (!globalThis.navigator?.locks) return { storage: sessionStorage };
  try {
    const prefix = keyOf(user, "outbox ");
    let key = prefix + (sessionStorage.getItem("fanloop.tab") ?? "");
    let mine = key === prefix ? { got: false } : await hold(key, { signal: AbortSignal.timeout(patience) });
    if (!mine.got) {
      const id = crypto.randomUUID();
      sessionStorage.setItem("fanloop.tab", id);
      mine = await hold((key = prefix + id), {});
    }
    for (const other of Object.keys(localStorage)) if (other.startsWith(prefix) && other !== key) await adopt(other, key);
    keepWhileShown(key, mine.release);
    return { storage: localStorage, storageKey: key };
  } catch {
    return { storage: sessionStorage }; // no storage for all tabs
  }
}

// Takes over what a tab left, unless it lives.
async function adopt(other, key) {
  const { got, release } = await hold(other, { ifAvailable: true });
  const left = got && localStorage.getItem(other);
  if (left) {
    const own = JSON.parse(localStorage.getItem(key) ?? "[]");
    localStorage.setItem(key, JSON.stringify([...JSON.parse(left), ...own]));
    localStorage.removeItem(other);
  }
  release();
}

// A page with a lock could not be kept for the Back button.
function keepWhileShown(key, release) {
  addEventListener("pagehide", () => release());
  addEventListener("pageshow", async ({ persisted }) => {
    if (persisted) ({ release } = await hold(key, {}));
  });
}

/** Which room this tab shows, for the other tabs. */
export class Shown {
  #user;
  #room = null;
  #leave = () => {};

  constructor(user) {
    this.#user = user;
  }

  #name(room) {
    return keyOf(this.#user, `shows ${room}`);
  }

  /** @param {string | null} room */
  set(room) {
    if (room === this.#room) return;
    this.#leave();
    this.#room = room;
    if (room === null || !globalThis.navigator?.locks) return;
    const left = new Promise((resolve) => (this.#leave = resolve));
    void navigator.locks.request(this.#name(room), { mode: "shared" }, () => left);
  }

  /** Whether any tab shows a room. */
  async any(room) {
    if (room === this.#room) return true;
    const { held } = (await navigator.locks?.query()) ?? { held: [] };
    return held.some(({ name }) => name === this.#name(room));
  }
}
