// A chat service without I/O, as far as PROTOCOL.md is needed to test a client.
// A test scripts it by its fields; a network gives it connections.

import { compareOffsets } from "../base.js";

let sessions = 0;

// One frame of each form that was sent, for a test that reads them strictly:
// "client" or "server" -> type and members -> line.
export const forms = { client: new Map(), server: new Map() };

function note(side, line) {
  const frame = JSON.parse(line);
  const form = [frame.type, frame.state, frame.kind, ...Object.keys(frame)].join();
  if (!forms[side].has(form)) forms[side].set(form, line);
}

export class Service {
  /** Frames that a test changes or swallows before they are carried out. */
  intercept = (_connection, frame) => frame;
  /** How long a command takes. */
  slowness = () => 0;
  duplicates = 60_000;
  limits = {};
  connectAnswer = () => undefined;
  /** Rules: topic -> error code for subscribe and publish. */
  denied = new Map();
  topics = new Map();
  connections = new Set();
  sessionsOf = new Map();
  log = []; // [type, topic] of every command that came
  ttl;
  topicTtl;
  unrefreshed = []; // errors that refreshes are answered with, in turn
  ping = 25_000;
  firstOffset = 1n;

  constructor(clock) {
    this.clock = clock;
  }

  topic(name) {
    if (!this.topics.has(name)) this.topics.set(name, new Stream(`e${this.topics.size}`, this.firstOffset, this.clock));
    return this.topics.get(name);
  }

  /** Stores a message of somebody else. */
  say(name, user, data, id) {
    return this.publish(name, { user, data, id: id ?? `s${this.clock.now()}-${Math.floor(this.clock.random() * 1e9)}` });
  }

  publish(name, content) {
    const stream = this.topic(name);
    const known = stream.ids.get(content.user + "/" + content.id);
    if (known && this.clock.now() - known.at < this.duplicates) return { ...known, duplicate: true };
    const message = stream.append(content);
    const kept = { epoch: stream.epoch, offset: message.offset, id: content.id, at: this.clock.now() };
    stream.ids.set(content.user + "/" + content.id, kept);
    for (const connection of this.connections) connection.deliver(name, message);
    return kept;
  }

  /** A new life of a topic: nothing of the old one is known. */
  recreate(name, first = 1n) {
    const old = this.topic(name);
    const stream = new Stream(old.epoch + "'", first, this.clock);
    stream.past = [...(old.past ?? []), old];
    this.topics.set(name, stream);
    for (const connection of this.connections) connection.endTopic(name, { code: "unavailable", retry: "later", delay: 10 });
  }

  count(type) {
    return this.log.filter(([t]) => t === type).length;
  }

  /** sink has send(text) and close(code, reason). */
  open(sink) {
    const connection = new Connection(this, sink);
    this.connections.add(connection);
    return connection;
  }
}

class Stream {
  messages = []; // kept ones
  all = [];
  ids = new Map();
  constructor(epoch, first, clock) {
    this.epoch = epoch;
    this.next = first;
    this.clock = clock;
    this.end = { epoch, offset: String(first - 1n), id: "" };
  }
  append({ user, data, id, kind, target }) {
    const offset = String(this.next);
    this.next += BigInt(1 + Math.floor(this.clock.random() * 3)); // offsets have holes
    const prev = this.all.at(-1)?.offset;
    const message = { offset, prev, id, time: 0, user, kind, target, data };
    this.messages.push(message);
    this.all.push(message);
    this.end = { epoch: this.epoch, offset, id };
    return message;
  }
  trim(n) {
    this.messages = this.messages.slice(-n);
  }
  // The messages behind a position, or undefined where that is not known.
  behind(pos) {
    if (pos.epoch !== this.epoch) return undefined;
    const at = this.all.findIndex(({ offset }) => offset === pos.offset);
    const known = at >= 0 ? this.all[at].id === pos.id : pos.id === "" && (this.all.length === 0 || compareOffsets(pos.offset, this.all[0].offset) < 0);
    if (!known) return undefined;
    const rest = this.all.slice(at + 1);
    return rest.length === 0 || this.messages.includes(rest[0]) ? rest : undefined;
  }
  page({ before, after, limit }) {
    let list = this.messages;
    for (const pos of [before, after]) {
      if (pos && (pos.epoch !== this.epoch || !list.some(({ offset, id }) => offset === pos.offset && id === pos.id))) return undefined;
    }
    if (before) list = list.filter(({ offset }) => compareOffsets(offset, before.offset) < 0);
    if (after) list = list.filter(({ offset }) => compareOffsets(offset, after.offset) > 0);
    const messages = after ? list.slice(0, limit) : list.slice(-limit);
    const place = (message) => message && { epoch: this.epoch, offset: message.offset, id: message.id };
    const begin = messages.length === 0 ? !after : messages[0] === this.messages[0];
    const end = messages.length === 0 ? !before : messages.at(-1) === this.messages.at(-1);
    return { epoch: this.epoch, messages, back: place(messages[0]), forward: place(messages.at(-1)), begin: begin || undefined, end: end || undefined };
  }
}

class Connection {
  user = "";
  session = "";
  topics = new Map(); // name -> {attempt, mode, live}
  attempts = new Map();
  out = [];
  open = true;
  chain = new Map();

  constructor(service, sink) {
    this.service = service;
    this.sink = sink;
  }

  receive(text) {
    for (const line of text.split("\n")) {
      if (!this.open || line === "") continue;
      note("client", line);
      const frame = this.service.intercept(this, JSON.parse(line));
      if (!frame) continue;
      this.service.log.push([frame.type, frame.topic, frame]);
      const delay = this.service.slowness(frame);
      // Subscriptions and publishes of a topic each keep their order, and all
      // follow connect; other commands overtake each other.
      const key = frame.type === "publish" ? `p ${frame.topic}` : /subscribe$/.test(frame.type) ? `s ${frame.topic}` : frame.type;
      const due = Math.max(this.service.clock.now() + delay, this.chain.get(key) ?? 0, this.chain.get("connect") ?? 0);
      this.chain.set(key, due);
      if (due <= this.service.clock.now()) this.carryOut(frame);
      else this.service.clock.setTimeout(() => this.open && this.carryOut(frame), due - this.service.clock.now());
    }
  }

  carryOut(frame) {
    if (!this.session && frame.type !== "connect") return this.error(frame, "not_connected", "never");
    const handler = this[frame.type];
    if (typeof handler === "function" && commands.has(frame.type)) handler.call(this, frame);
    else this.error(frame, "unknown_command", "never");
  }

  // Frames of one turn go in one message, separated by line feeds.
  send(frame) {
    if (!this.open) return;
    const line = JSON.stringify(frame);
    if (!frame.unheard) note("server", line);
    this.out.push(line);
    if (this.out.length === 1) {
      queueMicrotask(() => {
        const text = this.out.splice(0).join("\n");
        if (this.open) this.sink.send(text);
      });
    }
  }

  error({ ref, topic, id, attempt }, code, retry, more = {}) {
    this.send({ type: "error", ref, topic, id, attempt, code, retry, ...more });
  }

  close(code, reason = "") {
    if (!this.open) return;
    const text = this.out.splice(0).join("\n");
    if (text) this.sink.send(text);
    this.lost();
    this.sink.close(code, reason);
  }

  lost() {
    this.open = false;
    this.service.connections.delete(this);
  }

  connect(frame) {
    const refusal = this.service.connectAnswer(frame);
    if (refusal) {
      this.send({ type: "error", ref: frame.ref, ...refusal });
      return this.close(refusal.close ?? 4401);
    }
    const old = frame.session && this.service.sessionsOf.get(frame.session);
    if (old) old.close(4409, "replaced");
    this.session = `s${++sessions}`;
    this.service.sessionsOf.set(this.session, this);
    this.user = frame.token ? frame.token.split("#")[0] : (frame.user ?? "guest");
    const limits = { message: 65536, commands: 64, topics: 256, data: 16384, rate: 20, burst: 100, page: 100, unread: 1000, duplicates: this.service.duplicates, ...this.service.limits };
    this.send({ type: "connected", ref: frame.ref, version: 1, state: frame.session ? (old ? "resumed" : "reset") : "fresh", session: this.session, user: this.user, time: 0, ttl: this.service.ttl, ping: this.service.ping, addresses: this.service.addresses, limits });
  }

  subscribe(frame) {
    const { ref, topic: name, attempt, pos, last, presence, kinds, mode } = frame;
    if (attempt <= (this.attempts.get(name) ?? 0)) return this.error(frame, "stale", "never");
    this.attempts.set(name, attempt);
    this.topics.delete(name);
    const denial = this.service.denied.get(name);
    if (denial) return this.error(frame, denial.code ?? denial, denial.retry ?? "never", denial);
    this.topics.set(name, { attempt, mode });
    if (mode === "passive") return this.send({ type: "subscribed", ref, topic: name, attempt, state: "fresh", count: this.service.topic(name).all.length, unread: 0 });
    const stream = this.service.topic(name);
    const answer = { type: "subscribed", ref, topic: name, attempt, ttl: this.service.topicTtl, pos: stream.end };
    if (presence) answer.presence = { level: "full", seq: 1, count: 1, users: [this.user] };
    if (kinds) answer.kinds = kinds.map((kind) => ({ kind, lifetime: 6000, values: [] }));
    const behind = pos && stream.behind(pos);
    if (behind) {
      this.send({ ...answer, state: "resumed", pos, more: behind.length > 0 || undefined });
      for (let i = 0; i < behind.length; i += 7) this.send({ type: "messages", topic: name, messages: behind.slice(i, i + 7), more: i + 7 < behind.length || undefined });
      return;
    }
    const page = last ? stream.page({ limit: last }) : {};
    this.send({ ...answer, state: pos ? "reset" : "fresh", messages: page.messages, back: page.back, begin: page.begin });
  }

  unsubscribe({ ref, topic, attempt }) {
    if (this.topics.get(topic)?.attempt === attempt) this.topics.delete(topic);
    this.send({ type: "unsubscribed", ref, topic, attempt });
  }

  endTopic(name, failure) {
    const known = this.topics.get(name);
    if (!known) return;
    this.topics.delete(name);
    this.send({ type: "unsubscribed", topic: name, attempt: known.attempt, ...failure });
  }

  deliver(name, message) {
    const known = this.topics.get(name);
    if (known?.mode === "passive") this.send({ type: "note", topic: name, count: this.service.topic(name).all.length, unread: 1 });
    else if (known) this.send({ type: "message", topic: name, ...message });
  }

  publish(frame) {
    const { ref, topic, id, kind, target, data } = frame;
    const denial = this.service.denied.get(topic);
    if (denial) return this.error(frame, denial.code ?? denial, denial.retry ?? "never", denial);
    if (!this.topics.has(topic)) return this.error(frame, "not_subscribed", "never");
    const { duplicate, epoch, offset } = this.service.publish(topic, { user: this.user, id, kind, target, data });
    this.send({ type: "published", ref, topic, id, pos: { epoch, offset, id }, duplicate });
  }

  history(frame) {
    const { ref, topic, before, after, limit = 100 } = frame;
    const page = this.service.topic(topic).page({ before, after, limit: Math.min(limit, 100) });
    if (!page) return this.error(frame, "position_lost", "never");
    this.send({ type: "page", ref, topic, ...page });
  }

  presence({ ref, topic }) {
    this.send({ type: "members", ref, topic, count: 1, members: [{ user: this.user, connections: 1 }], end: true });
  }

  set({ ref, topic, kind, key = this.user, data }) {
    for (const other of this.service.connections) {
      if (other.topics.has(topic)) other.send({ type: "values", topic, kind, values: [{ key, data }] });
    }
    if (ref) this.send({ type: "ok", ref });
  }

  read({ ref, topic, pos, version }) {
    const stream = this.service.topic(topic);
    stream.marker ??= { version: 0 };
    if (version === stream.marker.version && (!stream.marker.pos || compareOffsets(pos.offset, stream.marker.pos.offset) > 0)) stream.marker.pos = pos;
    this.send({ type: "marker", ref, topic, ...stream.marker, unread: 0 });
  }

  unread({ ref, topic, pos, version }) {
    const stream = this.service.topic(topic);
    stream.marker ??= { version: 0 };
    if (version === stream.marker.version) stream.marker = { pos, version: version + 1 };
    this.send({ type: "marker", ref, topic, ...stream.marker, unread: 1 });
  }

  refresh({ ref, topic }) {
    const error = this.service.unrefreshed.shift();
    if (error) return this.send({ type: "error", ref, topic, ...error });
    this.send({ type: "refreshed", ref, topic, ttl: topic ? this.service.topicTtl : this.service.ttl });
  }

  ping({ ref }) {
    this.send({ type: "pong", ref, time: 0 });
  }
}

const commands = new Set(["connect", "subscribe", "unsubscribe", "publish", "history", "presence", "set", "read", "unread", "refresh", "ping"]);
