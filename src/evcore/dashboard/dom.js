// Small helpers: elements without markup strings, text that is only touched when it changed (so focus and selection stay).

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

// Keyed children of a parent, each made once by make(key) and kept in the order of `keys`.
export class Keyed {
  constructor(parent, make) {
    this.parent = parent;
    this.make = make;
    this.parts = new Map();
  }

  update(keys) {
    const wanted = new Set(keys);
    for (const [key, part] of this.parts) {
      if (!wanted.has(key)) {
        part.root.remove();
        this.parts.delete(key);
      }
    }
    const empty = this.parent.querySelector(":scope > .empty");
    if (empty) show(empty, keys.length === 0);
    let before = empty ? empty.nextSibling : this.parent.firstChild;
    for (const key of keys) {
      if (!this.parts.has(key)) this.parts.set(key, this.make(key));
      const { root } = this.parts.get(key);
      if (root === before) before = before.nextSibling;
      else this.parent.insertBefore(root, before);
    }
    return this.parts;
  }
}
