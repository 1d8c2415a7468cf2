// The state of the connection, in words. A short loss is not worth a word.

import { $ } from "./dom.js";

const patience = 1500; // ms of connecting that nobody has to know of
const words = {
  idle: "Offline", "signing-in": "Signing in again…", connecting: "Connecting…", waiting: "Connection lost", suspended: "Paused", failed: "Signed out",
};

export function watchConnection(client) {
  let timer;
  let until = 0;
  let was = false; // connected, at some time
  let lost = null; // when the connection was lost; null while there is one

  const show = (state, error) => {
    const { latency, transport } = client;
    let text = words[state] ?? "Connected";
    if (state === "connected" && latency !== undefined) text += ` · ${Math.max(1, Math.round(latency))} ms`;
    if (state === "connected" && transport === "sse") text += " · SSE";
    if (state === "waiting") text = `Reconnecting in ${Math.max(1, Math.ceil((until - Date.now()) / 1000))} s`;
    $("state").dataset.state = state;
    $("state-text").textContent = text;
    $("banner").hidden = state === "connected" || !was && state !== "failed";
    $("banner-text").textContent = state === "failed" ? `The service refused the connection (${error?.code ?? "unknown"}).` : `${text}. What you write is sent when the connection is back.`;
  };
  client.on("state", (state, { error, delay } = {}) => {
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
  });
  setInterval(() => document.visibilityState === "visible" && client.state === "connected" && client.probe(), 15_000);
  $("now").addEventListener("click", () => client.connect());
}
