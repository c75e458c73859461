// Hotkeys of one key. They can be switched off (WCAG 2.1.4): speech input types letters that nobody meant as commands.

import { local } from "./storage.js";

const SWITCH = "candor:hotkeys";

export const hotkeysOn = () => local.getItem(SWITCH) !== "off";
export const switchHotkeys = (on) => local.setItem(SWITCH, on ? "on" : "off");

const TYPED = "input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]";

// bindings(): the list of {keys: ["s"], says: "Skip", act, when?} that hold now.
export function listen(bindings) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]") || event.target.closest?.(TYPED)) return;
    if (!hotkeysOn() && event.key !== "Enter" && event.key !== "?") return;
    const native = event.target.closest?.("button, a, summary");
    if (native && (event.key === "Enter" || event.key === " ")) return; // the control's own key
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const bound = bindings().find(({ keys, when }) => keys.includes(name) && (!when || when()));
    if (!bound) return;
    event.preventDefault();
    bound.act(event, name);
  });
}
