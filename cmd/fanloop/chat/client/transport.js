// The two ways of frames: a WebSocket, or a stream of Server-Sent Events with
// POSTs. Each carries the frames of one connection and never reconnects.

/** @import {Ending, Env, Limits, Receiver, Transport} from "./types.d.ts" */
import { backoff, defaultLimits, pack } from "./base.js";

const streamsMost = 4;
const busyMost = 30_000; // that a service may ask for with one POST

/** @implements {Transport} */
export class SocketTransport {
  /** @readonly */ name = "websocket";
  busyUntil = 0;
  /** @type {WebSocket | undefined} */
  #socket;
  #limits = defaultLimits;

  /**
   * @param {Env} env
   * @param {string} base
   * @param {Receiver} receiver
   */
  constructor(env, base, receiver) {
    this.receiver = receiver;
    const socket = new /** @type {NonNullable<Env["WebSocket"]>} */ (env.WebSocket)(
      base.replace(/^http/, "ws") + "/v1/socket",
      ["fanloop.chat.v1.json"],
    );
    this.#socket = socket;
    socket.onopen = () => socket.send(this.receiver.first());
    socket.onmessage = ({ data }) => this.receiver.received(String(data));
    socket.onclose = ({ code, reason }) => {
      this.#release();
      this.receiver.ended({ code, reason });
    };
    socket.onerror = () => {}; // its close follows
  }

  /**
   * @param {string} _session
   * @param {Limits} limits
   */
  begin(_session, limits) {
    this.#limits = limits;
  }

  /** @param {string[]} lines */
  send(lines) {
    while (lines.length > 0) this.#socket?.send(pack(lines, this.#limits));
  }

  /** @param {string} [reason] */
  close(reason) {
    const socket = this.#socket;
    this.#release();
    socket?.close(1000, reason);
  }

  #release() {
    const socket = this.#socket;
    if (socket) socket.onopen = socket.onmessage = socket.onclose = null;
    this.#socket = undefined;
  }
}

/** @implements {Transport} */
export class StreamTransport {
  /** @readonly */ name = "sse";
  busyUntil = 0;
  #env;
  #base;
  #abort = new AbortController();
  #session = "";
  #seq = 0;
  #limits = defaultLimits;
  /** @type {string[]} */
  #queue = [];
  #posting = false;

  /**
   * @param {Env} env
   * @param {string} base
   * @param {Receiver} receiver
   */
  constructor(env, base, receiver) {
    this.#env = env;
    this.#base = base;
    this.receiver = receiver;
    void this.#read(receiver.first());
  }

  /**
   * @param {string} session
   * @param {Limits} limits
   */
  begin(session, limits) {
    this.#session = session;
    this.#limits = limits;
  }

  /** @param {string[]} lines */
  send(lines) {
    this.#queue.push(...lines.splice(0));
    if (!this.#posting) void this.#empty();
  }

  close() {
    this.#abort.abort();
    this.#queue = [];
  }

  /** @param {Ending} ending */
  #end(ending) {
    if (this.#abort.signal.aborted) return;
    this.close();
    this.receiver.ended(ending);
  }

  /** @param {string} body */
  async #read(body) {
    try {
      if (!(await this.#claim())) return this.#end({ code: 1006, reason: "other tabs have the connections" });
      const response = await this.#request("/v1/stream", body, { Accept: "text/event-stream" });
      if (!response.ok || !response.body) return this.#end(ending(response));
      const events = new EventParser((data) => this.#abort.signal.aborted || this.receiver.received(data));
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      for (;;) {
        const { value, done } = await reader.read();
        if (done || this.#abort.signal.aborted) break;
        this.receiver.heard();
        events.push(decoder.decode(value, { stream: true }));
      }
    } catch {
      // The stream broke, which its end says as well.
    }
    this.#end({ code: 1006 });
  }

  // Takes one of the places for streams, which all tabs share: a browser opens
  // six connections to a server of HTTP/1.1, and without any left no page loads.
  // A page that is seen takes the place of another one.
  async #claim() {
    const { locks, document } = this.#env;
    if (!locks) return true;
    const ended = new Promise((resolve) => this.#abort.signal.addEventListener("abort", resolve));
    /** @param {number} place @param {LockOptions} options */
    const take = (place, options) => new Promise((resolve) => {
      const held = locks.request(`fanloop.stream.${place}`, options, (lock) => {
        resolve(lock !== null);
        return lock && ended;
      });
      held.catch(() => this.#end({ code: 1006, reason: "another tab took the connection" }));
    });
    for (let place = 0; place < streamsMost; place++) {
      if (await take(place, { ifAvailable: true })) return true;
    }
    if (document?.visibilityState === "hidden") return false;
    return take(Math.floor(this.#env.random() * streamsMost), { steal: true });
  }

  // Posts what is queued, one POST at a time.
  async #empty() {
    this.#posting = true;
    while (this.#queue.length > 0) {
      await this.#post(pack(this.#queue, this.#limits), ++this.#seq);
    }
    this.#posting = false;
  }

  // Repeats a POST with its number until it is taken or the stream ends.
  /**
   * @param {string} body
   * @param {number} seq
   */
  async #post(body, seq) {
    const headers = { "Fanloop-Session": this.#session, "Fanloop-Seq": String(seq) };
    const first = this.#env.now();
    for (let attempt = 0; !this.#abort.signal.aborted; attempt++) {
      let delay = backoff(this.#env, attempt, 5000);
      try {
        const response = await this.#request("/v1/commands", body, headers);
        if (response.ok) return;
        const { status } = response;
        if (status < 500 && status !== 429) return this.#end(ending(response));
        const asked = ending(response).delay ?? 0;
        // Who is asked to wait waits for no answer meanwhile, but not for ever.
        if (asked > 0) this.busyUntil = Math.min(this.#env.now() + asked, first + busyMost);
        delay = Math.max(delay, asked);
      } catch {
        // No answer: it may have been taken, so the same number goes again.
      }
      await new Promise((resolve) => this.#env.setTimeout(() => resolve(undefined), delay));
    }
  }

  /**
   * @param {string} path
   * @param {string} body
   * @param {Record<string, string>} headers
   */
  #request(path, body, headers) {
    return this.#env.fetch(this.#base + path, {
      method: "POST",
      body,
      headers: { "Content-Type": "application/json", ...headers },
      signal: this.#abort.signal,
      cache: "no-store",
      credentials: "same-origin", // the service looks at no cookies, a proxy in front of it may
      redirect: "error",
    });
  }
}

/**
 * Says in close codes what a status means.
 * @param {Response} response
 * @returns {Ending}
 */
function ending({ status, headers }) {
  const reason = `HTTP ${status}`;
  if (status === 401 || status === 403) return { code: 4401, reason };
  if (status === 413 || status === 415) return { code: 1009, reason };
  const seconds = Number(headers.get("Retry-After"));
  return { code: 1006, reason, delay: seconds > 0 ? Math.min(seconds, 300) * 1000 : undefined };
}

/** Takes the data of events out of a text/event-stream that comes in pieces. */
export class EventParser {
  #rest = "";
  /** @type {string[]} */
  #data = [];
  #take;

  /** @param {(data: string) => void} take */
  constructor(take) {
    this.#take = take;
  }

  /** @param {string} text */
  push(text) {
    // A CR at the end may be half of a CRLF: it waits for what follows.
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = /** @type {string} */ (lines.pop());
    for (const line of lines) {
      if (line.startsWith("data:")) this.#data.push(line.slice(line[5] === " " ? 6 : 5));
      else if (line === "" && this.#data.length > 0) this.#take(this.#data.splice(0).join("\n"));
    }
  }
}
