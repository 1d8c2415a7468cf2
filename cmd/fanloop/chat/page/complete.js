// Names while @ is typed: a list of whom it could mean, by the pattern of a combobox
// with a listbox. The composer asks first whether a key belongs to an input method.

import { $, el } from "./dom.js";
import { clean } from "./format.js";
import { avatar } from "./render.js";

const most = 8; // names in the list
const longest = 40; // characters behind the @

/** What is behind the @ in front of the caret, and where that @ is; null: there is none. */
export function asked(text, caret) {
  const at = text.slice(0, caret).lastIndexOf("@");
  if (at < 0 || caret - at > longest || /[\p{L}\p{N}_@]/u.test(text[at - 1] ?? "")) return null;
  const name = text.slice(at + 1, caret);
  return /[\n@]|^\s/.test(name) ? null : { at, name };
}

/** The names that could be meant: first those that begin so, then those of which a word does. */
export function matching(names, begun) {
  const fold = (text) => text.toLocaleLowerCase();
  const start = fold(begun);
  const rank = (name) => (fold(name).startsWith(start) ? 0 : fold(name).split(/[\s._-]+/u).some((word) => word.startsWith(start)) ? 1 : 2);
  const found = [...new Set(names)].filter((name) => rank(name) < 2).sort((a, b) => rank(a) - rank(b) || a.localeCompare(b)).slice(0, most);
  return found.length === 1 && fold(found[0]) === start ? [] : found; // nothing to complete
}

export class Completion {
  #field;
  #names;
  #list = $("names");
  #found = []; // empty: the list is closed
  #active = 0;

  /** @param {HTMLTextAreaElement} field @param {() => string[]} names */
  constructor(field, names) {
    this.#field = field;
    this.#names = names;
    field.addEventListener("blur", () => this.close());
    document.addEventListener("selectionchange", () => document.activeElement === field && this.#found.length > 0 && this.look());
    this.#list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
    this.#list.addEventListener("click", ({ target }) => this.#choose([...this.#list.children].indexOf(target.closest("li"))));
  }

  /** The text has changed: opens, narrows or closes the list. */
  look() {
    const { value, selectionStart, selectionEnd } = this.#field;
    const question = selectionStart === selectionEnd ? asked(value, selectionStart) : null;
    const found = question ? matching(this.#names(), question.name) : [];
    if (found.join("\n") !== this.#found.join("\n")) this.#show(found);
  }

  close() {
    if (this.#found.length > 0) this.#show([]);
  }

  /** Says whether a key was for the list. */
  key(event) {
    if (this.#found.length === 0 || event.shiftKey || event.altKey || event.ctrlKey || event.metaKey) return false;
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step) this.#point((this.#active + step + this.#found.length) % this.#found.length);
    else if (event.key === "Enter" || event.key === "Tab") this.#choose(this.#active);
    else if (event.key === "Escape") this.close();
    else return false;
    event.preventDefault();
    return true;
  }

  #choose(i) {
    const { value, selectionStart } = this.#field;
    const question = asked(value, selectionStart);
    const name = this.#found[i];
    this.close();
    if (!question || !name) return;
    this.#field.setRangeText(`@${name} `, question.at, selectionStart, "end");
    this.#field.dispatchEvent(new Event("input"));
  }

  #show(found) {
    this.#found = found;
    const open = found.length > 0;
    this.#list.hidden = !open;
    this.#list.replaceChildren(...found.map((name, i) => el("li", { id: `name-${i}`, role: "option" }, avatar(name), el("span", { dir: "auto" }, clean(name)))));
    const attributes = { role: "combobox", "aria-autocomplete": "list", "aria-expanded": "true", "aria-controls": "names" };
    for (const [name, value] of Object.entries(attributes)) open ? this.#field.setAttribute(name, value) : this.#field.removeAttribute(name);
    this.#point(0);
  }

  #point(i) {
    this.#active = i;
    [...this.#list.children].forEach((item, n) => (item.ariaSelected = String(n === i)));
    const item = this.#list.children[i];
    if (item) this.#field.setAttribute("aria-activedescendant", item.id);
    else this.#field.removeAttribute("aria-activedescendant");
  }
}
