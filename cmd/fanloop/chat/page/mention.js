// Mentions: @ and a name in a text.

const patterns = new Map(); // name -> how it is found

function pattern(name) {
  let found = patterns.get(name);
  if (!found) {
    const plain = name.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
    found = new RegExp(`(?<![\\p{L}\\p{N}_@])@${plain}(?![\\p{L}\\p{N}_])`, "giu");
    patterns.set(name, found);
  }
  return found;
}

/** Whether a text has @name. */
export function mentions(text, name) {
  return name !== "" && text.includes("@") && text.search(pattern(name)) >= 0;
}

/** A text as parts, of which those that mention the name are marked. */
export function parts(text, name) {
  if (!mentions(text, name)) return [{ text, mine: false }];
  const list = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(pattern(name))) {
    if (index > end) list.push({ text: text.slice(end, index), mine: false });
    list.push({ text: found, mine: true });
    end = index + found.length;
  }
  if (end < text.length) list.push({ text: text.slice(end), mine: false });
  return list;
}
