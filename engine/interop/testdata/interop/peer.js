// Both sides of the contract in interop_test.go, with Node's ws.
//
//   node peer.js serve '{...}'   prints its address, then how each connection ended
//   node peer.js dial '{...}'    prints the outcome of each case
'use strict';

const assert = require('assert');
const fs = require('fs');
const http = require('http');
const https = require('https');
const WebSocket = require('../npm/node_modules/ws');

const config = JSON.parse(process.argv[3]);
const print = (value) => console.log(JSON.stringify(value));

function thirds(data) {
  const n = Math.ceil(data.length / 3);
  return [data.subarray(0, n), data.subarray(n, 2 * n), data.subarray(2 * n)];
}

function sendThirds(ws, data, binary) {
  const [a, b, c] = thirds(data);
  ws.send(a, { binary, fin: false });
  ws.send(b, { binary, fin: false });
  ws.send(c, { binary, fin: true });
}

const pem = (file) => fs.readFileSync(file);

function serve() {
  const carrier = config.certFile
    ? https.createServer({ cert: pem(config.certFile), key: pem(config.keyFile) })
    : http.createServer();
  const server = new WebSocket.Server({
    server: carrier,
    maxPayload: config.largest,
    perMessageDeflate: true,
    handleProtocols: (offered) => (offered.has(config.subprotocol) ? config.subprotocol : false),
  });
  carrier.listen(0, '127.0.0.1', () => print({ address: `127.0.0.1:${carrier.address().port}` }));
  server.on('connection', (ws, request) => {
    const path = request.url;
    ws.on('close', (code, reason) => print({ path, code, reason: reason.toString() }));
    ws.on('error', (error) => console.error(path, error));
    ws.on('pong', (payload) => ws.send('pong ' + payload));
    ws.on('message', (data, binary) => {
      if (path === '/fragments') sendThirds(ws, data, binary);
      else if (path === '/ping') ws.ping(data);
      else ws.send(data, { binary });
    });
    if (path === '/bye') ws.close(config.byeCode, config.byeReason);
    if (path === '/drop') ws.terminate();
  });
  process.stdin.on('end', () => process.exit(0)).resume();
}

// Client is a connection whose messages and end can be awaited.
class Client {
  constructor(path) {
    this.path = path;
    this.arrived = [];
    this.waiting = [];
    this.ws = new WebSocket(config.url + path, ['chat.v9', config.subprotocol], {
      maxPayload: config.largest,
      ...(config.certFile && { ca: pem(config.certFile), servername: config.serverName }),
    });
    this.opened = new Promise((resolve, reject) => {
      this.ws.on('open', resolve);
      this.ws.on('error', reject);
    });
    this.closed = new Promise((resolve) => {
      this.ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    this.pinged = new Promise((resolve) => this.ws.on('ping', (payload) => resolve(payload.toString())));
    this.ponged = new Promise((resolve) => this.ws.on('pong', (payload) => resolve(payload.toString())));
    this.ws.on('message', (data, binary) => {
      const take = this.waiting.shift();
      if (take) take({ data, binary });
      else this.arrived.push({ data, binary });
    });
  }

  message() {
    if (this.arrived.length > 0) return Promise.resolve(this.arrived.shift());
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  async want(data, binary) {
    const got = await this.message();
    assert.strictEqual(got.binary, binary);
    assert.ok(got.data.equals(data), `got ${got.data.length} octets, want ${data.length}`);
  }

  // leave closes, and returns what the server has to be told.
  async leave(code, reason) {
    if (code === 1005) this.ws.close();
    else this.ws.close(code, reason);
    assert.strictEqual((await this.closed).code, code);
    return { path: this.path, code, reason };
  }
}

async function connect(path) {
  const client = new Client(path);
  await client.opened;
  assert.strictEqual(client.ws.extensions.startsWith('permessage-deflate'), config.agreed);
  return client;
}

function messages() {
  const all = [{ data: Buffer.from(config.unicode), binary: false }];
  for (const n of config.lengths) {
    all.push({ data: Buffer.alloc(n, '*'), binary: false });
    all.push({ data: Buffer.alloc(n, '\x00\xff\x80\xfe', 'latin1'), binary: true });
  }
  return all;
}

async function exchange(path, send) {
  const client = await connect(path);
  for (const { data, binary } of messages()) {
    send(client.ws, data, binary);
    await client.want(data, binary);
  }
  return [await client.leave(config.leaveCode, config.leaveReason)];
}

const whole = (ws, data, binary) => ws.send(data, { binary });

const cases = {
  'echo': () => exchange('/echo', whole),
  'fragments in': () => exchange('/fragments', whole),
  'fragments out': () => exchange('/echo', sendThirds),
  'ping': async () => {
    const client = await connect('/echo');
    client.ws.ping(config.payload);
    assert.strictEqual(await client.ponged, config.payload);
    return [await client.leave(1001, '')];
  },
  'pong': async () => {
    const client = await connect('/ping');
    client.ws.send(config.payload);
    assert.strictEqual(await client.pinged, config.payload);
    await client.want(Buffer.from('pong ' + config.payload), false);
    return [await client.leave(4999, '')];
  },
  'large': async () => {
    const client = await connect('/echo');
    const data = Buffer.alloc(config.largest, '0123456789abcdefghijklmnopqrstuvwxy');
    client.ws.send(data, { binary: true });
    await client.want(data, true);
    return [await client.leave(1000, '')];
  },
  'subprotocol': async () => {
    const client = await connect('/echo');
    assert.strictEqual(client.ws.protocol, config.subprotocol);
    return [await client.leave(1005, '')];
  },
  'server closes': async () => {
    const client = await connect('/bye');
    assert.deepStrictEqual(await client.closed, { code: config.byeCode, reason: config.byeReason });
    return [{ path: '/bye', code: config.byeCode, reason: config.byeReason }]; // ws echoes the reason
  },
  'server drops': async () => {
    const client = await connect('/drop');
    assert.strictEqual((await client.closed).code, 1006);
    return [{ path: '/drop', code: 1006, reason: '' }];
  },
  'client drops': async () => {
    const client = await connect('/echo');
    client.ws.terminate();
    return [{ path: '/echo', code: 1006, reason: '' }];
  },
  'many': () => Promise.all(Array.from({ length: 20 }, async (_, id) => {
    const client = await connect('/echo');
    for (let n = 0; n < 50; n++) client.ws.send(`${n} of ${id}`);
    for (let n = 0; n < 50; n++) await client.want(Buffer.from(`${n} of ${id}`), false);
    return client.leave(config.leaveCode, config.leaveReason);
  })),
};

async function dial() {
  for (const [name, run] of Object.entries(cases)) {
    try {
      print({ name, ends: await run() });
    } catch (error) {
      print({ name, error: String(error.stack) });
    }
  }
}

if (process.argv[2] === 'serve') serve();
else dial();
