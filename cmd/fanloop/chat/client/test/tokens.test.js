// tokenFrom: what a site answers, and what the client takes for the token.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { Refused, tokenFrom } from "../fanloop.js";

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
