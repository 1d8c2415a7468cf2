// The connection: one state, changed by #enter alone, over one transport.

/** @import {AnswerFrame, ClientOptions, ConnectedFrame, ConnectionState, Ending, Env, Failure, Frame, StateDetail, TopicFrame, Transport} from "./types.d.ts" */
import { backoff, ChatError, connectionLost, defaultLimits, pack } from "./base.js";
import { Tokens } from "./tokens.js";
import { SocketTransport, StreamTransport } from "./transport.js";

const openingPatience = 10_000; // until connected
const lasting = 10_000; // a connection that lived so long was no failure
const answerPatience = 5_000; // then a probe
const pongPatience = 3_000;
const commandPatience = 30_000; // although pongs come
const wakefulness = 30_000; // short delays after waking up
const attemptsWindow = 120_000; // no more attempts in it than
const attemptsMost = 12;
const returnAfter = 60_000; // from the fallback to WebSocket
const longestTimer = 2 ** 31 - 1;

/**
 * @typedef {object} Owner what the session tells the client
 * @property {(state: ConnectionState, detail: StateDetail) => void} entered
 * @property {() => void} opening commands that belong into the first message
 * @property {(frame: ConnectedFrame) => void} connected
 * @property {(frame: TopicFrame) => void} received
 * @property {() => void} lost
 */

/**
 * @typedef {object} Link one connection, from its opening to its end
 * @property {Transport | undefined} transport
 * @property {number} openedAt
 * @property {number | undefined} sentAt when the first message went
 * @property {number} connectedAt 0 until connected has come
 * @property {number} heardAt when something came last
 * @property {number} provedAt when a pong came last
 * @property {number} probedAt when the probe that has no pong was sent, or 0
 */

export class Session {
  /** @type {ConnectionState} */
  state = "idle";
  limits = defaultLimits;
  user = "";
  /** Round trip of the last probe in milliseconds, or undefined. */
  latency = /** @type {number | undefined} */ (undefined);

  #env;
  #owner;
  #options;
  #base;
  #tokens;
  /** @type {Link | undefined} */
  #link;
  #session = "";
  #ping = 0;
  /** @type {Map<number, {at: number, answer: (frame: AnswerFrame) => void}>} */
  #commands = new Map();
  #ref = 0;
  /** @type {string[]} */
  #queue = [];
  #flushing = false;

  // The one timer: what it is for is the state's matter.
  /** @type {unknown} */
  #timer;
  #due = Infinity;

  #moves = 0;

  // Attempts.
  #failures = 0;
  #shortLives = 0;
  /** @type {number[]} */
  #attempts = [];
  #notBefore = 0;
  #wakefulUntil = 0;
  #address = "";

  // Tokens and transports, while connected.
  #refreshAt = Infinity;
  #way = 0;
  /** @type {{transport: SocketTransport, proven: boolean} | undefined} */
  #trial;
  #returnAt = Infinity;
  #returns = 0; // attempts so far; -1 where WebSocket has worked

  /**
   * @param {Env} env
   * @param {ClientOptions} options
   * @param {Owner} owner
   */
  constructor(env, options, owner) {
    this.#env = env;
    this.#options = options;
    this.#owner = owner;
    this.#base = baseOf(options.url ?? globalThis.location?.origin ?? "");
    this.#tokens = new Tokens(env, options.getToken, undefined, (failure) => this.#fetched(failure));
    this.#tokens.value = options.token ?? "";
  }

  // Commands.

  /** Whether commands are taken. Until connected has come they wait. */
  get open() {
    return this.#link?.sentAt !== undefined;
  }

  /** Whether commands go out now. */
  get ready() {
    return this.state === "connected" && this.open;
  }

  get transport() {
    return this.#link?.transport?.name;
  }

  /**
   * Sends a command. The answer comes in order with all other frames; where
   * the connection ends first, it is the error connection_lost.
   * @param {{type: string} & Record<string, unknown>} frame
   * @param {(frame: AnswerFrame) => void} [answer]
   */
  command({ type, ...rest }, answer) {
    /** @type {number | undefined} */
    let ref;
    if (answer) {
      if (!this.open) return answer({ type: "error", ...connectionLost });
      ref = this.#ref = (this.#ref % 0xffffffff) + 1;
      this.#commands.set(ref, { at: this.#env.now(), answer });
      this.#arm(this.#env.now() + answerPatience);
    }
    this.#queue.push(JSON.stringify({ type, ref, ...rest }));
    if (!this.#flushing) {
      this.#flushing = true;
      queueMicrotask(() => this.#flush());
    }
  }

  /**
   * Sends a command and returns the answer of a type; an error is thrown.
   * @template {AnswerFrame["type"]} Type
   * @param {{type: string} & Record<string, unknown>} frame
   * @param {Type} type
   * @returns {Promise<Extract<AnswerFrame, {type: Type}>>}
   */
  request(frame, type) {
    return new Promise((resolve, reject) => {
      if (!this.ready) return reject(new ChatError(connectionLost));
      this.command(frame, (answer) => {
        if (answer.type === type) resolve(/** @type {any} */ (answer));
        else reject(new ChatError(answer.type === "error" ? answer : { code: "bad_answer", retry: "never" }));
      });
    });
  }

  #flush() {
    this.#flushing = false;
    if (this.ready) this.#link?.transport?.send(this.#queue);
  }

  // The life of a connection.

  connect() {
    if (this.state === "idle" || this.state === "failed" || this.state === "waiting") {
      this.#failures = this.#shortLives = this.#notBefore = 0;
      this.#attempts = [];
      this.#start();
    }
  }

  disconnect() {
    this.#drop("disconnect");
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
    if (this.state === "connected") this.#sendToken();
    if (this.state === "signing-in") this.#start();
  }

  /**
   * The page can be seen again, or the network is back.
   * @param {number} [spread] wait a random time up to this
   */
  wake(spread = 0) {
    const now = this.#env.now();
    this.#wakefulUntil = now + wakefulness;
    if (this.state === "connected") this.probe();
    else if (this.state === "waiting") this.#rearm(Math.min(this.#due, Math.max(this.#notBefore, now + spread * this.#env.random())));
    else if (this.state === "connecting" && now - (this.#link?.openedAt ?? now) > pongPatience) {
      this.#drop("stuck");
      this.#start();
    }
  }

  /** The page goes into the back/forward cache, or for ever. */
  suspend() {
    if (this.state === "idle" || this.state === "failed") return;
    this.#drop("pagehide");
    this.#enter("suspended");
  }

  /** The page is back from the back/forward cache. */
  resume() {
    if (this.state === "idle" || this.state === "failed") return;
    this.#wakefulUntil = this.#env.now() + wakefulness;
    this.#drop("pageshow");
    this.#start();
  }

  // #enter is the only place that changes the state. Its timer ends with it.
  /**
   * @param {ConnectionState} state
   * @param {StateDetail} [detail]
   */
  #enter(state, detail = {}) {
    this.state = state;
    this.#moves++;
    this.#rearm(Infinity);
    if (state === "waiting") this.#rearm(this.#env.now() + (detail.delay ?? 0));
    if (state === "connecting") this.#rearm(this.#env.now() + openingPatience);
    if (state === "connected") this.#watch();
    this.#owner.entered(state, detail);
  }

  #start() {
    if (this.#tokens.canFetch && !this.#tokens.value) {
      this.#enter("signing-in");
      this.#tokens.fetch();
    } else this.#openLink();
  }

  #openLink() {
    const now = this.#env.now();
    if (now >= this.#wakefulUntil) this.#attempts = [...this.#attempts, now].slice(-attemptsMost);
    const base = this.#address || this.#base;
    this.#address = "";
    this.#newLink((receiver) => new (this.#ways[this.#way])(this.#env, base, receiver));
  }

  // Makes the link first: a stream takes its first message at once.
  /** @param {(receiver: Transport["receiver"]) => Transport} open */
  #newLink(open) {
    const now = this.#env.now();
    /** @type {Link} */
    const link = { transport: undefined, openedAt: now, sentAt: undefined, connectedAt: 0, heardAt: now, provedAt: 0, probedAt: 0 };
    this.#link = link;
    this.#enter("connecting");
    if (this.#link !== link) return; // a listener ended it
    try {
      link.transport = open({
        first: () => this.#first(link),
        heard: () => void (link.heardAt = this.#env.now()),
        received: (text) => this.#received(link, text),
        ended: (ending) => this.#lost(ending),
      });
    } catch (err) {
      this.#lost({ code: 1006, reason: String(err) });
    }
  }

  get #ways() {
    const wanted = this.#options.transports ?? ["websocket", "sse"];
    const ways = wanted.filter((way) => way === "sse" || this.#env.WebSocket);
    return ways.map((way) => (way === "sse" ? StreamTransport : SocketTransport));
  }

  /** @param {Link} link */
  #first(link) {
    link.sentAt = this.#env.now();
    this.#queue = [];
    this.command(
      {
        type: "connect", version: 1, client: "fanloop-js/1",
        token: this.#tokens.value || undefined,
        user: this.#tokens.value ? undefined : this.#options.user,
        session: this.#session || undefined,
      },
      (answer) => this.#connected(answer),
    );
    this.#owner.opening();
    return pack(this.#queue, defaultLimits);
  }

  /** @param {AnswerFrame} answer */
  #connected(answer) {
    const link = this.#link;
    if (!link?.transport) return;
    if (answer.type !== "connected") {
      const failure = answer.type === "error" ? answer : { code: "bad_answer", retry: /** @type {const} */ ("never") };
      return this.#over(failure, true);
    }
    const now = this.#env.now();
    link.connectedAt = link.provedAt = now;
    this.latency = now - (link.sentAt ?? now);
    this.#session = answer.session;
    this.limits = { ...defaultLimits, ...answer.limits };
    this.user = answer.user;
    this.#ping = answer.ping ?? 0;
    this.#refreshIn(answer.ttl);
    this.#returnAt = link.transport.name === "sse" && this.#ways[0] === SocketTransport ? now + this.#returnDelay() : Infinity;
    link.transport.begin(answer.session, this.limits);
    this.#enter("connected");
    if (this.#link !== link) return;
    this.#owner.connected(answer);
    this.#flush();
  }

  /**
   * @param {Link} link
   * @param {string} text
   */
  #received(link, text) {
    link.heardAt = this.#env.now();
    for (const line of text.split("\n")) {
      if (this.#link !== link) return; // a listener ended it
      if (line === "") continue;
      try {
        this.#frame(JSON.parse(line));
      } catch (err) {
        return this.#lost({ code: 1006, reason: `bad frame: ${err}` });
      }
    }
    if (this.#trial?.proven && this.#commands.size === 0) this.#changeWay();
  }

  /** @param {Frame} frame */
  #frame(frame) {
    const { ref } = /** @type {{ref?: number}} */ (frame);
    if (frame.type === "closing") this.#over(frame, false, frame.address);
    else if (ref === undefined) {
      if (frame.type !== "error") this.#owner.received(/** @type {TopicFrame} */ (frame));
    } else {
      const command = this.#commands.get(ref);
      this.#commands.delete(ref);
      command?.answer(/** @type {AnswerFrame} */ (frame));
    }
  }

  // Abandons the link: nothing it brings counts any more.
  /** @param {string} why */
  #drop(why) {
    const link = this.#link;
    this.#trial?.transport.close();
    this.#trial = undefined;
    this.#refreshAt = this.#returnAt = Infinity;
    if (!link) return;
    this.#link = undefined;
    link.transport?.close(why);
    this.#queue = [];
    const commands = [...this.#commands.values()];
    this.#commands.clear();
    for (const { answer } of commands) answer({ type: "error", ...connectionLost });
    this.#owner.lost();
  }

  // The transport ended, or is given up.
  /** @param {Ending} ending */
  #lost({ code, reason, delay }) {
    const retry = verdict(code);
    this.#over({ code: retry === "never" || retry === "refresh" ? nameOf(code) : "connection_lost", retry, message: reason || `close code ${code}`, delay }, false);
  }

  // Decides what comes after a connection.
  /**
   * @param {Failure} failure
   * @param {boolean} refused
   * @param {string} [address]
   */
  #over(failure, refused, address) {
    const now = this.#env.now();
    const link = this.#link;
    const lived = link?.connectedAt ? now - link.connectedAt : 0;
    if (lived >= lasting) {
      this.#failures = this.#shortLives = 0;
      if (link?.transport?.name === "websocket") this.#returns = -1; // it works here
    } else if (!refused && ++this.#shortLives >= 3) {
      this.#shortLives = 0;
      this.#way = (this.#way + 1) % this.#ways.length;
    }
    const moves = this.#moves;
    this.#drop("abandoned");
    if (this.#moves !== moves) return; // a listener did something else
    if (failure.retry === "never") return this.#enter("failed", { error: failure });
    if (failure.retry === "refresh") {
      this.#tokens.value = "";
      if (!this.#tokens.canFetch) return this.#enter("failed", { error: failure });
      if (lived >= lasting) return this.#start();
    }
    this.#address = this.#allowed(address);
    this.#wait(failure);
  }

  /** @param {Failure} error */
  #wait(error) {
    const now = this.#env.now();
    const wakeful = now < this.#wakefulUntil;
    let delay = backoff(this.#env, this.#failures++, wakeful ? 1000 : undefined);
    // Chance could be unkind: so many attempts in so long a time at most.
    if (!wakeful && this.#attempts.length === attemptsMost) delay = Math.max(delay, this.#attempts[0] + attemptsWindow - now);
    if (error.delay !== undefined) {
      this.#notBefore = now + error.delay;
      delay = this.#failures > 1 ? Math.max(delay, error.delay) : error.delay;
    }
    this.#enter("waiting", { error, delay });
  }

  // Another address is taken from the service only if it is known.
  /** @param {string | undefined} address */
  #allowed(address) {
    if (!address || !URL.canParse(address)) return "";
    const { host, protocol } = new URL(address);
    const own = new URL(this.#base);
    if (host !== own.host && !this.#options.hosts?.includes(host)) return "";
    if (own.protocol === "https:" && protocol !== "https:" && protocol !== "wss:") return "";
    return baseOf(address.replace(/\/v1\/(socket|stream)$/, ""));
  }

  // The one timer.

  /** @param {number} due */
  #arm(due) {
    if (this.state === "connected" && due < this.#due) this.#rearm(due);
  }

  /** @param {number} due */
  #rearm(due) {
    if (this.#timer !== undefined) this.#env.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due = due;
    if (due === Infinity) return;
    const delay = Math.min(longestTimer, Math.max(0, due - this.#env.now()));
    this.#timer = this.#env.setTimeout(() => {
      this.#timer = undefined;
      this.#tick(due);
    }, delay);
  }

  // A timer that comes late, after a sleep, is no reason to act twice.
  /** @param {number} due */
  #tick(due) {
    const now = this.#env.now();
    const slept = now - due > 2000;
    if (this.state === "waiting") this.#start();
    else if (this.state === "connecting") this.#lost({ code: 1006, reason: "no answer to the opening" });
    else if (this.state === "connected") this.#look(now, slept);
  }

  // Looks after what is due while connected.
  /**
   * @param {number} now
   * @param {boolean} slept
   */
  #look(now, slept) {
    const link = /** @type {Link} */ (this.#link);
    if (link.probedAt && now >= link.probedAt + pongPatience) {
      if (!slept) return this.#lost({ code: 1006, reason: "no answer to a probe" });
      link.probedAt = 0;
      this.probe();
    }
    this.#giveUp(now - commandPatience);
    if (this.#link !== link) return;
    if (now >= this.#probeDue(link)) this.probe();
    if (now >= this.#refreshAt) this.#refresh();
    if (now >= this.#returnAt) this.#tryWebSocket();
    if (this.#link === link) this.#watch();
  }

  #watch() {
    const link = /** @type {Link} */ (this.#link);
    this.#rearm(Math.min(this.#probeDue(link), this.#refreshAt, this.#returnAt));
  }

  /** @param {Link} link */
  #probeDue(link) {
    if (link.probedAt) return link.probedAt + pongPatience;
    let due = Infinity;
    for (const { at } of this.#commands.values()) {
      due = Math.max(at, link.provedAt, link.transport?.busyUntil ?? 0) + answerPatience;
      break; // the oldest
    }
    const visible = this.#env.document?.visibilityState !== "hidden";
    if (visible && this.#ping > 0) due = Math.min(due, link.heardAt + 2 * this.#ping);
    return due;
  }

  // Asks whether anybody is there.
  probe() {
    const link = this.#link;
    if (this.state !== "connected" || !link || link.probedAt) return;
    const at = (link.probedAt = this.#env.now());
    this.command({ type: "ping" }, (answer) => {
      if (this.#link !== link || answer.type === "error") return;
      link.probedAt = 0;
      link.provedAt = this.#env.now();
      this.latency = link.provedAt - at;
      this.#watch();
    });
    this.#watch();
  }

  // A command whose answer does not come on a live connection has failed.
  /** @param {number} before */
  #giveUp(before) {
    for (const [ref, { at, answer }] of this.#commands) {
      if (at > before) return;
      this.#commands.delete(ref);
      answer({ type: "error", code: "timeout", retry: "later" });
    }
  }

  // Tokens.

  /** @param {number | undefined} ttl */
  #refreshIn(ttl) {
    const fetches = ttl !== undefined && this.#tokens.canFetch;
    this.#refreshAt = fetches ? this.#env.now() + ttl * (0.7 + 0.2 * this.#env.random()) : Infinity;
    if (this.state === "connected") this.#watch();
  }

  #refresh() {
    this.#refreshAt = Infinity;
    this.#tokens.fetch();
  }

  // A fetch of a token has ended.
  /** @param {Failure} [failure] */
  #fetched(failure) {
    if (this.state === "idle" || this.state === "failed") return;
    if (failure?.retry === "never") {
      this.#drop("unauthorized");
      this.#enter("failed", { error: failure });
    } else if (this.state === "signing-in") {
      if (failure) this.#enter("waiting", { error: failure, delay: failure.delay });
      else this.#openLink();
    } else if (this.state === "connected") {
      if (failure) this.#refreshAgain(failure);
      else this.#sendToken();
    }
  }

  #sendToken() {
    this.command({ type: "refresh", token: this.#tokens.value }, (answer) => {
      if (answer.type === "refreshed") this.#refreshIn(answer.ttl);
      else if (answer.type === "error") this.#refreshAgain(answer);
    });
  }

  /** @param {Failure} failure */
  #refreshAgain({ delay }) {
    if (this.state !== "connected" || !this.#link || !this.#tokens.canFetch) return;
    this.#refreshAt = this.#env.now() + (delay ?? 1000 + backoff(this.#env, 6));
    this.#watch();
  }

  // Back to WebSocket. A second connection shows first that frames pass both
  // ways: the service answers a ping before connect, if only with an error.

  #returnDelay() {
    const n = this.#returns++;
    return (n < 0 ? 1000 : returnAfter * 2 ** Math.min(n, 3)) * (1 + this.#env.random());
  }

  #tryWebSocket() {
    if (this.#trial?.proven) return this.#changeWay();
    if (this.#trial) return this.#tryLater();
    this.#returnAt = this.#env.now() + openingPatience;
    try {
      const transport = new SocketTransport(this.#env, this.#base, {
        first: () => '{"type":"ping","ref":1}',
        heard: () => {},
        ended: () => this.#tryLater(),
        received: () => {
          if (this.#trial) this.#trial.proven = true;
          if (this.#commands.size === 0) this.#changeWay();
        },
      });
      this.#trial = { transport, proven: false };
    } catch {
      this.#tryLater();
    }
  }

  #tryLater() {
    this.#trial?.transport.close();
    this.#trial = undefined;
    this.#returnAt = this.#env.now() + this.#returnDelay();
    if (this.state === "connected") this.#watch();
  }

  #changeWay() {
    const transport = this.#trial?.transport;
    if (!transport) return;
    this.#trial = undefined;
    this.#drop("websocket");
    if (this.state !== "connected") return; // a listener ended it
    this.#way = 0;
    this.#newLink((receiver) => {
      transport.receiver = receiver;
      transport.send([receiver.first()]);
      return transport;
    });
  }
}

/**
 * Says what to do after a close code.
 * @param {number} code
 * @returns {Failure["retry"]}
 */
export function verdict(code) {
  if (code >= 4300 && code <= 4399) return "refresh";
  if (code >= 4400 && code <= 4499) return "never";
  return [1002, 1003, 1007, 1009].includes(code) ? "never" : "later";
}

/** @param {number} code */
function nameOf(code) {
  const names = new Map([
    [4300, "token_expired"], [4400, "bad_frame"], [4401, "unauthorized"], [4403, "revoked"],
    [4406, "unsupported_version"], [4409, "replaced"],
  ]);
  return names.get(code) ?? `closed_${code}`;
}

/** @param {string} url */
function baseOf(url) {
  return url.replace(/^ws/, "http").replace(/\/+$/, "");
}
