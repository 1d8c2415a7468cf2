// Topics: positions, attempts, publishing, and what else a topic has.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { compareOffsets } from "../fanloop.js";
import { EventParser } from "../transport.js";
import { pack } from "../base.js";
import { memoryStorage, World } from "./world.js";

async function room(options, prepare = () => {}) {
  const world = new World(11);
  prepare(world);
  const client = world.client(options);
  const topic = client.topic("room:a", { last: 10, kinds: ["typing"], presence: true });
  const oracle = world.oracle(topic);
  topic.subscribe();
  client.connect();
  await world.pass(100);
  return { ...world, world, client, topic, oracle, pass: (n) => world.pass(n) };
}

const dropAnswers = (network) => (network.fate = (direction, text) => (direction === "down" && text.includes('"published"') ? "lost" : "pass"));

test("X10: a publish whose answer is lost is stored once, by itself, by Retry, and after a reload", async (t) => {
  for (const way of ["by itself", "by Retry", "after a reload"]) {
    await t.test(way, async () => {
      const storage = memoryStorage();
      const { world, client, topic, network, service, pass } = await room({ storage });
      dropAnswers(network);
      const entry = topic.publish("once");
      assert.equal(entry.state, "sending");
      await pass(50);
      network.cut();
      assert.equal(entry.state, "unconfirmed");
      let last = entry;
      network.fate = () => "pass";
      if (way === "by Retry") {
        entry.retry();
        entry.retry();
      }
      if (way === "after a reload") {
        client.page.tell("window", "pagehide");
        const again = world.client({ storage });
        assert.deepEqual(again.outgoing.map(({ id, state, data }) => ({ id, state, data })), [{ id: entry.id, state: "unconfirmed", data: "once" }]);
        last = again.outgoing[0];
        again.topic("room:a").subscribe();
        again.connect();
      }
      await pass(10_000);
      assert.equal((await last.settled).state, "stored");
      assert.equal(service.topic("room:a").all.length, 1);
      assert.equal(storage.map.size, 0);
    });
  }
});

test("X10: only a definite no makes a publish refused, and the text is kept", async () => {
  const { client, topic, service, pass } = await room();
  service.denied.set("room:a", { code: "unavailable", retry: "later", delay: 50 });
  const entry = topic.publish("text");
  await pass(5000);
  assert.equal(entry.state, "unconfirmed");
  service.denied.set("room:a", "forbidden");
  await pass(30_000);
  assert.equal(entry.state, "refused");
  assert.equal(entry.error.code, "forbidden");
  assert.deepEqual(client.outgoing.map(({ data }) => data), ["text"]);
  service.denied.clear();
  entry.retry();
  await pass(100);
  assert.equal(entry.state, "stored");
  assert.deepEqual(client.outgoing, []);
});

for (const lines of [5, 200]) {
  for (const gap of ["recovered", "lost"]) {
    test(`X11: beyond the window of duplicates, after ${lines} lines of others, the gap ${gap}`, async () => {
      const { topic, network, service, pass, oracle } = await room({}, ({ service }) => (service.duplicates = 5000));
      service.say("room:a", "bob", "before");
      await pass(100);
      dropAnswers(network);
      const stored = topic.publish("stored");
      await pass(50);
      network.mode = "refuse";
      network.cut();
      await pass(60_000);
      const unsent = topic.publish("unsent");
      for (let i = 0; i < lines; i++) service.say("room:a", "bob", i);
      if (gap === "lost") service.topic("room:a").behind = () => undefined;
      network.mode = "up";
      network.fate = () => "pass";
      await pass(120_000);
      assert.equal(stored.state, "stored");
      assert.equal(unsent.state, "stored");
      const own = service.topic("room:a").all.filter(({ user }) => user === "ann").map(({ data }) => data);
      assert.deepEqual(own, ["stored", "unsent"]);
      oracle.check();
    });
  }
}

test("X11: a publish that never arrived is sent again when that is found out", async () => {
  const { topic, network, service, pass } = await room({}, ({ service }) => (service.duplicates = 5000));
  service.say("room:a", "bob", "before");
  await pass(100);
  network.stall();
  const entry = topic.publish("late");
  await pass(20);
  network.mode = "refuse";
  network.cut();
  await pass(60_000);
  for (let i = 0; i < 150; i++) service.say("room:a", "bob", i);
  service.topic("room:a").behind = () => undefined; // a reset: pages are looked through
  network.mode = "up";
  await pass(120_000);
  assert.equal(entry.state, "stored");
  assert.ok(service.count("history") >= 2);
  assert.equal(service.topic("room:a").all.filter(({ data }) => data === "late").length, 1);
});

test("X11: what cannot be found out is never sent again without the user", async () => {
  const { topic, network, service, pass } = await room({}, ({ service }) => (service.duplicates = 5000));
  dropAnswers(network);
  const entry = topic.publish("perhaps");
  const behind = topic.publish("behind it");
  await pass(50);
  network.mode = "refuse";
  network.cut();
  await pass(60_000);
  service.recreate("room:a");
  network.mode = "up";
  network.fate = () => "pass";
  await pass(120_000);
  assert.equal(entry.state, "unconfirmed");
  assert.equal(entry.mayRepeat, true);
  assert.equal(behind.state, "stored", "others do not wait for the user");
  entry.retry();
  await pass(1000);
  assert.equal(entry.state, "stored");
});

test("X12: 120 messages in two rooms: a bound, in order, paced, after subscribing; a denied room is refused", async () => {
  const { client, network, service, clock, pass } = await room({}, ({ service }) => (service.limits = { rate: 20, burst: 20 }));
  const rooms = ["room:a", "room:b"].map((name) => client.topic(name));
  for (const topic of rooms) topic.subscribe();
  await pass(100);
  network.mode = "refuse";
  network.cut();
  await pass(1000);
  const entries = [];
  for (let i = 0; i < 120; i++) entries.push(rooms[i % 2].publish(i));
  for (let i = 0; i < 20; i++) {
    rooms[0].typing(true);
    rooms[0].read({ epoch: "e0", offset: String(100 + i), id: "x" });
    await pass(30_000);
  }
  const full = entries.filter(({ error }) => error?.code === "outbox_full");
  assert.equal(full.length, 20);
  assert.ok(full.every(({ state, data }) => state === "refused" && data >= 100));
  service.denied.set("room:b", "forbidden");
  service.log = [];
  const times = [];
  const intercept = (_c, frame) => (frame.type === "publish" && times.push(clock.now()), frame);
  service.intercept = intercept;
  network.mode = "up";
  await pass(60_000);
  const types = service.log.map(([type]) => type);
  assert.ok(types.indexOf("publish") > types.lastIndexOf("connect"));
  assert.equal(types.filter((type) => type === "set").length, 0, "typing does not wait");
  assert.equal(times.length, 100, "each is sent once");
  const reads = service.log.filter(([type]) => type === "read");
  assert.deepEqual(reads.map(([, , { pos }]) => pos.offset), ["119"], "of read positions the last");
  assert.deepEqual(service.topic("room:a").all.map(({ data }) => data), Array.from({ length: 50 }, (_, i) => 2 * i));
  assert.ok(entries.filter((entry, i) => i < 100 && i % 2 === 1).every(({ state, data }) => state === "refused" && data >= 0));
  for (let i = 0; i + 40 < times.length; i++) assert.ok(times[i + 40] - times[i] >= 1000, "slower than the rate");
});

test("X14: lines around a late page are there once and in order", async () => {
  const { topic, service, pass, oracle } = await room({}, ({ service }) => {
    for (let i = 0; i < 30; i++) service.say("room:a", "bob", i);
  });
  service.slowness = ({ type }) => (type === "history" ? 2000 : 0);
  const page = topic.history({ before: topic.back });
  for (const text of ["x", "y", "z"]) {
    service.say("room:a", "bob", text);
    await pass(900);
  }
  const { messages } = await page;
  assert.deepEqual([...messages.map(({ data }) => data), ...oracle.texts], [...Array(30).keys(), "x", "y", "z"]);
  assert.ok(compareOffsets(messages.at(-1).offset, oracle.parts[0][0].offset) < 0);
});

test("X15: the position is that of the last line taken, from an empty topic on", async () => {
  const { topic, network, service, pass, oracle } = await room();
  assert.equal(topic.position.id, "");
  network.cut();
  service.say("room:a", "bob", "one");
  await pass(3000);
  assert.deepEqual(oracle.texts, ["one"]);
  const { position } = topic;
  for (let i = 0; i < 50; i++) for (const c of service.connections) c.set({ topic: "room:a", kind: "typing", key: `u${i}`, data: true });
  await pass(100);
  assert.equal(topic.position, position);
  assert.equal(topic.values("typing").size, 50);
  for (let i = 0; i < 2; i++) {
    network.cut();
    await pass(10_000);
  }
  assert.deepEqual(oracle.texts, ["one"]);
  assert.equal(oracle.resets, 0);
});

test("X15: a hole is not shown over: the topic subscribes again from in front of it", async () => {
  const { topic, network, service, pass, oracle } = await room();
  service.say("room:a", "bob", "one");
  await pass(50);
  let swallowed = 0;
  for (const c of service.connections) {
    const { send } = c.sink;
    c.sink.send = (text) => (text.includes('"two"') && swallowed++ === 0) || send(text);
  }
  service.say("room:a", "bob", "two");
  await pass(50);
  service.say("room:a", "bob", "three");
  await pass(50);
  assert.deepEqual(oracle.texts, ["one", "two", "three"]);
  assert.equal(topic.state, "subscribed");
  assert.equal(network.opened, 1);
});

test("a listener that subscribes again gets no line twice", async () => {
  const { topic, service, pass, oracle } = await room();
  let n = 0;
  topic.on("messages", () => {
    if (n++ < 3) {
      topic.unsubscribe();
      topic.subscribe();
    }
  });
  for (let i = 0; i < 9; i++) {
    service.say("room:a", "bob", i);
    await pass(7);
  }
  await pass(100);
  assert.deepEqual(oracle.texts, [...Array(9).keys()]);
});

test("X16: another life of the topic is a reset, and its position replaces the old one whole", async () => {
  const { topic, network, service, pass, oracle } = await room();
  for (let i = 0; i < 9; i++) service.say("room:a", "bob", i);
  await pass(100);
  network.mode = "refuse";
  network.cut();
  await pass(100);
  service.recreate("room:a", 3n);
  service.say("room:a", "bob", "new");
  network.mode = "up";
  await pass(60_000);
  assert.deepEqual(oracle.parts.map((part) => part.map(({ data }) => data)), [[...Array(9).keys()], ["new"]]);
  assert.deepEqual(topic.position, service.topic("room:a").end);
});

for (const transport of ["websocket", "sse"]) {
  test(`X17: 200 rounds of subscribe, unsubscribe, subscribe over ${transport}`, async () => {
    const { client, topic, service, clock, pass, oracle } = await room({ transports: [transport] }, ({ service }) => (service.slowness = ({ type }) => (/subscribe/.test(type) ? 300 : 0)));
    await pass(1000);
    let after = 0;
    topic.on("messages", () => (after += topic.state === "idle" ? 1 : 0));
    for (let i = 0; i < 200; i++) {
      topic.subscribe();
      await pass(10);
      service.say("room:a", "bob", i);
      topic.unsubscribe();
      await pass(10);
      if (i % 5 === 0) for (const c of service.connections) c.endTopic("room:a", { code: "unavailable", retry: "later", delay: 1 });
      if (i % 3 > 0) topic.subscribe();
      await pass(Math.floor(clock.random() * 30));
    }
    topic.unsubscribe();
    await pass(5000);
    assert.equal(topic.state, "idle");
    for (const c of service.connections) assert.equal(c.topics.has("room:a"), false);
    topic.subscribe();
    await pass(5000);
    assert.equal(topic.state, "subscribed");
    assert.equal(after, 0, "nothing comes after unsubscribe");
    for (const c of service.connections) assert.equal(c.topics.has("room:a"), true);
    oracle.check();
    assert.equal(client.states.filter((state) => state.startsWith("waiting")).length, 0);
  });
}

test("a subscription that ends again and again stops with an error", async () => {
  const { topic, service, pass } = await room();
  const open = service.count("subscribe");
  for (let i = 0; i < 20; i++) {
    for (const c of service.connections) c.endTopic("room:a", { code: "unavailable", retry: "later" });
    await pass(100);
  }
  assert.equal(service.count("subscribe") - open, 5);
  assert.equal(topic.state, "failed");
  assert.equal(topic.error.code, "breaker");
  topic.subscribe();
  await pass(100);
  assert.equal(topic.state, "subscribed");
});

test("a service that cannot subscribe now is asked more and more rarely, but not given up", async () => {
  const { topic, service, pass } = await room({}, ({ service }) => service.denied.set("room:a", { code: "unavailable", retry: "later" }));
  await pass(120_000);
  assert.ok(service.count("subscribe") <= 25, `${service.count("subscribe")}`);
  assert.equal(topic.state, "waiting");
  service.denied.clear();
  await pass(20_000);
  assert.equal(topic.state, "subscribed");
});

test("a topic token is fetched when it is asked for, and renewed", async () => {
  const world = new World(5);
  world.service.topicTtl = 10_000;
  const client = world.client();
  let fetches = 0;
  const topic = client.topic("private:a", { getToken: ({ topic }) => `${topic}#${++fetches}` });
  topic.subscribe();
  client.connect();
  await world.pass(100);
  assert.equal(topic.state, "subscribed");
  await world.pass(9000);
  assert.equal(fetches, 2);
  const [, , refresh] = world.service.log.find(([type]) => type === "refresh");
  assert.equal(refresh.token, "private:a#2");
  for (const c of world.service.connections) c.endTopic("private:a", { code: "token_expired", retry: "refresh" });
  await world.pass(100);
  assert.equal(fetches, 3);
  assert.equal(topic.state, "subscribed");
  for (const c of world.service.connections) c.endTopic("private:a", { code: "forbidden", retry: "never" });
  await world.pass(60_000);
  assert.equal(topic.state, "failed");
});

test("X21: a topic token that cannot be renewed at once is renewed later, on the same subscription", async () => {
  const world = new World(5);
  world.service.topicTtl = 60_000;
  world.service.unrefreshed.push({ code: "unavailable", retry: "later" });
  const client = world.client();
  let fetches = 0;
  const topic = client.topic("private:a", { getToken: () => `#${++fetches}` });
  topic.subscribe();
  client.connect();
  await world.pass(75_000); // behind the first renewal, and the wait after it failed
  assert.deepEqual(world.service.log.filter(([type]) => type === "refresh").map(([, , { token }]) => token), ["#2", "#3"]);
  assert.equal(world.service.count("subscribe"), 1);
});

test("X24: of two read positions the larger wins, and only unread goes back", async () => {
  const { topic, service, pass } = await room();
  for (let i = 0; i < 9; i++) service.say("room:a", "bob", i);
  await pass(100);
  const pos = (i) => ({ epoch: "e0", offset: service.topic("room:a").all[i].offset, id: service.topic("room:a").all[i].id });
  topic.read(pos(8));
  topic.read(pos(3));
  await pass(2000);
  assert.deepEqual(topic.marker.pos, pos(8));
  topic.read(pos(3));
  await pass(2000);
  assert.deepEqual(topic.marker.pos, pos(8));
  for (const c of service.connections) c.send({ type: "marker", topic: "room:a", pos: pos(2), version: 0, unread: 6 });
  await pass(100);
  assert.deepEqual(topic.marker.pos, pos(8));
  topic.markUnread(pos(5));
  await pass(2000);
  assert.deepEqual(topic.marker.pos, pos(5));
  assert.equal(topic.marker.version, 1);
  assert.equal(service.count("read"), 1);
});

test("X24: what waits to be read when another tab goes back on purpose is not read", async () => {
  const { topic, service, pass } = await room();
  for (let i = 0; i < 9; i++) service.say("room:a", "bob", i);
  await pass(100);
  const stream = service.topic("room:a");
  const pos = (i) => ({ epoch: "e0", offset: stream.all[i].offset, id: stream.all[i].id });
  topic.read(pos(2));
  topic.read(pos(8)); // waits, since commands have a distance
  await pass(50);
  stream.marker = { pos: pos(1), version: 1 };
  for (const c of service.connections) c.send({ type: "marker", topic: "room:a", ...stream.marker, unread: 7 });
  await pass(5000);
  assert.deepEqual(topic.marker.pos, pos(1));
  assert.deepEqual(stream.marker, { pos: pos(1), version: 1 });
  topic.read(pos(4)); // on purpose, by who saw it
  await pass(2000);
  assert.deepEqual(stream.marker, { pos: pos(4), version: 1 });
});

test("X47: names and keys are values, never members of objects", async () => {
  const names = ["__proto__", "constructor", "toString", "a.b", ">", "*", "a b", "../x", "%2e", "$JS.API", "😀"];
  const world = new World(2);
  const client = world.client();
  const got = [];
  for (const name of names) {
    const topic = client.topic(name, { kinds: ["typing"] });
    topic.on("messages", (messages) => got.push([name, messages[0].data]));
    topic.subscribe();
  }
  client.connect();
  await world.pass(100);
  for (const name of names) {
    for (const c of world.service.connections) c.set({ topic: name, kind: "typing", key: "__proto__", data: true });
    world.service.say(name, "__proto__", name);
  }
  await world.pass(100);
  assert.deepEqual(got, names.map((name) => [name, name]));
  assert.equal(client.topic("__proto__").values("typing").get("__proto__"), true);
  assert.equal({}.polluted, undefined);
});

test("X51: offsets cross 2^53 unharmed", async () => {
  const { service, pass, oracle, network, topic } = await room({}, ({ service }) => (service.firstOffset = 2n ** 53n - 5n));
  for (let i = 0; i < 20; i++) {
    service.say("room:a", "bob", i);
    await pass(20);
    if (i === 9) network.cut();
  }
  await pass(10_000);
  assert.deepEqual(oracle.texts, [...Array(20).keys()]);
  assert.ok(BigInt(topic.position.offset) > 2n ** 53n);
  oracle.check();
  assert.ok(compareOffsets("9", "10") < 0 && compareOffsets("10", "9") > 0 && compareOffsets("9007199254740993", "9007199254740992") > 0);
});

test("typing is sent no more often than needed, and runs out by itself", async () => {
  const { client, topic, service, pass, network } = await room();
  for (let i = 0; i < 40; i++) {
    topic.typing(true);
    await pass(100);
  }
  assert.equal(service.count("set"), 2);
  assert.deepEqual([...topic.values("typing").keys()], ["ann"]);
  topic.typing(false);
  topic.typing(false);
  await pass(100);
  assert.equal(service.count("set"), 3);
  assert.equal(topic.values("typing").size, 0);
  for (const c of service.connections) c.set({ topic: "room:a", kind: "typing", key: "bob", data: true });
  await pass(10);
  network.mode = "refuse";
  network.cut();
  assert.equal(topic.values("typing").size, 1);
  await pass(8000);
  assert.equal(topic.values("typing").size, 0);
  client.disconnect();
});

test("presence follows its sequence, from a list of all to a count and back", async () => {
  const { topic, service, pass } = await room();
  const tell = async (frame) => {
    for (const c of service.connections) c.send({ type: "presence", topic: "room:a", ...frame });
    await pass(10);
    return topic.presence.users && [...topic.presence.users].sort();
  };
  assert.deepEqual(await tell({ seq: 2, count: 3, joined: ["bob", "__proto__"], left: [] }), ["__proto__", "ann", "bob"]);
  assert.deepEqual(await tell({ seq: 2, count: 9, joined: ["eve"], left: ["ann"] }), ["__proto__", "ann", "bob"]);
  assert.deepEqual(await tell({ seq: 3, count: 2, joined: [], left: ["bob"] }), ["__proto__", "ann"]);
  assert.equal(await tell({ seq: 4, count: 900, sample: ["kim"] }), null);
  assert.equal(topic.presence.count, 900);
  assert.deepEqual(await tell({ seq: 5, count: 1, reset: true, joined: ["ann"] }), ["ann"]);
});

test("a passive subscription tells that there is something, and becomes live where it left off", async () => {
  const { topic, service, pass, oracle } = await room();
  service.say("room:a", "bob", 1);
  await pass(50);
  topic.configure({ mode: "passive" });
  await pass(50);
  const notes = [];
  topic.on("note", (count) => notes.push(count));
  service.say("room:a", "bob", 2);
  await pass(50);
  assert.deepEqual(notes, [2]);
  assert.deepEqual(oracle.texts, [1]);
  const held = topic.publish("needs a live subscription");
  await pass(50);
  assert.equal(held.state, "stored"); // the test's service asks for no more than any
  topic.configure({ mode: "live" });
  await pass(50);
  assert.deepEqual(oracle.texts, [1, 2, "needs a live subscription"]);
  oracle.check();
});

test("a publish to a topic that is not subscribed waits for the subscription if it must", async () => {
  const { client, service, pass } = await room();
  const topic = client.topic("room:b");
  const entry = topic.publish("early");
  await pass(100);
  assert.equal(entry.state, "sending");
  topic.subscribe();
  await pass(100);
  assert.equal(entry.state, "stored");
  assert.equal(service.topic("room:b").all.length, 1);
});

test("X17: a listener of its own message that unsubscribes ends the subscription that brings it", async () => {
  const { topic, network, service, pass, oracle } = await room();
  dropAnswers(network);
  const entry = topic.publish("mine");
  await pass(20);
  topic.on("outgoing", ({ state }) => state === "stored" && topic.unsubscribe());
  topic.forget(); // the next subscription begins with a page that has it
  network.fate = () => "pass";
  network.cut();
  await pass(5000);
  assert.equal(entry.state, "stored");
  assert.equal(topic.state, "idle");
  service.say("room:a", "bob", "later");
  await pass(1000);
  assert.deepEqual(oracle.texts, []);
});

test("what is too large is refused before it is sent", async () => {
  const { topic, service, pass } = await room();
  const entry = topic.publish("ä".repeat(8192));
  assert.equal(entry.state, "refused");
  assert.equal(entry.error.code, "too_large");
  assert.equal(topic.publish("ä".repeat(8191)).state, "sending");
  await pass(100);
  assert.equal(service.count("publish"), 1);
});

test("requests without a connection, and those it ends under, fail with later", async () => {
  const { client, topic, network, service, pass } = await room();
  service.slowness = ({ type }) => (type === "history" ? 1000 : 0);
  const page = topic.history();
  await pass(20);
  network.cut();
  await assert.rejects(page, { name: "ChatError", code: "connection_lost", retry: "later" });
  client.disconnect();
  await assert.rejects(topic.history(), { code: "connection_lost" });
});

test("another user finds nothing of the one before in the outbox", async () => {
  const storage = memoryStorage();
  const { world, client, topic, network, pass } = await room({ storage });
  network.stall();
  topic.publish("ann's");
  client.page.tell("window", "pagehide");
  const other = world.client({ storage, user: "eve" });
  other.topic("room:a").subscribe();
  other.connect();
  await pass(100);
  assert.equal(other.outgoing.length, 0);
  assert.equal(storage.map.size, 0);
});

test("events of a stream come whole, however it is cut", () => {
  const text = ': hi\r\n\r\nid: s1\ndata: {"a":1}\ndata:{"b":2}\n\nevent: x\rdata: c\r\rdata: ä\r\n\r\n';
  const want = ['{"a":1}\n{"b":2}', "c", "ä"];
  for (let i = 0; i <= text.length; i++) {
    const got = [];
    const parser = new EventParser((data) => got.push(data));
    parser.push(text.slice(0, i));
    parser.push(text.slice(i));
    assert.deepEqual(got, want, `cut at ${i}`);
  }
  const got = [];
  const parser = new EventParser((data) => got.push(data));
  for (const piece of ["data: a\r", "\ndata: b\r\n\r", "\n"]) parser.push(piece);
  assert.deepEqual(got, ["a\nb"], "a CRLF in two pieces is one end of a line");
});

test("messages are packed up to the limits", () => {
  const queue = ["a".repeat(50), "ä".repeat(30), "b", "c"];
  assert.equal(pack(queue, { commands: 64, message: 100 }).length, 50);
  assert.equal(pack(queue, { commands: 2, message: 100 }), "ä".repeat(30) + "\nb");
  assert.equal(pack(queue, { commands: 2, message: 100 }), "c");
  assert.equal(pack(["x".repeat(500)], { commands: 2, message: 100 }).length, 500);
});

test("every frame that PROTOCOL.md shows is taken, with members and types that nobody knows", async () => {
  const text = await readFile(new URL("../../PROTOCOL.md", import.meta.url), "utf8");
  const frames = [...text.matchAll(/```json server\n(.*?)```/gs)].flatMap(([, block]) => block.trim().split("\n")).map((line) => JSON.parse(line));
  assert.ok(frames.length > 30);
  const { client, service, pass, network } = await room({ kinds: ["typing"] });
  for (const frame of [...frames, { type: "tomorrow", ref: 1 }]) {
    if (frame.type === "closing") continue;
    const topics = new Set(["room:a", frame.topic]);
    for (const topic of topics) for (const c of service.connections) c.send({ ...frame, topic, unheard: { of: 1 } });
    await pass(50);
    assert.equal(client.state, "connected", JSON.stringify(frame));
  }
  assert.equal(network.opened, 1);
});

test("what is no frame ends the connection, and the next one goes on", async () => {
  const { client, service, pass, oracle } = await room();
  for (const bad of ["{", "null", '{"type":"messages","topic":"room:a"}', '{"type":"message","topic":"room:a","offset":7}']) {
    await pass(15_000);
    for (const c of service.connections) c.sink.send(bad);
    await pass(5);
    service.say("room:a", "bob", bad);
    await pass(20_000);
    assert.equal(client.state, "connected", bad);
  }
  assert.equal(oracle.texts.length, 4);
  oracle.check();
});

test("the end of a connection changes the state of a publish once", async () => {
  const { topic, network, pass } = await room();
  dropAnswers(network);
  const states = [];
  topic.on("outgoing", ({ state }) => states.push(state));
  topic.publish("x");
  await pass(50);
  network.mode = "refuse";
  network.cut();
  assert.deepEqual(states, ["sending", "sending", "unconfirmed"]);
});

test("a message is changed by what publish returned, once it is stored", async () => {
  const { topic, service, pass } = await room();
  const entry = topic.publish("a typo");
  assert.throws(() => topic.edit(entry, "the text"), /settled/);
  await pass(1000);
  assert.equal(entry.state, "stored");
  topic.edit(entry, "the text");
  topic.delete(entry);
  await pass(1000);
  const { offset, id } = service.topic("room:a").all[0];
  assert.deepEqual(service.topic("room:a").all.slice(1).map(({ kind, target, data }) => ({ kind, target, data })), [
    { kind: "edit", target: { offset, id }, data: "the text" }, { kind: "delete", target: { offset, id }, data: undefined },
  ]);
});
