// The browser's storage, or, where it is forbidden, one that lasts as long as the page. `lasting` tells which.

function usable(name) {
  try {
    const storage = window[name];
    storage.setItem("candor:try", "1");
    storage.removeItem("candor:try");
    return storage;
  } catch {
    return null;
  }
}

class Forgetful {
  #kept = new Map();

  get length() {
    return this.#kept.size;
  }

  key(index) {
    return [...this.#kept.keys()][index] ?? null;
  }

  getItem(key) {
    return this.#kept.get(key) ?? null;
  }

  setItem(key, value) {
    this.#kept.set(key, String(value));
  }

  removeItem(key) {
    this.#kept.delete(key);
  }
}

const found = usable("localStorage");

export const lasting = found !== null;
export const local = found ?? new Forgetful();
export const ofThisTab = usable("sessionStorage") ?? new Forgetful();
