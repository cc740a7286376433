// Times are shown where the place is. When the reader is somewhere else, theirs stand beside them.
const mine = Intl.DateTimeFormat().resolvedOptions().timeZone;
const city = (zone) => zone.split("/").pop().replaceAll("_", " ");

function say(moment, zone) {
  const options = { timeZone: zone, weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false };
  return new Intl.DateTimeFormat(document.documentElement.lang, options).format(moment);
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

add(document);
document.addEventListener("htmx:afterSettle", (event) => add(event.target.parentElement ?? document));
