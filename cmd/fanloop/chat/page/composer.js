// The composer: a message of several lines, its draft, and the edit of a
// message that was sent.

import { $ } from "./dom.js";

const encoder = new TextEncoder();
const huge = 5_000; // characters that the field does not grow for

/** Whether a key belongs to an input method that is composing. */
export function composing(event, sinceComposition = Infinity) {
  // Safari ends the composition before the keydown of the Enter that did it.
  return event.isComposing || event.keyCode === 229 || (event.key === "Enter" && sinceComposition < 20);
}

export class Composer {
  #text = $("text");
  #drafts;
  #page;
  #room = "";
  #editing = null; // the message
  #composed = -Infinity; // when the last composition ended
  #foreign = ""; // the draft as another tab wrote it
  #replaced = ""; // what was here before
  #completion = null; // until the first character is typed
  #name = "";
  /** Nothing can be written here now. */
  locked = false;

  constructor(drafts, page) {
    this.#drafts = drafts;
    this.#page = page;
    const text = this.#text;
    text.addEventListener("input", () => this.#input());
    text.addEventListener("beforeinput", (event) => this.#refuse(event, event.data));
    text.addEventListener("paste", (event) => this.#refuse(event, event.clipboardData?.getData("text")));
    text.addEventListener("drop", (event) => this.#refuse(event, event.dataTransfer?.getData("text")));
    text.addEventListener("compositionstart", () => text.classList.add("composing"));
    text.addEventListener("compositionend", ({ timeStamp }) => (text.classList.remove("composing"), (this.#composed = timeStamp)));
    text.addEventListener("keydown", (event) => this.#key(event));
    $("composer").addEventListener("submit", (event) => (event.preventDefault(), this.#send()));
    $("cancel").addEventListener("click", () => this.#leaveEdit());
    $("undo").addEventListener("click", () => this.#undo());
    $("emoji").addEventListener("click", async () => (await import("./emoji.js")).choose($("emoji"), (emoji) => this.#insert(emoji)));
    addEventListener("storage", (event) => this.#changedElsewhere(drafts.foreign(event, this.#room)));
  }

  /** Goes to another room: its draft comes with it. */
  enter(room, name) {
    this.#room = room;
    this.#editing = null;
    $("editing").hidden = $("elsewhere").hidden = true;
    this.#completion?.close();
    this.#name = name.length > 32 ? `${name.slice(0, 32)}…` : name;
    this.lock(this.locked);
    this.#put(this.#drafts.get(room));
  }

  /** Takes no text any more, or takes it again. What was written stays. */
  lock(on) {
    this.locked = this.#text.readOnly = on;
    this.#text.placeholder = on ? "You cannot write here" : `Message #${this.#name}`;
    if (on && this.#editing) this.enter(this.#room, this.#name);
    else this.#check();
  }

  edit(message) {
    if (this.locked) return;
    this.#editing = message;
    $("editing").hidden = false;
    this.#put(message.text);
    this.#text.focus();
  }

  /** Puts a text behind what is being written: a quote, or one that was not sent. */
  restore(text) {
    const written = this.#text.value;
    this.#put(written === "" ? text : `${written}\n${text}`);
    if (!this.#editing) this.#drafts.set(this.#room, this.#text.value);
    this.#text.focus();
  }

  focus() {
    this.#text.focus();
  }

  // The last tab that writes a draft has it. What was here can be taken back.
  #changedElsewhere(draft) {
    if (draft === undefined || this.#editing || this.#text.matches(".composing")) return;
    const mine = this.#text.value;
    if (mine.trim() !== "" && mine !== this.#foreign) {
      this.#replaced = mine;
      $("elsewhere").hidden = false;
    }
    this.#foreign = draft;
    this.#put(draft);
  }

  #undo() {
    $("elsewhere").hidden = true;
    this.#put(this.#replaced);
    this.#drafts.set(this.#room, this.#replaced);
    this.#text.focus();
  }

  #put(value) {
    this.#text.value = value;
    this.#check();
  }

  #input() {
    const over = this.#check();
    void this.#complete();
    if (this.#editing) return;
    $("elsewhere").hidden = true;
    const value = this.#text.value;
    if (over <= 0) this.#drafts.set(this.#room, value);
    this.#page.typing(value.trim() !== "");
  }

  // What completes names is loaded when something is typed, and not before.
  async #complete() {
    if (!this.#completion) {
      const { Completion } = await import("./complete.js").catch(() => ({})); // again with the next character
      if (Completion) this.#completion ??= new Completion(this.#text, this.#page.names);
    }
    this.#completion?.look();
  }

  // As if it was typed: it can be undone.
  #insert(text) {
    this.#text.focus();
    document.execCommand("insertText", false, text);
  }

  // Puts what is selected between two marks.
  #surround(mark) {
    const { value, selectionStart: from, selectionEnd: to } = this.#text;
    this.#insert(mark + value.slice(from, to) + mark);
    this.#text.setSelectionRange(from + 1, to + 1);
  }

  // What is far over the limit does not come in: a browser takes seconds to lay
  // out a megabyte.
  #refuse(event, text) {
    const size = text?.length ?? 0;
    const over = this.#text.value.length + size - this.#page.limit();
    if (size < huge || over < this.#page.limit()) return;
    event.preventDefault();
    this.#complain(over);
  }

  #complain(over) {
    $("problem").textContent = over > 0 ? `Too long by ${over.toLocaleString()} bytes` : "";
  }

  // How many bytes are over the limit.
  #check() {
    const value = this.#text.value;
    const size = encoder.encode(JSON.stringify({ text: value })).length;
    const over = size - this.#page.limit();
    this.#text.classList.toggle("huge", value.length > huge);
    this.#complain(over);
    $("send").disabled = this.locked || value.trim() === "" || over > 0;
    return over;
  }

  #key(event) {
    if (composing(event, event.timeStamp - this.#composed) || this.#completion?.key(event)) return;
    const mark = event.ctrlKey || event.metaKey ? { b: "*", i: "_" }[event.key] : undefined;
    if (mark) {
      event.preventDefault();
      this.#surround(mark);
    } else if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      this.#composed = -Infinity;
      this.#send();
    } else if (event.key === "Escape" && this.#editing) this.#leaveEdit();
    else if (event.key === "ArrowUp" && this.#text.value === "" && !this.#editing) {
      const last = this.#page.lastOwn();
      if (last) (event.preventDefault(), this.edit(last));
    }
  }

  #send() {
    const text = this.#text.value.trim();
    if (this.locked || text === "" || this.#check() > 0) return;
    this.#completion?.close();
    const edited = this.#editing;
    if (edited) {
      this.#leaveEdit();
      if (text !== edited.text) this.#page.change(edited, text);
      return;
    }
    // The client keeps the text from here on, until it is stored.
    this.#page.send(text);
    this.#drafts.set(this.#room, "");
    this.#page.typing(false);
    this.#put("");
  }

  #leaveEdit() {
    this.#editing = null;
    $("editing").hidden = true;
    this.#put(this.#drafts.get(this.#room));
    this.#text.focus();
  }
}
