// The client's side of the contract in interop_test.go, for a browser.
'use strict';

// Client is a connection whose messages and end can be awaited.
class Client {
  constructor(config, path) {
    this.config = config;
    this.path = path;
    this.arrived = [];
    this.waiting = [];
    this.errors = 0;
    this.ws = new WebSocket(config.url + path, ['chat.v9', config.subprotocol]);
    this.ws.binaryType = 'arraybuffer';
    this.opened = new Promise((resolve) => (this.ws.onopen = () => resolve(true)));
    this.closed = new Promise((resolve) => {
      this.ws.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean });
    });
    this.ws.onerror = () => this.errors++;
    this.ws.onmessage = ({ data }) => {
      const take = this.waiting.shift();
      if (take) take(data);
      else this.arrived.push(data);
    };
  }

  message() {
    if (this.arrived.length > 0) return Promise.resolve(this.arrived.shift());
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  async want(message) {
    const got = await this.message();
    same(typeof got, typeof message);
    if (typeof got === 'string') return check(got === message, `got ${got.length} characters, want ${message.length}`);
    const octets = new Uint8Array(got);
    same(octets.length, message.length);
    check(octets.every((octet, i) => octet === message[i]), 'octets differ');
  }

  // leave closes, and returns what the server has to be told.
  async leave(code, reason) {
    if (code === 1005) this.ws.close();
    else this.ws.close(code, reason);
    const closed = await this.closed;
    same(closed.code, code);
    same(closed.wasClean, true);
    same(this.errors, 0);
    return { path: this.path, code, reason };
  }
}

function check(ok, why) {
  if (!ok) throw new Error(why);
}

function same(got, want) {
  check(JSON.stringify(got) === JSON.stringify(want), `got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

async function connect(config, path) {
  const client = new Client(config, path);
  check(await Promise.race([client.opened, client.closed.then(() => false)]), 'refused');
  same(client.ws.extensions.startsWith('permessage-deflate'), config.agreed);
  return client;
}

function* messages(config) {
  yield config.unicode;
  for (const n of config.lengths) {
    yield '*'.repeat(n);
    yield Uint8Array.from({ length: n }, (_, i) => [0x00, 0xff, 0x80, 0xfe][i % 4]);
  }
}

async function exchange(config, path) {
  const client = await connect(config, path);
  for (const message of messages(config)) {
    client.ws.send(message);
    await client.want(message);
  }
  return [await client.leave(config.leaveCode, config.leaveReason)];
}

const cases = {
  'echo': (config) => exchange(config, '/echo'),
  'fragments in': (config) => exchange(config, '/fragments'),
  'pong': async (config) => {
    const client = await connect(config, '/ping');
    client.ws.send(config.payload);
    await client.want('pong ' + config.payload);
    return [await client.leave(4999, '')];
  },
  'subprotocol': async (config) => {
    const client = await connect(config, '/echo');
    same(client.ws.protocol, config.subprotocol);
    return [await client.leave(1005, '')];
  },
  'server closes': async (config) => {
    const client = await connect(config, '/bye');
    same(await client.closed, { code: config.byeCode, reason: config.byeReason, wasClean: true });
    same(client.errors, 0);
    return [{ path: '/bye', code: config.byeCode, reason: config.byeReason }]; // echoed
  },
  'server drops': async (config) => {
    const client = await connect(config, '/drop');
    same(await client.closed, { code: 1006, reason: '', wasClean: false });
    return [{ path: '/drop', code: 1006, reason: '' }];
  },
  'many': (config) => Promise.all(Array.from({ length: 10 }, async (_, id) => {
    const client = await connect(config, '/echo');
    for (let n = 0; n < 200; n++) client.ws.send(`${n} of ${id}`);
    for (let n = 0; n < 200; n++) await client.want(`${n} of ${id}`);
    return client.leave(config.leaveCode, config.leaveReason);
  })),
};

// outcome runs one case.
async function outcome(config, name) {
  try {
    return { name, ends: await cases[name](config) };
  } catch (error) {
    return { name, error: String(error.stack) };
  }
}

// refusal tells how a connection that is not to be opened fails.
async function refusal(config) {
  const client = new Client(config, '/echo');
  const opened = client.opened.then(() => 'opened');
  const closed = client.closed.then(({ code, wasClean }) => `${client.errors} error, ${code}, clean ${wasClean}`);
  return Promise.race([opened, closed]);
}

// linger leaves a connection open.
async function linger(config) {
  window.lingering = await connect(config, '/echo');
  return window.lingering.ws.readyState;
}
