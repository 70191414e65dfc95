/** The service's HTTP interface as the page uses it. */

import { readEvents } from "/static/sse.js";

const SENTENCES = {
  401: "The service does not know this API key.",
  413: "The question is too long.",
  429: "Too many questions in a short time.",
  503: "The service is busy or its model is not ready.",
  504: "The model did not answer in time.",
};

/** Why there is no answer, or no complete one. */
export class Failure extends Error {
  /**
   * @param {string} code `offline`, `unreachable`, `interrupted`, `unexpected`, or the code of the service's error
   * @param {string} message a sentence for the user
   * @param {{status?: number, requestId?: string, retryAfter?: number|null}} details `retryAfter` in seconds
   */
  constructor(code, message, { status = 0, requestId = "", retryAfter = null } = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }
}

/**
 * Asks a question.
 *
 * @param {{query: string, author: string, history: Array<{role: string, content: string}>, key: string, signal: AbortSignal}}
 *   question no author means anyone; `history` is oldest first
 * @returns {AsyncGenerator<{name: string, data: object}>} `status`, `token`, `sources`; `done` is the last one
 * @throws {Failure} and an AbortError when `signal` was used
 */
export async function* ask({ query, author, history, key, signal }) {
  const body = { query, history, stream: true, ...(author ? { author } : {}) };
  const response = await post("/rag", body, key, signal);
  if (!(response.headers.get("Content-Type") ?? "").startsWith("text/event-stream")) {
    throw new Failure("unexpected", "Something other than the service answered. Is a proxy in between?");
  }
  try {
    for await (const { name, data } of readEvents(response.body)) {
      const content = JSON.parse(data);
      if (name === "error") throw failureOf(content.error, {});
      yield { name, data: content };
      if (name === "done") return;
    }
  } catch (error) {
    if (signal.aborted || error instanceof Failure) throw error;
  }
  throw new Failure("interrupted", "The connection broke before the answer was complete.");
}

/**
 * Says how good an answer was.
 *
 * @param {{traceId: string, score: 0|1, reason: string, key: string}} verdict
 * @throws {Failure}
 */
export async function sendFeedback({ traceId, score, reason, key }) {
  const body = { trace_id: traceId, score, ...(reason ? { reason } : {}) };
  await post("/feedback", body, key, null);
}

async function post(path, body, key, signal) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
      body: JSON.stringify(body),
      cache: "no-store",
      signal,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw navigator.onLine
      ? new Failure("unreachable", "The service cannot be reached.")
      : new Failure("offline", "This device is offline.");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  const details = { status: response.status, retryAfter: seconds(response.headers.get("Retry-After")) };
  try {
    return failureOf((await response.json()).error, details);
  } catch {
    const sentence = SENTENCES[response.status] ?? `The service answered with an error (HTTP ${response.status}).`;
    return new Failure(`http_${response.status}`, sentence, details);
  }
}

function failureOf({ code, message, request_id: requestId, retry_after_seconds: retryAfter = null }, details) {
  return new Failure(String(code), String(message), { retryAfter, ...details, requestId: String(requestId ?? "") });
}

/** Retry-After in seconds: a number or a date; null when there is none that makes sense. */
function seconds(header) {
  if (!header) return null;
  const wait = /^\d+$/.test(header) ? Number(header) : Math.ceil((Date.parse(header) - Date.now()) / 1000);
  return Number.isFinite(wait) ? Math.max(0, wait) : null;
}
