// A world whose time, chance and network a test owns: nothing in it waits.

import { setMaxListeners } from "node:events";
import { appendFileSync } from "node:fs";
import { Client } from "../fanloop.js";
import { forms, Service } from "./service.js";

if (process.env.FANLOOP_FRAMES) {
  process.on("exit", () => {
    const lines = Object.entries(forms).flatMap(([side, map]) => [...map.values()].map((line) => `${side} ${line}\n`));
    appendFileSync(process.env.FANLOOP_FRAMES, lines.join(""));
  });
}

/** A clock that moves when a test says so, and the timers on it. */
export class Clock {
  #now = 1000;
  #timers = [];
  #ids = 0;
  wallShift = 0;

  constructor(seed = 1) {
    this.random = mulberry32(seed);
  }
  now = () => this.#now;
  wall = () => 1_764_000_000_000 + this.#now + this.wallShift;
  setTimeout = (run, delay) => {
    const timer = { at: this.#now + Math.max(0, delay), id: ++this.#ids, run };
    this.#timers.push(timer);
    return timer.id;
  };
  clearTimeout = (id) => {
    this.#timers = this.#timers.filter((timer) => timer.id !== id);
  };
  get timers() {
    return this.#timers.length;
  }

  /** Runs all timers up to so many milliseconds from now, in their order. */
  async pass(milliseconds) {
    const end = this.#now + milliseconds;
    await settle();
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at || a.id - b.id)[0];
      if (!next) break;
      this.clearTimeout(next.id);
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await settle();
    }
    this.#now = end;
  }

  /** Moves on without running anything, as when a page is frozen. */
  freeze(milliseconds) {
    this.#now += milliseconds;
  }
}

/** Lets all promises go on that can. */
export async function settle() {
  await new Promise((resolve) => setImmediate(resolve));
}

export function mulberry32(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The network between clients and the service. */
export class Network {
  /** up, refuse, or blackhole: accepts and never answers. */
  mode = "up";
  webSockets = "up"; // the same, for WebSockets alone
  latency = () => 5;
  /** What becomes of a message on its way: "pass", "twice", "cut" or "lost". */
  fate = (_direction, _text) => "pass";
  /** What a message of the service is when it arrives. */
  mutate = (text) => text;
  sockets = new Set();
  opened = 0;
  streams = 0;

  constructor(clock, service) {
    this.clock = clock;
    this.service = service;
    const network = this;
    this.WebSocket = class {
      constructor(url, protocols) {
        this.url = url;
        this.protocols = protocols;
        network.opened++;
        network.openSocket(this);
      }
    };
  }

  openSocket(socket) {
    const pipe = new Pipe(this, {
      received: (text) => socket.onmessage?.({ data: text }),
      ended: (code, reason) => socket.onclose?.({ code, reason }),
    });
    socket.send = (text) => pipe.up(text);
    socket.close = () => pipe.clientCloses();
    const mode = this.webSockets === "up" ? this.mode : this.webSockets;
    if (mode === "refuse") this.clock.setTimeout(() => pipe.end(1006), this.latency());
    if (mode === "up") {
      this.clock.setTimeout(() => {
        if (pipe.over) return;
        pipe.accept();
        socket.onopen?.({});
      }, 2 * this.latency());
    }
  }

  fetch = (url, init) => {
    const { pathname } = new URL(url);
    return new Promise((resolve, reject) => {
      setMaxListeners(0, init.signal);
      init.signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
      if (this.mode === "refuse") return this.clock.setTimeout(() => reject(new TypeError("refused")), this.latency());
      if (this.mode === "blackhole") return;
      this.clock.setTimeout(() => {
        const status = this.status?.(pathname);
        if (status) return resolve(new Response("", status));
        if (pathname === "/v1/stream") this.openStream(init, resolve);
        else this.post(init, resolve, reject);
      }, this.latency());
    });
  };

  openStream(init, resolve) {
    this.streams++;
    let body;
    const encoder = new TextEncoder();
    const pipe = new Pipe(this, {
      received: (text) => body.enqueue(encoder.encode(text.split("\n").map((line) => `data: ${line}\n`).join("") + "\n")),
      ended: () => body.error(new TypeError("broken")),
    });
    pipe.accept();
    const stream = new ReadableStream({ start: (controller) => void (body = controller) });
    init.signal.addEventListener("abort", () => pipe.clientCloses());
    resolve(new Response(stream, { headers: { "Content-Type": "text/event-stream" } }));
    pipe.connection.seq = 0;
    pipe.connection.receive(init.body);
  }

  // Carries a POST out, although its answer may be lost.
  post(init, resolve, reject) {
    const connection = this.service.sessionsOf.get(init.headers["Fanloop-Session"]);
    const seq = Number(init.headers["Fanloop-Seq"]);
    const answer = (status) => {
      const fate = this.fate("answer", "");
      if (fate === "cut" || fate === "lost") reject(new TypeError("broken"));
      else this.clock.setTimeout(() => resolve(new Response(null, { status })), this.latency());
    };
    if (!connection?.open) return answer(404);
    if (seq <= connection.seq) return answer(204);
    if (seq > connection.seq + 1) return answer(409);
    connection.seq = seq;
    connection.receive(init.body);
    answer(204);
  }

  /** Ends all connections, as a proxy that is restarted. */
  cut() {
    for (const pipe of [...this.sockets]) pipe.end(1006);
  }

  /** Nothing passes any more, and nobody is told. */
  stall() {
    for (const pipe of this.sockets) pipe.stalled = true;
  }
}

// One connection through the network, in order in each direction.
class Pipe {
  over = false;
  stalled = false;
  #free = { up: 0, down: 0 };

  constructor(network, client) {
    this.network = network;
    this.client = client;
    network.sockets.add(this);
  }

  accept() {
    this.connection = this.network.service.open({
      send: (text) => this.#carry("down", text, () => this.client.received(this.network.mutate(text))),
      close: (code, reason) => this.#carry("down", "", () => this.end(code, reason)),
    });
  }

  up(text) {
    this.#carry("up", text, () => this.connection.receive(text));
  }

  #carry(direction, text, arrive) {
    const { clock } = this.network;
    const fate = text ? this.network.fate(direction, text) : "pass";
    const at = (this.#free[direction] = Math.max(this.#free[direction], clock.now() + this.network.latency()));
    clock.setTimeout(() => {
      if (this.over || this.stalled || fate === "lost") return void (this.stalled ||= fate === "lost");
      if (fate === "cut") return this.end(1006);
      arrive();
      if (fate === "twice" && !this.over) arrive();
    }, at - clock.now());
  }

  end(code, reason = "") {
    if (this.over) return;
    this.over = true;
    this.network.sockets.delete(this);
    this.connection?.lost();
    this.client.ended(code, reason);
  }

  clientCloses() {
    if (this.over) return;
    this.over = true;
    this.network.sockets.delete(this);
    if (!this.stalled) this.connection?.lost();
  }
}

/** A page: what a browser tells a script of it. */
export class Page {
  window = new EventTarget();
  document = Object.assign(new EventTarget(), { visibilityState: "visible" });

  tell(target, name, more = {}) {
    this[target].dispatchEvent(Object.assign(new Event(name), more));
  }
  hide() {
    this.document.visibilityState = "hidden";
    this.tell("document", "visibilitychange");
  }
  show() {
    this.document.visibilityState = "visible";
    this.tell("document", "visibilitychange");
  }
}

export function memoryStorage() {
  const map = new Map();
  return { getItem: (key) => map.get(key) ?? null, setItem: (key, value) => void map.set(key, value), removeItem: (key) => void map.delete(key), map };
}

export class World {
  constructor(seed = 1) {
    this.clock = new Clock(seed);
    this.service = new Service(this.clock);
    this.network = new Network(this.clock, this.service);
  }

  client(options = {}) {
    const page = new Page();
    const { clock, network } = this;
    const env = {
      now: clock.now, wall: clock.wall, setTimeout: clock.setTimeout, clearTimeout: clock.clearTimeout, random: clock.random,
      fetch: network.fetch, WebSocket: network.WebSocket, window: page.window, document: page.document, ...options.env,
    };
    const client = new Client({ url: "https://chat.example", user: "ann", ...options, env });
    client.page = page;
    client.states = [];
    client.on("state", (state, detail) => client.states.push(detail.error ? `${state}:${detail.error.code}` : state));
    return client;
  }

  /** Watches what a topic delivers, and says what is wrong about it. */
  oracle(topic) {
    return new Oracle(this.service, topic);
  }

  pass(milliseconds) {
    return this.clock.pass(milliseconds);
  }
}

/** The list that a topic has shown, in parts between which there is a break. */
export class Oracle {
  parts = [[]];
  resets = 0;

  constructor(service, topic) {
    this.service = service;
    this.topic = topic;
    topic.on("reset", () => {
      this.parts.push([]);
      this.resets++;
    });
    topic.on("messages", (messages) => {
      for (const message of messages) this.parts.at(-1).push({ ...message, epoch: topic.position?.epoch });
    });
  }

  get texts() {
    return this.parts.at(-1).map(({ data }) => data);
  }

  /** Each part is a run of its stream without holes; the last reaches the end. */
  check(complete = true) {
    const stream = this.service.topic(this.topic.name);
    const lives = [...(stream.past ?? []), stream];
    for (const part of this.parts) {
      if (part.length === 0) continue;
      const life = lives.find(({ epoch }) => epoch === part[0].epoch);
      const at = life.all.findIndex(({ offset }) => offset === part[0].offset);
      const want = life.all.slice(at, at + part.length).map(({ offset, id }) => `${offset} ${id}`);
      const got = part.map(({ offset, id }) => `${offset} ${id}`);
      if (want.join() !== got.join()) throw new Error(`shown:\n${got.join("\n")}\nstream:\n${want.join("\n")}`);
    }
    const shown = this.parts.at(-1).at(-1);
    const end = stream.all.at(-1);
    const last = this.topic.position;
    if (complete && (last?.offset !== stream.end.offset || last.epoch !== stream.epoch)) throw new Error(`position ${JSON.stringify(last)}, the stream ends at ${JSON.stringify(stream.end)}`);
    if (complete && shown && end && shown.offset !== end.offset) throw new Error(`shown up to ${shown.offset}, the stream ends at ${end.offset}`);
  }
}
