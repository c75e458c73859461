// Skipping: always possible, always paid, and asks why.

import { field, form, openDialog } from "./dialogs.js";
import { h, put, uid } from "./dom.js";

// Resolves with {reason, comment} or null.
export function askWhy(reasons) {
  const name = uid("reason");
  const group = h(
    "fieldset",
    { class: "reasons" },
    h("legend", {}, "Why do you skip this one?"),
    reasons.map((reason, index) =>
      h(
        "label",
        { class: "choice" },
        h("input", { type: "radio", name, value: reason, required: true, autofocus: index === 0 }),
        h("span", {}, reason),
      ),
    ),
  );
  const comment = field("A comment, if you like", { tag: "textarea", rows: "2", maxlength: "2000" });
  let dialog = null;
  const { element } = form({
    fields: [group, comment.element],
    label: "Skip it",
    act: async () => {
      const reason = group.querySelector("input:checked").value;
      dialog.close({ reason, comment: comment.input.value.trim() || null });
    },
  });
  const cancel = h("button", { type: "button", onclick: () => dialog.close(null) }, "Cancel");
  element.querySelector(".actions").prepend(cancel);
  dialog = openDialog({ title: "Skip", kind: "small", body: put(h("div", {}), element) });
  return dialog.closed;
}
