// An application in TypeScript, as README.md has it. It is checked and never runs.

import { ChatError, Client, compareOffsets, Outgoing, Refused, tokenFrom, Topic } from "./fanloop.js";
import type { ClientEvents, Message, Position, TopicEvents } from "./fanloop.js";

class Room {
  readonly #topic: Topic;
  readonly lines: Message[] = [];

  constructor(client: Client, name: string) {
    this.#topic = client.topic(name, { last: 50, presence: true, kinds: ["typing"] });
    this.#topic.on("messages", (messages, source) => {
      if (source !== "live") this.lines.push(...messages);
    });
    this.#topic.on("reset", (position: Position | null) => console.log(position?.epoch));
    this.#topic.on("presence", ({ level, count, users }) => console.log(level, count, users?.has("ann")));
    this.#topic.on("outgoing", (entry: Outgoing) => console.log(entry.state satisfies "sending" | "unconfirmed" | "stored" | "refused"));
    this.#topic.subscribe();
  }

  async say(text: string): Promise<Position | null> {
    const entry = await this.#topic.publish({ text }).settled;
    if (entry.error) throw new ChatError(entry.error);
    this.#topic.react(entry, "ok");
    return entry.position;
  }

  async older(): Promise<Message[]> {
    const { messages, begin } = await this.#topic.history({ before: this.#topic.back ?? undefined, limit: 20 });
    const { members } = await this.#topic.members({ after: "ann" });
    console.log(begin, members[0]?.connections, this.#topic.values("typing").size, this.#topic.marker.unread);
    return messages.sort((a, b) => compareOffsets(a.offset ?? "", b.offset ?? ""));
  }

  leave(): void {
    this.#topic.typing(false);
    this.#topic.read();
    this.#topic.unsubscribe();
  }
}

export async function start(): Promise<Room> {
  const client: Client = new Client({ url: "https://chat.example", getToken: tokenFrom("/token"), storage: sessionStorage });
  const stop: () => void = client.on("state", (state, { error, delay }) => console.log(state, error?.code, delay));
  client.on("connected", ({ topics, development }) => console.log(topics?.length, development));
  client.connect();
  const room = new Room(client, "room:lobby");
  await room.say("hello").catch((err: unknown) => {
    if (err instanceof Refused || (err instanceof ChatError && err.retry === "never")) client.logout();
  });
  console.log(client.user, client.state, client.transport, client.latency?.toFixed(), client.limits.data, client.outgoing[0]?.mayRepeat);
  stop();
  return room;
}

export type Heard = TopicEvents["messages"][0];
export type Known = keyof ClientEvents;

// @ts-expect-error: there is no such event
new Client().on("nothing", () => {});
// @ts-expect-error: a position is read only
new Client().topic("room:lobby").position = null;
// @ts-expect-error: a topic is made by a client
new Topic();
