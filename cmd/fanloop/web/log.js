// The message log: at most maxRows rows, drawn once per animation frame so
// that a flood costs one layout a frame. Payloads reach the page only as
// textContent.

import { formatBytes, formatDelay, formatTime, hexDump, sizeOf } from "./values.js";

const maxRows = 500;
const shownText = 2000; // characters of a text message before "Show all"
const shownBytes = 256; // bytes of a binary message before "Show all"
const kept = 64 * 1024; // characters or bytes of one message that the log keeps

const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
const dumps = new WeakMap(); // <pre> to the bytes it shows

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// A full dump line is 72 characters; the columns beside it take 30 rem.
function drawDump(pre) {
  const wide = document.getElementById("log").clientWidth >= 66 * rem;
  pre.textContent = hexDump(dumps.get(pre), wide ? 16 : 8);
}

function payload(content) {
  const isText = typeof content === "string";
  const all = isText ? content : Uint8Array.from(content.subarray(0, kept));
  const limit = isText ? shownText : shownBytes;
  const body = element("div", "payload");
  const pre = body.appendChild(element("pre", isText ? "" : "dump"));
  const show = (count) => {
    if (isText) {
      pre.textContent = all.slice(0, count);
    } else {
      dumps.set(pre, all.subarray(0, count));
      drawDump(pre);
    }
  };
  show(limit);
  if (content.length === 0) body.replaceChildren(element("p", "faint", "empty"));
  if (content.length > limit) body.append(more(content.length, isText ? "characters" : "bytes", limit, show));
  return body;
}

function more(length, unit, limit, show) {
  const shown = Math.min(length, kept);
  const number = (n) => n.toLocaleString("en");
  const line = element("p", "faint", `${number(limit)} of ${number(length)} ${unit} shown. `);
  const button = element("button", "quiet", shown === length ? "Show all" : `Show ${number(shown)}`);
  button.type = "button";
  button.addEventListener("click", () => {
    show(shown);
    line.textContent = shown === length ? "" : `The log keeps ${number(shown)} of ${number(length)} ${unit}.`;
  });
  line.append(button);
  return line;
}

function clock(at) {
  const [seconds, milliseconds] = formatTime(at).split(".");
  const made = element("time", "time", seconds);
  made.append(element("span", "milliseconds", `.${milliseconds}`));
  made.dateTime = at.toISOString();
  return made;
}

function row({ direction, content, at, delay, title, note }) {
  const made = element("li", `row ${direction}`);
  made.append(clock(at));
  if (direction === "event" || direction === "fault") {
    const body = element("div", "payload");
    body.append(element("p", "title", title));
    if (note) body.append(element("p", "", note));
    made.append(body);
    return made;
  }
  const isText = typeof content === "string";
  made.append(
    element("span", "direction", direction),
    element("span", "type", isText ? "text" : "binary"),
    element("span", "size", formatBytes(sizeOf(content))),
    payload(content),
  );
  if (delay !== undefined) {
    const rtt = made.appendChild(element("span", "rtt", formatDelay(delay)));
    rtt.title = "Round trip: from send to the arrival of the same message";
  }
  return made;
}

export class Log {
  #view = document.getElementById("log");
  #rows = document.getElementById("rows");
  #note = document.getElementById("log-note");
  #empty = document.getElementById("empty");
  #newest = document.getElementById("newest");
  #waiting = [];
  #total = 0;
  #following = true;
  #scheduled = false;

  constructor() {
    this.#view.addEventListener("scroll", () => this.#watchEnd());
    this.#newest.addEventListener("click", () => this.#toEnd());
    document.getElementById("clear").addEventListener("click", () => this.clear());
    new ResizeObserver(() => this.#resized()).observe(this.#view);
  }

  // message adds one message; delay is its round trip in ms, if it is an echo.
  message(direction, content, delay) {
    this.#add({ direction, content, delay, at: new Date() });
  }

  // event adds a line about the connection; fault, one about a failure.
  event(title, note) {
    this.#add({ direction: "event", title, note, at: new Date() });
  }

  fault(title, note) {
    this.#add({ direction: "fault", title, note, at: new Date() });
  }

  clear() {
    this.#waiting = [];
    this.#total = 0;
    this.#rows.replaceChildren();
    this.#toEnd();
    this.#describe();
  }

  #add(entry) {
    this.#total++;
    this.#waiting.push(entry);
    if (this.#waiting.length > maxRows) this.#waiting.shift();
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#scheduled = false;
    this.#rows.append(...this.#waiting.map(row));
    this.#waiting = [];
    while (this.#rows.childElementCount > maxRows) this.#rows.firstElementChild.remove();
    if (this.#following) this.#toEnd();
    else this.#newest.hidden = false;
    this.#describe();
  }

  #describe() {
    const rows = this.#rows.childElementCount;
    this.#empty.hidden = rows > 0;
    this.#note.textContent = this.#total > rows ? `newest ${rows} of ${this.#total.toLocaleString("en")}` : "";
  }

  #resized() {
    this.#rows.querySelectorAll("pre.dump").forEach(drawDump);
    if (this.#following) this.#toEnd();
  }

  #watchEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#view;
    this.#following = scrollHeight - scrollTop - clientHeight < 24;
    if (this.#following) this.#newest.hidden = true;
  }

  #toEnd() {
    this.#following = true;
    this.#newest.hidden = true;
    this.#view.scrollTop = this.#view.scrollHeight;
  }
}
