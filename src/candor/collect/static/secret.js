// Something that is shown once, to be copied: a link or a token.

import { announce, h, uid } from "./dom.js";

export function secret(label, value) {
  const id = uid("secret");
  const input = h("input", { id, type: "text", readonly: true, value, onfocus: () => input.select() });
  const copy = h(
    "button",
    {
      type: "button",
      onclick: async () => {
        input.select();
        try {
          await navigator.clipboard.writeText(value); // only where the page came by https or from this machine
        } catch {
          document.execCommand("copy");
        }
        copy.textContent = "Copied";
        announce("Copied");
      },
    },
    "Copy",
  );
  return h(
    "div",
    { class: "well secret-box" },
    h("label", { for: id }, label),
    h("div", { class: "secret" }, input, copy),
  );
}

export const fullLink = ({ url, path }) => url ?? location.origin + path;
