// Odd and hostile services: frames with values that no service should send. The client
// neither spins nor throws, and shows no message twice or out of order.

import assert from "node:assert/strict";
import { test } from "node:test";
import { compareOffsets } from "../fanloop.js";
import { World } from "./world.js";

const minutes = 60_000;

async function room(prepare = () => {}, options = {}) {
  const world = new World(3);
  prepare(world);
  const client = world.client({ transports: ["websocket"], ...options });
  const topic = client.topic("room:a", { last: 10, kinds: ["typing"], presence: true });
  const oracle = world.oracle(topic);
  topic.subscribe();
  client.connect();
  await world.pass(100);
  return { ...world, client, topic, oracle, pass: (n) => world.pass(n) };
}

test("a message may have at least one command, whatever the limit says", async () => {
  for (const commands of [0, -1, "x", null]) {
    const { client, topic, pass } = await room(({ service }) => (service.limits = { commands }));
    const entry = topic.publish("x");
    await pass(1000);
    assert.equal(client.limits.commands, typeof commands === "number" ? 1 : 64);
    assert.equal(entry.state, "stored");
  }
});

test("limits of zero let a publish through, slowly", async () => {
  const { topic, pass } = await room(({ service }) => (service.limits = { message: 0, rate: 0, burst: 0, page: 0, duplicates: 0 }));
  const entries = [1, 2, 3].map((n) => topic.publish(n));
  await pass(10_000);
  assert.deepEqual(entries.map(({ state }) => state), Array(3).fill("stored"));
});

const odd = { code: "overloaded", retry: "later", delay: "1s", unheard: true };

test("a delay that is no number is none: connections, subscribes and publishes become rarer all the same", async () => {
  const refused = await room(({ service }) => (service.connectAnswer = () => ({ ...odd, close: 4003 })));
  await refused.pass(2 * minutes);
  assert.ok(refused.network.opened >= 6 && refused.network.opened <= 13, `${refused.network.opened} connections`);

  for (const [type, most] of [["subscribe", 25], ["publish", 25]]) {
    const { topic, service, pass } = await room();
    service.intercept = (c, frame) => (frame.type === type ? c.error(frame, odd.code, odd.retry, odd) : frame);
    if (type === "publish") topic.publish("x");
    else for (const c of service.connections) c.endTopic("room:a", { code: "unavailable", retry: "later", delay: 10 });
    let n = 0;
    const intercept = service.intercept;
    service.intercept = (c, frame) => ((n += frame.type === type), intercept(c, frame));
    await pass(2 * minutes);
    assert.ok(n >= 4 && n <= most, `${n} of ${type}`);
  }
});

test("an answer of another command's type, topic or id ends the connection, and none is sent over and over", async () => {
  const answers = {
    ok: {}, published: { id: "another" }, marker: { version: 0 },
    pong: { time: 0 }, connected: { session: "s", user: "ann" }, subscribed: { state: "fresh" },
  };
  for (const [type, more] of Object.entries(answers)) {
    const { topic, service, network, pass, oracle } = await room();
    let n = 0;
    service.intercept = (c, frame) => {
      if (frame.type !== "publish") return frame;
      n++;
      return void c.send({ type, ref: frame.ref, topic: "room:a", unheard: true, ...more });
    };
    const entry = topic.publish("x");
    await pass(2 * minutes);
    assert.ok(n >= 2 && n <= 25, `${type}: ${n} publishes`);
    assert.ok(network.opened >= 2 && network.opened <= 13, `${type}: ${network.opened} connections`);
    assert.equal(entry.state, "unconfirmed");
    service.intercept = (_, frame) => frame;
    service.say("room:a", "bob", "after it");
    await pass(2 * minutes);
    assert.notEqual(entry.state, "sending");
    oracle.check();
  }
});

test("a service that says it pings every millisecond is probed at most every two seconds", async () => {
  for (const ping of [1, 0.001, -5]) {
    const { service, pass } = await room(({ service }) => (service.ping = ping));
    await pass(minutes);
    assert.ok(service.count("ping") <= 31, `ping ${ping}: ${service.count("ping")} probes`);
  }
});

test("a bad message in a batch loses none in front of it", async () => {
  const { client, topic, service, network, pass, oracle } = await room();
  for (const text of ["1", "2", "3", "4"]) service.say("room:a", "bob", text);
  let bad = true;
  network.mutate = (text) => {
    const lines = text.split("\n").map((line) => JSON.parse(line));
    const said = lines.filter(({ type }) => type === "message");
    if (!bad || said.length < 4) return text;
    bad = false;
    const messages = said.map(({ type, topic, ...message }) => message);
    messages[2].offset = Number(messages[2].offset);
    return JSON.stringify({ type: "messages", topic: "room:a", messages });
  };
  await pass(10_000);
  assert.equal(bad, false);
  assert.equal(client.state, "connected");
  assert.deepEqual(oracle.texts, ["1", "2", "3", "4"]);
  assert.equal(oracle.resets, 0);
  oracle.check();
  assert.ok(topic.position);
});

for (const way of ["a page that is not in order", "a place before the one it had", "messages behind the position"]) {
  test(`a subscription that begins with ${way} shows no line twice`, async () => {
    const { client, service, network, pass, oracle } = await room();
    for (const text of ["1", "2", "3", "4"]) service.say("room:a", "bob", text);
    await pass(100);
    const places = service.topic("room:a").all.map(({ offset, id }) => ({ epoch: service.topic("room:a").epoch, offset, id }));
    let n = 0;
    network.mutate = (text) => text.split("\n").map((line) => {
      const frame = JSON.parse(line);
      if (frame.type !== "subscribed" || ++n > 3) return line;
      if (way.startsWith("a place")) frame.pos = places[1];
      else frame.messages = [...service.topic("room:a").all];
      if (way.startsWith("a page")) Object.assign(frame, { state: "fresh", messages: frame.messages.reverse() });
      if (way.startsWith("messages")) Object.assign(frame, { state: "fresh", pos: places[2] });
      return JSON.stringify(frame);
    }).join("\n");
    network.cut();
    await pass(2 * minutes);
    assert.ok(n >= 4, `${n} subscriptions`);
    assert.equal(client.state, "connected");
    service.say("room:a", "bob", "5");
    await pass(100);
    assert.equal(oracle.texts.at(-1), "5");
    oracle.check();
    assert.equal(oracle.resets, 0);
  });
}

test("an answer fresh to who brought a position is a reset", async () => {
  const { service, network, pass, oracle } = await room();
  service.say("room:a", "bob", "1");
  await pass(100);
  network.mutate = (text) => text.replaceAll('"state":"resumed"', '"state":"fresh"');
  network.cut();
  await pass(5000);
  assert.equal(oracle.resets, 1);
});

test("a marker that is none stops no later one, and nothing is thrown into the application", async () => {
  const { topic, service, network, pass } = await room();
  for (let i = 0; i < 3; i++) service.say("room:a", "bob", i);
  await pass(100);
  const places = service.topic("room:a").all.map(({ offset, id }) => ({ epoch: service.topic("room:a").epoch, offset, id }));
  let bad = 0;
  network.mutate = (text) => (text.includes('"marker","ref"') && bad++ === 0 ? text.replace(/"offset":"(\d+)"/, '"offset":$1') : text);
  topic.read(places[0]);
  await pass(10_000);
  topic.read(places[2]);
  await pass(5000);
  assert.ok(bad >= 2);
  assert.deepEqual(topic.marker.pos, places[2]);
});

test("a marker that the service cannot set now is brought more and more rarely", async () => {
  const { topic, service, pass } = await room();
  service.say("room:a", "bob", 1);
  await pass(100);
  let n = 0;
  service.intercept = (c, frame) => (frame.type === "read" ? (n++, c.error(frame, "unavailable", "later")) : frame);
  topic.read();
  await pass(2 * minutes);
  assert.ok(n >= 4 && n <= 25, `${n} reads`);
});

test("addresses that are none, or of another kind, are left out", async () => {
  const { client, network, pass } = await room(({ service }) => (service.addresses = ["javascript:alert(1)", "file:///x", "http://[", ""]), { url: "http://chat.example" });
  network.mode = "refuse";
  network.cut();
  const urls = new Set();
  const openSocket = network.openSocket.bind(network);
  network.openSocket = (socket) => (urls.add(socket.url), openSocket(socket));
  await pass(minutes);
  assert.deepEqual([...urls], ["ws://chat.example/v1/socket"]);
  client.disconnect();
});
