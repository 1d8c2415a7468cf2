// Names, times and numbers as people read them.

const time = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

export const clock = (at) => time.format(at);
/** The time in the margin, where there is no room for AM and PM. */
export const shortClock = (at) => time.formatToParts(at).filter(({ type }) => type !== "dayPeriod").map(({ value }) => value).join("").trim();
export const moment = (at) => full.format(at);

/** "today", "yesterday", or the date. */
export function dayName(at, now = Date.now()) {
  const start = (when) => new Date(when).setHours(0, 0, 0, 0);
  const days = Math.round((start(at) - start(now)) / 86_400_000);
  if (days === 0 || days === -1) return capital(relative.format(days, "day"));
  return new Date(at).getFullYear() === new Date(now).getFullYear() ? day.format(at) : dayOfYear.format(at);
}

const capital = (text) => text.charAt(0).toLocaleUpperCase() + text.slice(1);

/** A name as people write it: without what could reorder or hide its neighbours. */
export function clean(name) {
  return name.replace(/[\u0000-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g, "").slice(0, 80);
}

/** What a room is called. */
export const roomName = (topic) => clean(topic);

export function initials(name) {
  const words = clean(name).split(/[\s._-]+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0]).join("").toLocaleUpperCase() || "?";
}

/** The hue of a user's colour in degrees: of 24, the same on all pages. */
export function hue(user) {
  let hash = 2166136261;
  for (let i = 0; i < user.length; i++) hash = Math.imul(hash ^ user.charCodeAt(i), 16777619);
  return ((hash >>> 8) % 24) * 15;
}

/** "Ann is typing", "Ann and Bob are typing", "Several people are typing". */
export function typingText(names) {
  if (names.length === 0) return "";
  if (names.length === 1) return `${names[0]} is typing`;
  if (names.length === 2) return `${names[0]} and ${names[1]} are typing`;
  return "Several people are typing";
}

/** "Seen by Ann and Bob", "Seen by Ann, Bob, Cy and 4 others". */
export function seenText(names) {
  if (names.length === 0) return "";
  const shown = names.length > 4 ? [...names.slice(0, 3), `${names.length - 3} others`] : names;
  const last = shown.at(-1);
  return `Seen by ${shown.length > 1 ? `${shown.slice(0, -1).join(", ")} and ${last}` : last}`;
}

/** "12 ms", "1.2 s": never longer than "999 ms". */
export const duration = (ms) => (ms < 999.5 ? `${Math.max(1, Math.round(ms))} ms` : `${Math.min(99, ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`);

export const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
