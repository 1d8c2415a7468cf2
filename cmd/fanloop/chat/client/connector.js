// Where a session has its links from: to which address, by which transport, and
// from the fallback back to WebSocket. One link at a time.

/** @import {ClientOptions, Ending, Env, Frame, Transport} from "./types.d.ts" */
import { Attempts } from "./attempts.js";
import { checked } from "./frames.js";
import { Link } from "./link.js";
import { Returning } from "./returning.js";
import { SocketTransport, StreamTransport } from "./transport.js";

/**
 * @typedef {object} LinkEvents
 * @property {() => void} began a link was made; the first message follows
 * @property {() => void} first commands that go into the first message
 * @property {(frame: Frame) => void} received a frame that answers no command
 * @property {(ending: Ending) => void} ended the transport ended, or nobody answers
 * @property {() => void} dropped nothing of the link counts any more
 */

export class Connector {
  /** @type {Link | undefined} */
  link;
  /** @readonly */ attempts;
  #env;
  #wanted;
  #events;
  #returning;
  /** @type {number | undefined} */
  #latency;
  #moves = 0; // links that were made or dropped

  /**
   * @param {Env} env
   * @param {ClientOptions} options
   * @param {LinkEvents} events
   */
  constructor(env, { url, hosts, transports = ["websocket", "sse"] }, events) {
    this.#env = env;
    this.#wanted = transports;
    this.#events = events;
    this.attempts = new Attempts(env, url ?? globalThis.location?.origin ?? "", hosts);
    this.#returning = new Returning(env, (wanted) => this.#return(wanted));
  }

  /** The last round trip in milliseconds, or undefined. */
  get latency() {
    return (this.#latency = this.link?.latency ?? this.#latency);
  }

  get #ways() {
    const ways = this.#wanted.filter((way) => way === "sse" || this.#env.WebSocket);
    return ways.map((way) => (way === "sse" ? StreamTransport : SocketTransport));
  }

  open() {
    const base = this.attempts.next();
    const ways = this.#ways;
    this.#make(base, (receiver) => new (ways[this.attempts.way % ways.length])(this.#env, base, receiver));
  }

  // Makes the link first: a stream takes its first message at once.
  /** @param {string} base @param {(receiver: Transport["receiver"]) => Transport} open */
  #make(base, open) {
    /** @param {Ending} ending */
    const ended = (ending) => this.#events.ended(ending);
    this.#moves++;
    const link = (this.link = new Link(this.#env, base, ended));
    this.#events.began();
    if (this.link !== link) return; // a listener ended it
    try {
      link.transport = open({
        first: () => this.#first(link),
        heard: () => link.heard(),
        received: (text) => this.#received(link, text),
        ended,
      });
    } catch (err) {
      ended({ code: 1006, reason: String(err) });
    }
  }

  /** @param {Link} link */
  #first(link) {
    link.sentAt = this.#env.now();
    this.#events.first();
    return link.first();
  }

  /**
   * @param {Link} link
   * @param {string} text
   */
  #received(link, text) {
    link.heard();
    for (const line of text.split("\n")) {
      if (this.link !== link) return; // a listener ended it
      if (line === "") continue;
      try {
        const frame = checked(JSON.parse(line));
        if (frame && !link.answered(frame)) this.#events.received(frame);
      } catch (err) {
        return this.#events.ended({ code: 1006, reason: `bad frame: ${err}` });
      }
    }
    this.#return(false);
  }

  /** The service has taken the connection over a link. @param {Link} link */
  connected({ base, transport }) {
    if (transport?.name === "sse" && this.#ways[0] === SocketTransport) this.#returning.begin(base);
  }

  // Goes back to WebSocket if that works: when no command is without its answer,
  // or now.
  /** @param {boolean} now */
  #return(now) {
    const link = this.link;
    if (!link || !this.#returning.proven || !(now || link.idle)) return;
    const transport = /** @type {SocketTransport} */ (this.#returning.take());
    const moves = this.#moves;
    this.drop("websocket");
    if (this.#moves !== moves + 1) return transport.close(); // a listener ended it
    this.attempts.way = 0;
    this.#make(link.base, (receiver) => {
      transport.receiver = receiver;
      transport.send([receiver.first()]);
      return transport;
    });
  }

  /** Abandons the link. @param {string} why */
  drop(why) {
    const link = this.link;
    this.#moves++;
    this.#returning.stop();
    if (!link) return;
    this.#latency = link.latency ?? this.#latency;
    this.link = undefined;
    link.end(why);
    this.#events.dropped();
  }

  /**
   * A connection, or an attempt, has failed. Says whether it had lasted.
   * @param {boolean} refused
   */
  failed(refused) {
    const link = this.link;
    const lived = link?.connectedAt ? this.#env.now() - link.connectedAt : 0;
    const lasted = this.attempts.ended(lived, refused);
    if (lasted && link?.transport?.name === "websocket") this.#returning.worked();
    return lasted;
  }
}
