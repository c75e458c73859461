// Building the page: one helper for elements, one for the server's HTML, one for what a screen reader is told.

// h("button", {class: "primary", onclick: act, hidden: false}, "Save"): text is always text, never HTML.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, value);
  }
  put(element, ...children);
  return element;
}

export function put(element, ...children) {
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

export function fill(element, ...children) {
  element.replaceChildren();
  return put(element, ...children);
}

const ALLOWED = new Set(
  (
    "A ABBR B BLOCKQUOTE BR CODE DD DEL DIV DL DT EM H1 H2 H3 H4 H5 H6 HR I INS KBD LI MARK OL P PRE Q S SAMP " +
    "SMALL SPAN STRONG SUB SUP TABLE TBODY TD TFOOT TH THEAD TR UL VAR"
  ).split(" "),
);
const GONE = new Set(
  "SCRIPT STYLE IFRAME OBJECT EMBED TEMPLATE NOSCRIPT TEXTAREA SELECT TITLE XMP NOEMBED NOFRAMES SVG MATH".split(" "),
);

// The only place where HTML enters the page. The server has sanitised it and the policy forbids inline code; whatever
// should still get here is rebuilt from an allow-list in a document that runs nothing and loads nothing.
export function rich(element, html, text) {
  if (typeof html !== "string") {
    element.textContent = text ?? "";
    element.classList.add("plain");
    return element;
  }
  const source = new DOMParser().parseFromString(html, "text/html");
  copy(source.body, element);
  return element;
}

function copy(from, to) {
  for (const node of from.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) to.append(node.data);
    if (node.nodeType !== Node.ELEMENT_NODE) continue;
    const name = node.nodeName.toUpperCase();
    if (GONE.has(name)) continue;
    if (name === "IMG") to.append(node.getAttribute("alt") ?? "");
    else if (ALLOWED.has(name)) to.append(allowed(node, name));
    else copy(node, to);
  }
}

function allowed(node, name) {
  const made = document.createElement(name);
  if (name === "A") link(made, node.getAttribute("href") ?? "");
  for (const attribute of ["colspan", "rowspan", "start"]) {
    if (/^\d{1,3}$/.test(node.getAttribute(attribute) ?? ""))
      made.setAttribute(attribute, node.getAttribute(attribute));
  }
  copy(node, made);
  if (name !== "TABLE") return made;
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" }, made);
}

function link(element, href) {
  if (!/^(https?:|mailto:)/i.test(href)) return;
  element.setAttribute("href", href);
  element.setAttribute("rel", "noopener noreferrer nofollow");
  element.setAttribute("target", "_blank");
}

// Read out when the screen reader is next free. The same words twice are read twice.
export function announce(words) {
  const live = document.getElementById("live");
  live.textContent = "";
  setTimeout(() => {
    live.textContent = words;
  }, 60);
}

// Moves the keyboard and the screen reader to a heading that is no control.
export function focusOn(element) {
  if (!element) return;
  if (!element.hasAttribute("tabindex")) element.setAttribute("tabindex", "-1");
  element.focus({ preventScroll: false });
}

let made = 0;
export const uid = (prefix) => `${prefix}-${(made += 1)}`;

export const letter = (place) => String.fromCharCode(65 + place);

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}
