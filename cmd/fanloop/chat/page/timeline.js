// What a room shows: messages in order, with what later events changed in them.

const key = ({ offset, id }) => `${offset}/${id}`;

export class Timeline {
  /** In order of offsets. */
  messages = [];
  #byKey = new Map();
  #waiting = new Map(); // target -> events that came before their target

  /** Takes messages behind the last one. Returns those that are lines. */
  append(list) {
    const lines = this.#lines(list);
    this.messages.push(...lines);
    for (const message of list) if (message.kind) this.#event(message);
    return lines;
  }

  /** Takes a page in front of the first one. */
  prepend(list) {
    const lines = this.#lines(list);
    this.messages.unshift(...lines);
    const later = new Map();
    for (const line of lines) {
      const events = this.#waiting.get(key(line));
      if (events) later.set(key(line), events);
      this.#waiting.delete(key(line));
    }
    const before = this.#waiting;
    this.#waiting = new Map();
    for (const message of list) if (message.kind) this.#event(message);
    for (const [target, events] of before) this.#waiting.set(target, [...(this.#waiting.get(target) ?? []), ...events]);
    for (const events of later.values()) events.forEach((event) => this.#event(event));
    return lines;
  }

  /** Forgets all: another life of the topic follows. */
  clear() {
    this.messages = [];
    this.#byKey.clear();
    this.#waiting.clear();
  }

  has(target) {
    return this.#byKey.has(key(target));
  }

  get(target) {
    return this.#byKey.get(key(target));
  }

  #lines(list) {
    const lines = [];
    for (const message of list) {
      if (message.kind || this.#byKey.has(key(message))) continue;
      const { offset, id, time, user, name, data } = message;
      const line = { offset, id, time, user, name: name ?? user, text: textOf(data), edited: false, deleted: false, reactions: new Map(), version: 0 };
      this.#byKey.set(key(message), line);
      lines.push(line);
    }
    return lines;
  }

  #event(event) {
    const target = event.target && this.#byKey.get(key(event.target));
    if (!target) {
      if (event.target) this.#waiting.set(key(event.target), [...(this.#waiting.get(key(event.target)) ?? []), event]);
      return;
    }
    if (apply(target, event)) target.version++;
  }
}

/** The text of a message, whatever another program put into its data. */
export function textOf(data) {
  const text = typeof data === "string" ? data : data?.text;
  return typeof text === "string" ? text : JSON.stringify(data ?? "");
}

function apply(line, { kind, user, data }) {
  if (line.deleted) return false; // nothing undoes a deletion
  switch (kind) {
    case "edit":
      line.text = textOf(data);
      line.edited = true;
      return true;
    case "delete":
      line.text = "";
      line.deleted = true;
      line.reactions.clear();
      return true;
    case "react":
      if (typeof data !== "string" || data.length > 32) return false;
      line.reactions.set(data, new Set(line.reactions.get(data)).add(user));
      return true;
    case "unreact": {
      const users = line.reactions.get(data);
      if (!users?.delete(user)) return false;
      if (users.size === 0) line.reactions.delete(data);
      return true;
    }
  }
  return false;
}
