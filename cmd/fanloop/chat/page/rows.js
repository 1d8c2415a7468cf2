// From a timeline to rows of the list: days, groups by author, the divider of
// what is new, and what the user sent and is not stored.

const groupGap = 5 * 60_000;
const beginRow = { key: "begin", type: "begin", version: 0 };
const dayRows = new WeakMap(); // message -> row of its day
const messageRows = new WeakMap(); // message -> its row, as it was shown last

// A row that has not changed is the same object, so that the list sees at once
// what is new among thousands.
function dayRow(message) {
  let row = dayRows.get(message);
  if (!row) dayRows.set(message, (row = { key: `day ${message.offset}`, type: "day", time: message.time, version: 0 }));
  return row;
}

function messageRow(message, first, seen, readers) {
  let row = messageRows.get(message);
  if (row?.first === first && row.changes === message.version && row.seen === seen) return row;
  const { version, id, offset } = message;
  row = { key: `${id} ${offset}`, type: "message", message, first, seen, readers, changes: version, version: `${version} ${first} ${seen}` };
  messageRows.set(message, row);
  return row;
}

/**
 * @param {{messages: object[], outgoing: object[], divider: string | null, me: string, begin: boolean, connected?: boolean, seen?: {message: object, text: string, readers: string[]} | null, compare: (a: string, b: string) => number}} view
 * divider: the offset behind which messages are new; seen: which message says who has read it
 */
export function rows({ messages, outgoing = [], divider, me, begin, connected = true, seen = null, compare }) {
  const list = [];
  const sent = new Set(outgoing.map(({ id }) => id));
  const shown = new Set(); // of what was sent
  if (begin) list.push(beginRow);
  let before = null;
  let day = 0; // where the day of the last message begins, and where it ends
  let night = 0;
  let mark = null;
  for (const message of messages) {
    if (!(message.time >= day && message.time < night)) {
      day = new Date(message.time).setHours(0, 0, 0, 0);
      night = new Date(message.time).setHours(24, 0, 0, 0);
      list.push(dayRow(message));
      before = null;
    }
    const fresh = divider !== null && message.user !== me && compare(message.offset, divider) > 0;
    if (fresh && !mark) {
      list.push((mark = { key: "new", type: "new", count: 0, version: 0 }));
      before = null;
    }
    if (fresh) mark.version = ++mark.count;
    const first = before === null || before.user !== message.user || message.time - before.time > groupGap;
    list.push(messageRow(message, first, message === seen?.message ? seen.text : "", seen?.readers));
    if (sent.has(message.id)) shown.add(message.id);
    before = message;
  }
  for (const entry of outgoing) {
    if (shown.has(entry.id) || entry.state === "stored" && entry.kind) continue;
    const failed = entry.state === "refused" || entry.mayRepeat;
    if (entry.kind && !failed) continue;
    const first = before?.user !== me;
    list.push({ key: `out ${entry.id}`, type: "outgoing", entry, first, version: `${entry.state} ${entry.mayRepeat} ${first} ${connected}` });
    before = { user: me };
  }
  return list;
}
