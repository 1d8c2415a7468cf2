// Where a topic is in the order of its messages: each follows the one before it,
// or messages are missing between them.

/** @import {Message, Position, SubscribedFrame} from "./types.d.ts" */
import { compareOffsets } from "./base.js";

export class Chain {
  /** Behind the last message that was taken. @type {Position | null} */
  position = null;
  /** Where the page in front of the first messages is, if there may be one. @type {Position | null} */
  back = null;
  /** Another one whenever messages may be missing before what follows. */
  lineage = {};
  #forgotten = false;

  forget() {
    this.position = this.back = null;
    this.lineage = {};
    this.#forgotten = true;
  }

  /**
   * A subscription has begun. Returns its messages that were not taken before. Throws where
   * they cannot be in front of its position, or that does not go on from the one before.
   * @param {SubscribedFrame} frame
   * @param {boolean} live whether it gets messages
   */
  begin({ state, pos, back, messages = [] }, live) {
    const before = this.position;
    if (!live) return [];
    const resumed = state === "resumed" && before && pos;
    const taken = resumed ? messages.filter(({ offset }) => compareOffsets(offset ?? "", before.offset) > 0) : messages;
    const last = taken.at(-1)?.offset ?? (resumed ? before.offset : undefined);
    const follows = last === undefined || (pos && compareOffsets(last, pos.offset) <= 0);
    if (!follows || (resumed && (pos.epoch !== before.epoch || pos.offset !== last))) throw new TypeError("pos");
    this.position = pos ?? null;
    this.#forgotten = false;
    if (!resumed) {
      this.lineage = {};
      this.back = back ?? null;
    }
    return taken;
  }

  /** @param {Position} position */
  reset(position) {
    this.position = position;
    this.lineage = {};
  }

  /**
   * Takes the messages that follow, and moves the position behind them. hole says
   * that more came, and that messages are missing before them. Throws, and takes none,
   * where one has no place in the topic.
   * @param {Message[]} messages
   */
  take(messages) {
    /** @type {Message[]} */
    const taken = [];
    let { position } = this;
    let hole = false;
    for (const message of messages) {
      const { offset, prev, id } = message;
      if ((offset === undefined) !== (position === null) && !this.#forgotten) throw new TypeError("offset");
      if (offset !== undefined && position) {
        if (compareOffsets(offset, position.offset) <= 0) continue;
        hole = prev !== undefined && compareOffsets(prev, position.offset) > 0;
        if (hole) break;
        position = { epoch: position.epoch, offset, id };
      }
      taken.push(message);
    }
    this.position = position;
    return { taken, hole };
  }
}
