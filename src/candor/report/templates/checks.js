// A row's place in the file, to the clipboard.
const copied = async (text) => {
  try { await navigator.clipboard.writeText(text); return true; }
  catch { // an old browser, or one that refuses it to files
    const field = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
};
all(".copy").forEach((button) => {
  button.addEventListener("click", async () => {
    const done = await copied(button.parentElement.querySelector(".place").textContent);
    button.textContent = done ? "Copied" : "Select it by hand";
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  });
});

// The reading view: one row's texts whole and side by side, the arrows lead through the rows of its check.
const reader = document.getElementById("reader");
const put = (tag, text) => {
  const made = document.createElement(tag);
  made.textContent = text; // texts of the file are never markup
  made.dir = "auto";
  return made;
};
let rows = [];
let at = 0;
const open = (index) => {
  at = (index + rows.length) % rows.length;
  const row = rows[at];
  document.getElementById("reader-title").textContent = row.querySelector(".row").textContent;
  document.getElementById("reader-why").textContent = row.querySelector(".why").textContent;
  const texts = all(".texts > div", row).map((pair) => {
    const made = document.createElement("div");
    made.append(put("dt", pair.querySelector("dt").textContent), put("dd", pair.querySelector("dd").textContent));
    return made;
  });
  document.getElementById("reader-texts").replaceChildren(...texts);
  if (!reader.open) reader.showModal();
  reader.scrollTop = 0;
};
all(".read").forEach((button) => {
  button.addEventListener("click", () => {
    rows = all(".example:has(.texts)", button.closest(".examples"));
    open(rows.indexOf(button.closest(".example")));
  });
});
document.getElementById("earlier").addEventListener("click", () => open(at - 1));
document.getElementById("later").addEventListener("click", () => open(at + 1));
document.getElementById("close").addEventListener("click", () => reader.close());
reader.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") open(at - 1);
  if (event.key === "ArrowRight") open(at + 1);
});
reader.addEventListener("click", (event) => { if (event.target === reader) reader.close(); });

// On paper nothing can be unfolded.
addEventListener("beforeprint", () => all("details.found").forEach((d) => { d.dataset.was = d.open; d.open = true; }));
addEventListener("afterprint", () => all("details.found").forEach((d) => { d.open = d.dataset.was === "true"; }));
