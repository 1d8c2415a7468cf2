// What comes in rooms that are not on the screen. The service says only that there
// is something: what it is, is read for one room after the other, and rarely.

import { textOf } from "./timeline.js";

const pause = 5000; // ms from one reading to the next
const most = 20; // lines of one reading

export class Watch {
  #rooms = new Set();
  #seen = new Map(); // room -> behind what was read
  #before = new Map(); // room -> what was unread when the page came
  #timer = null;
  #last = -Infinity;
  #compare;
  #take;

  /**
   * @param {(a: string, b: string) => number} compare of offsets
   * @param {(room: object, epoch: string, lines: object[]) => void} take
   */
  constructor(compare, take) {
    this.#compare = compare;
    this.#take = take;
  }

  /** A room is watched: what is unread now is no news. */
  begin(room) {
    if (!this.#before.has(room)) this.#before.set(room, room.unread);
  }

  /** There is something in a room. */
  note(room) {
    this.#rooms.add(room);
    this.#timer ??= setTimeout(() => this.#read(), Math.max(0, this.#last + pause - performance.now()));
  }

  async #read() {
    const [room] = this.#rooms;
    this.#rooms.delete(room);
    this.#last = performance.now();
    const { mode, state } = room.topic;
    if (mode === "passive" && state === "subscribed") await this.#look(room).catch(() => {}); // it was worth one try
    this.#timer = null;
    const [next] = this.#rooms;
    if (next) this.note(next);
  }

  async #look(room) {
    const { topic } = room;
    const known = this.#seen.get(room) ?? topic.position;
    const unknown = known ? room.unread : room.unread - (this.#before.get(room) ?? 0);
    const { epoch, messages } = await topic.history({ limit: Math.min(most, Math.max(1, unknown)) });
    const behind = [topic.marker.pos, topic.position, this.#seen.get(room)].filter((pos) => pos?.epoch === epoch);
    const lines = messages.filter(({ kind, offset }) => !kind && behind.every((pos) => this.#compare(offset, pos.offset) > 0));
    if (messages.length > 0) this.#seen.set(room, { epoch, offset: messages.at(-1).offset });
    this.#take(room, epoch, lines.map(({ offset, id, time, user, name, data }) => ({ offset, id, time, user, name: name ?? user, text: textOf(data) })));
  }
}
