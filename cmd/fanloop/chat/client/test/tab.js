// A client in a room, and what it shows as a list of [offset, id, data]: what the tests
// with a service look at, in a page or in Node.

export function start({ Client, url, user, getToken, tabs, transports, storage, room: name, last = 100, fast = 1, WebSocket = globalThis.WebSocket }) {
  const client = new Client({
    url, user, getToken, tabs, transports, storage,
    env: { WebSocket, now: () => performance.now() * fast, setTimeout: (run, delay) => setTimeout(run, delay / fast) },
  });
  const room = client.topic(name, { last, presence: true });
  const page = { client, room, shown: [], resets: 0, states: [], ticks: 0, fetches: 0, persisted: false, events: [] };
  room.on("messages", (messages) => page.shown.push(...messages.map(({ offset, id, data }) => [offset, id, data])));
  room.on("reset", () => {
    page.resets++;
    page.shown = []; // a break: what was shown belongs to another life
  });
  client.on("state", (state) => page.states.push(state));
  page.wake = () => (client.state === "connected" ? client.probe() : client.connect());
  page.until = async (count) => {
    while (page.shown.length < count) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  room.subscribe();
  client.connect();
  return (globalThis.page = page);
}
