// Files in and out.

import { call } from "../api.js";
import { field, form } from "../dialogs.js";
import { fill, h } from "../dom.js";

const FORMATS = [
  ["candor", "Candor: everything that was seen and said"], ["trl", "TRL"], ["hh", "Anthropic HH"], ["ultrafeedback", "UltraFeedback"],
];

export async function dataView({ path, slug }) {
  return [importing(path), exporting(path, slug)];
}

function importing(path) {
  const file = field("File", { type: "file", required: true, accept: ".jsonl,.json,.csv,.parquet,.gz" }, "JSON lines, CSV or Parquet, as Candor's preference reader knows them; also packed with gzip. Rows with a right answer become gold items.");
  const result = h("p", { class: "well", role: "status", hidden: true });
  const { element } = form({
    fields: [file.element, result], label: "Import",
    act: async () => {
      const [chosen] = file.input.files;
      const said = await call("POST", path(`/import?name=${encodeURIComponent(chosen.name)}`), chosen);
      result.hidden = false;
      fill(result, summary(said));
      file.input.value = "";
    },
  });
  return h("section", { class: "block" }, h("h3", {}, "Import"), element);
}

function summary(said) {
  if (!said || typeof said !== "object") return "Imported.";
  return Object.entries(said).map(([name, value]) => `${name.replaceAll("_", " ")}: ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", ");
}

function exporting(path, slug) {
  const format = field("Format", { tag: "select", options: FORMATS });
  const link = h("a", { class: "button primary", download: `${slug}.jsonl` }, "Export");
  const point = () => { link.href = path(`/export?to=${encodeURIComponent(format.input.value)}`); };
  format.input.addEventListener("change", point);
  point();
  return h("section", { class: "block" }, h("h3", {}, "Export"),
    h("p", { class: "hint" }, "Labels that stand: not those taken back. Names of annotators are their names in exports."), h("div", { class: "toolbar" }, format.element, link));
}
