// The state of the connection, in words. A short loss is not worth a word.

import { $ } from "./dom.js";
import { verdict } from "./door.js";
import { duration } from "./format.js";
import { Storing } from "./storing.js";

const patience = 1500; // ms of connecting that nobody has to know of
const words = {
  idle: "Offline", "signing-in": "Signing in again…", connecting: "Connecting…", waiting: "Connection lost", suspended: "Paused", failed: "Signed out",
  stuck: "Cannot store now",
};

export function watchConnection(client) {
  const storing = new Storing(client);
  let timer;
  let until = 0;
  let was = false; // connected, at some time
  let lost = null; // when the connection was lost; null while there is one

  const show = (state, error) => {
    const { latency, transport } = client;
    if (state === "connected" && storing.stuck) state = "stuck";
    let text = words[state] ?? "Online";
    if (state === "connected" && latency !== undefined) text += ` · ${duration(latency)}`;
    if (state === "connected" && transport === "sse") text += " · SSE";
    if (state === "waiting") text = `Reconnecting in ${Math.max(1, Math.ceil((until - Date.now()) / 1000))} s`;
    $("state").dataset.state = state;
    $("state-text").textContent = text;
    $("banner").hidden = state === "connected" || !was && state !== "failed";
    const banner = banners(state, text, error);
    if ($("banner-text").textContent !== banner) $("banner-text").textContent = banner;
  };
  const banners = (state, text, error) => {
    if (state === "failed") return why(error?.code);
    if (state === "stuck") return "The service cannot store messages now. Yours wait here.";
    return `${text}. What you write is sent when the connection is back.`;
  };
  const entered = (state, { error, delay } = {}) => {
    clearInterval(timer);
    until = Date.now() + (delay ?? 0);
    if (state === "connected") {
      was = true;
      lost = null;
      show(state);
      setTimeout(() => client.state === "connected" && client.probe(), 500);
      timer = setInterval(() => show("connected"), 2000);
    } else if (state === "failed") show(state, error);
    else {
      lost ??= performance.now();
      const tick = () => (!was || performance.now() - lost >= patience) && show(state, error);
      tick();
      timer = setInterval(tick, 250);
    }
  };
  client.on("state", entered);
  client.on("outgoing", () => client.state === "connected" && show("connected"));
  setInterval(() => document.visibilityState === "visible" && client.state === "connected" && client.probe(), 15_000);
  $("now").addEventListener("click", () => {
    client.connect();
    for (const entry of client.outgoing) if (entry.state === "unconfirmed" && !entry.mayRepeat) entry.retry();
  });
  if (client.state !== "idle") entered(client.state);
}

// Why the connection is over.
function why(code) {
  if (code === "unauthorized") return "Without accounts, only this machine is served.";
  return verdict(code).join(". ");
}
