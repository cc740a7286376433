// The week as a grid: drag from start to end, or move with the arrow keys. Buttons without this.
const say = document.getElementById("say");
const cells = (column) => [...column.querySelectorAll(".c")];
const columns = () => [...document.querySelectorAll(".week .col")];
let drag = null;

function choose(value, minutes) {
  const form = document.getElementById("choose");
  const field = form.elements.minutes;
  if (minutes) {
    if (![...field.options].some((option) => option.value === String(minutes))) field.add(new Option(minutes, minutes));
    field.value = minutes;
  }
  const at = document.getElementById("at");
  at.value = value;
  at.disabled = false;
  form.requestSubmit();
  at.disabled = true;
}

// One stop for the tab key; the arrows do the rest.
function rove(target) {
  const free = [...document.querySelectorAll(".week .c:enabled")];
  const current = target ?? free.find((cell) => cell.matches(".sel")) ?? free[0];
  for (const cell of free) cell.tabIndex = cell === current ? 0 : -1;
}

function step(cell, across, along) {
  const all = columns();
  let column = all.indexOf(cell.parentElement);
  let row = cells(cell.parentElement).indexOf(cell);
  for (let tries = 0; tries < 400; tries++) {
    column += across;
    row += along;
    const next = all[column] && cells(all[column])[row];
    if (!next) return null;
    if (next.matches(":enabled")) return next;
  }
  return null;
}

// From the first cell to the last, as far as all between can be had.
function stretch(from, to) {
  const all = cells(from.parentElement);
  let end = all.indexOf(to);
  const start = all.indexOf(from);
  if (to.parentElement !== from.parentElement || end < start) end = start;
  const found = [];
  for (let i = start; i <= end && !all[i].matches(".t, .x, .p"); i++) found.push(all[i]);
  return found;
}

function paint(found) {
  for (const cell of document.querySelectorAll(".c.drag")) cell.classList.remove("drag", "a");
  found.forEach((cell, i) => { cell.classList.add("drag"); cell.classList.toggle("a", i === 0); });
}

function length(found) {
  const week = document.getElementById("week");
  return Math.max(found.length * week.dataset.unit, week.dataset.min);
}

document.addEventListener("pointerdown", (event) => {
  const cell = event.target.closest?.(".week .c:enabled");
  if (!cell || event.button !== 0 || event.pointerType === "touch") return;
  drag = { from: cell, found: [cell] };
});
document.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const over = document.elementFromPoint(event.clientX, event.clientY)?.closest(".c");
  if (!over) return;
  drag.found = stretch(drag.from, over);
  if (drag.found.length > 1) paint(drag.found);
});
document.addEventListener("pointerup", () => {
  if (drag?.found.length > 1) {
    const { from, found } = drag;
    choose(from.value, length(found));
    addEventListener("click", (click) => { click.preventDefault(); click.stopPropagation(); }, { capture: true, once: true });
    setTimeout(() => paint([]), 800);
  }
  drag = null;
});
document.addEventListener("pointercancel", () => { drag = null; paint([]); });

const MOVES = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
document.addEventListener("keydown", (event) => {
  const cell = event.target.closest?.(".week .c");
  const move = MOVES[event.key];
  if (!cell || !move) return;
  event.preventDefault();
  if (event.shiftKey) return move[1] && lengthen(move[1]);
  const next = step(cell, ...move);
  if (!next) return;
  rove(next);
  next.focus();
});

// Shift and an arrow: the chosen time ends a step later or earlier.
function lengthen(direction) {
  const chosen = document.querySelector(".week .c.sel.a");
  if (!chosen) return;
  const week = document.getElementById("week").dataset;
  const minutes = Number(document.getElementById("choose").elements.minutes.value) + direction * week.step;
  if (minutes >= week.min && minutes <= week.max) choose(chosen.value, minutes);
}

document.addEventListener("htmx:beforeSwap", (event) => {
  if (drag && event.target.id === "week") event.detail.shouldSwap = false;
});
document.addEventListener("htmx:afterSettle", (event) => {
  const focused = document.activeElement?.closest(".week .c:enabled");
  rove(focused ?? undefined);
  const told = document.getElementById("picked")?.dataset.say ?? "";
  if (say && event.target.id === "pick" && say.textContent !== told) say.textContent = told;
});
rove();
