// The list of rooms with what is unread in them, the last active first.

import { $, el, icon } from "./dom.js";
import { plural, roomName } from "./format.js";

export class Rooms {
  #list = $("rooms");
  #links = new Map(); // topic -> element

  constructor(onJoin) {
    $("join").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = $("join-name").value.normalize("NFC").trim();
      if (name) onJoin(name);
      $("join-name").value = "";
    });
  }

  /** @param {{topic: string, unread: number, mention: boolean, muted: boolean, draft: boolean, current: boolean, at: number}[]} rooms */
  show(rooms) {
    for (const room of rooms) this.#link(room);
    this.#sort(rooms);
    const total = rooms.reduce((sum, { unread, muted }) => sum + (muted ? 0 : unread), 0);
    const current = rooms.find((room) => room.current);
    const title = `${total > 0 ? `(${total}) ` : ""}${current ? `${roomName(current.topic)} · ` : ""}fanloop`;
    if (document.title !== title) document.title = title;
  }

  // Not under the hand of who is about to choose.
  #sort(rooms) {
    if (this.#list.matches(":hover") || this.#list.contains(document.activeElement)) return;
    const sorted = [...rooms].sort((a, b) => a.muted - b.muted || b.at - a.at);
    let next = this.#list.firstChild;
    for (const { topic } of sorted) {
      const item = this.#links.get(topic).parentElement;
      if (item === next) next = next.nextSibling;
      else this.#list.insertBefore(item, next);
    }
  }

  remove(topic) {
    this.#links.get(topic)?.parentElement.remove();
    this.#links.delete(topic);
  }

  #link({ topic, unread, mention, muted, draft, current }) {
    let link = this.#links.get(topic);
    if (!link) {
      link = el("a", { href: `#${encodeURIComponent(topic)}`, title: roomName(topic) });
      this.#links.set(topic, link);
      this.#list.append(el("li", {}, link));
    }
    const state = `${unread} ${mention} ${muted} ${draft} ${current}`;
    if (link.dataset.state === state) return;
    link.dataset.state = state;
    link.className = `${unread > 0 && !muted ? "unread" : ""} ${muted ? "muted" : ""}`;
    if (current) link.ariaCurrent = "page";
    else link.removeAttribute("aria-current");
    link.replaceChildren(
      el("span.hash", { ariaHidden: "true" }, "#"),
      el("span.name", { dir: "auto" }, roomName(topic)),
      ...(draft && !current ? [icon("edit", "pen"), el("span.hidden", {}, "draft")] : []),
      ...(muted ? [icon("quiet", "pen"), el("span.hidden", {}, "muted")] : []),
      ...(mention ? [el("span.badge.at", { role: "img", ariaLabel: "You are mentioned" }, "@")] : []),
      ...(unread > 0 ? [el("span.badge", { role: "img", ariaLabel: plural(unread, "unread message") }, unread > 999 ? "999+" : String(unread))] : []),
    );
  }
}
