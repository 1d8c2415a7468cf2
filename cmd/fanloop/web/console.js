// The console: forms in, connection and log out.

import { Connection } from "./connection.js";
import { Log } from "./log.js";
import {
  Refusal, closeMeaning, formatBytes, formatDelay,
  parseAddress, parseClose, parseHex, parseProtocols, utf8Size,
} from "./values.js";

const maxFile = 16 * 1024 * 1024;

const $ = (id) => document.getElementById(id);
const log = new Log();
let connection = null;

const write = (id, text) => { $(id).textContent = text; };

// attempt runs a form's action and says in words why it was refused.
async function attempt(errorId, fields, action) {
  write(errorId, "");
  for (const field of fields) field.removeAttribute("aria-invalid");
  try {
    await action();
  } catch (err) {
    write(errorId, err instanceof Refusal ? err.message : `The browser refused: ${err.message}`);
    err.field?.setAttribute("aria-invalid", "true");
    err.field?.focus();
  }
}

// from marks a refusal with the field that caused it.
async function from(field, parse) {
  try {
    return await parse();
  } catch (err) {
    err.field = field;
    throw err;
  }
}

function showState(state, text) {
  const live = state === "open" || state === "closing";
  const connecting = state === "connecting";
  $("state").dataset.state = state;
  write("state-text", text);
  $("connect-form").hidden = live;
  $("close-form").hidden = !live;
  $("url").readOnly = $("protocols").readOnly = connecting;
  write("connect", connecting ? "Cancel" : "Connect");
  $("disconnect").disabled = state === "closing";
  $("send").disabled = state !== "open";
  if (live || connecting) $("ending").hidden = true;
}

function showCounters() {
  const { sent, received, delays } = connection;
  write("sent-count", sent.count.toLocaleString("en"));
  write("sent-bytes", formatBytes(sent.bytes));
  write("received-count", received.count.toLocaleString("en"));
  write("received-bytes", formatBytes(received.bytes));
  write("rtt-last", delays.length ? formatDelay(delays.at(-1)) : "–");
  write("rtt-median", delays.length ? formatDelay(connection.medianDelay) : "–");
  write("rtt-count", delays.length ? `of ${delays.length}` : "");
}

let countersScheduled = false;
function countersChanged() {
  if (countersScheduled) return;
  countersScheduled = true;
  requestAnimationFrame(() => {
    countersScheduled = false;
    showCounters();
  });
}

const watcher = { onOpen, onMessage, onClose, onRefused };

async function connect() {
  const address = await from($("url"), () => parseAddress($("url").value, location.protocol === "https:"));
  const protocols = await from($("protocols"), () => parseProtocols($("protocols").value));
  connection = new Connection(address, protocols, watcher);
  showCounters();
  showState("connecting", "Connecting");
  const offer = protocols.length ? `Subprotocols offered: ${protocols.join(", ")}` : "";
  log.event(`Connecting to ${address}`, offer);
}

function onOpen(protocol, extensions) {
  const hadFocus = $("connect-form").contains(document.activeElement);
  write("fact-url", connection.address);
  write("fact-protocol", protocol || "none");
  write("fact-extensions", extensions || "none");
  write("close-error", "");
  showState("open", "Connected");
  log.event("Connected", protocol ? `Subprotocol: ${protocol}` : "");
  // On a touch screen focus would open the keyboard over the log.
  if (hadFocus && matchMedia("(pointer: fine)").matches) $("payload").focus();
  else $("main").scrollIntoView({ block: "nearest" });
}

function onMessage(content, delay) {
  log.message("received", content, delay);
  countersChanged();
}

function onClose({ code, reason, wasClean }) {
  const hadFocus = $("close-form").contains(document.activeElement);
  if (connection.cancelled) {
    showState("idle", "Not connected");
    log.event("Cancelled", "The connection was given up before it opened.");
  } else if (!connection.opened) {
    showState("failed", "Could not connect");
    showRefusedOpening();
  } else {
    const [name] = closeMeaning(code);
    showState(wasClean ? "closed" : "failed", `Closed: ${code} ${name}`);
    showEnding(code, reason, wasClean);
  }
  if (hadFocus) $("connect").focus();
}

function onRefused(message) {
  showState("failed", "Could not connect");
  write("connect-error", `The browser refused to connect: ${message}`);
  log.fault("The browser refused to connect", message);
}

// A browser hides the server's answer to a refused opening handshake.
function showRefusedOpening() {
  write("ending-title", "The connection could not be opened");
  write("ending-meaning", "The server may be down, its certificate may not be trusted here, or it refused the opening "
    + "handshake: the origin of this page (403), the path or the subprotocols. "
    + "Browsers keep the answer from pages. The server's log and the developer tools have it.");
  $("ending-facts").hidden = true;
  $("ending").dataset.clean = "false";
  $("ending").hidden = false;
  log.fault("The connection could not be opened", "Close event 1006, no reason, not clean. No handshake was completed.");
}

function showEnding(code, reason, wasClean) {
  const [name, meaning] = closeMeaning(code);
  const clean = wasClean ? "yes, both sides sent a close frame" : "no, the connection broke off";
  write("ending-title", `${code} ${name}`);
  write("ending-meaning", meaning);
  write("ending-reason", reason || "none given");
  write("ending-clean", clean);
  $("ending-facts").hidden = false;
  $("ending").dataset.clean = wasClean;
  $("ending").hidden = false;
  const note = `${meaning} Reason: ${reason ? `“${reason}”` : "none given"}. Clean: ${wasClean ? "yes" : "no"}.`;
  if (wasClean) log.event(`Closed with ${code} ${name}`, note);
  else log.fault(`Closed with ${code} ${name}`, note);
}

async function disconnect() {
  const status = await from($("close-code"), () => parseClose($("close-code").value, $("close-reason").value));
  connection.close(...status);
  showState("closing", "Closing");
}

const kind = () => new FormData($("send-form")).get("kind");
const drafts = { text: "", hex: "" };
const last = { text: "", hex: "" };

async function contentToSend() {
  const typed = $("payload").value;
  switch (kind()) {
    case "text":
      return typed;
    case "hex":
      return from($("payload"), () => parseHex(typed));
    default:
      return from($("file"), chosenFile);
  }
}

async function chosenFile() {
  const [file] = $("file").files;
  if (!file) throw new Refusal("Choose a file first.");
  if (file.size > maxFile) {
    throw new Refusal(`${file.name} has ${formatBytes(file.size)}. This page sends files up to ${formatBytes(maxFile)}.`);
  }
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new Refusal(`${file.name} could not be read. Choose it again.`);
  }
}

async function send() {
  if (!connection?.isOpen) throw new Refusal("There is no open connection: connect first.");
  const content = await contentToSend();
  if (!connection.isOpen) throw new Refusal("The connection closed before the message was sent.");
  connection.send(content);
  log.message("sent", content);
  countersChanged();
  if (kind() === "file") return;
  last[kind()] = $("payload").value;
  $("payload").value = "";
}

let shownKind = "text";
function showKind() {
  const chosen = kind();
  if (shownKind in drafts) drafts[shownKind] = $("payload").value;
  shownKind = chosen;
  $("payload-field").hidden = chosen === "file";
  $("file-field").hidden = chosen !== "file";
  $("send-hint").hidden = chosen === "file";
  write("send-error", "");
  $("payload").removeAttribute("aria-invalid");
  if (chosen === "file") return;
  write("payload-label", chosen === "hex" ? "Binary message in hex" : "Text message");
  $("payload").placeholder = chosen === "hex" ? "48 65 6c 6c 6f" : "";
  $("payload").value = drafts[chosen];
}

function payloadKey(event) {
  if (event.isComposing) return;
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    $("send-form").requestSubmit();
  } else if (event.key === "ArrowUp" && $("payload").value === "" && last[kind()] !== "") {
    event.preventDefault();
    $("payload").value = last[kind()];
  }
}

function onSubmit(formId, errorId, fieldIds, action) {
  $(formId).addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(errorId, fieldIds.map($), action);
  });
}

onSubmit("connect-form", "connect-error", ["url", "protocols"], () => {
  if ($("state").dataset.state !== "connecting") return connect();
  connection.close();
});
onSubmit("close-form", "close-error", ["close-code", "close-reason"], disconnect);
onSubmit("send-form", "send-error", ["payload", "file"], send);

$("payload").addEventListener("keydown", payloadKey);
$("send-form").addEventListener("change", (event) => {
  if (event.target.name === "kind") showKind();
});
$("close-reason").addEventListener("input", () => {
  write("reason-size", `${utf8Size($("close-reason").value)} of 123 bytes`);
});

$("url").value = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/`;
