// The connection: one state, changed by #enter alone, over one link.

/** @import {AnswerFrame, ClientOptions, ConnectedFrame, ConnectionState, Ending, Env, Failure, Frame, StateDetail, TopicFrame, Transport} from "./types.d.ts" */
import { Attempts } from "./attempts.js";
import { backoff, ChatError, connectionLost, defaultLimits } from "./base.js";
import { answerPatience, Link, pongPatience } from "./link.js";
import { Returning } from "./returning.js";
import { Tokens } from "./tokens.js";
import { SocketTransport, StreamTransport } from "./transport.js";

const openingPatience = 10_000; // until connected
const longestTimer = 2 ** 31 - 1;

/**
 * @typedef {object} Owner what the session tells the client
 * @property {(state: ConnectionState, detail: StateDetail) => void} entered
 * @property {() => void} opening commands that belong into the first message
 * @property {(frame: ConnectedFrame) => void} connected
 * @property {(frame: TopicFrame) => void} received
 * @property {() => void} lost
 */

export class Session {
  /** @type {ConnectionState} */
  state = "idle";
  limits = defaultLimits;
  user = "";

  #env;
  #owner;
  #options;
  #tokens;
  #attempts;
  #returning;
  /** @type {Link | undefined} */
  #link;
  #session = "";
  #moves = 0; // changes of the state
  #refreshAt = Infinity;
  /** @type {number | undefined} */
  #latency;

  // The one timer: what it is for is the state's matter.
  /** @type {unknown} */
  #timer;
  #due = Infinity;

  /**
   * @param {Env} env
   * @param {ClientOptions} options
   * @param {Owner} owner
   */
  constructor(env, options, owner) {
    this.#env = env;
    this.#options = options;
    this.#owner = owner;
    this.#attempts = new Attempts(env, options.url ?? globalThis.location?.origin ?? "", options.hosts);
    this.#returning = new Returning(env, () => this.#returns());
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

  /** The last round trip in milliseconds, or undefined. */
  get latency() {
    return (this.#latency = this.#link?.latency ?? this.#latency);
  }

  /**
   * Sends a command. The answer comes in order with all other frames; where
   * the connection ends first, it is the error connection_lost.
   * @param {{type: string} & Record<string, unknown>} frame
   * @param {(frame: AnswerFrame) => void} [answer]
   */
  command(frame, answer) {
    const link = this.#link;
    if (!link || !this.open) return answer?.({ type: "error", ...connectionLost });
    link.command(frame, answer);
    if (answer) this.#arm(this.#env.now() + answerPatience);
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

  // The life of a connection.

  connect() {
    if (this.state === "idle" || this.state === "failed" || this.state === "waiting") {
      this.#attempts.restart();
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
    this.#attempts.wake();
    if (this.state === "connected") this.probe();
    else if (this.state === "waiting") this.#rearm(Math.min(this.#due, this.#attempts.soon(spread)));
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
    this.#attempts.wake();
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
    const base = this.#attempts.next();
    const ways = this.#ways;
    this.#newLink(base, (receiver) => new (ways[this.#attempts.way % ways.length])(this.#env, base, receiver));
  }

  // Makes the link first: a stream takes its first message at once.
  /** @param {string} base @param {(receiver: Transport["receiver"]) => Transport} open */
  #newLink(base, open) {
    const link = (this.#link = new Link(this.#env, base));
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
    const token = this.#tokens.value || undefined;
    const user = token ? undefined : this.#options.user;
    this.command(
      { type: "connect", version: 1, client: "fanloop-js/1", token, user, session: this.#session || undefined },
      (answer) => this.#connected(answer),
    );
    this.#owner.opening();
    return link.first();
  }

  /** @param {AnswerFrame} answer */
  #connected(answer) {
    const link = this.#link;
    if (!link?.transport) return;
    if (answer.type !== "connected") {
      const failure = answer.type === "error" ? answer : { code: "bad_answer", retry: /** @type {const} */ ("never") };
      return this.#over(failure, true);
    }
    this.#attempts.connected(link.base, answer.addresses);
    this.#session = answer.session;
    this.limits = { ...defaultLimits, ...answer.limits };
    this.user = answer.user;
    this.#refreshIn(answer.ttl);
    if (link.transport.name === "sse" && this.#ways[0] === SocketTransport) this.#returning.begin();
    link.begin(answer, this.limits);
    this.#enter("connected");
    if (this.#link !== link) return;
    this.#owner.connected(answer);
    link.flush();
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
        this.#frame(link, JSON.parse(line));
      } catch (err) {
        return this.#lost({ code: 1006, reason: `bad frame: ${err}` });
      }
    }
    if (this.#returning.proven && link.idle) this.#changeWay();
  }

  /** @param {Link} link @param {Frame} frame */
  #frame(link, frame) {
    const { ref } = /** @type {{ref?: number}} */ (frame);
    if (frame.type === "closing") this.#over(frame, false, frame.address);
    else if (ref !== undefined) link.answer(ref, /** @type {AnswerFrame} */ (frame));
    else if (frame.type !== "error") this.#owner.received(/** @type {TopicFrame} */ (frame));
  }

  // Abandons the link: nothing it brings counts any more.
  /** @param {string} why */
  #drop(why) {
    const link = this.#link;
    this.#returning.stop();
    this.#refreshAt = Infinity;
    if (!link) return;
    this.#latency = link.latency ?? this.#latency;
    this.#link = undefined;
    link.end(why);
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
    const link = this.#link;
    const lived = link?.connectedAt ? this.#env.now() - link.connectedAt : 0;
    const lasted = this.#attempts.ended(lived, refused);
    if (lasted && link?.transport?.name === "websocket") this.#returning.worked();
    const moves = this.#moves;
    this.#drop("abandoned");
    if (this.#moves !== moves) return; // a listener did something else
    if (failure.retry === "never") return this.#enter("failed", { error: failure });
    if (failure.retry === "refresh") {
      this.#tokens.value = "";
      if (!this.#tokens.canFetch) return this.#enter("failed", { error: failure });
      if (lasted) return this.#start();
    }
    this.#attempts.take(address);
    this.#enter("waiting", { error: failure, delay: this.#attempts.delay(failure) });
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
    const slept = this.#env.now() - due > 2000;
    if (this.state === "waiting") this.#start();
    else if (this.state === "connecting") this.#lost({ code: 1006, reason: "no answer to the opening" });
    else if (this.state === "connected") this.#look(slept);
  }

  // Looks after what is due while connected.
  /** @param {boolean} slept */
  #look(slept) {
    const now = this.#env.now();
    const link = /** @type {Link} */ (this.#link);
    if (link.dead) {
      if (!slept) return this.#lost({ code: 1006, reason: "no answer to a probe" });
      link.forgetProbe();
      this.probe();
    }
    link.giveUp();
    if (this.#link !== link) return;
    if (now >= link.due) this.probe();
    if (now >= this.#refreshAt) this.#refresh();
    if (now >= this.#returning.due) this.#returning.proven ? this.#changeWay() : this.#returning.look(link.base);
    if (this.#link === link) this.#watch();
  }

  #watch() {
    const link = /** @type {Link} */ (this.#link);
    this.#rearm(Math.min(link.due, this.#refreshAt, this.#returning.due));
  }

  // Asks whether anybody is there.
  probe() {
    const link = this.#link;
    if (this.state !== "connected" || !link) return;
    link.probe(() => this.#link === link && this.state === "connected" && this.#watch());
    this.#watch();
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

  // Back to WebSocket.

  #returns() {
    if (this.state !== "connected") return;
    if (this.#returning.proven && this.#link?.idle) this.#changeWay();
    else this.#watch();
  }

  #changeWay() {
    const base = this.#link?.base;
    const transport = this.#returning.take();
    if (!transport || base === undefined) return;
    this.#drop("websocket");
    if (this.state !== "connected") return; // a listener ended it
    this.#attempts.way = 0;
    this.#newLink(base, (receiver) => {
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
