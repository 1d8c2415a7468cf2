// The connection: how it comes back, when it gives up, what it does in a page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Refused } from "../fanloop.js";
import { World } from "./world.js";

async function connected(options, prepare = () => {}) {
  const world = new World(7);
  prepare(world);
  const client = world.client(options);
  const topic = client.topic("room:a", { last: 10 });
  const oracle = world.oracle(topic);
  topic.subscribe();
  client.connect();
  await world.pass(100);
  return { ...world, world, client, topic, oracle, pass: (n) => world.pass(n) };
}

test("connect and subscribe go in one message", async () => {
  const { client, topic, service, network } = await connected();
  assert.equal(client.state, "connected");
  assert.equal(client.user, "ann");
  assert.equal(topic.state, "subscribed");
  assert.equal(client.latency, 10); // one way and back
  assert.deepEqual(service.log.map(([type]) => type), ["connect", "subscribe"]);
  assert.equal(network.opened, 1);
});

test("X01: a hidden page keeps its connection without a timer and sends at once", async () => {
  const { client, topic, clock, service, pass, world, oracle } = await connected();
  client.page.hide();
  await pass(60_000); // a probe of the visible page may have been due
  assert.equal(clock.timers, 0);
  const closes = client.states.length;
  for (let i = 0; i < 5; i++) {
    clock.freeze(100_000); // no timer runs
    topic.publish(i);
    await pass(20);
    service.say("room:a", "bob", `${i}`);
    await pass(20);
  }
  assert.deepEqual(oracle.texts, [0, "0", 1, "1", 2, "2", 3, "3", 4, "4"]);
  assert.equal(client.states.length, closes);
  world.network.cut();
});

test("X02: after a long sleep one probe is sent, and nothing is caught up", async () => {
  const { client, topic, service, clock, pass, oracle } = await connected();
  topic.read();
  await pass(10_000);
  const before = service.log.length;
  clock.freeze(30 * 60_000);
  client.page.tell("document", "resume");
  client.page.show();
  client.page.tell("window", "pageshow");
  client.page.tell("window", "online");
  await pass(5000);
  assert.deepEqual(service.log.slice(before).map(([type]) => type), ["ping"]);
  assert.equal(client.state, "connected");
  oracle.check();
});

test("X02: a pong that waited while the page slept counts", async () => {
  const { client, clock, pass, network } = await connected();
  client.probe();
  clock.freeze(60_000); // the pong and the end of its patience are both overdue
  await pass(1000);
  assert.equal(client.state, "connected");
  assert.equal(network.opened, 1);
});

for (const event of ["visibilitychange", "resume", "online"]) {
  test(`X03: a connection that is dead in silence is replaced within 5 s of ${event}`, async () => {
    const { client, network, service, pass, oracle, topic } = await connected();
    client.page.hide();
    await pass(50_000);
    const late = [...network.sockets][0];
    network.stall();
    for (const text of ["1", "2", "3"]) service.say("room:a", "bob", text);
    await pass(60_000);
    assert.equal(client.state, "connected"); // nobody can know yet
    if (event === "visibilitychange") client.page.show();
    else client.page.tell(event === "resume" ? "document" : "window", event);
    await pass(5000);
    assert.equal(client.state, "connected");
    assert.equal(network.opened, 2);
    assert.deepEqual(oracle.texts, ["1", "2", "3"]);
    late.client.received(JSON.stringify({ type: "message", topic: "room:a", offset: "999999", id: "late" }));
    late.client.ended(1006);
    await pass(30_000);
    assert.equal(network.opened, 2);
    assert.equal(topic.position.offset === "999999", false);
  });
}

test("X03: an opening that gets no answer is given up after 10 s, and at once after waking", async () => {
  const { client, network, pass } = await connected({ transports: ["websocket"] }, ({ network }) => (network.mode = "blackhole"));
  assert.equal(client.state, "connecting");
  await pass(9000);
  assert.equal(network.opened, 1);
  await pass(2000);
  assert.equal(network.opened, 2);
  await pass(4000);
  network.mode = "up";
  client.page.tell("document", "resume");
  await pass(100);
  assert.equal(client.state, "connected");
  assert.equal(network.opened, 3);
});

test("X05: pagehide closes and leaves no timer, pageshow brings every line once", async () => {
  const { client, network, service, clock, pass, oracle } = await connected();
  client.page.tell("window", "pagehide");
  assert.equal(client.state, "suspended");
  assert.equal(network.sockets.size, 0);
  assert.equal(clock.timers, 0);
  for (let i = 0; i < 5; i++) service.say("room:a", "bob", i);
  await pass(120_000);
  client.page.tell("window", "pageshow", { persisted: true });
  await pass(100);
  assert.equal(network.sockets.size, 1);
  assert.deepEqual(oracle.texts, [0, 1, 2, 3, 4]);
  oracle.check();
});

test("X06: after waking the attempts stay short for 30 s although they fail", async () => {
  const { client, network, pass, clock, topic } = await connected();
  network.mode = "refuse";
  network.cut();
  await pass(300_000); // long delays by now
  client.page.tell("document", "resume");
  const opened = network.opened + network.streams;
  await pass(8000);
  network.mode = "up";
  const back = clock.now();
  while (client.state !== "connected" && clock.now() < back + 60_000) await pass(50);
  assert.ok(clock.now() - back <= 2000, `connected ${clock.now() - back} ms after the network`);
  assert.ok(network.opened + network.streams - opened < 40);
  await pass(100);
  assert.equal(topic.state, "subscribed");
});

test("a page that disconnected stays so, whatever happens to it", async () => {
  const { client, network, pass } = await connected();
  client.disconnect();
  client.page.show();
  client.page.tell("window", "pageshow", { persisted: true });
  client.page.tell("window", "online");
  await pass(60_000);
  assert.equal(client.state, "idle");
  assert.equal(network.opened, 1);
});

test("X19: a service that closes after 200 ms gets at most 12 attempts in 2 minutes, and SSE is tried", async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const world = new World(seed);
    const client = world.client();
    const open = world.service.open.bind(world.service);
    let attempts = 0;
    world.service.open = (sink) => {
      attempts++;
      const connection = open(sink);
      world.clock.setTimeout(() => connection.close(1011), 200);
      return connection;
    };
    client.connect();
    await world.pass(120_000);
    assert.ok(attempts <= 12 && attempts >= 6, `${attempts} attempts with seed ${seed}`);
    assert.ok(world.network.streams > 0);
    client.disconnect();
  }
});

test("a connection that lasted 10 s ends the long delays, one that did not does not", async () => {
  const { client, network, pass } = await connected({ transports: ["websocket"] });
  const delays = [];
  client.on("state", (state, { delay }) => state === "waiting" && delays.push(delay));
  network.mode = "refuse";
  network.cut();
  await pass(120_000);
  network.mode = "up";
  await pass(30_000);
  assert.equal(client.state, "connected");
  assert.ok(Math.max(...delays) > 5000 && Math.max(...delays) <= 120_000);
  network.cut();
  assert.ok(delays.at(-1) <= 500, `${delays.at(-1)} ms`);
  await pass(501);
  network.cut();
  await pass(1100);
  network.cut();
  assert.ok(delays.at(-1) <= 2000);
  assert.equal(new Set(delays).size, delays.length, "by chance");
});

test("the delay that the service gives is kept, and an address only if it is known", async () => {
  const urls = [];
  const { client, service, pass, network } = await connected({ hosts: ["n2.chat.example"] });
  const { WebSocket } = network;
  const openSocket = network.openSocket.bind(network);
  network.openSocket = (socket) => (urls.push(socket.url), openSocket(socket));
  assert.ok(WebSocket);
  await pass(20_000);
  for (const address of ["wss://n2.chat.example/v1/socket", "wss://evil.example/v1/socket", "ws://n2.chat.example/v1/socket"]) {
    for (const c of service.connections) {
      c.send({ type: "closing", code: "draining", retry: "later", delay: 2300, address });
    }
    await pass(1000);
    client.page.tell("document", "resume"); // what the service asks for holds all the same
    await pass(1200);
    assert.equal(client.state, "waiting");
    await pass(20_000);
    assert.equal(client.state, "connected");
  }
  assert.deepEqual(urls, Array(3).fill("wss://n2.chat.example/v1/socket"), "it stays where it was, and goes on with TLS");
});

for (const given of [true, false]) {
  test(`X49: when a node ends, the client goes on with another that ${given ? "it was given" : "the service named"}`, async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = new World(seed);
      const nodes = ["n1", "n2", "n3"].map((name) => `https://${name}.example`);
      if (!given) world.service.addresses = [...nodes, "http://plain.example", "not one"];
      const down = new Set();
      const opened = [];
      const openSocket = world.network.openSocket.bind(world.network);
      world.network.openSocket = (socket) => {
        opened.push(new URL(socket.url).host.replace(".example", ""));
        world.network.webSockets = down.has(opened.at(-1)) ? "refuse" : "up";
        openSocket(socket);
      };
      const client = world.client({ url: given ? nodes : nodes[0], transports: ["websocket"] });
      const topic = client.topic("room:a", { last: 10 });
      const oracle = world.oracle(topic);
      topic.subscribe();
      client.connect();
      await world.pass(20_000);
      assert.deepEqual(opened, ["n1"]);
      down.add("n1");
      world.network.cut();
      world.service.say("room:a", "bob", "while it was down");
      await world.pass(2000);
      assert.equal(client.state, "connected");
      assert.equal(opened.length, 3);
      assert.equal(opened[1], "n1", "it may be the network: back to where it was");
      assert.notEqual(opened[2], "n1");
      await world.pass(20_000);
      assert.equal(opened.length, 3, "it stays there");
      const left = ["n2", "n3"].find((name) => name !== opened[2]);
      down.add(opened[2]);
      world.network.cut();
      await world.pass(60_000);
      assert.equal(client.state, "connected");
      assert.equal(opened.at(-1), left);
      assert.ok(!opened.includes("plain"), "never without TLS");
      world.service.say("room:a", "bob", "on the last one");
      await world.pass(100);
      oracle.check();
      assert.equal(oracle.resets, 0);
    }
  });
}

test("X49: an address of closing is taken where connected had it", async () => {
  const urls = [];
  const { client, service, pass, network } = await connected({}, ({ service }) => (service.addresses = ["https://n2.example"]));
  const openSocket = network.openSocket.bind(network);
  network.openSocket = (socket) => (urls.push(socket.url), openSocket(socket));
  for (const c of service.connections) c.send({ type: "closing", code: "draining", retry: "later", delay: 100, address: "https://n2.example" });
  await pass(1000);
  assert.equal(client.state, "connected");
  assert.deepEqual(urls, ["wss://n2.example/v1/socket"]);
});

for (const [code, state] of [[1001, "waiting"], [1006, "waiting"], [1009, "failed"], [4001, "waiting"], [4250, "waiting"], [4403, "failed"], [4499, "failed"], [4300, "failed"]]) {
  test(`close code ${code} leads to ${state}`, async () => {
    const { client, service, pass } = await connected();
    for (const c of service.connections) c.close(code);
    await pass(10);
    assert.equal(client.state, state);
  });
}

test("X21: a token is fetched once per need, later after 503, and not again after a no", async () => {
  let now = "ok";
  const calls = [];
  const getToken = () => {
    calls.push(now);
    if (now === "503") throw new Error("HTTP 503");
    if (now === "403") throw new Refused("HTTP 403");
    if (now === "hang") return new Promise((resolve) => (getToken.answer = resolve));
    return `ann#${calls.length}`;
  };
  const { client, network, service, pass } = await connected({ user: undefined, getToken }, ({ service }) => (service.ttl = 5000));
  assert.deepEqual(calls, ["ok"]);
  await pass(20_000); // refreshed on the open connection
  assert.equal(network.opened, 1);
  const refreshes = service.count("refresh");
  assert.ok(refreshes >= 4 && refreshes <= 6, `${refreshes} refreshes in four lifetimes`);
  assert.equal(calls.length, 1 + refreshes);

  now = "hang";
  await pass(5000);
  const hanging = calls.length;
  for (const c of service.connections) c.close(4300);
  await pass(1000);
  network.cut();
  await pass(20_000);
  assert.equal(client.state, "signing-in");
  assert.equal(calls.length, hanging, "one fetch, across the end of the connection");
  now = "503";
  getToken.answer("ann#late");
  await pass(100);
  assert.equal(client.state, "connected");

  for (const c of service.connections) c.close(4300);
  await pass(15_000);
  const failures = calls.filter((call) => call === "503").length;
  assert.ok(failures >= 2 && failures <= 12, `${failures} fetches`);
  assert.equal(client.user, "ann");
  assert.ok(service.log.filter(([type]) => type === "connect").every(([, , { token }]) => token), "never without a token");
  now = "403";
  await pass(30_000);
  assert.equal(client.state, "failed");
  assert.equal(network.sockets.size, 0);
  assert.equal(client.states.at(-1), "failed:unauthorized");
  const total = calls.length;
  await pass(120_000);
  assert.equal(calls.length, total);

  client.setToken("ann#hand");
  client.connect();
  await pass(100);
  assert.equal(client.state, "connected");
});

test("an error to connect is final if it says so", async () => {
  const { client, pass, network } = await connected({}, ({ service }) => (service.connectAnswer = () => ({ code: "unsupported_version", retry: "never", versions: [2], close: 4406 })));
  await pass(60_000);
  assert.equal(client.state, "failed");
  assert.equal(network.opened, 1);
});

for (const headers of [{}, { "Retry-After": "5" }]) {
  test(`X41: a stream whose POSTs fail is probed and replaced, although it lives (${JSON.stringify(headers)})`, async () => {
    const { client, topic, network, service, pass } = await connected({ transports: ["sse"] });
    let posts = 0;
    network.status = (path) => (path === "/v1/commands" ? (posts++, { status: 503, headers }) : undefined);
    const entry = topic.publish("x");
    for (let i = 0; i < 95; i++) {
      service.say("room:a", "bob", i);
      await pass(1000);
    }
    assert.ok(posts > 1);
    assert.ok(network.streams >= 2, `${network.streams} streams, state ${client.state}`);
    network.status = () => undefined;
    await pass(60_000);
    assert.equal(entry.state, "stored");
    assert.equal(client.state, "connected");
  });
}

test("X41: where WebSocket is blocked the chat goes on over SSE, and comes back later", async () => {
  const { client, topic, network, service, pass, oracle } = await connected({}, ({ network }) => (network.webSockets = "refuse"));
  await pass(10_000);
  assert.equal(client.transport, "sse");
  topic.publish("over SSE");
  service.say("room:a", "bob", "hi");
  await pass(100);
  assert.deepEqual(oracle.texts, ["hi", "over SSE"]);

  let n = 0; // a bad gateway for POSTs
  network.status = (path) => (path === "/v1/commands" && n++ < 3 ? { status: 502 } : undefined);
  const entry = topic.publish("through 502");
  await pass(10_000);
  assert.equal(entry.state, "stored");
  network.status = (path) => (path === "/v1/commands" && n++ < 6 ? { status: 429, headers: { "Retry-After": "7" } } : undefined);
  const streams = network.streams;
  const busy = topic.publish("through 429");
  await pass(30_000);
  assert.equal(busy.state, "stored");
  assert.equal(network.streams, streams, "who is asked to wait is not dead");

  const before = client.states.length;
  await pass(240_000); // tries to return, in vain
  assert.equal(client.transport, "sse");
  assert.equal(client.states.length, before, "a trial that fails disturbs nothing");
  network.webSockets = "up";
  for (let i = 0; i < 30; i++) {
    service.say("room:a", "bob", i);
    topic.publish(`own ${i}`);
    await pass(40_000);
  }
  assert.equal(client.transport, "websocket");
  assert.deepEqual(client.states.slice(before), ["connecting", "connected"]);
  oracle.check();
  assert.equal(oracle.resets, 0);
});

test("X41: a WebSocket that opens but carries nothing is not returned to", async () => {
  const { client, network, pass } = await connected({}, ({ network }) => (network.webSockets = "refuse"));
  await pass(10_000);
  network.webSockets = "up";
  const received = network.service.open.bind(network.service);
  network.service.open = (sink) => received({ ...sink, send: (text) => text.includes("not_connected") || sink.send(text) });
  await pass(400_000);
  assert.equal(client.transport, "sse");
  assert.equal(client.states.filter((state) => state === "connected").length, 1);
});

test("a loss of a WebSocket that has worked is no reason to stay on SSE", async () => {
  const { client, network, pass, oracle, service } = await connected();
  await pass(20_000);
  network.mode = "refuse";
  network.cut();
  await pass(3000);
  network.webSockets = "refuse"; // whatever comes first is SSE
  network.mode = "up";
  await pass(30_000);
  assert.equal(client.transport, "sse");
  network.webSockets = "up";
  service.say("room:a", "bob", 1);
  await pass(250_000);
  assert.equal(client.transport, "websocket");
  oracle.check();
});

test("a POST whose answer is lost is repeated with its number and carried out once", async () => {
  const { topic, network, service, pass, oracle } = await connected({ transports: ["sse"] });
  let lost = 0;
  network.fate = (direction) => (direction === "answer" && lost++ < 3 ? "lost" : "pass");
  const entry = topic.publish("once");
  await pass(20_000);
  assert.equal(entry.state, "stored");
  assert.equal(service.count("publish"), 1);
  assert.deepEqual(oracle.texts, ["once"]);
});

test("X10: a command that a POST took and that is never answered is sent again, the publish with its id", async () => {
  const { client, topic, service, pass, oracle } = await connected({ transports: ["sse"] });
  const swallowed = [];
  service.intercept = (_, frame) => {
    if (frame.type === "ping" || swallowed.some(({ type }) => type === frame.type)) return frame;
    swallowed.push(frame);
  };
  const entry = topic.publish("once");
  const asked = topic.history().catch((err) => err);
  const other = client.topic("room:other");
  other.subscribe();
  await pass(60_000);
  assert.deepEqual(swallowed.map(({ type }) => type), ["publish", "history", "subscribe"]);
  assert.equal(entry.state, "stored");
  assert.equal(entry.id, swallowed[0].id);
  assert.equal((await asked).retry, "later");
  assert.equal(other.state, "subscribed");
  assert.equal(service.topic("room:a").all.length, 1);
  assert.deepEqual(oracle.texts, ["once"]);
});

test("a listener that throws, and one that disconnects, disturb nothing", async () => {
  const world = new World(3);
  const client = world.client();
  const errors = [];
  globalThis.reportError = (err) => errors.push(err.message);
  client.on("state", (state) => {
    if (state === "connected") throw new Error("listener");
  });
  client.connect();
  await world.pass(100);
  delete globalThis.reportError;
  assert.deepEqual(errors, ["listener"]);
  assert.equal(client.state, "connected");
  client.on("state", (state) => state === "waiting" && client.disconnect());
  world.network.cut();
  await world.pass(60_000);
  assert.equal(client.state, "idle");
  assert.equal(world.clock.timers, 0);
});

test("logout forgets the user: outbox, topics and session", async () => {
  const { client, service, topic, network, pass } = await connected();
  network.stall();
  topic.publish("secret");
  client.logout();
  assert.equal(client.outgoing.length, 0);
  assert.equal(client.user, "");
  client.topic("room:a").subscribe();
  client.connect();
  await pass(100);
  const [, , connect] = service.log.filter(([type]) => type === "connect").at(-1);
  assert.equal(connect.session, undefined);
  const [, , subscribe] = service.log.filter(([type]) => type === "subscribe").at(-1);
  assert.equal(subscribe.pos, undefined);
});
