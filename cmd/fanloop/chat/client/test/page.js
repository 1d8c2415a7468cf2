// A page that shows a room as a list of [offset, id, data], for the tests.
// Its address says who and where: /?user=ann&room=a&fast=10&tabs=all&sse=only

import { Client, Refused } from "/fanloop.js";

const query = new URLSearchParams(location.search);
const fast = Number(query.get("fast") ?? 1); // how much faster the client's clock goes

// A refresh token that is good for one use, as of a site that signs users in.
async function getToken() {
  const refresh = localStorage.getItem("refresh") ?? "0";
  await new Promise((resolve) => setTimeout(resolve, 50));
  if ((localStorage.getItem("refresh") ?? "0") !== refresh) throw new Refused("used before");
  localStorage.setItem("refresh", `${refresh}+`);
  return `${query.get("user")}#${refresh}`;
}

const tabs = query.get("tabs") ?? undefined;
const client = new Client({
  user: query.get("user"),
  tabs,
  transports: query.has("sse") ? ["sse"] : undefined,
  getToken: tabs && getToken,
  storage: sessionStorage,
  env: {
    now: () => performance.now() * fast,
    setTimeout: (run, delay) => setTimeout(run, delay / fast),
  },
});
const room = client.topic(query.get("room"), { last: 100 });
const page = { client, room, shown: [], resets: 0, states: [], ticks: 0, persisted: false, events: [] };
room.on("messages", (messages) => page.shown.push(...messages.map(({ offset, id, data }) => [offset, id, data])));
room.on("reset", () => page.resets++);
client.on("state", (state) => page.states.push(state));
addEventListener("pageshow", ({ persisted }) => (page.persisted = persisted));
for (const name of ["freeze", "resume", "visibilitychange"]) document.addEventListener(name, () => page.events.push(name));
setInterval(() => page.ticks++, 10);
window.page = page;
room.subscribe();
client.connect();
