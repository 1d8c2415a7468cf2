// Gets a token when one is needed, one fetch at a time whoever asks, and renews it
// on a connection or a subscription that goes on.

/** @import {AnswerFrame, Env, Failure, GetToken} from "./types.d.ts" */
import { Alarm } from "./alarm.js";
import { backoff, Refused } from "./base.js";

const patience = 60_000;
const shortest = 5_000; // a token that lives less is at the end of its life
/** @type {Failure} */
const oldToken = { code: "old_token", retry: "later", message: "getToken gave a token at the end of its life, or one that ends with the last" };

export class Tokens {
  /** The token, or "" while there is none. */
  value = "";
  #env;
  #get;
  #topic;
  #done;
  #bring;
  #told;
  #alarm; // when to get the next one
  #fetching = 0;
  #fetches = 0;
  #failures = 0;
  #ends = -Infinity; // when the last token ends
  #fetched = false; // since one was taken
  #vain = 0; // renewals in a row that gave nothing better

  /**
   * @param {Env} env
   * @param {GetToken | undefined} get
   * @param {string | undefined} topic
   * @param {(failure?: Failure) => void} done called when a fetch has ended
   * @param {(token: string, answer: (frame: AnswerFrame) => void) => void} bring brings a token to the service
   * @param {(failure: Failure) => void} told called when a renewal was in vain
   */
  constructor(env, get, topic, done, bring, told) {
    this.#env = env;
    this.#get = get;
    this.#topic = topic;
    this.#done = done;
    this.#bring = bring;
    this.#told = told;
    this.#alarm = new Alarm(env, () => this.fetch());
  }

  get canFetch() {
    return this.#get !== undefined;
  }

  /** Gets a new token, unless that is going on. Its end is told by done. */
  fetch() {
    if (this.#fetching > 0) return;
    const fetch = (this.#fetching = ++this.#fetches);
    const abort = new AbortController();
    const timer = this.#env.setTimeout(() => {
      abort.abort();
      end(new Error("getToken did not answer"));
    }, patience);
    /** @param {unknown} err @param {string} [token] */
    const end = (err, token) => {
      this.#env.clearTimeout(timer);
      if (this.#fetching !== fetch) return;
      this.#fetching = 0;
      if (token) this.value = token;
      this.#fetched = !!token;
      this.#failures = token ? 0 : this.#failures + 1;
      this.#done(token ? undefined : this.#failure(err));
    };
    // A callback that throws at once is one whose promise is rejected.
    new Promise((resolve) => resolve(this.#get?.({ topic: this.#topic, signal: abort.signal }))).then(
      (token) => end(undefined, String(token ?? "")),
      end,
    );
  }

  /** Forgets the token, and ignores what a fetch on its way brings. */
  clear() {
    this.value = "";
    this.#fetching = this.#vain = 0;
    this.#ends = -Infinity;
  }

  // Renewal.

  /** The service has taken the token, which lives so long. @param {number | undefined} ttl */
  taken(ttl = Infinity) {
    const ends = this.#env.now() + ttl;
    const better = ttl === Infinity || (ttl >= shortest && ends > this.#ends + 1000);
    const vain = this.#fetched && !better;
    if (better) this.#vain = 0;
    this.#ends = ends;
    this.#fetched = false;
    if (vain) this.again({ ...oldToken, delay: ttl / 2 });
    else this.#fetchIn(Math.max(1000 + 1000 * this.#env.random(), ttl * (0.7 + 0.2 * this.#env.random())));
  }

  /** Brings a new token to the service. */
  renew() {
    this.#bring(this.value, (answer) => {
      if (answer.type === "refreshed") this.taken(answer.ttl);
      else if (answer.type === "error") this.again(answer);
    });
  }

  /** No new token was got, or it was not taken: another one may do. @param {Failure} failure */
  again(failure) {
    this.#fetchIn(Math.max(failure.delay ?? 0, 1000 + backoff(this.#env, ++this.#vain)));
    this.#told(failure);
  }

  /** @param {number} delay */
  #fetchIn(delay) {
    this.#alarm.set(this.canFetch ? this.#env.now() + delay : Infinity);
  }

  /** There is nothing to renew any more. */
  stop() {
    this.#alarm.set(Infinity);
  }

  /**
   * @param {unknown} err
   * @returns {Failure}
   */
  #failure(err) {
    const message = err instanceof Error ? err.message : "getToken gave no token";
    if (err instanceof Refused) return { code: "unauthorized", retry: "never", message };
    return { code: "no_token", retry: "later", message, delay: backoff(this.#env, this.#failures - 1) };
  }
}

/**
 * Makes a getToken that asks an address of your site by POST, with the cookies of the
 * page's origin; { credentials: "include" } sends those of another origin too. The answer
 * is the token as text; white space around it is left out. 401 and 403 are a no; anything else that is not 2xx is asked
 * again later.
 * @param {string} url
 * @param {{credentials?: RequestCredentials}} [options]
 * @returns {GetToken}
 */
export function tokenFrom(url, { credentials = "same-origin" } = {}) {
  return async ({ topic, signal }) => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ topic }),
      credentials,
      signal,
    });
    if (response.status === 401 || response.status === 403) throw new Refused(`HTTP ${response.status}`);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return (await response.text()).trim();
  };
}
