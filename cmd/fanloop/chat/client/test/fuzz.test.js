// Frames of a service of which one member, at any depth, is not what it was. FANLOOP_SEED plays
// one history again, FANLOOP_ROUNDS more of them.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { compareOffsets } from "../fanloop.js";
import { checked } from "../frames.js";
import { World } from "./world.js";

const rounds = Number(process.env.FANLOOP_ROUNDS ?? 12);
const seed = process.env.FANLOOP_SEED ?? "";
const first = seed === "random" ? Math.floor(Math.random() * 2 ** 40) : Number(seed || 1);
const count = seed === "" || seed === "random" ? rounds : 1;
const types = ["connected", "subscribed", "unsubscribed", "published", "page", "members", "marker", "refreshed", "pong", "error", "message", "messages", "reset", "presence", "values", "note"];

for (let seed = first; seed < first + count; seed++) {
  test(`fuzz: odd frames make the client neither spin nor throw, nor show a message twice (seed ${seed})`, () => play(seed));
}

const values = [null, 0, -1, 0.5, 1, 2 ** 53, 1e308, "", "x", "1s", "7", "007", "99999999999999999999", "never", "later", "refresh", true, false, [], [null], {}, { offset: 5 }, [{}], [[]]];

// Every member of a frame: what holds it, and its name there.
function members(value, found = []) {
  for (const name of Object.keys(value)) {
    found.push([value, name]);
    if (typeof value[name] === "object" && value[name]) members(value[name], found);
  }
  return found;
}

test("fuzz: each frame of PROTOCOL.md with each odd value in each member is malformed, or one that stays as it is", async () => {
  const page = await readFile(new URL("../../PROTOCOL.md", import.meta.url), "utf8");
  const lines = [...page.matchAll(/```json server\n(.*?)```/gs)].flatMap(([, block]) => block.trim().split("\n"));
  let [malformed, taken] = [0, 0];
  for (const line of lines) {
    assert.deepEqual(JSON.stringify(checked(JSON.parse(line))).length > 0, true);
    for (let i = 0; i < members(JSON.parse(line)).length; i++) {
      for (const value of values) {
        const frame = JSON.parse(line);
        const [holder, name] = members(frame)[i];
        holder[name] = structuredClone(value);
        let once;
        try {
          once = checked(frame);
        } catch (err) {
          assert.ok(err instanceof TypeError, String(err));
          malformed++;
          continue;
        }
        taken++;
        assert.deepEqual(once && checked(structuredClone(once)), once, "a frame that was checked is right");
      }
    }
  }
  assert.ok(malformed > 1000 && taken > 1000, `${malformed} malformed, ${taken} taken`);
});

async function play(seed) {
  const world = new World(seed);
  const { clock, network, service } = world;
  const pick = (list) => list[Math.floor(clock.random() * list.length)];
  service.topicTtl = service.ttl = 6_000;
  let odd = 0.08;
  const another = (frame) => {
    const [holder, name] = pick(members(frame));
    return holder[name];
  };
  network.mutate = (text) => text.split("\n").map((line) => {
    const frame = JSON.parse(line);
    if (clock.random() >= odd) return line;
    const [holder, name] = pick(members(frame));
    const how = clock.random();
    if (how < 0.2) delete holder[name];
    else if (how < 0.3) holder[name] = name === "type" ? pick(types) : structuredClone(another(frame));
    else if (how < 0.35) return line.slice(0, -1);
    else holder[name] = pick(values);
    return JSON.stringify(frame).replace(/1e\+308/g, "1e999");
  }).join("\n");

  const client = world.client({ user: undefined, getToken: () => "ann", transports: seed % 3 === 0 ? ["sse"] : ["websocket", "sse"] });
  const topics = ["room:a", "__proto__"].map((name) => client.topic(name, { last: 10, presence: true, kinds: ["typing"], getToken: () => "t" }));
  for (const topic of topics) watch(topic);
  for (const topic of topics) topic.subscribe();
  client.connect();
  for (let step = 0; step < 240; step++) {
    await world.pass(1000 * clock.random());
    const topic = pick(topics);
    const what = Math.floor(clock.random() * 21);
    if (what < 7) service.say(topic.name, "bob", step);
    else if (what < 10) topic.publish(step);
    else if (what < 11) topic.read();
    else if (what < 12 && topic.position) topic.markUnread(topic.position);
    else if (what < 13) topic.typing(true);
    else if (what < 14) topic.history({ limit: 5 }).then(({ messages }) => increasing(messages), () => {});
    else if (what < 15) topic.members().catch(() => {});
    else if (what < 16) for (const c of service.connections) c.send({ type: "presence", topic: topic.name, seq: step + 2, count: 1, joined: ["bob"] });
    else if (what < 17) topic.configure({ mode: pick(["live", "passive"]) });
    else if (what < 18) for (const c of service.connections) c.endTopic(topic.name, { code: "unavailable", retry: "later", delay: 100 });
    else if (what < 19) for (const c of service.connections) c.topics.has(topic.name) && c.send({ type: "reset", topic: topic.name, attempt: c.topics.get(topic.name).attempt, pos: service.topic(topic.name).end });
    else if (what < 20) service.denied.has(topic.name) ? service.denied.clear() : service.denied.set(topic.name, { code: "unavailable", retry: "later" });
    else client.probe();
    if (client.state === "failed") client.connect();
    for (const topic of topics) topic.subscribe();
  }
  const commands = service.log.length;
  assert.ok(commands < 240 * 6, `${commands} commands`);
  assert.ok(network.opened + network.streams < 240, `${network.opened + network.streams} connections`);

  odd = 0;
  service.denied.clear();
  for (const topic of topics) topic.configure({ mode: "live" });
  network.cut();
  client.connect();
  for (const topic of topics) topic.subscribe();
  await world.pass(180_000);
  assert.equal(client.state, "connected", client.states.slice(-9).join());
  for (const topic of topics) {
    service.say(topic.name, "bob", "end");
    await world.pass(1000);
    assert.equal(topic.state, "subscribed", topic.error?.code);
    assert.equal(topic.position.offset, service.topic(topic.name).end.offset);
    assert.equal(topic.last, "end");
  }
  client.disconnect();
}

function increasing(messages) {
  for (let i = 1; i < messages.length; i++) assert.ok(compareOffsets(messages[i - 1].offset, messages[i].offset) < 0, "a page out of order");
}

// Fails where a topic shows a message again, or one in front of another, without a reset.
function watch(topic) {
  let shown = [];
  topic.on("reset", () => (shown = []));
  topic.on("messages", (messages) => {
    shown.push(...messages);
    topic.last = shown.at(-1).data;
    increasing(shown);
    assert.equal(new Set(shown.map(({ id }) => id)).size, shown.length, "an id twice");
  });
}
