// What is under way with one task, for a reload in the middle of it: the clock so far, what was seen, what was chosen.

import { ofThisTab } from "./storage.js";

const key = (slug, task) => `candor:draft:${slug}:${task.task_id}:${task.fence}`;

export function saveDraft(slug, task, draft) {
  try {
    ofThisTab.setItem(key(slug, task), JSON.stringify(draft));
  } catch {
    // a draft is a convenience
  }
}

export function readDraft(slug, task) {
  try {
    return JSON.parse(ofThisTab.getItem(key(slug, task)));
  } catch {
    return null;
  }
}

export const dropDraft = (slug, task) => ofThisTab.removeItem(key(slug, task));
