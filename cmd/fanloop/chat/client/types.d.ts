// The types of the client: the module fanloop.js as an application sees it, and the
// frames of the protocol as far as the client reads them. README.md says how an
// application in TypeScript uses this file.

/** A chat: one connection that comes back by itself, and topics on it. */
export class Client {
  constructor(options?: ClientOptions);
  readonly state: ConnectionState;
  /** Who you are, as the service knows it; "" before the first connection. */
  readonly user: string;
  readonly limits: Limits;
  /** Undefined while there is no connection. */
  readonly transport: "websocket" | "sse" | undefined;
  /** The last round trip in milliseconds. */
  readonly latency: number | undefined;
  /** All that is not stored yet or was refused, of all topics. */
  readonly outgoing: Outgoing[];
  /** Adds a listener. Returns a function that removes it. */
  on<Name extends keyof ClientEvents>(name: Name, listener: (...args: ClientEvents[Name]) => void): () => void;
  /** Connects, and stays connected until you disconnect. */
  connect(): void;
  /** Closes the connection. Topics and the outbox stay for the next one. */
  disconnect(): void;
  /** Disconnects and forgets the user: token, topics, positions and outbox. The other tabs of the option tabs do the same. */
  logout(): void;
  /** Takes another token of the same user. After a refusal, call connect too. */
  setToken(token: string): void;
  /** Returns the topic of this name, always the same object. The options count when it is made. */
  topic(name: string, options?: TopicOptions): Topic;
  /** Unsubscribes from a topic and forgets it. */
  forget(name: string): void;
  /** Measures the round trip; the connection is given up if nobody answers. */
  probe(): void;
}

export type ClientEvents = {
  state: [state: ConnectionState, detail: StateDetail];
  connected: [frame: ConnectedFrame];
  outgoing: [entry: Outgoing];
  token: [error: Failure, topic: string | undefined];
  logout: [];
};

/** One topic. Client.topic makes it. */
export class Topic {
  private constructor();
  readonly name: string;
  readonly state: TopicState;
  /** Why the state is waiting or failed. */
  readonly error: Failure | null;
  readonly mode: "live" | "passive";
  /** Behind the last message that you got. */
  readonly position: Position | null;
  /** Where the page in front of the first messages is, if there may be one. */
  readonly back: Position | null;
  /** Whether messages from history are still coming. */
  readonly recovering: boolean;
  /** The count of a passive subscription. */
  readonly count: number | undefined;
  readonly presence: PresenceState | null;
  readonly marker: MarkerState;
  /** What was published and is not stored yet, or was refused. */
  readonly outgoing: Outgoing[];
  /** Adds a listener. Returns a function that removes it. */
  on<Name extends keyof TopicEvents>(name: Name, listener: (...args: TopicEvents[Name]) => void): () => void;
  /** Subscribes, and stays subscribed across connections. */
  subscribe(): void;
  /** Ends the subscription. The position is kept for the next one. */
  unsubscribe(): void;
  /** Changes what the subscription asks for, such as its mode. */
  configure(options: TopicOptions): void;
  /** Forgets the position: the next subscription is a fresh one. */
  forget(): void;
  /** Publishes a message. What is returned says how it fares, at once and always: publish does not throw. */
  publish(data: unknown): Outgoing;
  edit(target: Target | Outgoing, data: unknown): Outgoing;
  delete(target: Target | Outgoing): Outgoing;
  react(target: Target | Outgoing, data: unknown): Outgoing;
  unreact(target: Target | Outgoing, data: unknown): Outgoing;
  /** Gets a page of messages: the last ones, or those before or after a position. */
  history(where?: { before?: Position; after?: Position; limit?: number }): Promise<Page>;
  /** Gets users in the order of their names, from behind one on. */
  members(where?: { after?: string; limit?: number }): Promise<MembersFrame>;
  /** The values of a kind, by key. A kind is one that the subscription asks for. */
  values(kind: string): Map<string, unknown>;
  /** Sets a value, or takes it away where data is undefined. Nothing is sent while there is no connection. */
  set(kind: string, data?: unknown, key?: string): void;
  /** Says that the user types, or has stopped. Call it at each input. */
  typing(on: boolean): void;
  /** Moves the marker forward, to the position of the topic where none is given. */
  read(position?: Position | null): void;
  /** Sets the marker back on purpose. */
  markUnread(position: Position): void;
}

export type TopicEvents = {
  state: [state: TopicState, error: Failure | null];
  subscribed: [frame: SubscribedFrame];
  reset: [position: Position | null];
  messages: [messages: Message[], source: "page" | "history" | "live"];
  presence: [presence: PresenceState];
  values: [kind: string, values: Map<string, unknown>];
  marker: [marker: MarkerState];
  note: [count: number];
  outgoing: [entry: Outgoing];
};

/** One publish, from Enter to stored. */
export class Outgoing {
  private constructor();
  readonly id: string;
  readonly topic: string;
  readonly kind: string | undefined;
  readonly target: Target | undefined;
  readonly data: unknown;
  readonly state: OutgoingState;
  /** Why it is refused, or not confirmed yet. */
  readonly error: Failure | null;
  /** Nobody can find out whether it is stored: retry may store it twice. */
  readonly mayRepeat: boolean;
  /** Where it is stored. */
  readonly position: Position | null;
  /** Resolves to the entry when it is stored or refused. */
  readonly settled: Promise<Outgoing>;
  /** Sends it now, with its id, although it was refused or may be stored. */
  retry(): void;
  /** Gives it up. What is on its way may be stored all the same. */
  discard(): void;
}

/** An error with the protocol's code and what it says of another attempt. */
export class ChatError extends Error {
  constructor(failure: Failure);
  code: string;
  retry: Failure["retry"];
  delay: number | undefined;
}

/** Throw it in getToken when the answer is no: the client stops and says so. */
export class Refused extends Error {}

/** Compares offsets, which pass 2^53: by length, then by characters. */
export function compareOffsets(a: string, b: string): number;

/** Makes a getToken that asks an address of your site by POST. */
export function tokenFrom(url: string, options?: { credentials?: RequestCredentials }): GetToken;

/** A place in a topic: behind the message with this offset and id. Never take it apart. */
export interface Position {
  readonly epoch: string;
  readonly offset: string;
  readonly id: string;
}

export interface Target {
  readonly offset: string;
  readonly id: string;
}

export interface Message {
  readonly offset?: string;
  readonly prev?: string;
  readonly id: string;
  readonly time: number;
  readonly user: string;
  readonly name?: string;
  /** Absent for a message; edit, delete, react or unreact for what changes one. */
  readonly kind?: string;
  readonly target?: Target;
  readonly data?: unknown;
}

export interface Page {
  readonly epoch?: string;
  readonly messages: Message[];
  readonly back?: Position;
  readonly forward?: Position;
  readonly begin?: boolean;
  readonly end?: boolean;
}

export interface Member {
  readonly user: string;
  readonly connections: number;
}

export interface Limits {
  message: number;
  commands: number;
  topics: number;
  data: number;
  rate: number;
  burst: number;
  page: number;
  unread: number;
  duplicates: number;
}

export interface MarkerState {
  readonly pos?: Position;
  readonly version: number;
  readonly unread?: number;
}

export interface PresenceState {
  readonly level: "count" | "sample" | "pages" | "full";
  readonly count: number;
  /** All users, of level full as long as the topic is small; otherwise null. */
  readonly users: ReadonlySet<string> | null;
  readonly sample: readonly string[];
}

/** Why something failed: the code of the protocol, or one of the client's own. */
export interface Failure {
  readonly code: string;
  readonly retry: "never" | "later" | "refresh";
  readonly message?: string;
  readonly delay?: number;
}

export type ConnectionState =
  | "idle" // not connected, by your wish
  | "signing-in" // getToken is running
  | "connecting"
  | "connected"
  | "waiting" // the next attempt comes by itself
  | "suspended" // the page is hidden in the back/forward cache
  | "failed"; // over, until you call connect

export type TopicState = "idle" | "subscribing" | "subscribed" | "waiting" | "failed";

export type OutgoingState = "sending" | "unconfirmed" | "stored" | "refused";

export interface StateDetail {
  /** Why the state was entered, where there is more to say than the state. */
  readonly error?: Failure;
  /** When the next attempt comes, in milliseconds from now. */
  readonly delay?: number;
}

export type GetToken = (need: { topic?: string; signal: AbortSignal }) => Promise<string> | string;

/** Where the outbox is kept: sessionStorage, or an object of yours. */
export interface Storage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

export interface ClientOptions {
  /**
   * Address of the service, such as https://chat.example, or those of several nodes: the
   * others are tried where the first does not answer. In a page: where the page is from.
   */
  url?: string | string[];
  token?: string;
  getToken?: GetToken;
  /** A name, for a service in development mode. */
  user?: string;
  transports?: ("websocket" | "sse")[];
  /** Hosts, besides that of url, to which the service may send the client. */
  hosts?: string[];
  /** A name that the tabs share in which a user signs in and out together. */
  tabs?: string;
  storage?: Storage;
  storageKey?: string;
  /** What the client takes from its surroundings; tests replace parts of it. */
  env?: Partial<Env>;
}

export interface TopicOptions {
  /** How many of the last messages a fresh subscription gets. */
  last?: number;
  presence?: boolean;
  kinds?: string[];
  mode?: "live" | "passive";
  getToken?: GetToken;
}

export interface Env {
  /** Milliseconds of a clock that never steps. */
  now(): number;
  /** Milliseconds since 1970, for what outlives the page. */
  wall(): number;
  setTimeout(run: () => void, milliseconds: number): unknown;
  clearTimeout(timer: any): void;
  random(): number;
  fetch(url: string, init: RequestInit): Promise<Response>;
  WebSocket?: new (url: string, protocols?: string[]) => WebSocket;
  /** Where tabs share six connections: over HTTP/1.1. */
  locks?: LockManager;
  window?: EventTarget;
  document?: EventTarget & { visibilityState: string };
}

// Frames that the server sends.

export interface ErrorFrame extends Failure {
  type: "error";
  ref?: number;
  topic?: string;
  id?: string;
  attempt?: number;
}

export interface ConnectedFrame {
  type: "connected";
  ref: number;
  session: string;
  user: string;
  name?: string;
  ttl?: number;
  ping?: number;
  topics?: string[];
  addresses?: string[];
  development?: boolean;
  limits: Limits;
}

export interface KindFrame {
  kind: string;
  lifetime?: number;
  values?: { key: string; data?: unknown }[];
  reset?: boolean;
}

export interface SubscribedFrame {
  type: "subscribed";
  ref: number;
  topic: string;
  attempt: number;
  state: "fresh" | "resumed" | "reset";
  pos?: Position;
  messages?: Message[];
  back?: Position;
  begin?: boolean;
  more?: boolean;
  marker?: MarkerState;
  unread?: number;
  count?: number;
  presence?: PresenceFrame & { level: PresenceState["level"] };
  kinds?: KindFrame[];
  ttl?: number;
}

export interface PresenceFrame {
  seq: number;
  count: number;
  users?: string[];
  sample?: string[];
  joined?: string[];
  left?: string[];
  reset?: boolean;
}

export interface MembersFrame {
  type: "members";
  ref: number;
  topic: string;
  count: number;
  members: Member[];
  end?: boolean;
}

export type TopicFrame =
  | ({ type: "message"; topic: string } & Message)
  | { type: "messages"; topic: string; messages: Message[]; more?: boolean }
  | { type: "reset"; topic: string; attempt: number; pos: Position }
  | ({ type: "presence"; topic: string } & PresenceFrame)
  | ({ type: "values"; topic: string } & KindFrame)
  | { type: "note"; topic: string; count: number; unread?: number }
  | ({ type: "marker"; ref?: number; topic: string } & MarkerState)
  | ({ type: "unsubscribed"; ref?: number; topic: string; attempt: number } & Partial<Failure>);

export type AnswerFrame =
  | ErrorFrame
  | ConnectedFrame
  | SubscribedFrame
  | { type: "published"; ref: number; topic: string; id: string; pos?: Position; duplicate?: boolean }
  | ({ type: "marker"; ref?: number; topic: string } & MarkerState)
  | ({ type: "page"; ref: number; topic: string } & Page)
  | MembersFrame
  | { type: "refreshed"; ref: number; topic?: string; ttl?: number }
  | { type: "pong"; ref: number; time: number }
  | { type: "ok"; ref: number };

export type ClosingFrame = { type: "closing"; address?: string } & Failure;

export type Frame = AnswerFrame | TopicFrame | ClosingFrame;

/** How a transport ended: a close code, and what the server said of the next attempt. */
export interface Ending {
  code: number;
  reason?: string;
  delay?: number;
}

/** What a transport tells the session. Nothing is called after close. */
export interface Receiver {
  /** The frames of the first message. */
  first(): string;
  received(text: string): void;
  /** Something came that is no frame. */
  heard(): void;
  ended(ending: Ending): void;
}

export interface Transport {
  readonly name: "websocket" | "sse";
  /** Until when the server asked it to wait before it sends, by Env.now: at most 30 s for one POST. */
  readonly busyUntil: number;
  receiver: Receiver;
  /** Sends frames once connected has come; the queue is theirs to empty. */
  begin(session: string, limits: Limits): void;
  send(lines: string[]): void;
  close(reason?: string): void;
}
