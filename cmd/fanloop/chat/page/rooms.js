// The list of rooms with what is unread in them.

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

  /** @param {{topic: string, unread: number, draft: boolean, current: boolean}[]} rooms */
  show(rooms) {
    for (const room of rooms) this.#link(room);
    const total = rooms.reduce((sum, { unread }) => sum + unread, 0);
    const current = rooms.find((room) => room.current);
    document.title = `${total > 0 ? `(${total}) ` : ""}${current ? `${roomName(current.topic)} · ` : ""}fanloop`;
  }

  #link({ topic, unread, draft, current }) {
    let link = this.#links.get(topic);
    if (!link) {
      link = el("a", { href: `#${encodeURIComponent(topic)}` });
      this.#links.set(topic, link);
      this.#list.append(el("li", {}, link));
    }
    const state = `${unread} ${draft} ${current}`;
    if (link.dataset.state === state) return;
    link.dataset.state = state;
    link.className = unread > 0 ? "unread" : "";
    if (current) link.ariaCurrent = "page";
    else link.removeAttribute("aria-current");
    link.replaceChildren(
      el("span.hash", { ariaHidden: "true" }, "#"),
      el("span.name", { dir: "auto" }, roomName(topic)),
      ...(draft && !current ? [icon("edit", "pen"), el("span.hidden", {}, "draft")] : []),
      ...(unread > 0 ? [el("span.badge", { ariaLabel: plural(unread, "unread message") }, unread > 999 ? "999+" : String(unread))] : []),
    );
  }
}
