// The page: who the user is, and how its parts work together.

import { Client, compareOffsets } from "./fanloop.js";
import { Actions } from "./actions.js";
import { Announcer } from "./announce.js";
import { Composer } from "./composer.js";
import { watchConnection } from "./connection.js";
import { $, el } from "./dom.js";
import { Drafts } from "./drafts.js";
import { clean, plural, roomName, seenText, typingText } from "./format.js";
import { Known } from "./known.js";
import { List } from "./list.js";
import { mentions } from "./mention.js";
import { Notifier } from "./notify.js";
import { avatar, renderer } from "./render.js";
import { Room } from "./room.js";
import { Rooms } from "./rooms.js";
import { rows } from "./rows.js";
import { outbox, Shown } from "./tabs.js";
import { Watch } from "./watch.js";
import { keyOf } from "./keys.js";
import { signIn } from "./signin.js";
import { plain } from "./text.js";

const identity = await signIn();
const who = identity.getToken ? { getToken: identity.getToken } : { user: identity.user };
const client = new Client({ ...(await outbox(identity.user)), tabs: keyOf(identity.user, "chat"), ...who });
const admission = await identity.admit(client);
const me = () => client.user || identity.user;
const rooms = new Map(); // topic -> Room
let room = null; // the one on the screen
const troubles = { bad_name: "This is not a name for a room.", unknown_topic: "There is no such room." };
let missed = 0; // lines that came while the reader was further up

const page = {
  me,
  connected: () => client.state === "connected",
  limit: () => client.limits.data,
  names: () => [...(room.topic.presence?.users ?? room.topic.presence?.sample ?? []), ...room.timeline.messages.map(({ user }) => user)].filter((user) => user !== me()),
  typing: (on) => room?.topic.typing(on),
  send(text) {
    list.following = true;
    room.held = false; // who writes has read
    room.topic.publish({ text });
    draw();
  },
  change: (message, text) => room.topic.edit(message, { text }),
  edit: (message) => composer.edit(message),
  quote: (message) => composer.locked || composer.restore(`${plain(message.text).replace(/^/gm, "> ")}\n${message.user === me() ? "" : `@${message.user} `}`),
  remove: (message) => room.topic.delete(message),
  react: (message, emoji) => room.topic[message.reactions.get(emoji)?.has(me()) ? "unreact" : "react"](message, emoji),
  retry: (entry) => entry.retry(),
  discard: (entry) => (entry.discard(), draw()),
  markUnread: (message) => room.markUnread(message),
  rework(entry) {
    composer.restore(entry.data?.text ?? "");
    entry.discard();
    draw();
  },
  lastOwn: () => room?.timeline.messages.findLast(({ user, deleted }) => user === me() && !deleted),
};

const drafts = new Drafts(localStorage, identity.user);
const announcer = new Announcer($("polite"));
const list = new List($("list"), renderer(page));
const composer = new Composer(drafts, page);
const sidebar = new Rooms((name) => (location.hash = encodeURIComponent(name)));
const shown = new Shown(identity.user);
const notifier = new Notifier(identity.user, shown, (name) => (location.hash = encodeURIComponent(name)), compareOffsets);
const known = new Known(identity.user);
const watch = new Watch(compareOffsets, elsewhere);
new Actions(list, page);

// Drawing: once a frame, whatever has changed.

let due = 0;

function draw() {
  due ||= requestAnimationFrame(() => {
    due = 0;
    drawNow(false);
  });
}

function drawNow(other) {
  if (!room) return;
  const { timeline, divider, begin, topic } = room;
  const content = rows({ messages: timeline.messages, outgoing: topic.outgoing, divider, me: me(), begin: begin && timeline.messages.length > 0, connected: page.connected(), seen: seenBy(), compare: compareOffsets });
  if (other) list.replace(content);
  else list.update(content);
  if ($("list").scrollTop < 600) room.more(); // also where a page does not fill the list
  $("empty").hidden = content.length > 0 || topic.state !== "subscribed";
  $("list").ariaBusy = String(room.busy);
  seen();
  drawRooms();
}

// The last own line says who has read it.
function seenBy() {
  const message = page.lastOwn();
  if (!message) return null;
  const readers = room.readers(message);
  return { message, readers, text: seenText(readers.map(clean)) };
}

function drawRooms() {
  sidebar.show([...rooms.values()].map((r) => ({
    topic: r.name, current: r === room, draft: drafts.has(r.name), unread: r === room && !r.held && attentive() ? 0 : r.unread,
    mention: r.mentioned && r.unread > 0 && !(r === room && attentive()), ...known.get(r.name),
  })));
}

// Reading needs eyes: the page is seen and shows the last line.

const attentive = () => document.visibilityState === "visible" && document.hasFocus() && list.follows;

function seen() {
  if (list.follows) missed = 0;
  $("jump").hidden = list.follows;
  if (!list.follows) $("jump").textContent = missed > 0 ? `↓ ${plural(missed, "new message")}` : "↓ Latest messages";
  if (room && !room.held && attentive() && room.topic.state === "subscribed" && room.topic.mode === "live") {
    room.topic.read();
    room.caughtUp = true;
    room.mentioned = false;
  }
}

// The reader selects text, or goes from line to line by keys: nothing moves under them.
function hold() {
  const { anchorNode, isCollapsed } = getSelection();
  const { activeElement } = document;
  const reading = activeElement?.closest(".message") && activeElement.matches(":focus-visible");
  list.hold(!!reading || (!isCollapsed && $("list").contains(anchorNode)));
  seen();
}

function look() {
  shown.set(document.visibilityState === "visible" ? (room?.name ?? null) : null);
  if (document.visibilityState === "visible") seen();
  else drawRooms();
}

function changed(of, lines, source) {
  if (of !== room) return drawRooms();
  const others = lines.filter(({ user }) => user !== me());
  if (lines.length > 0) known.came(room.name, lines.at(-1).time); // however it came
  if (source === "live") {
    tell(room, room.topic.position?.epoch, others);
    announcer.add(others);
  }
  if (source === "live" || source === "recovered") {
    if (!list.follows) missed += others.length;
    if (others.length > 0 && !attentive() && (room.divider === null || room.caughtUp)) {
      room.divider = before(others[0]); // all before it was read
      room.caughtUp = false;
    }
  }
  draw();
}

// Lines of others have come: of a muted room, only a mention is worth a word.
function tell(of, epoch, others) {
  const mine = others.filter(({ text }) => mentions(text, me()));
  if (mine.length > 0) of.mentioned = true;
  void notifier.tell(of.name, epoch, known.get(of.name).muted ? mine : others);
}

// What came in a room that is not on the screen.
function elsewhere(of, epoch, lines) {
  if (lines.length > 0) known.came(of.name, lines.at(-1).time);
  tell(of, epoch, lines.filter(({ user }) => user !== me()));
  drawRooms();
}

// The offset of the line in front of another, for the divider.
function before(line) {
  const { messages } = room.timeline;
  return messages[messages.indexOf(line) - 1]?.offset ?? "0";
}

// Rooms.

function join(name) {
  let joined = rooms.get(name);
  if (joined) return joined;
  const topic = client.topic(name, { last: 50, presence: true, kinds: ["typing", "read"], mode: "passive" });
  joined = new Room(topic, changed, compareOffsets, me);
  rooms.set(name, joined);
  const here = () => joined === room;
  topic.on("presence", () => here() && people());
  topic.on("values", (kind) => here() && (kind === "read" ? draw() : typing()));
  topic.on("marker", drawRooms);
  topic.on("marker", () => watch.begin(joined));
  topic.on("note", () => {
    if (joined.unread > 0) watch.note(joined);
    drawRooms();
  });
  topic.on("outgoing", () => here() && draw());
  topic.on("state", (state, error) => problem(joined, state, error));
  joined.isNew = !known.names.includes(name);
  if (joined.isNew) known.set(name, { at: Date.now() });
  topic.subscribe();
  return joined;
}

function leave() {
  $("options").open = false;
  drop(room);
  room = null;
  if (location.hash.length > 1) location.hash = "";
  else follow();
}

function drop(of) {
  of.leave();
  client.forget(of.name);
  rooms.delete(of.name);
  known.remove(of.name);
  sidebar.remove(of.name);
}

function mute() {
  known.set(room.name, { muted: !known.get(room.name).muted });
  $("options").open = false;
  options();
  drawRooms();
}

// Closes the menus of the head, unless something is in them.
function closeMenus(target) {
  for (const id of ["people", "options"]) if (!target?.closest?.(`#${id}`)) $(id).open = false;
}

function options() {
  $("mute").textContent = known.get(room.name).muted ? "Unmute this room" : "Mute this room";
}

function enter(name) {
  if (room?.name === name) return;
  closeMenus();
  room?.topic.typing(false);
  room?.leave();
  if (room?.useless && !drafts.has(room.name)) drop(room);
  room = join(name);
  room.enter();
  look();
  missed = 0;
  announcer.clear();
  $("title").textContent = roomName(name);
  $("app").classList.remove("open");
  $("menu").ariaExpanded = "false";
  composer.enter(name, roomName(name));
  options();
  trouble();
  drawNow(true);
  if (matchMedia("(hover: hover)").matches) composer.focus();
}

function reveal({ id, offset }) {
  drawNow(false); // it may have come in a page just now
  list.reveal(`${id} ${offset}`, "start")?.focus({ preventScroll: true });
}

// What is wrong with a room stays on the screen while it is tried again.
function problem(of, state, error) {
  if (state === "subscribed") of.admitted = true;
  if (state === "failed") {
    of.trouble = failure(of, error);
    conceal(of);
    if (of.nowhere && of.isNew) known.remove(of.name); // not for the next load either
  } else if (state === "waiting" && error && error.code !== "rate_limited") of.trouble = "This room cannot be loaded now. Trying again…";
  else if (state !== "subscribing") of.trouble = "";
  if (of === room) (trouble(), draw());
}

function failure(of, error) {
  if (error?.code !== "forbidden") return troubles[error?.code] ?? "This room cannot be shown.";
  if (of.admitted) return "You may not see this room any more.";
  return `You may not see this room${error.message ? `: ${error.message}` : ""}.`;
}

// Nothing stays on the screen of what the user may not see any more.
function conceal(of) {
  of.conceal();
  if (of !== room) return;
  announcer.clear();
  document.querySelector(".search[open]")?.close();
}

// The user may see nothing any more.
const ends = ["forbidden", "revoked", "unauthorized"];

function over(error) {
  if (ends.includes(error?.code)) for (const of of rooms.values()) conceal(of);
}

function trouble() {
  const failed = room.topic.state === "failed";
  $("trouble").hidden = !room.trouble || client.state === "failed"; // which the banner says
  $("trouble-text").textContent = room.trouble;
  $("remove").hidden = !failed;
  composer.lock(failed || client.state === "failed");
  people();
  typing();
}

function people() {
  const presence = composer.locked ? null : room?.topic.presence;
  $("people").hidden = !presence || presence.level === "off";
  if (!presence) return;
  const users = [...(presence.users ?? presence.sample ?? [])].sort((a, b) => (b === me()) - (a === me()) || a.localeCompare(b));
  $("count").textContent = plural(presence.count ?? users.length, "person", "people");
  $("stack").replaceChildren(...users.slice(0, 3).map((user) => avatar(user, [...user][0])));
  $("members").replaceChildren(...users.slice(0, 100).map((user) => el("li", {}, avatar(user), el("span", { dir: "auto" }, clean(user) + (user === me() ? " (you)" : "")))));
}

function bell() {
  const { state } = notifier;
  const label = { ask: "Notify me of new messages", on: "Notifications are on", off: "Notifications are off", never: "" }[state];
  Object.assign($("notify"), { hidden: state === "never", title: label, ariaLabel: label, ariaPressed: String(state === "on") });
}

function typing() {
  const names = room && !composer.locked ? [...room.topic.values("typing").keys()].filter((user) => user !== me()) : [];
  $("typing").textContent = typingText(names.map(clean));
}

function follow() {
  let name = "";
  try {
    name = decodeURIComponent(location.hash.slice(1));
  } catch {} // no name at all
  enter(name || rooms.keys().next().value || "lobby");
}

// What happens.

list.onTop = () => {
  if (!due) room?.more(); // a page that has come is drawn first
  $("list").ariaBusy = String(room?.busy);
};
list.onScroll = () => (seen(), drawRooms());
$("jump").addEventListener("click", () => (list.toEnd(), seen()));
$("menu").addEventListener("click", () => {
  $("menu").ariaExpanded = String($("app").classList.toggle("open"));
});
$("app").addEventListener("click", (event) => {
  if (event.target === $("app")) $("app").classList.remove("open");
  closeMenus(event.target);
});
$("app").addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  event.target.closest?.("details[open]")?.querySelector("summary").focus();
  closeMenus();
});
$("search").addEventListener("click", async () => {
  $("options").open = false;
  (await import("./search.js")).search(room, reveal);
});
$("mute").addEventListener("click", mute);
for (const id of ["leave", "remove"]) $(id).addEventListener("click", leave);
$("logout").addEventListener("click", () => client.logout());
$("skip").addEventListener("click", (event) => (event.preventDefault(), composer.focus()));
addEventListener("hashchange", follow);
addEventListener("focus", seen);
document.addEventListener("visibilitychange", look);
document.addEventListener("selectionchange", hold);
$("list").addEventListener("focusin", hold);
$("list").addEventListener("focusout", () => queueMicrotask(hold)); // the next row may have it
addEventListener("pagehide", () => shown.set(null)); // for the Back button
addEventListener("pageshow", look);
$("notify").addEventListener("click", async () => (await notifier.click(), bell()));

function connected(frame) {
  if (client.state !== "connected") return; // it is not for this user
  $("my-name").textContent = clean(frame.name ?? me());
  $("my-avatar").replaceWith(Object.assign(avatar(me()), { id: "my-avatar" }));
  $("development").hidden = !frame.development;
  for (const topic of frame.topics ?? []) join(topic);
  draw();
}

client.on("connected", connected);
client.on("logout", () => {
  known.end();
  identity.forget();
  location.replace(location.pathname);
});
client.on("state", (state, { error } = {}) => {
  if (state === "failed") over(error);
  if (room) trouble();
  draw();
  if (state === "failed" && error?.code === "bad_name") void identity.rename();
});
watchConnection(client);

$("my-name").textContent = clean(identity.user);
$("my-avatar").replaceWith(Object.assign(avatar(identity.user || "?"), { id: "my-avatar" }));
$("app").hidden = false;
bell();
for (const name of known.names) join(name);
for (const { topic } of client.outgoing) join(topic);
if (admission) connected(admission);
follow();
client.connect();
