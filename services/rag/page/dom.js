/** Builds nodes. Text becomes text nodes: nothing on this page parses markup that came from elsewhere. */

const SVG = "http://www.w3.org/2000/svg";

// Outlines on a 24 by 24 grid.
const ICONS = {
  check: "M5 12.5l4.5 4.5L19 7.5",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  open: "M13 5h6v6M19 5l-9 9M16 14v5H5V8h5",
  retry: "M19 12a7 7 0 1 1-2.3-5.2M19 4v4.5h-4.5",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7 7h10v10H7z",
  thumb: "M4 11h3.5v9H4zM7.5 11l3.7-7.5c1.7 0 2.5 1.4 2.2 3L12.8 10h5.4a2 2 0 0 1 2 2.4l-1.2 6a2 2 0 0 1-2 1.6H7.5",
};

/**
 * An element with attributes and children.
 *
 * @param {string} name tag name
 * @param {Object<string, string|number|boolean|null|undefined|Function>} attributes functions become listeners (`onclick`);
 *   `true` sets an empty attribute; `false`, null and undefined set none
 * @param {...(Node|string|null|undefined)} children
 */
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** A drawing that says nothing to a screen reader: the control around it has the words. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", "aria-hidden": "true", class: `icon icon-${name}` })) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** The element of the page with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Has a screen reader say a sentence when it is free to. */
export function announce(sentence) {
  byId("announcer").textContent = sentence;
}
