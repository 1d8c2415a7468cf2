// tokenFrom: what a site answers, and what the client takes for the token.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { Refused, tokenFrom } from "../fanloop.js";
import { World } from "./world.js";

test("tokenFrom asks by POST, and leaves out white space around the token", async (t) => {
  let asked;
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      asked = `${request.method} ${request.headers["content-type"]} ${body}`;
      response.writeHead(request.url === "/no" ? 403 : 200).end(" a.b.c\r\n");
    });
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  t.after(() => server.close());
  const base = `http://127.0.0.1:${server.address().port}`;
  const signal = new AbortController().signal;
  assert.equal(await tokenFrom(`${base}/yes`)({ topic: undefined, signal }), "a.b.c");
  assert.equal(asked, "POST application/json {}");
  assert.equal(await tokenFrom(`${base}/yes`)({ topic: "private:board", signal }), "a.b.c");
  assert.equal(asked, 'POST application/json {"topic":"private:board"}');
  await assert.rejects(tokenFrom(`${base}/no`)({ topic: undefined, signal }), Refused);
});

// How often a site is asked, and what the application hears of it, over two minutes.
async function asked(ttl, { topic = false, token = (n) => `ann#${n}`, prepare = () => {} } = {}) {
  const world = new World(9);
  let fetches = 0;
  const getToken = () => token(++fetches);
  world.service[topic ? "topicTtl" : "ttl"] = ttl;
  prepare(world);
  const client = world.client(topic ? {} : { user: undefined, getToken });
  const said = [];
  client.on("token", (error, name) => said.push(`${error.code} ${name}`));
  client.topic("room:a", topic ? { getToken } : {}).subscribe();
  client.connect();
  await world.pass(120_000);
  return { world, client, said, fetches: () => fetches };
}

for (const topic of [false, true]) {
  const of = topic ? "a topic" : "a connection";
  const name = topic ? "room:a" : undefined;
  for (const ttl of [0, 1, -500]) {
    test(`X21: a token of ${of} at the end of its life (ttl ${ttl}) is asked for more and more rarely, and the application is told`, async () => {
      const { client, said, fetches } = await asked(ttl, { topic });
      assert.ok(fetches() >= 4 && fetches() <= 30, `${fetches()} fetches`);
      assert.equal(said.length, fetches());
      assert.deepEqual([...new Set(said)], [`old_token ${name}`]);
      assert.equal(client.state, "connected");
      client.disconnect();
    });
  }

  test(`X21: tokens of ${of} that all end at one time are asked for more and more rarely, and often again when they are new`, async () => {
    const end = 20_000;
    const { world, client, fetches } = await asked(end, {
      topic,
      prepare: ({ clock, service }) => Object.defineProperty(service, topic ? "topicTtl" : "ttl", { configurable: true, get: () => Math.max(1, end - clock.now()) }),
    });
    assert.ok(fetches() >= 4 && fetches() <= 30, `${fetches()} fetches`);

    Object.defineProperty(world.service, topic ? "topicTtl" : "ttl", { get: () => 60_000 });
    await world.pass(30_000);
    const before = fetches();
    await world.pass(600_000);
    assert.ok(fetches() - before >= 10 && fetches() - before <= 15, `${fetches() - before} fetches in ten lifetimes`);
    client.disconnect();
  });
}

test("X21: refreshes that are refused with a delay of 0 are tried more and more rarely", async () => {
  const { client, said, fetches } = await asked(10_000, {
    prepare: ({ service }) => (service.unrefreshed = Array(10_000).fill({ code: "overloaded", retry: "later", delay: 0 })),
  });
  assert.ok(fetches() >= 4 && fetches() <= 30, `${fetches()} fetches`);
  assert.equal(said[0], "overloaded undefined");
  client.disconnect();
});
