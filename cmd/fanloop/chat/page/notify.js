// Notifications of the system: one for what is new in a room, whichever tab gets
// it first, and none while a tab shows the room.

import { clean, roomName } from "./format.js";
import { keyOf } from "./keys.js";
import { plain } from "./text.js";

const off = "fanloop.quiet"; // the user wants none, whatever the browser allows
const settling = 500; // what another tab writes to the storage is not seen at once

export class Notifier {
  #user;
  #shown;
  #open;
  #compare;

  /**
   * @param {import("./tabs.js").Shown} shown
   * @param {(room: string) => void} open
   * @param {(a: string, b: string) => number} compare of offsets
   */
  constructor(user, shown, open, compare) {
    this.#user = user;
    this.#shown = shown;
    this.#open = open;
    this.#compare = compare;
  }

  /** "on", "off", "ask", or "never" where the browser has none or was told no. */
  get state() {
    const permission = globalThis.Notification?.permission ?? "denied";
    if (permission === "denied") return "never";
    return permission === "default" ? "ask" : localStorage.getItem(off) ? "off" : "on";
  }

  /** The user has clicked: asks for the permission, or changes their mind. */
  async click() {
    if (this.state === "ask") await Notification.requestPermission();
    else if (this.state === "on") localStorage.setItem(off, "yes");
    else localStorage.removeItem(off);
  }

  /** Lines of others have come by themselves. */
  async tell(room, epoch, lines) {
    const line = lines.at(-1);
    if (this.state !== "on" || !line || (await this.#shown.any(room))) return;
    // One tab after the other looks whether another has told it.
    const key = keyOf(this.#user, `notified ${room}`);
    const first = () => {
      const [life, offset] = (localStorage.getItem(key) ?? "").split(" ");
      if (life === epoch && this.#compare(line.offset, offset) <= 0) return;
      localStorage.setItem(key, `${epoch} ${line.offset}`);
      this.#show(room, line, lines.length);
      return new Promise((resolve) => setTimeout(resolve, settling));
    };
    await (navigator.locks?.request(key, first) ?? first());
  }

  #show(room, { name, text }, count) {
    const more = count > 1 ? ` (and ${count - 1} more)` : "";
    const note = new Notification(`${clean(name)} in #${roomName(room)}`, { body: plain(text.slice(0, 200)) + more, tag: room, renotify: true, icon: "icon.svg" });
    note.onclick = () => {
      globalThis.focus();
      this.#open(room);
      note.close();
    };
  }
}
