// Sampled or greedy: a switch hides the other kind within its section.
all("[data-switch]").forEach((group) => {
  const section = group.closest("section");
  const show = () => { section.dataset.show = group.querySelector("input:checked").value; };
  group.addEventListener("change", show);
  show();
});

// One prompt at a time.
const pairs = all(".pair");
if (pairs.length) {
  const situation = document.getElementById("situation");
  const place = document.getElementById("place");
  let at = 0;
  const listed = () => pairs.filter((p) => !situation.value || p.dataset.situation === situation.value);
  const show = (index) => {
    const list = listed();
    at = (index + list.length) % list.length;
    pairs.forEach((p) => { p.hidden = p !== list[at]; });
    place.textContent = `${at + 1} of ${list.length}`;
  };
  situation.addEventListener("change", () => show(0));
  document.getElementById("next").addEventListener("click", () => show(at + 1));
  document.getElementById("previous").addEventListener("click", () => show(at - 1));
  show(0);
}
