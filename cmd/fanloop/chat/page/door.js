// The door of a chat with accounts: what stands in the way of a user, and what can
// be done about it.

import { $ } from "./dom.js";

const patience = 400; // ms of signing in that nobody has to know of

// What the door says, and what its button does.
const words = {
  missing: ["Nobody can sign in yet", "This chat has accounts, and its page does not know where their tokens are from. Whoever runs the chat sets page.token-url in its settings."],
  left: ["You have signed out", "Of this chat: on your site you may still be signed in.", "Sign in"],
  "signing-in": ["Signing in…", ""],
  connecting: ["Signing in…", ""],
  no_token: ["Your site does not answer", "It gives no token for this chat now. Trying again…", "Try now"],
  connection_lost: ["The chat does not answer", "Trying again…", "Try now"],
};

/** Why a connection was refused for good: a title, and what to do. @param {boolean} bySite the site said no, not the service */
export function verdict(code, bySite = false) {
  if (bySite) return ["You are not signed in", "Sign in on your site, then try again. If you have done that, this chat is not open to you."];
  switch (code) {
    case "unauthorized": return ["You cannot come in", "The chat does not take what your site says of you. Ask your administrator: the log of the chat has the reason."];
    case "bad_name": return ["You cannot come in", "The chat cannot take the name of your account. Ask your administrator to change it."];
    case "forbidden": return ["You have been disconnected", "Whoever runs the chat has ended your connection."];
    case "revoked": return ["You have been signed out", "Your administrator has ended this sign-in."];
    default: return ["You cannot come in", `The service refused the connection (${code ?? "unknown"}).`];
  }
}

/** Shuts the door until its button is clicked. */
export function shut(why) {
  return new Promise((resolve) => show(words[why], () => ($("door").close(), resolve())));
}

/**
 * Connects, and resolves when the service has said who the user is and they are the one
 * for whom the page is. Until then the door is shut, and again when they may not stay.
 * @param {(user: string) => boolean} welcome also asked when the client connects again
 */
export function admitted(client, welcome) {
  let in_ = false;
  let bySite = false;
  const timer = setTimeout(() => show(words["signing-in"]), patience);
  client.on("state", (state, { error } = {}) => {
    const no = bySite && error?.code === "unauthorized";
    bySite = state === "signing-in" || state === "connected"; // the site is asked for tokens in both
    if (state === "failed") in_ = false;
    if (in_ || state === "connected") return;
    if (state === "failed") say([...verdict(error?.code, no), "Try again"], no ? signInURL() : "");
    else if (state === "waiting") say(words[error?.code] ?? words.connection_lost);
  });
  const say = (text, link) => {
    clearTimeout(timer);
    show(text, () => client.connect(), link);
  };
  return new Promise((resolve) => {
    client.on("connected", (frame) => {
      clearTimeout(timer);
      if (!welcome(client.user)) return client.disconnect();
      in_ = true;
      $("door").close();
      resolve(frame);
    });
    client.connect();
  });
}

// Where people sign in on the site, or "".
const signInURL = () => document.querySelector("meta[name=fanloop-sign-in]")?.content ?? "";

function show([title, text, action], run, link = "") {
  const [door, button] = [$("door"), $("door-action")];
  $("door-title").textContent = title;
  $("door-text").textContent = text;
  button.hidden = !action;
  button.textContent = action ?? "";
  button.className = link ? "secondary" : "primary";
  $("door-link").hidden = !link;
  $("door-link").href = link;
  button.onclick = run;
  door.oncancel = (event) => event.preventDefault();
  if (!door.open) door.showModal();
}
