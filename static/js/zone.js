// Times are shown where the place is. When the reader is somewhere else, theirs stand beside them.
const mine = Intl.DateTimeFormat().resolvedOptions().timeZone;
// Days before months, as everywhere on our pages.
const LANGUAGE = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;
const city = (zone) => zone.split("/").pop().replaceAll("_", " ");

function say(moment, zone) {
  const options = { timeZone: zone, weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false };
  return new Intl.DateTimeFormat(LANGUAGE, options).format(moment);
}

// The end without its day, where that is the day of the start.
function until(start, end) {
  const [from, to] = [start, end].map((moment) => say(moment, mine));
  const day = (text) => text.slice(0, text.lastIndexOf(","));
  return day(from) === day(to) ? to.slice(to.lastIndexOf(",") + 2) : to;
}

function add(root) {
  for (const when of root.querySelectorAll("[data-zone][data-start]")) {
    const start = new Date(when.dataset.start);
    if (when.querySelector(".zone") || say(start, mine) === say(start, when.dataset.zone)) continue;
    const end = when.dataset.end ? `–${until(start, new Date(when.dataset.end))}` : "";
    const note = document.createElement("span");
    note.className = "zone";
    note.textContent = `${say(start, mine)}${end} in ${city(mine)}, where you seem to be`;
    when.append(note);
  }
}

const clock = (text) => text.slice(-5);
const day = (text) => text.slice(0, text.search(/[ ,]/));

// The day's starts: the reader's own time stands below each, with its day where that is another.
function beside(list) {
  for (const button of list.querySelectorAll("button[name=at]")) {
    const [here, there] = [mine, list.dataset.starts].map((zone) => say(new Date(button.value), zone));
    if (here === there || button.querySelector(".mine")) continue;
    const note = document.createElement("small");
    note.className = "mine";
    note.textContent = `${day(here) === day(there) ? "" : `${day(here)} `}${clock(here)}`;
    button.append(note);
  }
}

// What "times in Lisbon" means for somebody who is elsewhere: the time now, here and there.
function explain(zone) {
  const now = new Date();
  const [here, there] = [mine, zone.dataset.timesIn].map((each) => say(now, each));
  if (here === there || zone.dataset.told) return;
  zone.dataset.told = "yes";
  zone.textContent += `, where it is ${clock(there)} now. In ${city(mine)}, where you seem to be, it is ${day(here) === day(there) ? "" : `${day(here)} `}${clock(here)}.`;
}

function both(root) {
  add(root);
  root.querySelectorAll("[data-starts]").forEach(beside);
  root.querySelectorAll("[data-times-in]").forEach(explain);
}

both(document);
document.addEventListener("htmx:afterSettle", (event) => both(event.target.parentElement ?? document));
