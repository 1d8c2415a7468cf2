// Whether a publish is stored: its id is looked for in the history, from the end back to
// where the topic was at the first attempt.

/** @import {Page, Position} from "./types.d.ts" */
/** @import {Outgoing} from "./outgoing.js" */
/** @import {Topic} from "./topic.js" */
import { compareOffsets } from "./base.js";

const pagesMost = 50; // to look through for one id
/** What is kept of the history does not say. */
export const unknown = -1;

/**
 * Returns where it is stored, null where it is not, or unknown.
 * @param {Outgoing} entry
 * @param {Topic} topic
 * @param {number} limit of a page
 * @returns {Promise<Position | null | typeof unknown>}
 */
export async function findStored({ from, id, user }, topic, limit) {
  /** @type {Position | undefined} */
  let before;
  for (let n = 0; from && n < pagesMost; n++) {
    /** @type {Page} */
    const { epoch, messages, back, begin } = await topic.history({ before, limit });
    if (epoch !== from.epoch) return unknown;
    const found = messages.find((message) => message.id === id && message.user === user);
    if (found?.offset) return { epoch, offset: found.offset, id };
    const oldest = messages[0];
    if (!oldest?.offset) return begin && from.offset === "0" ? null : unknown;
    const reached = compareOffsets(oldest.offset, from.offset) <= 0 || (oldest.prev !== undefined && compareOffsets(oldest.prev, from.offset) <= 0);
    if (reached) return null;
    if (begin || !back) return unknown;
    before = back;
  }
  return unknown;
}
