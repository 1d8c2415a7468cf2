// Every frame of the service comes through here before anything uses it. Its members have
// the types that PROTOCOL.md gives them and its numbers are within bounds, or it is none.

/** @import {Frame, Message} from "./types.d.ts" */
import { compareOffsets, defaultLimits } from "./base.js";

/**
 * Returns what a member counts as, or undefined for absent. Throws where the frame has no
 * meaning with it.
 * @typedef {(value: any, name: string) => any} Check
 */

const largest = Number.MAX_SAFE_INTEGER;

/** @param {(value: any) => boolean} right @returns {Check} */
const only = (right) => (value, name) => {
  if (!right(value)) throw new TypeError(name);
  return value;
};
const text = only((value) => typeof value === "string");
const flag = only((value) => typeof value === "boolean");
const number = only((value) => typeof value === "number");
const offset = only((value) => /^(0|[1-9]\d{0,19})$/.test(value) && typeof value === "string");

/** A number that counts as the nearest one within bounds. @param {number} least @param {number} most @returns {Check} */
const within = (least, most) => (value, name) => Math.min(most, Math.max(least, number(value, name)));

/** The same; what is no number counts as the usual one. @param {number} least @param {number} most @param {number} [usual] @returns {Check} */
const about = (least, most, usual) => (value) => (typeof value === "number" ? within(least, most)(value, "") : usual);

/** @param {Check} check @returns {Check} */
const maybe = (check) => (value, name) => (value === undefined || value === null ? undefined : check(value, name));

/** @param {Check} check @returns {Check} */
const list = (check) => (value, name) => only(Array.isArray)(value, name).map((/** @type {unknown} */ element) => check(element, name));

/** @param {Record<string, Check>} checks of its members; others are left as they are @returns {Check} */
const object = (checks) => (value, name) => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new TypeError(name);
  for (const [member, check] of Object.entries(checks)) {
    const taken = check(value[member], member);
    if (taken === undefined) delete value[member];
    else value[member] = taken;
  }
  return value;
};

const count = within(0, largest);
const ttl = about(0, largest);
const position = object({ epoch: text, offset, id: text });
const texts = maybe(list(text));
const message = {
  offset: maybe(offset), prev: maybe(offset), id: text, time: about(0, 864e13, 0), user: maybe(text), name: maybe(text), kind: maybe(text),
  target: maybe(object({ offset, id: text })),
};

/** Messages of a page: in order, and each once. @type {Check} */
const run = (value, name) => {
  /** @type {Message[]} */
  const messages = list(object({ ...message, offset }))(value, name);
  messages.forEach(({ offset = "" }, i) => {
    if (i > 0 && compareOffsets(messages[i - 1].offset ?? "", offset) >= 0) throw new TypeError(name);
  });
  return messages;
};
const presence = { seq: count, count, users: texts, sample: texts, joined: texts, left: texts, reset: maybe(flag) };
const kind = { kind: text, lifetime: about(1000, largest), values: maybe(list(object({ key: text }))), reset: maybe(flag) };
const marker = { pos: maybe(position), version: count, unread: about(0, largest) };
/** @type {Check} A word that nobody knows asks for no more than to wait. */
const retry = (value) => (value === "never" || value === "refresh" ? value : "later");
const failure = { code: text, retry, message: maybe(text), delay: about(0, 3_600_000) };
/** @type {Check} */
const limits = (value) => Object.fromEntries(Object.entries(defaultLimits).map(([name, usual]) => [name, about(1, 2 ** 31, usual)(value?.[name], name)]));

const reference = maybe(only((value) => Number.isInteger(value) && value > 0 && value <= 0xffffffff));
/** @param {Record<string, Check>} [checks] */
const answer = (checks) => object({ ref: reference, topic: maybe(text), id: maybe(text), attempt: maybe(number), ...checks });
/** @param {Record<string, Check>} checks */
const news = (checks) => answer({ ref: () => undefined, ...checks });

/** @type {Map<string, Check>} */
const frames = new Map(Object.entries({
  connected: answer({
    session: text, user: text, name: maybe(text), ttl, ping: about(1000, largest), topics: texts, addresses: texts, development: maybe(flag), limits,
  }),
  subscribed: answer({
    state: only((state) => ["fresh", "resumed", "reset"].includes(state)), pos: maybe(position), messages: maybe(run), back: maybe(position),
    more: maybe(flag), marker: maybe(object(marker)), unread: about(0, largest), count: about(0, largest),
    presence: maybe(object(presence)), kinds: maybe(list(object(kind))), ttl,
  }),
  unsubscribed: answer({ ...failure, code: maybe(text), retry: maybe(retry) }),
  published: answer({ pos: maybe(position) }),
  page: answer({ epoch: maybe(text), messages: maybe(run), back: maybe(position), forward: maybe(position), begin: maybe(flag), end: maybe(flag) }),
  members: answer({ count, members: list(object({ user: text, connections: count })), end: maybe(flag) }),
  marker: answer(marker),
  refreshed: answer({ ttl }),
  ok: answer(),
  pong: answer(),
  error: answer(failure),
  message: news(message),
  messages: news({ messages: list(object(message)), more: maybe(flag) }),
  reset: news({ pos: position }),
  presence: news(presence),
  values: news(kind),
  note: news({ count, unread: about(0, largest) }),
  closing: news({ ...failure, address: maybe(text) }),
}));

/**
 * Returns what the service sent as a frame, or undefined for a type that nobody knows.
 * Throws where it is malformed.
 * @param {any} value
 * @returns {Frame | undefined}
 */
export function checked(value) {
  return frames.get(object({ type: text })(value, "frame").type)?.(value, "frame");
}

const answers = new Map(Object.entries({
  connect: "connected", subscribe: "subscribed", unsubscribe: "unsubscribed", publish: "published", history: "page", presence: "members",
  set: "ok", read: "marker", unread: "marker", refresh: "refreshed", ping: "pong",
}));

/**
 * Throws unless a frame answers a command: it is an error or the one of this command, and
 * about the same.
 * @param {any} frame
 * @param {any} command
 */
export function mustAnswer(frame, command) {
  if (frame.type !== "error" && frame.type !== answers.get(command.type)) throw new TypeError(`${frame.type} answers ${command.type}`);
  for (const name of ["topic", "id", "attempt"]) {
    if (frame[name] !== undefined && frame[name] !== command[name]) throw new TypeError(name);
  }
}
