/** The numbered documents under an answer. */

import { el, icon } from "/static/dom.js";

/**
 * The section with the sources of one turn.
 *
 * @param {string} prefix makes ids unique on the page
 * @param {Array<{id: number, title: string, author: string, type: string, url: string, document_id: string,
 *   chunk_index: number, score: number}>} sources
 */
export function sourcesSection(prefix, sources) {
  const title = el("h3", { id: `${prefix}-sources` }, sources.length === 1 ? "1 source" : `${sources.length} sources`);
  const list = el("ol", { class: "source-list" }, ...sources.map((source) => item(prefix, source)));
  return el("section", { class: "sources", "aria-labelledby": title.id }, title, list);
}

/** A citation of a source: opens it and takes the reader there. */
export function citation(prefix, source) {
  const label = `Source ${source.id}: ${source.title}`;
  return el("button", { type: "button", class: "cite", "aria-label": label, title: source.title, onclick: () => open(prefix, source) }, String(source.id));
}

function open(prefix, source) {
  const details = document.getElementById(`${prefix}-source-${source.id}`);
  details.open = true;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  details.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
  details.querySelector("summary").focus({ preventScroll: true });
}

function item(prefix, source) {
  const details = el(
    "details",
    { id: `${prefix}-source-${source.id}`, class: "source" },
    el(
      "summary",
      {},
      el("span", { class: "number", "aria-hidden": "true" }, String(source.id)),
      el("span", { class: "source-title" }, source.title || "Untitled"),
      el("span", { class: "source-about" }, [source.author, kind(source.type)].filter(Boolean).join(" · ")),
    ),
    facts([
      ["Score", Number(source.score).toFixed(3)],
      ["Passage", String(Number(source.chunk_index) + 1)],
      ["Document", source.document_id],
    ]),
    link(source.url),
  );
  return el("li", {}, details);
}

/** Name and value pairs. */
export function facts(pairs) {
  return el("dl", { class: "facts" }, ...pairs.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** A link to a web address; any other address, such as one that runs a script, is not worth a link. */
function link(address) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") return null;
  return el(
    "a",
    { class: "visit", href: url.href, target: "_blank", rel: "noopener noreferrer" },
    el("span", {}, `Read it at ${url.host}`),
    icon("open"),
    el("span", { class: "unseen" }, " (opens a new tab)"),
  );
}

/** `articles` holds an article: the name of a collection is a plural. */
function kind(collection) {
  return { articles: "article", posts: "post", repositories: "code" }[collection] ?? collection;
}
