// A page for the tests. Its address says who and where:
// /?user=ann&room=a&fast=10&tabs=all&sse=only

import { Client, Refused } from "/fanloop.js";
import { start } from "/tab.js";

const query = new URLSearchParams(location.search);

// A token of a site whose refresh tokens are good for one use.
async function getToken() {
  page.fetches++;
  const refresh = localStorage.getItem("refresh") ?? "first";
  const response = await fetch(`/token?user=${query.get("user")}&refresh=${refresh}`, { method: "POST" });
  if (!response.ok) throw new Refused("used before");
  localStorage.setItem("refresh", response.headers.get("Refresh"));
  return response.text();
}

const tabs = query.get("tabs") ?? undefined;
const page = start({
  Client, tabs,
  user: query.get("user"),
  room: query.get("room"),
  transports: query.has("sse") ? ["sse"] : undefined,
  getToken: tabs && getToken,
  storage: sessionStorage,
  fast: Number(query.get("fast") ?? 1),
});
page.wake = () => dispatchEvent(new Event("online"));
addEventListener("pageshow", ({ persisted }) => (page.persisted = persisted));
for (const name of ["freeze", "resume", "visibilitychange"]) document.addEventListener(name, () => page.events.push(name));
setInterval(() => page.ticks++, 10);
