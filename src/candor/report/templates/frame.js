const root = document.documentElement;
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
root.classList.add("js");
all(".needs-js").forEach((element) => { element.hidden = false; });

// Theme: the system's, until the reader chooses.
const themeButton = document.getElementById("theme");
const systemDark = () => matchMedia("(prefers-color-scheme: dark)").matches;
const stored = (value) => {
  try { return value === undefined ? localStorage.getItem("candor-theme") : localStorage.setItem("candor-theme", value); }
  catch { return null; } // some browsers refuse storage to files
};
if (["light", "dark"].includes(stored())) root.dataset.theme = stored();
themeButton.addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : systemDark();
  root.dataset.theme = dark ? "light" : "dark";
  stored(root.dataset.theme);
});

// Numbers of a mark, where the reader points or taps.
const tip = document.getElementById("tip");
const place = (event) => {
  const gap = 14, box = tip.getBoundingClientRect();
  const left = Math.min(Math.max(8, event.clientX - box.width / 2), innerWidth - box.width - 8);
  const above = event.clientY - box.height - gap;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 4 ? above : event.clientY + gap}px`;
};
const follow = (event) => {
  const mark = event.target.closest ? event.target.closest("[data-tip]") : null;
  tip.hidden = !mark;
  if (mark) { tip.textContent = mark.dataset.tip; place(event); }
};
document.addEventListener("pointermove", follow);
document.addEventListener("pointerdown", follow);
document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
