/**
 * A small Markdown: paragraphs, headings, lists, quotes, code blocks; bold, italic, inline code, citations like [1].
 *
 * Everything becomes nodes with text in them. Links and images of the text are not made: an answer may repeat what a
 * document says, and where a link leads is for the sources to show.
 */

import { el } from "/static/dom.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*)$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}>\s?/;
const ITEM = /^(\s*)(?:[-*+]|(\d{1,9})[.)])\s+(?=\S)/;
// No part can run over another mark, so that hostile text costs no more than its length.
const INLINE = /`([^`\n]+)`|\*\*([^*\s](?:[^*]*[^*\s])?)\*\*|(?<![\w*])\*([^*\s](?:[^*\n]*[^*\s])?)\*(?![\w*])|\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]/g;
// Nesting beyond this is shown as text.
const MAX_DEPTH = 4;

/** Renders a growing text into an element; blocks that have not changed keep their nodes, and with them a selection. */
export class MarkdownView {
  #root;
  #cite;
  #shown = [];

  /**
   * @param {Element} root an empty element
   * @param {(number: number) => Node|null} cite the node of a citation; null leaves it as text
   */
  constructor(root, cite) {
    this.#root = root;
    this.#cite = cite;
  }

  /** Shows `text`. */
  update(text) {
    const blocks = split(text.split("\n"), 0);
    let same = 0;
    while (same < blocks.length && blocks[same].source === this.#shown[same]?.source) same += 1;
    for (const { node } of this.#shown.splice(same)) node.remove();
    for (const block of blocks.slice(same)) {
      const node = draw(block, this.#cite, 0);
      this.#shown.push({ source: block.source, node });
      this.#root.append(node);
    }
  }

  /** Forgets what is shown: citations may mean something else now. */
  reset() {
    for (const { node } of this.#shown.splice(0)) node.remove();
  }
}

/** Blocks of lines: `{kind, source, lines}` and what their kind needs. */
function split(lines, depth) {
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    if (lines[at].trim() === "") {
      at += 1;
      continue;
    }
    const block = next(lines, at, depth);
    block.source = `${block.kind}\n${lines.slice(at, block.end).join("\n")}`;
    blocks.push(block);
    at = block.end;
  }
  return blocks;
}

function next(lines, at, depth) {
  const fence = FENCE.exec(lines[at]);
  if (fence) return code(lines, at, fence);
  const heading = HEADING.exec(lines[at]);
  if (heading) return { kind: "heading", level: heading[1].length, text: heading[2].trim(), end: at + 1 };
  if (RULE.test(lines[at])) return { kind: "rule", end: at + 1 };
  if (depth < MAX_DEPTH && QUOTE.test(lines[at])) {
    const end = until(lines, at + 1, (line) => line.trim() === "");
    return { kind: "quote", lines: lines.slice(at, end).map((line) => line.replace(QUOTE, "")), end };
  }
  if (depth < MAX_DEPTH && ITEM.test(lines[at])) return list(lines, at);
  const end = until(lines, at + 1, (line) => line.trim() === "" || startsBlock(line, depth));
  return { kind: "paragraph", text: lines.slice(at, end).join("\n"), end };
}

/** A fence that is not closed runs to the end: so does one that is still being written. */
function code(lines, at, [, fence, language]) {
  const closed = until(lines, at + 1, (line) => line.trim().startsWith(fence) && line.trim().replaceAll(fence[0], "") === "");
  return { kind: "code", language, text: lines.slice(at + 1, closed).join("\n"), end: Math.min(closed + 1, lines.length) };
}

/** Items of one level; what is indented deeper belongs to the item above it. */
function list(lines, at) {
  const [, indent, number] = ITEM.exec(lines[at]);
  const ordered = number !== undefined;
  const items = [];
  let end = at;
  while (end < lines.length) {
    const item = ITEM.exec(lines[end]);
    const deeper = /^\s*/.exec(lines[end])[0].length > indent.length;
    if (item && !deeper) {
      if ((item[2] !== undefined) !== ordered) break;
      items.push([lines[end].slice(item[0].length)]);
    } else if (lines[end].trim() === "") {
      if (!continues(lines, end + 1, indent.length, ordered)) break;
      items.at(-1).push("");
    } else if (deeper || !(startsBlock(lines[end], 0) || lines[end - 1].trim() === "")) {
      items.at(-1).push(dedent(lines[end], indent.length));
    } else break;
    end += 1;
  }
  return { kind: "list", ordered, start: Number(number ?? 1), items, end };
}

function continues(lines, from, indent, ordered) {
  const line = lines[until(lines, from, (candidate) => candidate.trim() !== "")] ?? "";
  const item = ITEM.exec(line);
  return /^\s*/.exec(line)[0].length > indent || (item !== null && (item[2] !== undefined) === ordered);
}

/** Takes the list's own indentation and up to three more columns, the width of most markers, off a line. */
function dedent(line, indent) {
  return line.slice(Math.min(/^\s*/.exec(line)[0].length, indent + (line.startsWith(" ".repeat(indent + 3)) ? 3 : 2)));
}

function startsBlock(line, depth) {
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || (depth < MAX_DEPTH && (QUOTE.test(line) || ITEM.test(line)));
}

function until(lines, from, ends) {
  let at = from;
  while (at < lines.length && !ends(lines[at])) at += 1;
  return at;
}

function draw(block, cite, depth) {
  switch (block.kind) {
    case "code":
      return el("pre", { tabindex: "0", "aria-label": block.language ? `Code, ${block.language}` : "Code" }, el("code", {}, block.text));
    case "heading":
      return el(block.level < 3 ? "h3" : "h4", {}, ...inline(block.text, cite));
    case "rule":
      return el("hr");
    case "quote":
      return el("blockquote", {}, ...split(block.lines, depth + 1).map((inner) => draw(inner, cite, depth + 1)));
    case "list":
      return el(
        block.ordered ? "ol" : "ul",
        { start: block.ordered && block.start !== 1 ? block.start : null },
        ...block.items.map((lines) => item(lines, cite, depth + 1)),
      );
    default:
      return el("p", {}, ...inline(block.text, cite));
  }
}

function item(lines, cite, depth) {
  const nodes = split(lines, depth).flatMap((block, index) =>
    index === 0 && block.kind === "paragraph" ? inline(block.text, cite) : [draw(block, cite, depth)],
  );
  return el("li", {}, ...nodes);
}

function inline(text, cite) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > at) nodes.push(text.slice(at, match.index));
    nodes.push(...mark(match, cite));
    at = match.index + match[0].length;
  }
  if (at < text.length) nodes.push(text.slice(at));
  return nodes;
}

function mark([whole, code, bold, italic, numbers], cite) {
  if (code !== undefined) return [el("code", {}, code)];
  if (bold !== undefined) return [el("strong", {}, ...inline(bold, cite))];
  if (italic !== undefined) return [el("em", {}, ...inline(italic, cite))];
  const citations = numbers.split(",").map((number) => cite(Number(number)));
  return citations.includes(null) ? [whole] : citations;
}
