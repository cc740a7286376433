// A page of ours in a page of somebody else's. It speaks with one origin only, which the workspace
// allows and the page around it has named; version 1, and only in the shapes below. Without that
// page it is an ordinary page.
const told = JSON.parse(document.body.dataset.frame);
const inFrame = parent !== window && told.host;
const VERSION = 1;

function send(type, more) {
  if (inFrame) parent.postMessage({ surehold: VERSION, type, ...more }, told.host);
}

// --- The visitor: the same one next time, where the browser keeps that for this site (enter.js) -----

if (told.fresh) {
  try { localStorage.setItem(`surehold:${told.workspace}`, told.bare); } catch { /* this frame only */ }
}

// --- What leads out of the frame opens in a window of its own --------------------------------------

function outside(root) {
  for (const link of root.querySelectorAll("a[href]")) {
    const here = link.origin === location.origin && link.pathname.startsWith("/embed/");
    if (here || link.target) continue;
    link.target = "_blank";
    link.rel = "noopener";
  }
}
outside(document);

// --- Its height, and what is to be seen -------------------------------------------------------------

let height = 0;
function measure() {
  const now = Math.ceil(document.body.getBoundingClientRect().height);
  if (now === height) return;
  height = now;
  send("height", { height });
}
new ResizeObserver(measure).observe(document.body);

function show(element) {
  const box = element.getBoundingClientRect();
  send("show", { top: Math.round(box.top + scrollY), bottom: Math.round(box.bottom + scrollY) });
}

// --- What is chosen ----------------------------------------------------------------------------------

const holdForm = () => document.querySelector("#picked form:has([name=start])");
let chosen = null;

function look() {
  const form = holdForm();
  const detail = form && {
    resource: told.resource,
    start: form.elements.start.value,
    end: form.elements.end.value,
    quantity: Number(form.elements.quantity.value),
  };
  const now = JSON.stringify(detail);
  if (now === JSON.stringify(chosen)) return false;
  chosen = detail;
  send("selected", { detail });
  return Boolean(detail);
}

document.addEventListener("htmx:afterSettle", () => {
  outside(document);
  if (look()) show(document.getElementById("picked"));
  // The page after paying stops asking when there is an answer: read it anew, with what it says.
  if (told.page === "processing" && !document.querySelector("[data-live]")) location.reload();
});

// --- Paying: in a window of its own, opened by the press itself --------------------------------------

const WINDOW = `surehold-pay-${told.bare.slice(0, 12)}`;
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || !form.dataset.window || form.dataset.opened) return;
  form.dataset.opened = "yes";
  const ready = [...form.querySelectorAll("input[type=email], input[name=name]")].every((field) => field.value.trim() && field.checkValidity());
  if (ready) open(form.dataset.window, WINDOW);
});

// --- What became of it: asked every few seconds, at once when somebody comes back ---------------------

let asking = false;
async function ask(query = "") {
  if (!told.poll || asking) return;
  asking = true;
  try {
    const answer = await fetch(told.poll + query, { headers: { Accept: "application/json" }, cache: "no-store" });
    const { after, state } = answer.ok ? await answer.json() : {};
    if (after && !(after === location.pathname && state === told.state)) location.replace(after);
  } catch {
    // Offline: the next time.
  } finally {
    asking = false;
  }
}
if (told.poll) {
  setInterval(() => { if (!document.hidden) ask(); }, told.state === "active" ? 4000 : 20000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask("?look"); });
}

// --- What the page around it may ask for --------------------------------------------------------------

const ORDERS = {
  look({ look: wanted }) {
    if (typeof wanted !== "string" || !/^[\w-]{0,2000}$/.test(wanted)) return;
    const link = document.getElementById("look");
    const address = `/embed/look/${wanted}.css`;
    if (link.getAttribute("href") !== address) link.setAttribute("href", address);
  },
  reserve() {
    const form = holdForm();
    if (form) form.requestSubmit();
    else send("refused", { code: "nothing_selected", message: "Nothing is chosen that can be held." });
  },
  release() {
    const form = document.querySelector("form[action$='/let-go/']");
    if (form) form.requestSubmit();
    else send("refused", { code: "nothing_held", message: "Nothing is held on this page." });
  },
};

addEventListener("message", (event) => {
  if (event.data?.surehold !== VERSION) return;
  const { type } = event.data;
  if (event.origin === location.origin && type === "returned") return void ask("?look");
  if (!inFrame || event.source !== parent || event.origin !== told.host) return;
  if (Object.hasOwn(ORDERS, type)) ORDERS[type](event.data);
});

send("ready", { page: told.page, detail: told.detail ?? null, code: told.code ?? "", message: told.message ?? "" });
look();
measure();
// Who pressed a button in here goes on reading here.
if (document.hasFocus() && !document.querySelector("[autofocus]") && !told.fresh) {
  const heading = document.querySelector("h1");
  if (heading && told.page !== "choosing") {
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }
}
