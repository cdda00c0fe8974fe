// Calls of the public API, the page's only way to the server.
import { signal } from "../vendor/signals.js";
import { lost, reached } from "./connection.js";
import { JSON_TYPE, VERSION, early, keyOf, wire } from "./first.js";

export { VERSION };
export const COLUMNS = "application/vnd.tidemark.columns";

/** An error answer: message, codes and call id of the envelope. */
export class ApiError extends Error {
  /**
   * @param {string} endpoint
   * @param {number} status HTTP status
   * @param {{result_code?: number, result_subcode?: number, result_msg?: string, id?: string}} meta
   */
  constructor(endpoint, status, meta) {
    super(meta.result_msg || `${endpoint} answered ${status}`);
    this.name = "ApiError";
    this.endpoint = endpoint;
    this.status = status;
    this.code = meta.result_code ?? status;
    this.subcode = meta.result_subcode ?? 0;
    this.callId = meta.id ?? "";
  }
}

/** True while calls wait for the log-in form, which resets it through `loggedIn`. */
export const loginNeeded = signal(false);

/** @type {(() => void)[]} */
let waiting = [];

/** Called after a log-in: sends the waiting calls again. */
export function loggedIn() {
  loginNeeded.value = false;
  const ready = waiting;
  waiting = [];
  for (const go of ready) go();
}

/**
 * The answer to a call that was sent early (core/first.js), if there is one.
 * @param {string} endpoint @param {object} body @param {string} accept
 */
function sentAhead(endpoint, body, accept) {
  if (!early.size) return null;
  const key = keyOf(endpoint, body, accept);
  const found = early.get(key);
  early.delete(key);
  return found ?? null;
}

/**
 * Calls an endpoint and returns its `data`. Throws ApiError, or the AbortError of `signal`; a lost connection throws a TypeError, as fetch does.
 * @param {string} endpoint such as "tasks.get_all_ex"
 * @param {object} [body]
 * @param {{signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 */
export async function call(endpoint, body = {}, options = {}) {
  const response = await send(endpoint, body, JSON_TYPE, options.signal);
  const envelope = await envelopeOf(response);
  if (!response.ok || envelope.meta?.result_code !== 200) throw new ApiError(endpoint, response.status, envelope.meta ?? {});
  return envelope.data;
}

/**
 * Calls an endpoint that answers binary columns; decode them with core/columns.js.
 * @param {string} endpoint
 * @param {object} body
 * @param {{signal?: AbortSignal}} [options]
 * @returns {Promise<ArrayBuffer>}
 */
export async function callColumns(endpoint, body, options = {}) {
  const response = await send(endpoint, body, COLUMNS, options.signal);
  if (!response.ok || !response.headers.get("content-type")?.startsWith(COLUMNS)) {
    const envelope = await envelopeOf(response);
    throw new ApiError(endpoint, response.status, envelope.meta ?? {});
  }
  return response.arrayBuffer();
}

/**
 * @param {string} endpoint
 * @param {object} body
 * @param {string} accept
 * @param {AbortSignal} [signal]
 * @returns {Promise<Response>}
 */
async function send(endpoint, body, accept, signal) {
  for (let first = sentAhead(endpoint, body, accept); ; first = null) {
    const [url, options] = wire(endpoint, body, accept);
    const response = await (first ? heard(first, signal) : request(url, { ...options, signal }));
    if (response.status !== 401) return response;
    loginNeeded.value = true;
    await new Promise((resolve, reject) => {
      waiting.push(() => resolve(undefined));
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }
}

/**
 * `fetch` that tells core/connection.js whether the server answers.
 * @param {string} url
 * @param {RequestInit} options
 */
export function request(url, options) {
  return heard(fetch(url, { credentials: "same-origin", ...options }), options.signal);
}

/**
 * @param {Promise<Response>} sent
 * @param {AbortSignal | null} [signal]
 */
async function heard(sent, signal) {
  try {
    const response = await sent;
    reached();
    return response;
  } catch (error) {
    if (!signal?.aborted) lost();
    throw error;
  }
}

/**
 * Logs in with name and password, or access key and secret; the server sets an HttpOnly cookie. Throws ApiError.
 * @param {string} name
 * @param {string} password
 */
export async function login(name, password) {
  const text = new TextEncoder().encode(`${name}:${password}`);
  const basic = btoa(String.fromCharCode(...text));
  const response = await request(`/v${VERSION}/auth.login`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Basic ${basic}` },
    body: "{}",
  });
  const envelope = await envelopeOf(response);
  if (!response.ok) throw new ApiError("auth.login", response.status, envelope.meta ?? {});
  loggedIn();
}

/**
 * @param {Response} response
 * @returns {Promise<any>}
 */
async function envelopeOf(response) {
  try {
    return await response.json();
  } catch {
    return { meta: { result_msg: `The answer (status ${response.status}) is not JSON. It may come from a proxy between this browser and the server.` } };
  }
}
