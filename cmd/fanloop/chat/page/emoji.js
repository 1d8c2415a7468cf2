// All emoji that the page offers, for a text and as reactions, in a panel that is loaded when it is wanted.

import { $, el } from "./dom.js";

const groups = [
  ["Often", "👍 ❤️ 😂 🎉 👀 ✅ 🙏 🚀 👏 🔥 💯 🤔 😢 😮 👎 ➕"],
  ["Faces", "😀 😄 😅 🤣 🙂 😉 😊 😍 😘 😎 🤩 🥳 😇 🤗 🤭 🫡 🤨 😐 😏 🙄 😬 😴 😌 😔 😕 🙁 😟 😞 😭 😱 😨 😤 😡 🤯 🥺 🥲 🤒 🤷 🤦 🫠"],
  ["Hands", "👋 👌 ✌️ 🤞 🤙 👈 👉 👆 👇 ✋ 🖖 💪 🙌 🫶 🤝 ✍️ 👊 ✊ 🤜 🤛"],
  ["Signs", "💙 💚 💛 💜 🖤 💔 ⭐ ✨ ⚡ 💥 ❗ ❓ ⚠️ 🚫 ❌ ☑️ 🔁 ⏳ 🔒 🔑 💡 📌 📎 📈 📉 🐛 🔧 🧪 📦 🏁"],
  ["Things", "🌞 🌙 🌧️ ❄️ 🌈 🌱 🌸 🍀 🐶 🐱 🦊 🐻 🐼 🐢 🦄 🐝 🍕 🍔 🍎 🍰 🍺 ☕ 🎂 🎁 🎈 🎵 🎯 🏆 ⚽ 🚲 ✈️ 🏠 💻 📷 📚 💰"],
];

let panel = null;

/** Lets the user choose, beside an element. @param {(emoji: string) => void} chosen */
export function choose(beside, chosen) {
  panel ??= make();
  panel.onclick = ({ target }) => {
    if (!target.dataset.emoji) return;
    panel.hidePopover();
    chosen(target.dataset.emoji);
  };
  panel.showPopover();
  place(beside.getBoundingClientRect());
  panel.querySelector("button").focus();
}

function make() {
  const made = el("div.emoji", { popover: "auto", role: "dialog", ariaLabel: "Emoji" });
  for (const [name, all] of groups) {
    made.append(el("h2", {}, name), el("div", {}, ...all.split(" ").map((emoji) => Object.assign(el("button", { type: "button", ariaLabel: emoji }, emoji)))));
  }
  for (const button of made.querySelectorAll("button")) button.dataset.emoji = button.textContent;
  made.addEventListener("keydown", (event) => move(made, event));
  $("app").append(made);
  return made;
}

function place({ right, top, bottom }) {
  const { offsetWidth: width, offsetHeight: height } = panel;
  panel.style.left = `${Math.max(8, Math.min(right - width, innerWidth - width - 8))}px`;
  panel.style.top = `${bottom + height + 8 < innerHeight ? bottom + 6 : Math.max(8, top - height - 6)}px`;
}

// The arrows go to the neighbours.
function move(made, event) {
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 8, ArrowUp: -8 }[event.key];
  const buttons = [...made.querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  if (!step || at < 0) return;
  event.preventDefault();
  event.stopPropagation();
  buttons[Math.max(0, Math.min(buttons.length - 1, at + step))].focus();
}
