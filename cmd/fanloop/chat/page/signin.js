// Who the user is: a site names an address for tokens in the page, and in
// development mode people choose a name, each tab its own.

import { $ } from "./dom.js";

const key = "fanloop.user";

/** What is kept of a user has a key that begins so. */
export const keyOf = (user, what) => `fanloop ${JSON.stringify(user)} ${what}`;

/** @returns {Promise<{user: string, tokens?: string, forget: () => void}>} */
export async function signIn() {
  const tokens = document.querySelector("meta[name=fanloop-tokens]")?.content;
  if (tokens) return { user: "", tokens, forget: () => clear("") };
  const user = sessionStorage.getItem(key) ?? (await ask(localStorage.getItem(key) ?? ""));
  sessionStorage.setItem(key, user);
  localStorage.setItem(key, user); // what the next tab suggests
  return { user, forget: () => clear(user) };
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
