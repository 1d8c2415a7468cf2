// What tests ask a page in a browser. It looks at what is drawn, as a reader does.

globalThis.look = (() => {
  const $ = (id) => document.getElementById(id);
  const view = $("list");
  const rows = () => [...view.querySelectorAll(".row")];
  const lines = () => [...view.querySelectorAll(".message:not(.pending)")];
  const frame = () => new Promise(requestAnimationFrame);
  const settled = async () => {
    for (let i = 0; i < 2; i++) await frame();
  };

  // The text as it was typed.
  function typed(line) {
    const text = line.querySelector(".text, .gone")?.cloneNode(true);
    text?.querySelector(".edited")?.remove();
    return text?.textContent ?? "";
  }
  const texts = () => lines().map(typed);
  const shows = (text) => lines().find((line) => line.querySelector(".text")?.textContent.startsWith(text));
  const count = (text) => texts().filter((shown) => shown === text).length;
  const pending = () => view.querySelectorAll(".pending").length;
  const people = () => $("count").textContent;
  const typing = () => $("typing").textContent;
  // Who has read: the one line that says it, and under which message.
  const seen = () => [...view.querySelectorAll(".seen")].map((by) => `${by.closest(".row").querySelector(".text").textContent}: ${by.ariaLabel}`).join();
  const unread = (room) => [...document.querySelectorAll("#rooms a")].find((a) => a.querySelector(".name").textContent === room)?.querySelector(".badge")?.textContent ?? "";
  function divider() {
    const mark = view.querySelector(".row.new");
    if (!mark) return null;
    const behind = rows().slice(rows().indexOf(mark)).filter((row) => row.classList.contains("message"));
    const mine = $("my-name").textContent;
    let author = "";
    const others = behind.filter((row) => (author = row.querySelector(".author")?.textContent ?? author) !== mine);
    return { label: mark.textContent, lines: others.length };
  }
  const end = () => view.scrollHeight - view.clientHeight - view.scrollTop < 2;
  const state = () => ({ state: $("state").dataset.state, text: $("state-text").textContent, banner: !$("banner").hidden, people: people(), problem: $("problem").textContent, pending: pending(), busy: view.ariaBusy });

  // Faults of what is drawn now: rows that do not follow each other, a part of
  // the viewport without any.
  function holes() {
    const faults = [];
    const box = view.getBoundingClientRect();
    const all = rows().map((row) => row.getBoundingClientRect());
    for (let i = 1; i < all.length; i++) {
      if (Math.abs(all[i].top - all[i - 1].bottom) > 1) faults.push(`${all[i].top - all[i - 1].bottom} px between two rows`);
    }
    if (all.length === 0) return ["nothing is drawn"];
    if (all.length > 300) faults.push(`${all.length} rows are drawn`); // of 4000 pixels
    if (view.scrollTop > 20 && all[0].top > box.top + 1) faults.push("the top of the viewport is empty");
    if (!end() && all.at(-1).bottom < box.bottom - 30) faults.push("the bottom of the viewport is empty");
    return faults;
  }

  // Adds the lines that are drawn to those that were read: they overlap.
  function merge(read, now) {
    if (read.length === 0) return now;
    const at = read.indexOf(now[0]);
    const first = now.indexOf(read[0]);
    if (at >= 0) {
      for (let i = 0; i < now.length && at + i < read.length; i++) if (read[at + i] !== now[i]) return null;
      return [...read.slice(0, at), ...now, ...read.slice(at + now.length)];
    }
    if (first < 0) return null;
    return merge(now, read);
  }

  // The last lines, as soon as they are drawn.
  function tail(count) {
    view.scrollTop = view.scrollHeight;
    return lines().slice(-count).map(({ dataset }) => dataset.key).join();
  }

  // Scrolls from one end to the other, and returns all lines.
  async function read(way) {
    const faults = [];
    const up = way === "up";
    view.scrollTop = up ? view.scrollHeight : 0;
    await settled();
    let keys = lines().map(({ dataset }) => dataset.key);
    for (let still = 0; still < 3 && faults.length === 0; ) {
      const box = view.getBoundingClientRect();
      const line = lines().find((one) => one.getBoundingClientRect().bottom > box.top + 60);
      const from = line?.getBoundingClientRect().bottom;
      const before = view.scrollTop;
      view.scrollTop += (up ? -0.75 : 0.75) * view.clientHeight;
      const step = view.scrollTop - before;
      await settled();
      while (view.ariaBusy === "true") await frame();
      await settled();
      const off = line?.isConnected ? line.getBoundingClientRect().bottom - from + step : 0;
      if (Math.abs(off) > 1) faults.push(`${line.dataset.key} jumped by ${off} px`);
      faults.push(...holes());
      const next = merge(keys, lines().map(({ dataset }) => dataset.key));
      if (next) keys = next;
      else faults.push(`a gap: ${lines()[0]?.dataset.key} does not follow`);
      const over = up ? view.scrollTop === 0 && view.querySelector(".begin") : end();
      still = over ? still + 1 : 0;
    }
    return { Keys: keys, Faults: faults };
  }

  // As a browser treats a tab that is behind another.
  function hide(on = true) {
    Object.defineProperty(document, "visibilityState", { value: on ? "hidden" : "visible", configurable: true });
    document.hasFocus = () => !on;
    document.dispatchEvent(new Event("visibilitychange"));
  }

  // Watches a line from now on: moved() is by how many pixels it has moved at most, in any
  // frame as it was painted. Where it is dropped, that is far.
  function watch(line) {
    const y = line.getBoundingClientRect().bottom;
    let most = 0;
    const painted = new MessageChannel();
    painted.port1.onmessage = () => {
      most = Math.max(most, line.isConnected ? Math.abs(line.getBoundingClientRect().bottom - y) : 9999);
      requestAnimationFrame(frame);
    };
    const frame = () => painted.port2.postMessage("");
    frame();
    return () => most;
  }

  // What a screen reader was told since.
  function listen() {
    const said = [];
    const region = $("polite");
    new MutationObserver(() => said.push(region.textContent)).observe(region, { childList: true, characterData: true, subtree: true });
    return said;
  }

  // The most elements that the list ever had since.
  function countElements() {
    const most = { rows: 0, elements: 0 };
    new MutationObserver(() => {
      most.rows = Math.max(most.rows, view.querySelectorAll(".row").length);
      most.elements = Math.max(most.elements, document.querySelectorAll("*").length);
    }).observe(view, { childList: true, subtree: true });
    return most;
  }

  return { hide, watch, listen, countElements, lines, typed, texts, shows, count, pending, people, typing, seen, unread, divider, end, state, holes, tail, read, settled };
})();
