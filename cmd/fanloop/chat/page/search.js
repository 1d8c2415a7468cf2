// Search in a room: in what is loaded of it, and in older pages for as long as the user
// asks. It is loaded when it is wanted.

import { el } from "./dom.js";
import { clean, clock, dayName, plural, roomName } from "./format.js";
import { avatar } from "./render.js";

const most = 100; // results on the screen
const pagesMost = 10; // of one click

const fold = (text) => text.normalize("NFKC").toLocaleLowerCase();

/** The messages that have all words in their text or author, the newest first. */
export function found(messages, text) {
  const words = fold(text).split(/\s+/u).filter(Boolean);
  if (words.length === 0) return [];
  const has = (message) => {
    const all = fold(`${message.name} ${message.text}`);
    return words.every((word) => all.includes(word));
  };
  return messages.filter((message) => !message.deleted && has(message)).reverse();
}

/** What a result shows of a text: around the first word. */
export function excerpt(text, search) {
  const [word = ""] = search.trim().split(/\s+/u);
  const at = Math.max(0, text.toLocaleLowerCase().indexOf(word.toLocaleLowerCase()) - 60);
  return `${at > 0 ? "…" : ""}${text.slice(at, at + 200)}${text.length > at + 200 ? "…" : ""}`;
}

/**
 * Opens the search.
 * @param {import("./room.js").Room} room
 * @param {(message: object) => void} reveal shows a message in the list
 */
export function search(room, reveal) {
  const field = el("input", { type: "search", ariaLabel: `Search in ${roomName(room.name)}`, placeholder: `Search in #${roomName(room.name)}`, autocomplete: "off" });
  const status = el("p.hint", { role: "status" });
  const results = el("ol.results");
  const older = el("button.secondary", { type: "button" }, "Search older messages");
  const close = el("button.plain", { type: "button" }, "Close");
  const dialog = el("dialog.card.search", { ariaLabel: "Search" }, el("div.search-head", {}, field, close), status, results, older);
  let shown = [];
  let busy = false;

  const show = () => {
    const { messages } = room.timeline;
    shown = found(messages, field.value);
    const loaded = `${plural(messages.length, "message")}${room.begin ? "" : " that are loaded"}`;
    status.textContent = busy ? "Searching…" : field.value.trim() === "" ? "" : `${shown.length} of ${loaded}`;
    older.hidden = room.begin || field.value.trim() === "";
    older.disabled = busy;
    results.replaceChildren(...shown.slice(0, most).map((message) => el("li", {}, result(message))));
  };
  const result = (message) => {
    const line = el("button.result", { type: "button" }, avatar(message.user, message.name),
      el("span", {}, el("strong", { dir: "auto" }, clean(message.name)), el("time", {}, `${dayName(message.time)}, ${clock(message.time)}`), el("span", { dir: "auto" }, excerpt(message.text, field.value))));
    line.addEventListener("click", () => (dialog.close(), reveal(message)));
    return line;
  };
  const before = async () => {
    busy = true;
    show();
    const had = shown.length;
    for (let page = 0; page < pagesMost && shown.length === had && dialog.open && (await room.more()); page++) show();
    busy = false;
    show();
  };
  field.addEventListener("input", show);
  older.addEventListener("click", before);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  show();
}
