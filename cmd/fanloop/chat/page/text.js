// Text of a message as parts: code, links, what is bold or listed. Nothing of it is HTML,
// and nothing is lost: the texts of all parts, one after the other, are the text. Each
// character is looked at a few times at most, whatever the text is.

const fences = /(```(?:[\w+-]*\n)?)([\s\S]+?)(\n?```\n?)/g;
const tokens = /`[^`\n]+`|(?<![a-z\d])(?:https?:\/\/|mailto:)[^\s<>"`]+|\*+|~+|_+/gi;
const marks = { "*": "bold", "**": "bold", _: "italic", "~": "struck", "~~": "struck" };
const schemes = new Set(["http:", "https:", "mailto:"]);
const hidden = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/;

/**
 * A part has a text, or parts. A sign stands for how others look, as * and ```, and a fence
 * has a line of its own.
 * @typedef {{kind: "text" | "sign" | "fence" | "code" | "block" | "link", text: string, href?: string}
 *   | {kind: "bold" | "italic" | "struck" | "quote" | "list" | "item", parts: Part[]}} Part
 */

/** @param {string} text @returns {Part[]} */
export function parse(text) {
  const parts = [];
  let end = 0;
  for (const { 0: all, 1: open, 2: code, 3: close, index } of text.matchAll(fences)) {
    lines(text.slice(end, index), parts);
    parts.push({ kind: "fence", text: open }, { kind: "block", text: code }, { kind: "fence", text: close });
    end = index + all.length;
  }
  lines(text.slice(end), parts);
  return parts;
}

/** What a text says, without its signs. */
export function plain(text) {
  const say = ({ kind, text, parts }) => (parts ? parts.map(say).join("") : kind === "sign" || kind === "fence" ? "" : text);
  return parse(text).map(say).join("");
}

// Lines of a quote, or of a list, are one part.
function lines(text, parts) {
  for (const line of text.match(/[^\n]*\n|[^\n]+/g) ?? []) {
    const [sign] = /^(?:> |- (?=\S))/.exec(line) ?? [""];
    const kind = { "> ": "quote", "- ": "list" }[sign];
    const content = spans(line.slice(sign.length));
    if (!kind) {
      for (const part of content) add(parts, part);
      continue;
    }
    content.unshift({ kind: "sign", text: sign });
    if (parts.at(-1)?.kind !== kind) parts.push({ kind, parts: [] });
    const all = parts.at(-1).parts;
    if (kind === "list") all.push({ kind: "item", parts: content });
    else for (const part of content) add(all, part);
  }
}

function add(parts, part) {
  const last = parts.at(-1);
  if (part.kind === "text" && last?.kind === "text") last.text += part.text;
  else parts.push(part);
}

// The spans of a line. A mark that opens one is text, until it is closed.
function spans(line) {
  const parts = [];
  const open = new Map(); // mark -> where it is in parts
  const push = (kind, text) => text && parts.push({ kind, text });
  let end = 0;
  for (let match; (tokens.lastIndex = end), (match = tokens.exec(line)); ) {
    let [token] = match;
    push("text", line.slice(end, match.index));
    if (token[0] === "`") parts.push({ kind: "sign", text: "`" }, { kind: "code", text: token.slice(1, -1) }, { kind: "sign", text: "`" });
    else if (/[*_~]/.test(token[0])) mark(token, line[match.index - 1], line[match.index + token.length], parts, open);
    else {
      token = trim(token);
      const href = address(token);
      parts.push(href ? { kind: "link", text: token, href } : { kind: "text", text: token });
    }
    end = match.index + token.length;
  }
  push("text", line.slice(end));
  return parts;
}

const word = /[\p{L}\p{N}]/u;
const space = /\s/;

// A span begins behind a word's end and in front of a character, and ends the other way round.
function mark(token, before = " ", after = " ", parts, open) {
  const from = open.get(token);
  const kind = marks[token];
  if (kind && from < parts.length - 1 && !space.test(before) && !word.test(after)) {
    const sign = () => ({ kind: "sign", text: token });
    parts.push({ kind, parts: [sign(), ...parts.splice(from).slice(1), sign()] });
    for (const [other, at] of open) if (at >= from) open.delete(other);
    return;
  }
  if (kind && !word.test(before) && !space.test(after)) open.set(token, parts.length);
  parts.push({ kind: "text", text: token });
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
  let closed = link.split(")").length - link.split("(").length;
  let end = link.length;
  for (; ; end--) {
    if (link[end - 1] === ")" && closed > 0) closed--;
    else if (!".,:;!?'*_~".includes(link[end - 1])) return link.slice(0, end);
  }
}

/** Whether a message is nothing but a few emoji, which are shown large. */
export function onlyEmoji(text) {
  return text.length <= 24 && /^(?:\p{Extended_Pictographic}[\p{Emoji_Modifier}\u200d\ufe0f]*\s*)+$/u.test(text);
}
