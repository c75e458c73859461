// Files in and out.

import { call, download, post } from "../api.js";
import { field, form } from "../dialogs.js";
import { fill, h } from "../dom.js";

const FORMATS = [
  ["candor", "Candor: everything that was seen and said"],
  ["trl", "TRL: pairs, prompts as text"],
  ["trl-chat", "TRL: pairs, conversations as messages"],
  ["pairs", "Table of pairs, ties and both bad"],
  ["ratings", "Table of ratings"],
  ["hh", "HH-RLHF: pairs as transcripts"],
  ["chatbot-arena", "Chatbot Arena: pairs, ties and both bad"],
  ["helpsteer2-preferences", "HelpSteer2: choices with their strength"],
  ["helpsteer3", "HelpSteer3: choices with their strength"],
  ["pku-saferlhf", "PKU-SafeRLHF: pairs"],
  ["shp", "SHP: pairs"],
  ["nectar", "Nectar: rankings"],
  ["oasst", "OpenAssistant: rankings, a message a row"],
  ["oasst-trees", "OpenAssistant: rankings as trees"],
  ["distilabel", "distilabel: ratings"],
  ["ultrafeedback", "UltraFeedback: ratings"],
  ["ultrafeedback-binarized", "UltraFeedback binarized: ratings of two"],
  ["summarize-from-feedback", "Summaries: pairs"],
  ["summarize-from-feedback-axes", "Summaries: ratings"],
];
const ENDINGS = [
  [".jsonl", "JSON lines"],
  [".jsonl.gz", "JSON lines, packed"],
  [".parquet", "Parquet"],
];
const KINDS = [
  ["", "As the rows say"],
  ["main", "Main: to be judged"],
  ["gold", "Gold: the answer is known"],
  ["calibration", "Calibration: practice that teaches"],
  ["example", "Examples in the instructions"],
];

export async function dataView({ path, slug, project }) {
  return h(
    "div",
    { class: "columns" },
    importing(path),
    exporting(path, slug),
    project.task === "comparison" && [goldItems(path), armItems(path)],
  );
}

function importing(path) {
  const file = field(
    "File",
    { type: "file", required: true, accept: ".jsonl,.json,.csv,.tsv,.parquet,.gz,.zst" },
    "JSON lines, CSV or Parquet: prompts with responses, or comparisons in any format that Candor reads.",
  );
  const kind = field("Kind of items", { tag: "select", options: KINDS });
  const result = h("p", { class: "well", role: "status", hidden: true });
  const { element } = form({
    fields: [file.element, kind.element, result],
    label: "Import",
    act: async () => {
      const [chosen] = file.input.files;
      const said = await call(
        "POST",
        path(`/import?name=${encodeURIComponent(chosen.name)}${kind.input.value ? `&kind=${kind.input.value}` : ""}`),
        chosen,
      );
      result.hidden = false;
      fill(result, summary(said));
      file.input.value = "";
    },
  });
  return h("section", { class: "block" }, h("h3", {}, "Import"), element);
}

const TRAPS = [
  ["long_wrong", "The wrong reply is longer"],
  ["polite_wrong", "The wrong reply is more polite"],
  ["flatters_wrong", "The wrong reply agrees with the user"],
  ["plain", "Plain"],
];

// Both are made of facts that the package knows; a file, or the API, takes one's own.
function goldItems(path) {
  const count = field("How many", { type: "number", min: "1", max: "10000", value: "40", required: true });
  const kind = field("For", {
    tag: "select",
    options: [
      ["gold", "Gold: looks like any other item"],
      ["calibration", "Calibration: practice that teaches"],
      ["example", "Examples in the instructions"],
    ],
  });
  const boxes = TRAPS.map(([trap, words]) => [trap, h("input", { type: "checkbox", checked: true }), words]);
  return making(
    "Gold items",
    "Items whose right answer is known, with what tempts to the wrong one in equal parts.",
    [
      count.element,
      kind.element,
      h(
        "fieldset",
        { class: "reasons" },
        h("legend", {}, "What tempts"),
        boxes.map(([, box, words]) => h("label", { class: "choice" }, box, h("span", {}, words))),
      ),
    ],
    () =>
      post(path("/gold"), {
        count: Number(count.input.value),
        kind: kind.input.value,
        traps: boxes.filter(([, box]) => box.checked).map(([trap]) => trap),
      }),
  );
}

function armItems(path) {
  const count = field("How many", { type: "number", min: "1", max: "10000", value: "60", required: true });
  const overlap = field(
    "Annotators per item",
    { type: "number", min: "1", max: "100" },
    "Empty: as the project has it.",
  );
  return making(
    "The arm that hides the user's belief",
    "Each annotator sees each of these items with the user's belief or without, at random; the replies are the same. " +
      "The difference is what the belief causes.",
    [count.element, overlap.element],
    () =>
      post(path("/arm"), {
        count: Number(count.input.value),
        ...(overlap.input.value && { overlap: Number(overlap.input.value) }),
      }),
  );
}

function making(title, words, fields, act) {
  const result = h("p", { class: "well", role: "status", hidden: true });
  const { element } = form({
    fields: [fields, result],
    label: "Make them",
    kind: "",
    act: async () => {
      result.hidden = true;
      const said = await act();
      fill(result, summary(said));
      result.hidden = false;
    },
  });
  return h("section", { class: "block" }, h("h3", {}, title), h("p", { class: "hint" }, words), element);
}

function summary(said) {
  if (!said || typeof said !== "object") return "Imported.";
  return Object.entries(said)
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${words(value)}`)
    .join(" · ");
}

function words(value) {
  if (typeof value !== "object" || value === null) return value;
  const parts = Object.entries(value).map(([name, count]) => `${count} ${name}`);
  return parts.length ? parts.join(", ") : "none";
}

// A blob's address is the only way to hand a file over that keeps a refusal on the page.
function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function exporting(path, slug) {
  const format = field("Format", { tag: "select", options: FORMATS });
  const ending = field("File", { tag: "select", options: ENDINGS });
  const gold = h("input", { type: "checkbox" });
  const result = h("p", { class: "well", role: "status", hidden: true });
  const act = async () => {
    result.hidden = true;
    const query = new URLSearchParams({ to: format.input.value, ending: ending.input.value, gold: gold.checked });
    const { blob, labels, left } = await download(path(`/export?${query}`));
    save(blob, slug + ending.input.value);
    fill(result, left ? `${labels} labels; ${left} that the format cannot hold are left out.` : `${labels} labels.`);
    result.hidden = false;
  };
  const { element } = form({
    fields: [
      format.element,
      ending.element,
      h("label", { class: "choice" }, gold, h("span", {}, "Answers to gold and calibration items too")),
      result,
    ],
    label: "Export",
    act,
  });
  return h(
    "section",
    { class: "block" },
    h("h3", {}, "Export"),
    h(
      "p",
      { class: "hint" },
      "Labels that stand: not those taken back. Names of annotators are their names in exports.",
    ),
    element,
  );
}
