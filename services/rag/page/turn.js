/** One question with its answer, as it comes. */

import { copyButton } from "/static/clipboard.js";
import { announce, el } from "/static/dom.js";
import { MarkdownView } from "/static/markdown.js";
import { notice } from "/static/notice.js";
import { Progress } from "/static/progress.js";
import { citation, facts, sourcesSection } from "/static/sources.js";
import { verdict } from "/static/verdict.js";

/**
 * @typedef {object} Turn what is kept of a turn
 * @property {string} question
 * @property {string} author empty for anyone
 * @property {string} answer the text so far
 * @property {object[]} sources
 * @property {"running"|"done"|"stopped"|"failed"} state
 * @property {object|null} done the last event of a complete answer
 * @property {0|1|null} score
 * @property {{message: string, requestId: string}|null} failure
 */

/** @returns {Turn} */
export function newTurn(question, author) {
  return { question, author, answer: "", sources: [], state: "running", done: null, score: null, failure: null };
}

/** Shows a turn and keeps its data up to date. */
export class TurnView {
  #prefix;
  #hooks;
  #answer = el("div", { class: "answer" });
  #foot = el("div", { class: "foot" });
  #progress = new Progress();
  #markdown;
  #frame = 0;

  /**
   * @param {number} number makes ids unique on the page
   * @param {Turn} turn
   * @param {{onRetry: (view: TurnView) => void, onGrow: () => void, onScore: () => void}} hooks `onGrow`: there is more to see
   *   or less; `onScore`: the user judged the answer
   */
  constructor(number, turn, hooks) {
    this.turn = turn;
    this.#prefix = `turn-${number}`;
    this.#hooks = hooks;
    this.#markdown = new MarkdownView(this.#answer, (id) => this.#citation(id));
    const question = el("h2", { id: this.#prefix, class: "question" }, el("span", { class: "unseen" }, "You asked: "), turn.question);
    const author = turn.author ? el("p", { class: "small only" }, `Only documents by ${turn.author}`) : null;
    const reply = el("div", { class: "reply" }, this.#answer, this.#progress.element, this.#foot);
    this.element = el("article", { class: "turn", "aria-labelledby": this.#prefix }, question, author, reply);
    if (turn.state === "running") this.restart();
    else this.#settle();
  }

  /** Empties the answer: the question is asked, or asked again. */
  restart() {
    Object.assign(this.turn, newTurn(this.turn.question, this.turn.author));
    this.#markdown.reset();
    this.#foot.replaceChildren();
    this.element.setAttribute("aria-busy", "true");
    this.#progress.show("sending");
    this.#hooks.onGrow();
  }

  /** Takes an event of the stream. */
  take(name, data) {
    if (name === "status") this.#progress.show(String(data.state));
    else if (name === "token") this.#append(String(data.text));
    else if (name === "sources") {
      this.turn.sources = data.sources;
      this.#markdown.reset();
    } else if (name === "done") this.turn.done = data;
    this.#draw();
  }

  /** The answer is complete. */
  complete() {
    this.#end("done");
    const count = this.turn.sources.length;
    announce(`Answer complete. ${this.#answer.textContent} ${count === 1 ? "1 source." : `${count} sources.`}`);
  }

  /** The user stopped it. */
  stop() {
    this.#end("stopped");
  }

  /** It went wrong; what was written so far stays. */
  fail({ message, requestId, retryAfter }) {
    this.turn.failure = { message, requestId };
    this.#end("failed", retryAfter);
  }

  #append(text) {
    this.turn.answer += text;
    if (this.turn.answer.trim() !== "") this.#progress.hide();
  }

  /** At most once per frame: tokens may come faster than the eye. */
  #draw() {
    this.#frame ||= requestAnimationFrame(() => this.#drawNow());
  }

  #drawNow() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#markdown.update(this.turn.answer);
    this.#answer.classList.toggle("writing", this.turn.state === "running" && this.turn.answer !== "");
    this.#hooks.onGrow();
  }

  #end(state, retryAfter = null) {
    this.turn.state = state;
    this.element.removeAttribute("aria-busy");
    this.#settle(retryAfter);
  }

  #settle(retryAfter = null) {
    this.#progress.hide();
    this.#drawNow();
    const { sources, state, failure } = this.turn;
    const parts = [sources.length > 0 ? sourcesSection(this.#prefix, sources) : null, this.#tools()];
    const retry = () => this.#hooks.onRetry(this);
    if (state === "failed") parts.push(notice({ ...failure, retryAfter }, retry));
    if (state === "stopped") parts.push(notice({ message: "You stopped this answer.", requestId: "", retryAfter, calm: true }, retry));
    this.#foot.replaceChildren(...parts.filter((part) => part !== null));
    this.#hooks.onGrow();
  }

  #tools() {
    const { answer, done, score } = this.turn;
    if (!answer) return null;
    const copy = copyButton(() => this.turn.answer);
    if (!done) return el("div", { class: "tools" }, copy);
    const onScore = (given) => {
      this.turn.score = given;
      this.#hooks.onScore();
    };
    const { buttons, more } = verdict({ traceId: done.trace_id, score, onScore });
    return el("div", {}, el("div", { class: "tools" }, ...buttons, copy, measurements(done)), more);
  }

  #citation(id) {
    const source = this.turn.sources.find((candidate) => candidate.id === id);
    return source ? citation(this.#prefix, source) : null;
  }
}

/** What the answer cost; the whole of it for those who open it. */
function measurements({ trace_id: trace, model, usage, timings, degraded = [] }) {
  const about = usage.estimated ? "about " : "";
  const summary = `${seconds(timings.total_ms)} · ${about}${usage.completion_tokens} tokens`;
  const pairs = [
    ["Model", model],
    ["First token after", timings.ttft_ms === null ? "" : seconds(timings.ttft_ms)],
    ["Per token", timings.tpot_ms === null ? "" : `${timings.tpot_ms.toFixed(0)} ms`],
    ["Prompt", `${about}${usage.prompt_tokens} tokens`],
    ["Did without", degraded.join(", ")],
    ["Trace", trace],
  ];
  return el("details", { class: "measurements" }, el("summary", {}, summary), facts(pairs));
}

function seconds(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
