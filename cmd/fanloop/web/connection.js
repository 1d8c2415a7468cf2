// One connection as the page sees it: a worker with the socket, and counters.

import { median, sizeOf } from "./values.js";

const maxDelays = 100; // round trips the median looks at

export class Connection {
  sent = { count: 0, bytes: 0 };
  received = { count: 0, bytes: 0 };
  delays = [];
  opened = false;
  isOpen = false;
  cancelled = false;
  #worker = new Worker("socket.js", { type: "module" });

  // watcher has onOpen(protocol, extensions), onMessage(content, delay),
  // onClose({ code, reason, wasClean }) and onRefused(message), which is all
  // that comes when the browser will not even try.
  constructor(address, protocols, watcher) {
    this.address = address;
    this.#worker.addEventListener("message", ({ data }) => this.#report(data, watcher));
    this.#worker.addEventListener("error", () => watcher.onRefused("the script socket.js did not load"));
    this.#worker.postMessage({ connect: [address, protocols] });
  }

  get medianDelay() {
    return median(this.delays);
  }

  // send takes a string (text) or a Uint8Array (binary).
  send(content) {
    this.sent.count++;
    this.sent.bytes += sizeOf(content);
    this.#worker.postMessage({ send: content });
  }

  close(...codeAndReason) {
    this.cancelled = !this.opened;
    this.isOpen = false;
    this.#worker.postMessage({ close: codeAndReason });
  }

  #report(data, watcher) {
    switch (data.event) {
      case "open":
        this.opened = true;
        this.isOpen = !this.cancelled;
        watcher.onOpen(data.protocol, data.extensions);
        break;
      case "message":
        this.received.count++;
        this.received.bytes += sizeOf(data.content);
        if (data.delay !== undefined) this.#keepDelay(data.delay);
        watcher.onMessage(data.content, data.delay);
        break;
      case "close":
        this.isOpen = false;
        this.#worker.terminate();
        watcher.onClose(data);
        break;
      case "refused":
        this.#worker.terminate();
        watcher.onRefused(data.message);
        break;
    }
  }

  #keepDelay(delay) {
    this.delays.push(delay);
    if (this.delays.length > maxDelays) this.delays.shift();
  }
}
