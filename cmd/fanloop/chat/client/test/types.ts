// The declarations of types.d.ts against the sources: the classes there have the members that
// an application may use, and no others. That the sources fit them is said by @implements.

import type * as declared from "../types.d.ts";
import type * as source from "../fanloop.js";

type Missing<Source, Declared, Internal extends keyof Source> = Exclude<keyof Source, keyof Declared | Internal>;
type None<Names extends never> = Names;

export type Client = None<Missing<source.Client, declared.Client, "emit">>;
export type Topic = None<Missing<source.Topic, declared.Topic, "emit" | "opening" | "lost" | "received" | "subscription" | "chain">>;
export type Outgoing = None<Missing<source.Outgoing, declared.Outgoing, "user" | "first" | "firstNow" | "from" | "lineage" | "notBefore" | "failures" | "held" | "busy" | "waits" | "settle" | "inWindow" | "kept">>;
export type ChatError = None<Missing<source.ChatError, declared.ChatError, never>>;

export const fits: [typeof declared.compareOffsets, typeof declared.tokenFrom, new (failure: declared.Failure) => declared.ChatError] =
  null as unknown as [typeof source.compareOffsets, typeof source.tokenFrom, typeof source.ChatError];
