// Text of a message as parts: plain text, links, code. Nothing of it is HTML.

const pattern = /```(?:[\w+-]*\n)?([\s\S]+?)```|`([^`\n]+)`|\b((?:https?:\/\/|mailto:)[^\s<>"`]+)/gi;
const schemes = new Set(["http:", "https:", "mailto:"]);
const hidden = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/;

/** @returns {{kind: "text" | "code" | "block" | "link", text: string, href?: string}[]} */
export function parse(text) {
  const parts = [];
  const plain = (piece) => piece && parts.push({ kind: "text", text: piece });
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    const [all, block, code, link] = match;
    plain(text.slice(end, match.index));
    end = match.index + all.length;
    if (block !== undefined) parts.push({ kind: "block", text: block.replace(/\n$/, "") });
    else if (code !== undefined) parts.push({ kind: "code", text: code });
    else {
      const shown = trim(link);
      const href = address(shown);
      if (href) parts.push({ kind: "link", text: shown, href });
      else plain(shown);
      plain(link.slice(shown.length));
    }
  }
  plain(text.slice(end));
  return parts;
}

/** What a link may lead to, or "" where it is shown as text. */
export function address(text) {
  if (hidden.test(text) || !URL.canParse(text)) return "";
  const url = new URL(text);
  // user@host is a way to look like another host.
  return schemes.has(url.protocol) && !url.username && !url.password ? url.href : "";
}

// The end of a sentence does not belong to a link, nor does a bracket that it
// did not open.
function trim(link) {
  let text = link;
  for (;;) {
    const shorter = text.replace(/[.,:;!?'*_~]+$/, "");
    const open = shorter.split("(").length;
    const next = shorter.endsWith(")") && shorter.split(")").length > open ? shorter.slice(0, -1) : shorter;
    if (next === text) return text;
    text = next;
  }
}

/** Whether a message is nothing but a few emoji, which are shown large. */
export function onlyEmoji(text) {
  return text.length <= 24 && /^(?:\p{Extended_Pictographic}[\p{Emoji_Modifier}\u200d\ufe0f]*\s*)+$/u.test(text);
}
