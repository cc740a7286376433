// The hold's clock. The server says when it ends and what time it is; this only counts between.
const box = document.getElementById("countdown");
const clock = box?.querySelector(".clock");
const say = document.getElementById("say");
const SAID_AT = [5, 2, 1];

let skew = 0;
let ends = 0;
let last = Infinity;
let asking = false;

function agree(serverNow, endsAt) {
  skew = Date.parse(serverNow) - Date.now();
  ends = Date.parse(endsAt);
}

async function ask() {
  if (asking) return;
  asking = true;
  try {
    const answer = await fetch(box.dataset.clock, { headers: { Accept: "application/json" }, cache: "no-store" });
    if (answer.ok) {
      const told = await answer.json();
      if (told.state !== "active") return location.reload();
      agree(told.now, told.ends);
    }
  } catch {
    // Offline: count on, ask again when the page is looked at.
  } finally {
    setTimeout(() => { asking = false; }, 1000);
  }
}

function show() {
  const left = Math.max(0, Math.ceil((ends - Date.now() - skew) / 1000));
  clock.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  box.classList.toggle("soon", left <= 120);
  for (const minutes of SAID_AT) {
    if (last > minutes * 60 && left <= minutes * 60 && left > minutes * 60 - 30 && last !== Infinity) {
      say.textContent = `${minutes} ${minutes === 1 ? "minute" : "minutes"} left to pay.`;
    }
  }
  last = left;
  if (left === 0) ask();
}

if (clock) {
  box.querySelector("[data-still]").hidden = true;
  box.querySelector("[data-counting]").hidden = false;
  agree(box.dataset.now, box.dataset.ends);
  show();
  setInterval(show, 500);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  addEventListener("pageshow", (event) => { if (event.persisted) ask(); });
}
