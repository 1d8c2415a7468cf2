// From a timeline to rows of the list: days, groups by author, the divider of
// what is new, and what the user sent and is not stored.

const groupGap = 5 * 60_000;
const dayOf = (time) => new Date(time).setHours(0, 0, 0, 0);

/**
 * @param {{messages: object[], outgoing: object[], divider: string | null, me: string, begin: boolean, compare: (a: string, b: string) => number}} view
 * divider: the offset behind which messages are new
 */
export function rows({ messages, outgoing = [], divider, me, begin, compare }) {
  const list = [];
  const shown = new Set();
  if (begin) list.push({ key: "begin", type: "begin" });
  let before = null;
  let mark = null;
  for (const message of messages) {
    if (dayOf(message.time) !== (before ? dayOf(before.time) : null)) {
      list.push({ key: `day ${message.offset}`, type: "day", time: message.time, version: 0 });
      before = null;
    }
    const fresh = divider !== null && message.user !== me && compare(message.offset, divider) > 0;
    if (fresh && !mark) {
      list.push((mark = { key: "new", type: "new", count: 0, version: 0 }));
      before = null;
    }
    if (fresh) mark.version = ++mark.count;
    const first = before === null || before.user !== message.user || message.time - before.time > groupGap;
    list.push({ key: message.id + message.offset, type: "message", message, first, version: `${message.version} ${first}` });
    shown.add(message.id);
    before = message;
  }
  for (const entry of outgoing) {
    if (shown.has(entry.id) || entry.state === "stored" && entry.kind) continue;
    const failed = entry.state === "refused" || entry.mayRepeat;
    if (entry.kind && !failed) continue;
    const first = before?.user !== me;
    list.push({ key: `out ${entry.id}`, type: "outgoing", entry, first, version: `${entry.state} ${entry.mayRepeat} ${first}` });
    before = { user: me };
  }
  return list;
}
