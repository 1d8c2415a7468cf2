// Random histories over a network that cuts, delays, repeats and swallows, on
// a service that is slow and loses its store. FANLOOP_SEED plays one again, or
// begins with a random one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryStorage, World } from "./world.js";

const rounds = Number(process.env.FANLOOP_ROUNDS ?? 40);
const seed = process.env.FANLOOP_SEED ?? "";
const first = seed === "random" ? Math.floor(Math.random() * 2 ** 40) : Number(seed || 1);
const count = seed === "" || seed === "random" ? rounds : 1;

for (let seed = first; seed < first + count; seed++) {
  test(`model: what is shown is the stream, and each publish is in it once (seed ${seed})`, () => play(seed));
}

async function play(seed) {
  const world = new World(seed);
  const { clock, network, service } = world;
  const chance = (p) => clock.random() < p;
  const range = (n) => Math.floor(clock.random() * n);
  service.duplicates = chance(0.5) ? 60_000 : 8_000;
  let storm = true;
  network.latency = () => 1 + range(storm ? 80 : 10);
  service.slowness = () => (storm && chance(0.3) ? range(400) : 0);
  network.fate = (direction, text) => {
    if (!storm) return "pass";
    if (chance(0.02)) return chance(0.3) ? "lost" : "cut";
    // A frame that comes twice: messages alone, since each answer comes once.
    if (direction === "down" && !text.includes('"ref"') && chance(0.1)) return "twice";
    return "pass";
  };

  const storage = memoryStorage();
  const names = ["room:a", "room:b", "__proto__"];
  const published = new Map(names.map((name) => [name, []]));
  const oracles = [];
  let client = start();

  function start() {
    const made = world.client({ storage });
    for (const name of names) {
      const topic = made.topic(name, { last: 20, presence: true, kinds: ["typing"] });
      oracles.push(world.oracle(topic));
      topic.subscribe();
    }
    made.connect();
    return made;
  }

  for (let step = 0; step < 120; step++) {
    await world.pass(range(500));
    const name = names[range(names.length)];
    const topic = client.topic(name);
    const what = range(40);
    if (what < 14) service.say(name, "bob", step);
    else if (what < 26) published.get(name).push(topic.publish(`own ${step}`));
    else if (what < 28) network.cut();
    else if (what < 29) network.mode = network.mode === "up" ? "refuse" : "up";
    else if (what < 30) network.webSockets = network.webSockets === "up" ? "blackhole" : "up";
    else if (what < 31) network.stall();
    else if (what < 33) (topic.state === "idle" ? topic.subscribe() : topic.unsubscribe());
    else if (what < 34) client.page.tell("document", "resume");
    else if (what < 35) for (const c of service.connections) c.endTopic(name, { code: "unavailable", retry: "later", delay: 100 });
    else if (what < 36) chance(0.2) ? service.recreate(name) : service.topic(name).trim(30);
    else if (what < 37) topic.read();
    else if (what < 38) topic.typing(chance(0.5));
    else if (what < 39) for (const c of [...service.connections]) chance(0.3) && c.close(4000, "draining");
    else if (chance(0.3)) {
      // A reload: what was published survives in the storage.
      client.page.tell("window", "pagehide");
      client.disconnect();
      client = start();
    }
  }

  storm = false;
  network.mode = network.webSockets = "up";
  for (const name of names) client.topic(name).subscribe();
  client.page.tell("window", "online");
  await world.pass(240_000);

  assert.equal(client.state, "connected", client.states.slice(-9).join());
  const reloaded = new Set(client.outgoing.map(({ id }) => id));
  for (const oracle of oracles) oracle.check(client.topic(oracle.topic.name) === oracle.topic);
  for (const name of names) {
    const stream = service.topic(name);
    // A life of a topic knows nothing of those before it, not even ids.
    const lives = [...(stream.past ?? []), stream].map(({ all }) => all.filter(({ user }) => user === "ann").map(({ id }) => id));
    for (const life of lives) assert.equal(new Set(life).size, life.length, "a publish was stored twice");
    const ids = lives.flat();
    const own = published.get(name).map(({ id }) => id);
    const missing = own.filter((id) => !ids.includes(id));
    // What is not in the stream is said to be not confirmed, and the user asked.
    for (const id of missing) {
      const entry = client.outgoing.find((outgoing) => outgoing.id === id);
      assert.ok(entry?.mayRepeat || entry?.error?.code === "outbox_full", `${id} is lost: ${entry?.state} ${JSON.stringify(entry?.error)}`);
    }
    const order = own.filter((id) => ids.includes(id));
    if (!stream.past) assert.deepEqual(ids, order, "own messages are stored in the order in which they were published");
  }
  assert.ok([...reloaded].every((id) => client.outgoing.find((entry) => entry.id === id)?.mayRepeat), "only what the user must decide waits");
  client.disconnect();
}
