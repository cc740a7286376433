// Surehold in a page of yours: see what is free, hold it, have it paid, with a publishable key.
// No dependencies, no build step. Types are in surehold.d.ts, the guide in docs/javascript.md.

const RETRIES = 4;
const LONGEST_WAIT = 10_000; // a server that asks for more is not waited for: the error says so
const REQUEST_TIMEOUT = 20_000;
const LONGEST_TIMER = 2 ** 31 - 1;
const ENDED = ["confirmed", "released", "expired"];

/** What went wrong, as the API says it: `code` is stable, `message` is for people. */
export class SureholdError extends Error {
  constructor(problem, { status = 0, retryAfter = null, cause } = {}) {
    super(problem.detail || "That did not work.", { cause });
    this.name = "SureholdError";
    this.code = problem.code || "error";
    this.status = status;
    this.field = Object.keys(problem.errors || {})[0] || null;
    this.line = problem.line ?? null;
    this.remaining = problem.remaining ?? null;
    this.nextFree = problem.next_free || null;
    this.retryAfter = retryAfter;
    this.problem = problem;
  }
}

class Client extends EventTarget {
  #key;
  #host;
  #timer;
  #visitor;

  constructor({ key, host }) {
    super();
    if (!key?.startsWith("pk_")) throw new TypeError("Surehold needs a publishable key, pk_…");
    this.#key = key;
    this.#host = new URL(host || import.meta.url).origin;
    this.#visitor = kept(localOrNone(), "surehold:visitor", newId);
    this.#watch(this.current());
  }

  /** The hold that this tab has, as it was seen last; also after a reload or a payment page. */
  current() {
    return read(sessionOrNone(), this.#note);
  }

  resources(query = {}, { signal } = {}) {
    return this.#ask("GET", `resources${search(query)}`, { signal });
  }

  availability(resource, { signal, ...query }) {
    return this.#ask("GET", `resources/${encodeURIComponent(resource)}/availability${search(query)}`, { signal });
  }

  quote(wish, { signal } = {}) {
    return this.#ask("POST", "quotes", { body: bodyOf(wish), signal });
  }

  /** Hold it. The same wish again is the same hold; another wish takes its place. */
  async reserve({ signal, ...wish }) {
    const mine = this.current();
    const token = mine?.state === "active" ? mine.token : undefined;
    const body = { ...bodyOf(wish), token };
    return this.#keep(await this.#ask("POST", "holds", { body, signal, once: newId() }));
  }

  async read(hold = this.#own(), { signal } = {}) {
    return this.#keep(await this.#ask("GET", `holds/${hold.id}`, { token: hold.token, signal }));
  }

  async extend(hold = this.#own(), { signal } = {}) {
    const path = `holds/${hold.id}/extend`;
    const longer = await this.#ask("POST", path, { body: {}, token: hold.token, signal, once: newId() });
    return this.#keep({ ...longer, promised: longer.expires_at });
  }

  /**
   * To the payment page: this page leaves, or with `popup` one opens on top and the answer comes
   * when it is over. Nothing owed: confirmed at once, nothing opens.
   */
  async checkout(hold = this.#own(), { member, successUrl, cancelUrl, popup = false, signal } = {}) {
    // Opened at once: browsers block what opens later than the click.
    const over = popup ? window.open("about:blank", "surehold", "popup,width=520,height=760") : null;
    try {
      const url = await this.#checkoutUrl(hold, { member, successUrl, cancelUrl, signal });
      if (url === null) {
        over?.close();
        return this.confirm(hold, { signal });
      }
      if (!over) {
        location.assign(url);
        return new Promise(() => {}); // this page is on its way
      }
      over.location.replace(url);
      return await this.#whileOpen(over, hold, signal);
    } catch (error) {
      over?.close();
      throw error;
    }
  }

  /**
   * What became of it: the hold with an `outcome`. What is free is confirmed by this; what is paid
   * on our payment page is looked up. It can report no payment: only Surehold knows of money.
   */
  async confirm(hold = this.#own(), { member, wait = 10_000, signal } = {}) {
    const until = Date.now() + wait;
    let seen = await this.read(hold, { signal });
    if (seen.state === "active" && seen.booking.total.amount_minor === 0 && !isPending(seen)) {
      await this.#checkoutUrl(seen, { member, signal });
      seen = await this.read(hold, { signal });
    }
    while (outcomeOf(seen) === "open" && seen.paying && Date.now() < until) {
      await pause(1000, signal);
      seen = await this.read(hold, { signal });
    }
    return { ...seen, outcome: outcomeOf(seen) };
  }

  /** Give it back. 409 `payment_in_progress` while it is being paid. */
  async release(hold = this.#own(), { signal } = {}) {
    await this.#ask("DELETE", `holds/${hold.id}`, { token: hold.token, signal });
    const mine = this.current();
    if (mine?.id === hold.id) this.#keep({ ...mine, state: "released" });
  }

  // --- within ------------------------------------------------------------------------------------

  get #note() {
    return `surehold:hold:${this.#key}`;
  }

  #own() {
    const mine = this.current();
    if (!mine) throw new SureholdError({ code: "nothing_held", detail: "Nothing is held here." });
    return mine;
  }

  async #checkoutUrl(hold, { member, successUrl, cancelUrl, signal }) {
    const body = { member, success_url: address(successUrl), cancel_url: address(cancelUrl) };
    const path = `holds/${hold.id}/checkout`;
    const asked = await this.#ask("POST", path, { body, token: hold.token, signal, once: newId() });
    const mine = this.current();
    if (asked.checkout_url && mine?.id === hold.id) {
      write(sessionOrNone(), this.#note, { ...mine, paying: true });
    }
    return asked.checkout_url;
  }

  /**
   * Until it is settled, or the window is closed and nothing came of it. A payment page may cut its
   * window off from ours, which then looks closed: so the visitor has to be back here as well.
   */
  async #whileOpen(over, hold, signal) {
    for (let backFor = 0; ; backFor = over.closed && document.hasFocus() ? backFor + 1 : 0) {
      await pause(1000, signal);
      const seen = await this.read(hold, { signal });
      if (outcomeOf(seen) !== "open" || backFor > 2) {
        over.close();
        return { ...seen, outcome: outcomeOf(seen) };
      }
    }
  }

  /** Remember the tab's hold, tell of its end once, and watch its clock. */
  #keep(hold) {
    const before = this.current();
    const same = before?.id === hold.id;
    const promised = same ? before.promised : hold.expires_at;
    const seen = { promised, paying: same && before.paying, ...hold };
    write(sessionOrNone(), this.#note, seen);
    if (!same && hold.state === "active") this.#tell("held", seen);
    if (ENDED.includes(hold.state) && same && before.state !== hold.state) this.#tell(hold.state, seen);
    this.#watch(seen);
    return seen;
  }

  #tell(name, hold) {
    this.dispatchEvent(new CustomEvent(name, { detail: hold }));
  }

  /** When its time is up by our clock, the server is asked, whose clock counts. */
  #watch(hold, least = 2000) {
    clearTimeout(this.#timer);
    if (hold?.state !== "active") return;
    const left = Date.parse(hold.expires_at) - Date.now();
    const look = () => this.read(hold).catch((error) => this.#notSeen(hold, error));
    this.#timer = setTimeout(look, Math.min(Math.max(left + 200, least), LONGEST_TIMER));
  }

  #notSeen(hold, error) {
    if (error.status === 404) this.#keep({ ...hold, state: "expired" });
    else this.#watch(hold, 30_000);
  }

  /** One call. What may have arrived or not is sent again under the same Idempotency-Key. */
  async #ask(method, path, { body, token, signal, once }) {
    const headers = { Authorization: `Bearer ${this.#key}`, "Surehold-Visitor": this.#visitor };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (token) headers["Hold-Token"] = token;
    if (once) headers["Idempotency-Key"] = once;
    const sent = { method, headers, body: body && JSON.stringify(body), credentials: "omit", mode: "cors" };
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#try(`${this.#host}/api/v1/${path}`, sent, signal);
      if (!(answer instanceof SureholdError)) return answer;
      const wait = waitFor(answer, attempt);
      if (attempt === RETRIES || wait === null) throw answer;
      await pause(wait, signal);
    }
  }

  async #try(url, sent, signal) {
    signal?.throwIfAborted();
    const within = new AbortController();
    const stop = () => within.abort(signal.reason);
    const timer = setTimeout(() => within.abort(), REQUEST_TIMEOUT);
    signal?.addEventListener("abort", stop);
    try {
      const answer = await fetch(url, { ...sent, signal: within.signal });
      if (answer.ok) return answer.status === 204 ? null : await answer.json();
      const problem = await answer.json().catch(() => ({}));
      const retryAfter = Number(answer.headers.get("Retry-After")) || null;
      return new SureholdError(problem, { status: answer.status, retryAfter });
    } catch (error) {
      signal?.throwIfAborted();
      const detail = "Surehold cannot be reached, or this page's origin is not on the key's list.";
      return new SureholdError({ code: "unreachable", detail }, { cause: error });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }
}

/** `const surehold = Surehold({ key: "pk_…", host: "https://book.example" })` */
export function Surehold(options) {
  return new Client(options);
}

// --- small pieces ----------------------------------------------------------------------------------

/** Milliseconds until it is worth another try, or null where it is not. */
function waitFor(error, attempt) {
  const asked = error.retryAfter === null ? null : error.retryAfter * 1000;
  if (asked !== null && [409, 429, 503].includes(error.status)) return asked > LONGEST_WAIT ? null : asked;
  const isLost = error.code === "unreachable" || error.code === "idempotency_key_in_use" || [502, 503, 504].includes(error.status);
  return isLost ? 300 * 2 ** attempt * (0.5 + Math.random() / 2) : null;
}

/** A payment is under way, or a request is sent, when it is kept for longer than was promised. */
function isPending(hold) {
  return Boolean(hold.promised) && Date.parse(hold.expires_at) > Date.parse(hold.promised);
}

function outcomeOf(hold) {
  if (hold.state !== "active") return hold.state;
  const isAsked = hold.booking.state === "awaiting_approval";
  if (isAsked && (isPending(hold) || hold.booking.total.amount_minor === 0)) return "awaiting_approval";
  return isPending(hold) ? "processing" : "open";
}

/** `{resource, start, end, …}` or `{lines: […]}` as the API has it. */
function bodyOf({ lines, member, discountCode, ...line }) {
  const wanted = (lines || [line]).map(({ resource, start, end, quantity, addOns }) => ({
    resource,
    start: moment(start),
    end: moment(end),
    quantity,
    add_ons: addOns,
  }));
  return { lines: wanted, member, discount_code: discountCode };
}

function search(query) {
  const said = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null) said.set(name, moment(value));
  }
  return `?${said}`;
}

function moment(value) {
  return value instanceof Date ? value.toISOString() : value;
}

function address(url) {
  return new URL(url ?? "", location.href).href;
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
  });
}

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // also where the page is not secure
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Storage may be forbidden: then what is remembered lasts as long as the page.
const memory = new Map();
const inMemory = {
  getItem: (name) => memory.get(name) ?? null,
  setItem: (name, value) => memory.set(name, value),
};

function localOrNone() {
  try {
    return window.localStorage;
  } catch {
    return inMemory;
  }
}

function sessionOrNone() {
  try {
    return window.sessionStorage;
  } catch {
    return inMemory;
  }
}

function read(storage, name) {
  try {
    return JSON.parse(storage.getItem(name) ?? inMemory.getItem(name));
  } catch {
    return null;
  }
}

function write(storage, name, value) {
  try {
    storage.setItem(name, JSON.stringify(value));
  } catch {
    inMemory.setItem(name, JSON.stringify(value));
  }
}

function kept(storage, name, made) {
  const known = read(storage, name);
  if (typeof known === "string") return known;
  const value = made();
  write(storage, name, value);
  return value;
}
