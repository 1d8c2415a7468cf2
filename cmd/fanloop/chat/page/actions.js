// What can be done with a message: one toolbar, at the row under the pointer or
// with the focus, and the keys of the list.

import { $, el, icon } from "./dom.js";

const emoji = ["👍", "❤️", "😂", "🎉", "👀"];

export class Actions {
  #list;
  #page;
  #tools = null;
  #at = null;

  /** @param {import("./list.js").List} list */
  constructor(list, page) {
    this.#list = list;
    this.#page = page;
    const view = $("list");
    const rowOf = (target) => target.closest?.(".message:not(.pending)");
    view.addEventListener("pointerover", ({ target, pointerType }) => pointerType !== "touch" && this.#show(rowOf(target)));
    view.addEventListener("pointerleave", ({ pointerType }) => pointerType !== "touch" && this.#show(view.contains(document.activeElement) ? rowOf(document.activeElement) : null));
    view.addEventListener("focusin", ({ target }) => this.#show(rowOf(target)));
    view.addEventListener("click", ({ target }) => !target.closest("a, button") && this.#show(rowOf(target)));
    view.addEventListener("keydown", (event) => this.#key(event));
  }

  #show(row) {
    if (row === this.#at && (!row || row.contains(this.#tools))) return;
    this.#at?.classList.remove("menu");
    this.#tools?.remove();
    this.#at = row ?? null;
    const message = row && this.#message(row.dataset.key);
    if (!message || message.deleted) return;
    row.classList.add("menu");
    row.append((this.#tools = this.#toolbar(message)));
  }

  #message(key) {
    return this.#list.rows.find((row) => row.key === key)?.message;
  }

  #toolbar(message) {
    const button = (label, content, run) => {
      const b = el("button", { type: "button", title: label, ariaLabel: label }, content);
      b.addEventListener("click", run);
      return b;
    };
    const page = this.#page;
    const tools = el("div.tools", { role: "toolbar", ariaLabel: "Actions" }, ...emoji.map((e) => button(`React with ${e}`, e, () => page.react(message, e))));
    const more = button("More reactions", icon("more"), async () => (await import("./emoji.js")).choose(more, (emoji) => page.react(message, emoji)));
    tools.append(more, el("i"), button("Quote", icon("quote"), () => page.quote(message)), button("Mark unread from here", icon("unread"), () => page.markUnread(message)));
    if (message.user === page.me()) {
      tools.append(button("Edit", icon("edit"), () => page.edit(message)), button("Delete", icon("remove"), () => this.#remove(message)));
    }
    return tools;
  }

  #remove(message) {
    const dialog = $("confirm");
    dialog.returnValue = "";
    dialog.onclose = () => dialog.returnValue === "yes" && this.#page.remove(message);
    dialog.showModal();
  }

  // Up and Down go from message to message, Escape back to the composer.
  #key(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return $("text").focus();
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step) return;
    const keys = this.#list.rows.filter(({ type }) => type === "message" || type === "outgoing").map(({ key }) => key);
    const here = event.target.closest(".message")?.dataset.key;
    const next = here ? keys[keys.indexOf(here) + step] : keys.at(-1);
    if (!next) return;
    event.preventDefault();
    this.#list.reveal(next)?.focus({ preventScroll: true });
  }
}
