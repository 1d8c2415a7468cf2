// Rows of the list as elements.

import { el } from "./dom.js";
import { clean, clock, dayName, hue, initials, moment, plural, shortClock } from "./format.js";
import { mentions, parts as named } from "./mention.js";
import { onlyEmoji, parse, plain } from "./text.js";

const longText = 4000;

export function avatar(user, name = user) {
  const disc = el("span.avatar", { ariaHidden: "true" }, initials(name));
  disc.style.setProperty("--hue", hue(user));
  return disc;
}

/** @param {{me: () => string, connected: () => boolean, react: Function, retry: Function, discard: Function, rework: Function}} page */
export function renderer(page) {
  const make = {
    begin: () => el("div.row.begin", {}, "This is the beginning of the room."),
    day: ({ time }) => el("div.row.day", {}, el("span", {}, dayName(time))),
    new: ({ count }) => el("div.row.new", {}, plural(count, "new message")),
    message: (row) => message(row, page),
    outgoing: (row) => outgoing(row, page),
  };
  return (row, old) => {
    const element = make[row.type](row);
    element.dataset.key = row.key;
    if (!old) return element;
    // Only what is in the row changes: focus and listeners stay.
    old.className = element.className;
    old.ariaLabel = element.ariaLabel;
    old.replaceChildren(...element.childNodes, ...old.querySelectorAll(":scope > .tools"));
    return old;
  };
}

function message({ message: m, first, seen, readers }, page) {
  const body = el("div.body", {}, first ? head(m.user, m.name, m.time) : null, text(m, page.me()), reactions(m, page), seen ? faces(seen, readers) : null);
  const mine = m.user !== page.me() && mentions(m.text, page.me());
  return el(
    `article.row.message${m.user === page.me() ? ".own" : ""}${first ? ".first" : ""}${mine ? ".mentioned" : ""}`,
    { tabIndex: -1, ariaLabel: `${clean(m.name)}, ${clock(m.time)}: ${m.deleted ? "deleted" : plain(m.text.slice(0, 300))}` },
    first ? avatar(m.user, m.name) : el("span.time.side-time", { ariaHidden: "true" }, shortClock(m.time)),
    body,
  );
}

// Who has read: in a place that is theirs also while it is empty, so nothing moves.
function faces(text, readers) {
  const most = readers.length > 3 ? 2 : 3;
  const more = readers.length > most ? el("span", {}, `+${readers.length - most}`) : null;
  return el("div.seen", { role: "img", title: text, ariaLabel: text }, ...readers.slice(0, most).map((user) => avatar(user, [...user][0])), more);
}

function head(user, name, time) {
  return el("div.head", {}, el("span.author", { dir: "auto" }, clean(name)), time ? el("time.time", { title: moment(time), dateTime: new Date(time).toISOString() }, clock(time)) : null);
}

function text({ text, edited, deleted }, me) {
  if (deleted) return el("div.gone", {}, "This message was deleted.");
  const box = el(`div.text${onlyEmoji(text) ? ".big" : ""}`, { dir: "auto" }, ...content(parse(text), me));
  if (text.length <= longText && text.split("\n", 40).length < 40) {
    if (edited) box.append(el("span.edited", {}, "(edited)"));
    return box;
  }
  box.classList.add("clip");
  const more = el("button.plain.more", { type: "button" }, "Show all");
  more.addEventListener("click", () => (more.remove(), box.classList.remove("clip")));
  return el("div", {}, box, more);
}

const tags = { sign: "span.sign", fence: "span.sign.fence", block: "pre", bold: "strong", italic: "em", struck: "del", quote: "blockquote", list: "ul", item: "li" };

function content(parts, me) {
  return parts.flatMap(({ kind, text, href, parts }) => {
    if (kind === "text") return named(text, me).map(({ text, mine }) => (mine ? el("mark", {}, text) : text));
    if (kind === "link") return el("a", { href, target: "_blank", rel: "noopener noreferrer" }, text);
    const element = el(tags[kind] ?? kind, {}, ...(parts ? content(parts, me) : [kind === "fence" ? text.trim() : text]));
    if (kind === "sign" || kind === "fence") element.ariaHidden = "true";
    return element;
  });
}

function reactions(m, page) {
  if (m.reactions.size === 0) return null;
  const buttons = [...m.reactions].map(([emoji, users]) => {
    const mine = users.has(page.me());
    const names = [...users].slice(0, 10).map(clean).join(", ");
    const button = el("button.reaction", { type: "button", title: names, ariaLabel: `${emoji} by ${names}`, ariaPressed: String(mine) }, emoji, el("span", {}, String(users.size)));
    button.addEventListener("click", () => page.react(m, emoji));
    return button;
  });
  return el("div.reactions", {}, ...buttons);
}

const actions = { edit: "Your edit", delete: "Your deletion", react: "Your reaction", unreact: "Your reaction" };

function outgoing({ entry, first }, page) {
  const said = entry.kind ? null : el("div.text", { dir: "auto" }, ...content(parse(entry.data?.text ?? ""), ""));
  const body = el("div.body", {}, first ? head(page.me(), page.me()) : null, said, delivery(entry, page));
  return el(`article.row.message.own.pending${first ? ".first" : ""}`, { tabIndex: -1 }, first ? avatar(page.me()) : el("span"), body);
}

const states = { sending: "Sending…", unconfirmed: "Not confirmed yet, trying again…", stored: "Stored" };
const reasons = {
  too_large: "it is too long", outbox_full: "too many messages are waiting", forbidden: "you may not write here", rate_limited: "too fast",
};

// Why something was refused. A backend that forbids may say so in its own words.
function reason(error) {
  return (error?.code === "forbidden" && error.message) || reasons[error?.code];
}

function delivery(entry, page) {
  const button = (label, action) => {
    const b = el("button.plain", { type: "button" }, label);
    b.addEventListener("click", () => action(entry));
    return b;
  };
  if (entry.mayRepeat) {
    return el("div.delivery.bad", {}, "It may have been sent. Sending again could show it twice. ", button("Send again", page.retry), button("Discard", page.discard));
  }
  if (entry.state !== "refused") return el("div.delivery", {}, page.connected() ? states[entry.state] : "Waiting for the connection");
  const what = actions[entry.kind] ?? "Not sent";
  const why = reason(entry.error);
  return el("div.delivery.bad", {}, `${what}${entry.kind ? " was not saved" : ""}${why ? `: ${why}` : ""}. `, button("Try again", page.retry), entry.kind ? null : button("Edit", page.rework), button("Discard", page.discard));
}
