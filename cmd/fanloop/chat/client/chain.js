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

  forget() {
    this.position = this.back = null;
    this.lineage = {};
  }

  /**
   * A subscription has begun. Returns its messages that were not taken before.
   * @param {SubscribedFrame} frame
   * @param {boolean} live whether it gets messages
   */
  begin({ state, pos, back, messages = [] }, live) {
    const before = this.position;
    if (live) {
      this.position = pos ?? null;
      if (state !== "resumed") {
        this.lineage = {};
        this.back = back ?? null;
      }
    }
    if (state !== "resumed" || !before) return messages;
    return messages.filter(({ offset }) => compareOffsets(offset ?? "", before.offset) > 0);
  }

  /** @param {Position} position */
  reset(position) {
    this.position = position;
    this.lineage = {};
  }

  /**
   * Takes the messages that follow, and moves the position behind them. hole says
   * that more came, and that messages are missing before them.
   * @param {Message[]} messages
   */
  take(messages) {
    /** @type {Message[]} */
    const taken = [];
    for (const message of messages) {
      const { offset, prev, id } = message;
      const { position } = this;
      if (offset !== undefined && position) {
        if (compareOffsets(offset, position.offset) <= 0) continue;
        if (prev !== undefined && compareOffsets(prev, position.offset) > 0) return { taken, hole: true };
        this.position = { epoch: position.epoch, offset, id };
      }
      taken.push(message);
    }
    return { taken, hole: false };
  }
}
