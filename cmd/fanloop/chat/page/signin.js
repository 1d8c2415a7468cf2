// Who the user is. Without accounts people choose a name, each tab its own. Where
// there are accounts, the site gives tokens, and the service says whose they are.

import { $ } from "./dom.js";
import { admitted, shut } from "./door.js";
import { Client, tokenFrom } from "./fanloop.js";
import { keyOf } from "./keys.js";

const key = "fanloop.user";
const account = "fanloop.account"; // who was here last, where there are accounts
const left = "fanloop.left"; // the user has signed out of this tab

/**
 * @typedef {object} Identity
 * @property {string} user
 * @property {import("./fanloop.js").GetToken} [getToken] where there are accounts
 * @property {() => void} forget leaves nothing of the user for the next one
 * @property {(client: import("./fanloop.js").Client) => Promise<object | undefined>} admit
 *   resolves when the user may see what is kept of them, with the frame that said so
 * @property {() => Promise<void>} rename asks for another name, because this one was refused
 */

/** @returns {Promise<Identity>} */
export async function signIn() {
  const tokens = document.querySelector("meta[name=fanloop-tokens]")?.content;
  return tokens === undefined ? withName() : withAccount(tokens);
}

async function withName() {
  const user = sessionStorage.getItem(key) ?? (await ask(localStorage.getItem(key) ?? ""));
  take(user);
  return {
    user,
    forget: () => clear(user),
    admit: async () => undefined,
    async rename() {
      sessionStorage.removeItem(key); // another load asks too
      $("signin-problem").hidden = false;
      take(await ask(user));
      location.reload();
    },
  };
}

function take(user) {
  sessionStorage.setItem(key, user);
  localStorage.setItem(key, user); // what the next tab suggests
}

async function withAccount(tokens) {
  if (tokens === "") await shut("missing");
  if (sessionStorage.getItem(left)) await shut("left");
  sessionStorage.removeItem(left);
  const first = localStorage.getItem(account) ? null : await firstVisit(tokens);
  const user = localStorage.getItem(account);
  return {
    user,
    getToken: first ?? tokensOf(tokens),
    forget() {
      clear(user);
      localStorage.removeItem(account);
      sessionStorage.setItem(left, "yes");
    },
    admit: (client) => admitted(client, (now) => now === user || another(user, now)),
    rename: async () => {}, // is for whoever has the accounts
  };
}

const tokensOf = (url) => tokenFrom(url, { credentials: "include" });

// Nobody was here before: the service says whose the token is. The page goes on with it, so
// the site is asked once.
async function firstVisit(url) {
  const ask = tokensOf(url);
  let kept = null;
  const client = new Client({ getToken: async (need) => (kept = await ask(need)) });
  await admitted(client, () => true);
  localStorage.setItem(account, client.user);
  client.disconnect();
  return (need) => {
    const token = kept ?? ask(need);
    kept = null;
    return token;
  };
}

// The site says that somebody else is here now, who sees nothing of the one before.
function another(before, now) {
  clear(before);
  localStorage.setItem(account, now);
  location.reload();
  return false;
}

// Nothing of a user is left for the next one.
function clear(user) {
  sessionStorage.removeItem(key);
  if (localStorage.getItem(key) === user) localStorage.removeItem(key);
  for (const name of Object.keys(localStorage)) if (name.startsWith(keyOf(user, ""))) localStorage.removeItem(name);
}

function ask(suggested) {
  const dialog = $("signin");
  const field = $("signin-name");
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  field.value = suggested;
  dialog.showModal();
  field.select();
  return new Promise((resolve) => {
    $("signin-form").addEventListener("submit", (event) => {
      const name = field.value.normalize("NFC").replace(/\s+/gu, " ").trim();
      if (name === "") event.preventDefault();
      else resolve(name);
    });
  });
}
