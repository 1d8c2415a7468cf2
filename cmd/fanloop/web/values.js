// Pure values: what a person typed becomes bytes, addresses and codes, and
// bytes become text again. Nothing here touches the page or the socket.

// A Refusal is an input the console cannot use. Its message is for the person.
export class Refusal extends Error {}

const encoder = new TextEncoder();

export const utf8Size = (text) => encoder.encode(text).length;

// sizeOf counts the bytes of a payload: a string or a Uint8Array.
export const sizeOf = (content) => (typeof content === "string" ? utf8Size(content) : content.length);

// secure tells that the page itself came over HTTPS.
export function parseAddress(text, secure) {
  const typed = text.trim();
  if (typed === "") throw new Refusal("Enter an address, such as ws://localhost:8080/.");
  if (!/^wss?:\/\//i.test(typed)) throw new Refusal("The address has to start with ws:// or wss://.");
  let url;
  try {
    url = new URL(typed);
  } catch {
    throw new Refusal(`“${typed}” is not a valid address. Check the host name and the port (1 to 65535).`);
  }
  if (url.hash !== "" || typed.endsWith("#")) {
    throw new Refusal("A WebSocket address has no fragment: remove the # and what follows it.");
  }
  if (secure && url.protocol === "ws:") {
    throw new Refusal("This page came over HTTPS, so the browser blocks ws:// addresses. Use wss://.");
  }
  return url.href;
}

// RFC 6455 §4.1: each subprotocol is a token of RFC 9110 §5.6.2, none twice.
export function parseProtocols(text) {
  if (text.trim() === "") return [];
  const names = text.split(",").map((name) => name.trim());
  for (const [i, name] of names.entries()) {
    if (name === "") throw new Refusal("There is an empty subprotocol between two commas.");
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
      throw new Refusal(`“${name}” cannot be a subprotocol: use letters, digits and !#$%&'*+-.^_\`|~ without spaces.`);
    }
    if (names.indexOf(name) !== i) throw new Refusal(`The subprotocol “${name}” is listed twice.`);
  }
  return names;
}

export function parseHex(text) {
  const digits = text.replace(/\b0x/gi, " ").replace(/[\s,:;-]+/g, "");
  const wrong = [...digits].find((c) => !/[0-9a-fA-F]/.test(c));
  if (wrong !== undefined) throw new Refusal(`“${wrong}” is not a hex digit. Use 0-9 and a-f, such as 48 65 6c 6c 6f.`);
  if (digits.length % 2 !== 0) {
    throw new Refusal(`Each byte takes two hex digits, and there are ${digits.length} digits. Add or remove one.`);
  }
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

// A page may send 1000 and 3000-4999 only; an empty field sends no code.
export function parseClose(codeText, reason) {
  const typed = codeText.trim();
  if (typed === "") {
    if (reason !== "") throw new Refusal("A reason needs a close code: enter one, such as 1000.");
    return [];
  }
  const code = Number(typed);
  if (!/^\d+$/.test(typed) || !(code === 1000 || (code >= 3000 && code <= 4999))) {
    throw new Refusal("A browser may close with 1000 or a code from 3000 to 4999.");
  }
  const size = utf8Size(reason);
  if (size > 123) throw new Refusal(`The reason takes ${size} bytes. A close frame has room for 123.`);
  return [code, reason];
}

// RFC 6455 §7.4.1 and the IANA WebSocket Close Code Number registry.
const closeCodes = new Map([
  [1000, ["Normal closure", "The purpose of the connection is fulfilled."]],
  [1001, ["Going away", "The server is shutting down, or the page was left."]],
  [1002, ["Protocol error", "A frame broke the protocol."]],
  [1003, ["Unsupported data", "The peer does not take this type of message."]],
  [1005, ["No status received", "The close frame carried no code."]],
  [1006, ["Abnormal closure", "The connection ended without a close frame."]],
  [1007, ["Invalid payload", "A message was not consistent with its type, such as text that is not UTF-8."]],
  [1008, ["Policy violation", "A message broke a rule of the peer."]],
  [1009, ["Message too big", "A message was larger than the peer takes."]],
  [1010, ["Mandatory extension", "The server did not agree to an extension the client needs."]],
  [1011, ["Internal error", "The server met a condition it did not expect."]],
  [1012, ["Service restart", "The server restarts. Connect again in a moment."]],
  [1013, ["Try again later", "The server is overloaded, or this client reads too slowly."]],
  [1014, ["Bad gateway", "A gateway got an invalid response from the server behind it."]],
  [1015, ["TLS handshake failed", "The server certificate could not be verified."]],
  [3000, ["Unauthorized", "The endpoint needs authorization."]],
  [3003, ["Forbidden", "The endpoint refuses this client."]],
  [3008, ["Timeout", "The endpoint took too long."]],
]);

export function closeMeaning(code) {
  const known = closeCodes.get(code);
  if (known) return known;
  if (code >= 4000 && code <= 4999) return ["Private code", "Its meaning is agreed between this server and its clients."];
  if (code >= 3000 && code <= 3999) return ["Registered range", "For libraries and frameworks, by registration."];
  return ["Reserved code", "No meaning is defined for this code."];
}

export function formatBytes(n) {
  if (n < 1024) return `${n} B`;
  if (n < 1024 * 1024) return `${(n / 1024).toFixed(1)} KiB`;
  return `${(n / (1024 * 1024)).toFixed(1)} MiB`;
}

export function formatDelay(ms) {
  if (ms < 1000) return `${ms.toFixed(1)} ms`;
  return `${(ms / 1000).toFixed(2)} s`;
}

export function formatTime(date) {
  const two = (n) => String(n).padStart(2, "0");
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  return `${clock}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

// hexDump writes offset, hex and printable ASCII, width bytes a line.
export function hexDump(bytes, width) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += width) {
    const line = bytes.subarray(at, at + width);
    const hex = Array.from(line, (b) => b.toString(16).padStart(2, "0"));
    const text = Array.from(line, (b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : "·"));
    const padded = hex.join(" ").padEnd(3 * width - 1);
    lines.push(`${at.toString(16).padStart(4, "0")}  ${padded}  ${text.join("")}`);
  }
  return lines.join("\n");
}

// sameContent tells whether two payloads (strings or Uint8Arrays) are equal.
export function sameContent(a, b) {
  if (typeof a === "string" || typeof b === "string") return a === b;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return false;
  }
  return true;
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
