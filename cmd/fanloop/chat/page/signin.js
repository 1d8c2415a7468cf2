// Who the user is: a site names an address for tokens in the page, and in
// development mode people choose a name.

import { $ } from "./dom.js";

const key = "fanloop.user";

/** @returns {Promise<{user: string, tokens?: string, forget: () => void}>} */
export async function signIn() {
  const tokens = document.querySelector("meta[name=fanloop-tokens]")?.content;
  if (tokens) return { user: "", tokens, forget: clear };
  const known = sessionStorage.getItem(key) ?? localStorage.getItem(key);
  const user = known ?? (await ask());
  sessionStorage.setItem(key, user); // two tabs may be two people
  localStorage.setItem(key, user);
  return { user, forget: clear };
}

// Nothing of a user is left for the next one.
function clear() {
  sessionStorage.removeItem(key);
  for (const name of Object.keys(localStorage)) if (name.startsWith("fanloop.")) localStorage.removeItem(name);
}

function ask() {
  const dialog = $("signin");
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.showModal();
  return new Promise((resolve) => {
    $("signin-form").addEventListener("submit", (event) => {
      const name = $("signin-name").value.normalize("NFC").replace(/\s+/gu, " ").trim();
      if (name === "") event.preventDefault();
      else resolve(name);
    });
  });
}
