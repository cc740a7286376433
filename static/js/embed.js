// Surehold's calendar in a page: <surehold-calendar workspace="…" resource="…"> and
// <a data-surehold href="…">. One file, nothing else needed. Documented in docs/embed.md.
(() => {
  const VERSION = 1;
  const own = document.currentScript ?? document.querySelector("script[src$='/embed.js']");
  const BASE = new URL(own?.src ?? location.href).origin;
  if (customElements.get("surehold-calendar")) return;

  const STYLE = `
    :host { display: block; }
    :host([hidden]) { display: none; }
    :host([mode=button]) { display: inline-block; }
    iframe { display: block; inline-size: 100%; border: 0; background: none; }
    .inline iframe { block-size: 32rem; }
    button { font: inherit; cursor: pointer; }
    .open { min-block-size: 2.75rem; padding: 0.5rem 1.1rem; border: 0; border-radius: 0.5rem; background: #1f5c4a; color: #fff; font-weight: 600; }
    dialog { padding: 0; border: 0; border-radius: 0.75rem; inline-size: min(64rem, 100vw - 1.5rem); block-size: min(52rem, 100dvh - 1.5rem); max-inline-size: none; max-block-size: none; overflow: hidden; background: Canvas; color: CanvasText; box-shadow: 0 1rem 4rem rgb(0 0 0 / 35%); }
    dialog[open] { display: flex; flex-direction: column; }
    dialog::backdrop { background: rgb(0 0 0 / 45%); }
    dialog iframe { flex: 1; min-block-size: 0; }
    .bar { display: flex; justify-content: flex-end; }
    .close { min-block-size: 2.75rem; min-inline-size: 2.75rem; padding: 0 1rem; border: 0; background: none; color: inherit; }
    .close:focus-visible, .open:focus-visible { outline: 3px solid currentColor; outline-offset: -4px; }
    .open:focus-visible { outline-color: Highlight; outline-offset: 2px; }
    .trouble { padding: 1rem; margin: 0; }
  `;
  const THEME = { a: "accent", b: "background", t: "text" };
  const PAGES = ["choosing", "held", "processing", "confirmed", "expired", "released", "refused"];
  const EVENTS = { held: "held", confirmed: "confirmed", expired: "expired", released: "released" };
  const PATIENCE = 15000;

  // Any colour of CSS as #rrggbb, or nothing.
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  function hex(colour) {
    if (!colour || !CSS.supports("color", colour)) return "";
    context.fillStyle = colour;
    if (/^#[0-9a-f]{6}$/.test(context.fillStyle)) return context.fillStyle;
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
    return alpha === 255 ? `#${[red, green, blue].map((part) => part.toString(16).padStart(2, "0")).join("")}` : "";
  }

  function encoded(object) {
    const bytes = new TextEncoder().encode(JSON.stringify(object));
    return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  }

  const isDetail = (detail) => detail && typeof detail === "object" && ["resource", "start", "end"].every((name) => typeof detail[name] === "string") && Number.isInteger(detail.quantity);

  // Only what is known, copied: nothing else of a message reaches the page.
  function copied(detail) {
    if (!isDetail(detail)) return null;
    const { resource, start, end, quantity, reference, until } = detail;
    const copy = { resource, start, end, quantity };
    if (typeof reference === "string") copy.reference = reference;
    if (typeof until === "string") copy.until = until;
    return Object.freeze(copy);
  }

  class SureholdError extends Error {
    constructor(code, message) {
      super(message);
      this.name = "SureholdError";
      this.code = code;
    }
  }

  class SureholdCalendar extends HTMLElement {
    static observedAttributes = ["workspace", "resource", "mode", "locale", "scheme", "label"];
    #root = this.attachShadow({ mode: "open" });
    #frame = null;
    #dialog = null;
    #selected = null;
    #page = "";
    #detail = null;
    #fired = new Set();
    #pending = null;
    #look = "";
    #patience = 0;
    #watch = null;
    #loads = 0;
    source = null;

    constructor() {
      super();
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      this.#root.adoptedStyleSheets = [sheet];
    }

    /** What is chosen and can be held, or null: { resource, start, end, quantity }. */
    get selected() { return this.#selected; }

    connectedCallback() {
      addEventListener("message", this.#heard);
      this.#watch = new MutationObserver(() => this.#restyle());
      this.#watch.observe(document.documentElement, { attributes: true, attributeFilter: ["class", "style", "data-theme"] });
      this.#watch.observe(this, { attributes: true, attributeFilter: ["class", "style"] });
      this.#render();
    }

    disconnectedCallback() {
      removeEventListener("message", this.#heard);
      this.#watch?.disconnect();
      this.#forget();
    }

    attributeChangedCallback(name, before, after) {
      if (before === after || !this.isConnected || !this.#watch) return;
      if (name === "scheme") this.#restyle();
      else this.#render();
    }

    /** Holds what is chosen. Resolves with the hold's detail; rejects with a SureholdError. */
    reserve() {
      if (this.#page === "held") return Promise.resolve(this.#detail);
      if (!this.#selected) return Promise.reject(new SureholdError("nothing_selected", "Nothing is chosen that can be held."));
      return this.#ask("reserve", "held");
    }

    /** Gives back what is held. Resolves when it is free again; rejects when it could not be. */
    release() {
      if (this.#page !== "held") return Promise.reject(new SureholdError("nothing_held", "Nothing is held here."));
      return this.#ask("release", "released");
    }

    /** Button mode: opens the calendar on top of the page. */
    open() {
      if (!this.#dialog) return;
      if (!this.#frame) this.#load(this.#dialog);
      if (!this.#dialog.open) this.#dialog.showModal();
    }

    close() { this.#dialog?.close(); }

    // --- Building it ----------------------------------------------------------------------------------

    get #isButton() { return this.getAttribute("mode") === "button"; }

    #forget() {
      clearTimeout(this.#patience);
      this.#settle(null, new SureholdError("removed", "The calendar was taken out of the page."));
      this.#root.replaceChildren();
      this.#frame = this.#dialog = this.#selected = this.#detail = null;
      this.#page = "";
      this.#loads = 0;
      this.#fired.clear();
    }

    #render() {
      this.#forget();
      if (!this.getAttribute("workspace")) return void this.#root.append(document.createElement("slot"));
      if (this.#isButton) return this.#renderButton();
      const box = document.createElement("div");
      box.className = "inline";
      this.#root.append(box);
      this.#load(box);
    }

    #renderButton() {
      const dialog = this.#dialog = document.createElement("dialog");
      dialog.setAttribute("aria-label", this.#title);
      const bar = document.createElement("div");
      bar.className = "bar";
      const close = document.createElement("button");
      close.className = "close";
      close.type = "button";
      close.textContent = "Close";
      close.addEventListener("click", () => dialog.close());
      bar.append(close);
      dialog.append(bar);
      dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
      if (!this.source) {
        const button = document.createElement("button");
        button.className = "open";
        button.part = "button";
        button.type = "button";
        button.setAttribute("aria-haspopup", "dialog");
        button.textContent = this.getAttribute("label") || "Book a time";
        button.addEventListener("click", () => this.open());
        this.#root.append(button);
      }
      this.#root.append(dialog);
    }

    get #title() { return this.getAttribute("title") || this.getAttribute("label") || "Book a time"; }

    get #path() {
      const parts = [this.getAttribute("workspace"), this.getAttribute("resource")].filter(Boolean);
      return `${parts.map(encodeURIComponent).join("/")}/`;
    }

    #load(box) {
      const frame = this.#frame = document.createElement("iframe");
      frame.title = this.#title;
      frame.allow = "";
      frame.setAttribute("part", "frame");
      this.#look = this.#wanted();
      frame.src = `${BASE}/embed/${this.#path}?look=${this.#look}`;
      box.append(frame);
      this.#patience = setTimeout(() => this.#trouble(box), PATIENCE);
    }

    // It did not come: this site may not be allowed, or the connection is gone. A link still works.
    #trouble(box) {
      const words = document.createElement("p");
      words.className = "trouble";
      const link = document.createElement("a");
      link.href = `${BASE}/w/${this.#path}`;
      link.target = "_blank";
      link.rel = "noopener";
      link.textContent = "Open the calendar in a window of its own";
      words.append("The calendar could not be shown here. ", link, ".");
      words.setAttribute("role", "status");
      this.#frame?.remove();
      this.#frame = null;
      box.append(words);
    }

    // --- How it looks -----------------------------------------------------------------------------------

    #wanted() {
      const style = getComputedStyle(this.source ?? this);
      const read = (name) => style.getPropertyValue(`--surehold-${name}`).trim();
      const look = { p: location.origin + location.pathname };
      const scheme = this.#scheme(style.colorScheme);
      if (scheme) look.s = scheme;
      for (const [key, name] of Object.entries(THEME)) {
        const colour = hex(read(name));
        if (colour) look[key] = colour;
      }
      const radius = parseInt(read("radius"), 10);
      if (Number.isInteger(radius)) look.r = radius;
      if (read("font")) look.f = read("font").slice(0, 200);
      const locale = this.getAttribute("locale");
      if (locale) look.l = locale.slice(0, 20);
      if (this.getAttribute("resource")) look.o = true;
      return encoded(look);
    }

    // Said by the attribute; else as the page around it is. A page that says nothing is light.
    #scheme(computed) {
      const said = this.getAttribute("scheme");
      if (said === "light" || said === "dark") return said;
      const [light, dark] = [/\blight\b/, /\bdark\b/].map((word) => word.test(computed));
      if (light && dark) return "";
      return dark ? "dark" : "light";
    }

    #restyle() {
      if (!this.#frame) return;
      const look = this.#wanted();
      if (look === this.#look) return;
      this.#look = look;
      this.#send("look", { look });
    }

    // --- Speaking with the frame --------------------------------------------------------------------------

    #send(type, more) {
      this.#frame?.contentWindow?.postMessage({ surehold: VERSION, type, ...more }, BASE);
    }

    #heard = (event) => {
      if (!this.#frame || event.source !== this.#frame.contentWindow || event.origin !== BASE) return;
      const said = event.data;
      if (said?.surehold !== VERSION) return;
      if (said.type === "height" && Number.isInteger(said.height)) this.#fit(said.height);
      else if (said.type === "show" && Number.isInteger(said.top) && Number.isInteger(said.bottom)) this.#show(said);
      else if (said.type === "selected") this.#select(copied(said.detail));
      else if (said.type === "refused") this.#settle(null, new SureholdError(String(said.code), String(said.message)));
      else if (said.type === "ready" && PAGES.includes(said.page)) this.#arrived(said);
    };

    #fit(height) {
      if (this.#dialog) return; // there it scrolls within
      this.#frame.style.blockSize = `${Math.min(Math.max(height, 120), 20000)}px`;
    }

    // What was chosen stands below: bring it into view if it is not.
    #show({ top, bottom }) {
      if (this.#dialog) return;
      const box = this.#frame.getBoundingClientRect();
      const below = box.top + bottom - innerHeight;
      if (below > 0) scrollBy({ top: Math.min(below + 16, box.top + top - 16), behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    }

    #select(detail) {
      this.#selected = detail;
      if (detail) this.#emit("selected", detail);
    }

    #arrived({ page, detail, code, message }) {
      clearTimeout(this.#patience);
      this.#page = page;
      this.#detail = copied(detail);
      this.#selected = null; // a page on which something is chosen says so next
      this.#send("look", { look: this.#look });
      if (this.#loads++ && !this.#dialog && this.#frame.getBoundingClientRect().top < 0) this.#frame.scrollIntoView();
      const name = EVENTS[page];
      if (name && this.#detail) this.#once(name, this.#detail);
      this.#answer(page, code, message);
    }

    // Each once for a booking, however often its page is loaded.
    #once(name, detail) {
      const key = `${name} ${detail.reference}`;
      if (this.#fired.has(key)) return;
      this.#fired.add(key);
      this.#emit(name, detail);
    }

    #emit(name, detail) {
      const event = () => new CustomEvent(`surehold:${name}`, { detail, bubbles: true, composed: true });
      (this.source?.isConnected ? this.source : this).dispatchEvent(event());
    }

    #ask(type, wanted) {
      this.#settle(null, new SureholdError("superseded", "Something else was asked for."));
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => this.#settle(null, new SureholdError("no_answer", "The calendar did not answer.")), 30000);
        this.#pending = { wanted, resolve, reject, timer };
        this.#send(type);
      });
    }

    #answer(page, code, message) {
      if (!this.#pending) return;
      if (page === this.#pending.wanted) this.#settle(this.#detail);
      else this.#settle(null, new SureholdError(String(code || page), String(message || `It is ${page} now.`)));
    }

    #settle(detail, error) {
      const pending = this.#pending;
      if (!pending) return;
      this.#pending = null;
      clearTimeout(pending.timer);
      if (error) pending.reject(error);
      else pending.resolve(detail);
    }
  }

  customElements.define("surehold-calendar", SureholdCalendar);

  // --- Links: <a data-surehold href="…/w/<workspace>/<resource>/">. Without this they are links. ---------

  const opened = new WeakMap();
  function calendarOf(link) {
    if (opened.has(link)) return opened.get(link);
    const [, workspace, resource] = new URL(link.href, location.href).pathname.match(/^\/w\/([\w-]+)\/(?:([\w-]+)\/)?$/) ?? [];
    const calendar = document.createElement("surehold-calendar");
    calendar.source = link;
    calendar.setAttribute("mode", "button");
    calendar.setAttribute("workspace", link.dataset.workspace ?? workspace ?? "");
    for (const [name, value] of [["resource", link.dataset.resource ?? resource], ["locale", link.dataset.locale], ["scheme", link.dataset.scheme], ["label", link.textContent.trim()]]) {
      if (value) calendar.setAttribute(name, value);
    }
    document.body.append(calendar);
    opened.set(link, calendar);
    return calendar;
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-surehold]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    if (new URL(link.href, location.href).origin !== BASE) return;
    event.preventDefault();
    calendarOf(link).open();
  });
})();
