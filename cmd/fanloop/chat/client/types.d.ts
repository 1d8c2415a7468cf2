// The types of the client: what an application sees, and the frames of the
// protocol as far as the client reads them.

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
  | { type: "members"; ref: number; topic: string; count: number; members: Member[]; end?: boolean }
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
  /** Until when the server asked it to wait before it sends, by Env.now. */
  readonly busyUntil: number;
  receiver: Receiver;
  /** Sends frames once connected has come; the queue is theirs to empty. */
  begin(session: string, limits: Limits): void;
  send(lines: string[]): void;
  close(reason?: string): void;
}
